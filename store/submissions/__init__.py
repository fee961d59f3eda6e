"""Readings that people hand in, and the windows in which they are taken."""
