"""Bytes and M-Bus telegrams, both ways: no I/O, no clock, no error but DecodeError."""
