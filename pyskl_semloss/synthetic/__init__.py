"""Gestures acted out: clips, recordings, an example study."""
