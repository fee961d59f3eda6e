"""Who is asking: keys, sessions, passwords, second factors, and providers."""
