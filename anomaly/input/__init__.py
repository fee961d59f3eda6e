"""The input of a judgement: series, and blocks of registers."""
