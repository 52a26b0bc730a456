"""The command line: arguments, exits, signals, progress."""
