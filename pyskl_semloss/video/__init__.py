"""Pose estimation in videos: frames, estimators, many files, overlays."""

from pyskl_semloss.video.batch import estimate_files
from pyskl_semloss.video.estimate import EstimationOptions, estimate
from pyskl_semloss.video.estimator import Estimator
from pyskl_semloss.video.estimators import load_estimator
from pyskl_semloss.video.frames import Video, open_video
from pyskl_semloss.video.overlay import write_overlay

__all__ = [
    "EstimationOptions",
    "Estimator",
    "Video",
    "estimate",
    "estimate_files",
    "load_estimator",
    "open_video",
    "write_overlay",
]
