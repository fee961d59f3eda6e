"""Printed sheets: A4, as PDF."""
