"""What `hesper gateway scan`, `read` and `plan` do for the person in the basement."""
