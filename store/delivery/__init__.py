"""Delivery: destinations, the outbox, control totals and statements."""
