"""`hesper registry`."""
