"""What a reading can be, by what its register did before."""
