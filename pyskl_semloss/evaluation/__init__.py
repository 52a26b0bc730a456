"""Score files, metrics, fusion, comparison, and the challenge's submission file."""
