"""PostgreSQL itself: connections, roles, migrations, arrays, and a server of our own."""
