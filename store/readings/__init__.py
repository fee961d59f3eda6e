"""Readings: stored raw, read back, counted against what was due, and exported."""
