"""Backups of the database: written, and proved when they are restored."""
