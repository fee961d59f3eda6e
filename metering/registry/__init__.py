"""Registry of a utility as a document: its entries, their rules, and how they are written as TOML and CSV."""
