"""What cells leave behind: records, the store, tables of results."""
