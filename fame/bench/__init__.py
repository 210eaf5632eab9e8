"""What stands behind the tables: runs over seeds, and what speed and memory were measured."""
