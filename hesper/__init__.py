"""Composition: the command line, settings, supervision of processes, and the demo."""
