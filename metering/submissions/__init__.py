"""Readings that people hand in: whether one can be true, where it counts, and its receipt."""
