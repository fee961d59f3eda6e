"""Detectors: pure functions of a register's stored series, no I/O, no clock.

Imports telemetry only. Start reading at `judge.py`.
"""
