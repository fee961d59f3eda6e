"""`hesper deliver`."""
