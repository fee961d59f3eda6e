"""Tools for the person in the basement: `hesper gateway scan`, `read` and `plan`."""
