"""`hesper gateway`, `hesper decode`."""
