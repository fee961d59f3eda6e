"""What the central side asks of a gateway: commands, and a configuration to be run."""
