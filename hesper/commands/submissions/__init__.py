"""`hesper submissions`."""
