"""Validation: what is to be judged, marks and findings, edits, and alarms."""
