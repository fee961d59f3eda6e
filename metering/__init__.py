"""The business of a utility, pure: what is decided about readings, months and people, once for all above."""
