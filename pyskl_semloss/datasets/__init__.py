"""From raw data sets, such as iMiGUE and SMG, and from own keypoints to annotation files."""

from pyskl_semloss.datasets.formats import FORMATS, IMIGUE, SMG, get_format
from pyskl_semloss.datasets.keypoints import convert_keypoints
from pyskl_semloss.datasets.kit import convert_kit
from pyskl_semloss.datasets.raw import convert_raw
from pyskl_semloss.datasets.raw_format import RawFormat
from pyskl_semloss.datasets.recordings import KeypointOptions, convert_recordings, recording_line
from pyskl_semloss.datasets.splits import SplitOptions, read_split_files, read_subjects
from pyskl_semloss.datasets.summary import summary_page

__all__ = [
    "FORMATS",
    "IMIGUE",
    "SMG",
    "KeypointOptions",
    "RawFormat",
    "SplitOptions",
    "convert_keypoints",
    "convert_kit",
    "convert_raw",
    "convert_recordings",
    "get_format",
    "read_split_files",
    "read_subjects",
    "recording_line",
    "summary_page",
]
