"""From iMiGUE and SMG, raw or as the challenge kit packs them, and from own keypoints to annotation files."""

from pyskl_semloss.annotations.converters.imigue import IMIGUE
from pyskl_semloss.annotations.converters.keypoints import convert_keypoints
from pyskl_semloss.annotations.converters.kit import convert_kit
from pyskl_semloss.annotations.converters.raw import convert_raw
from pyskl_semloss.annotations.converters.recordings import KeypointOptions, convert_recordings, recording_line
from pyskl_semloss.annotations.converters.smg import SMG
from pyskl_semloss.annotations.converters.sources import RawFormat
from pyskl_semloss.annotations.converters.splits import SplitOptions, read_split_files, read_subjects
from pyskl_semloss.annotations.converters.summary import page

__all__ = [
    "IMIGUE",
    "SMG",
    "KeypointOptions",
    "RawFormat",
    "SplitOptions",
    "convert_keypoints",
    "convert_kit",
    "convert_raw",
    "convert_recordings",
    "page",
    "read_split_files",
    "read_subjects",
    "recording_line",
]
