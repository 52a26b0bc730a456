"""Keypoints of whole videos: estimators' formats, persons, gaps."""
