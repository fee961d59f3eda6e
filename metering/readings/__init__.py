"""Rates of registers: what a reading can be, by what its register did before."""
