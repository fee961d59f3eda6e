"""The gateway: polls meters on a schedule, keeps readouts durably, sends them until acknowledged.

Start reading at `process.py`, which puts the parts together.
"""
