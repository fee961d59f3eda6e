"""The configuration of a gateway: its document, its rules, and the TOML file that it is read from."""
