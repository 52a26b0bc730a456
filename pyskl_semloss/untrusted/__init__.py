"""Pickles and checkpoints, read as data."""
