"""The processes: `hesper serve`, `demo`, `ingest`, `api`, `worker`, and what keeps the store: `migrate`,
`store`."""
