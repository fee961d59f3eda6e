"""Words that pages say to people, in their languages."""
