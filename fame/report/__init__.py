"""One history's account as a single HTML file that needs nothing but a browser."""
