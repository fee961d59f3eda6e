"""The judgement of steps: which readings of a register may be billed from."""
