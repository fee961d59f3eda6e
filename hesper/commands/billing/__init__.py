"""`hesper close`, `hesper rules`, `hesper explain`."""
