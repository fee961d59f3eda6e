"""What every page stands in: layout, parts, errors."""
