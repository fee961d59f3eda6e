"""Quarantine and new meters."""
