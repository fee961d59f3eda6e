"""Billing: the content of a billing reading, and its hash."""
