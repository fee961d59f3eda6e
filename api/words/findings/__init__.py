"""Words for findings: a title and a sentence for each kind, in every language, a file a family.

Each file lists its kinds as `WORDS`. The sentences carry the numbers of the evidence, exactly, with advice.
"""
