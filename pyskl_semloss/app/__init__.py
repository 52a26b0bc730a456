"""A local web page: a video or a keypoint file in, its skeleton, its gestures on a timeline and their files out."""
