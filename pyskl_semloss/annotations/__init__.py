"""Annotation files: the clip record, its rules, reading and writing, and the synthetic set."""

from pyskl_semloss.annotations.clip import AnnotationSet, Clip
from pyskl_semloss.annotations.pickles import read_annotations, write_annotations
from pyskl_semloss.annotations.report import Report

__all__ = ["AnnotationSet", "Clip", "Report", "read_annotations", "write_annotations"]
