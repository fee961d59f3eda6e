"""History from files, through the wire contract into the store (`hesper import`).

Start reading at `columns.py` (what a file's columns mean), then `table.py` (rows to readouts), `source.py`
(readouts to numbered batches) and `session.py` (the whole import).
"""
