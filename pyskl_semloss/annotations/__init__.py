"""Annotation files: clip records, repair rules, pickles and keypoint stores."""

from pyskl_semloss.annotations.clip import AnnotationSet, Clip
from pyskl_semloss.annotations.findings import ReadReport
from pyskl_semloss.annotations.pickles import read_annotations, write_annotations

__all__ = ["AnnotationSet", "Clip", "ReadReport", "read_annotations", "write_annotations"]
