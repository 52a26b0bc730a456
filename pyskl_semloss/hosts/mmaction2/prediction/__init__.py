"""Prediction with models trained on MMAction2."""
