"""Telegrams explained to a person or a program: one module a protocol, one form for all of them."""
