"""HTML report of a test: one file that works offline."""
