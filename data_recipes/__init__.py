"""Raw service records to structured knowledge to instruction data."""
