"""Bytes and data sets of IEC 62056-21, both ways: no I/O, no clock, no error but DecodeError."""
