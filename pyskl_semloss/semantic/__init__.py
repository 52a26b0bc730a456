"""The semantic branch: label vectors and their sources, the loss."""
