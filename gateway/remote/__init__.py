"""Requests of the central side to a gateway: commands, and a configuration to be run."""
