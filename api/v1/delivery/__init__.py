"""Deliveries, statements and exports over `/v1`."""
