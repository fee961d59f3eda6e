"""Readings that people hand in, over `/v1`."""
