"""Findings, marks and edits over `/v1`."""
