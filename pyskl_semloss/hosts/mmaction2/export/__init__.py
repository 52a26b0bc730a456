"""Trained models as one ONNX file that other programs run."""

from pyskl_semloss.hosts.mmaction2.export.graph import export_onnx

__all__ = ["export_onnx"]
