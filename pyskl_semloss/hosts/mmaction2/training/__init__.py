"""Training on MMAction2: runs, resumption, metrics."""
