"""Temporal segments of recordings: windows, localization, files, agreement."""
