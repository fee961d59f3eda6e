"""Witness of the audit log outside of the database: signed heads of its chains, hour by hour."""
