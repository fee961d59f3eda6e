"""The fleet as people look at it: meters, places, supply and verification."""
