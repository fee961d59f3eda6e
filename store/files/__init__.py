"""Files that leave, in pieces as they are made: billing readings as CSV and Parquet, readings as Parquet."""
