"""The routes and documents of `/v1`, for programs."""
