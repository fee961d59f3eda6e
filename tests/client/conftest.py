"""The API of `tests/api`, for the client to speak to."""

from tests.api.conftest import app, clock, connection, ours, settings

__all__ = ["app", "clock", "connection", "ours", "settings"]
