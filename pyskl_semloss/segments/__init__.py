"""Segments of long recordings: windows, timelines, segments, their files, and agreement with annotations."""
