"""The pages of one meter."""
