"""Months, and billed figures explained."""
