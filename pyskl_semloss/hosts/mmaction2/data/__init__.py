"""Data set, transforms and seeds for MMAction2."""
