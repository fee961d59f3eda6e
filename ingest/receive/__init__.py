"""A message's way into the store: decoded, resolved, routed, written in one transaction."""
