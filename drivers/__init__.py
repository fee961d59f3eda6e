"""Meter protocols: one folder each, in three rooms (codec, master, virtual meter), over a `Line`."""
