"""The pages of one gateway."""
