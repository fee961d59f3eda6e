"""Validation: every series that new readings touched is judged anew, and the result stored.

Start reading at `worker.py`; the rules themselves are in `anomaly/`.
"""

from ingest.validation.worker import Progress, Validator, drain, main

__all__ = ["Progress", "Validator", "drain", "main"]
