"""`hesper import`, `hesper export`, `hesper arrival`, `hesper quarantine`."""
