"""Gateways: their status and health, what they are asked, and what they answered."""
