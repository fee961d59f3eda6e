"""The gateway: polls meters on a schedule, keeps readouts durably, and sends them until they are acknowledged.

Start reading at `process.py`, which puts the parts together.
"""
