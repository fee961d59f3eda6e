"""What is printed: A4 sheets as PDF."""
