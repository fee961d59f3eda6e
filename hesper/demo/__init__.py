"""The demo: a virtual building whose meters really speak their protocols, and thirteen months of history."""
