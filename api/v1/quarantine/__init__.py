"""Quarantine and new meters over `/v1`."""
