"""The REST API and the dashboards. Imports `store` and `telemetry` only. Start reading at `app.py`."""
