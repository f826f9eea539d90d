"""Studies and tables of our own."""
