"""M-Bus (EN 13757-2, EN 13757-3). Start reading at `telegram.py`, then `records.py`, then `readouts.py`."""
