"""The API of `tests/api`, for the client to speak to."""

from tests.api.conftest import app, clock, connection, database, ours, seeded, settings

__all__ = ["app", "clock", "connection", "database", "ours", "seeded", "settings"]
