"""Findings, and the balance of a building."""
