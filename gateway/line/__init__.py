"""The lines of a gateway: one thread each, which polls the meters of its line on a schedule."""
