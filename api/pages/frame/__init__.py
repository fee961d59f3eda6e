"""Frame of every page: layout, parts, errors."""
