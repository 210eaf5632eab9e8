"""What stands behind the tables: recipes, runs over seeds, their rows, pages and model cards."""
