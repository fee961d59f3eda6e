"""The month close: what it reads, its drafts, and what was issued."""
