"""Delivery: signed messages of billing readings to billing systems."""
