"""The store: the schema, and every SQL statement of the system.

Imports only `telemetry`. Start reading at `database.py`, then `migrations/core/`, then `readings.py`.
"""
