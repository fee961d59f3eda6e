"""The month close: cases gathered, drafted and approved. Start reading at `close.py`."""
