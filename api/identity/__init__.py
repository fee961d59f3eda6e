"""Identity of callers: keys, sessions, passwords, second factors, and providers."""
