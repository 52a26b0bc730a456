"""Score files, the numbers read from them, fusion, and the challenge's submission file."""
