"""The application: its routes, middleware, errors, streams and services."""
