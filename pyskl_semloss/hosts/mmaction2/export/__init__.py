"""Export of trained models to ONNX."""

from pyskl_semloss.hosts.mmaction2.export.graph import export_onnx

__all__ = ["export_onnx"]
