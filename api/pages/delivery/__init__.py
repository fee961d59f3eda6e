"""Statements of accounts."""
