"""Atomic writing, bounded reading, tables and arrays."""
