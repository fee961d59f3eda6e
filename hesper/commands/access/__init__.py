"""`hesper user`, `hesper key`, `hesper audit`."""
