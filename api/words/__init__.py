"""What pages say to people, in their languages."""
