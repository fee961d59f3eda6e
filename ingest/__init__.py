"""From messages to stored, judged and billable readings. Start reading at `ingester.py`."""
