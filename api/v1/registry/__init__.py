"""The registry over `/v1`: sites, service points, meters, and their history."""
