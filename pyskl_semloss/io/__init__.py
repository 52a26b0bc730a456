"""Files: whole or absent, read within bounds, tables and arrays."""
