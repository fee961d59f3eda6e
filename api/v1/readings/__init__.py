"""Readings over `/v1`: raw, effective, and as consumption."""
