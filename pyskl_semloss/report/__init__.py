"""The report of a test: one HTML file that works offline, with every number, picture and clip that belongs to it."""
