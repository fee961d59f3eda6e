"""Store of the system: the schema, and every SQL statement.

Imports `metering` and `telemetry`. Start reading at `migrations/core/`, then `postgres/database.py`, then
`readings/raw.py`.
"""
