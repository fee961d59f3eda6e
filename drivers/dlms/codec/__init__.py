"""Bytes and COSEM, both ways: no I/O, no clock, no error but DecodeError."""
