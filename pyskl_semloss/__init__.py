"""Joint skeletal and semantic embedding loss for micro-gesture recognition, on MMAction2 and PySKL."""

__version__ = "0.1.0"
