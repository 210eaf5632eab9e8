"""What stands behind the tables: runs over seeds, kept one row each."""
