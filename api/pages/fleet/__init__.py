"""The first page, and lists of meters: by site, by day, by verification."""
