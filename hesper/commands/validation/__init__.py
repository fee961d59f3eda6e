"""`hesper validate`, `hesper edit`."""
