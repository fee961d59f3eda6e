"""Accounts, sessions, API keys, and the answers kept for idempotency keys."""
