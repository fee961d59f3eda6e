"""`/v1/billing` and `/v1/closes`: billing readings, their evidence, and how months are closed."""
