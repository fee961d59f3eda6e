"""The month close: boundary values, consumption, and versioned billing readings.

Start reading at `close.py`; the pure parts are `calendar.py`, `boundary.py` and `consumption.py`.
"""
