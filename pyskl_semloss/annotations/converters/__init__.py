"""From the files of iMiGUE and SMG, raw or as the challenge kit packs them, to annotation files."""

from pyskl_semloss.annotations.converters.imigue import IMIGUE
from pyskl_semloss.annotations.converters.kit import convert_kit
from pyskl_semloss.annotations.converters.raw import convert_raw
from pyskl_semloss.annotations.converters.smg import SMG
from pyskl_semloss.annotations.converters.sources import RawFormat
from pyskl_semloss.annotations.converters.splits import SplitOptions, read_split_files, read_subjects
from pyskl_semloss.annotations.converters.summary import page

__all__ = [
    "IMIGUE",
    "SMG",
    "RawFormat",
    "SplitOptions",
    "convert_kit",
    "convert_raw",
    "page",
    "read_split_files",
    "read_subjects",
]
