"""Delivery: billing readings as they leave, and the formats of their files."""
