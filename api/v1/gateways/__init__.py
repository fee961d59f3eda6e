"""Gateways over `/v1`: health, commands, configurations, findings."""
