"""Joint and limb heat maps by two engines, Numba and torch."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from pyskl_semloss.heatmap.channels import Channels

if TYPE_CHECKING:
    from pyskl_semloss.heatmap.numba_engine import render_heatmaps
    from pyskl_semloss.heatmap.torch_engine import render_batch

__all__ = ["Channels", "render_batch", "render_heatmaps"]


def __getattr__(name: str) -> Any:
    """Load an engine when it is first used: neither Numba nor torch is imported before."""
    if name == "render_heatmaps":
        from pyskl_semloss.heatmap.numba_engine import render_heatmaps

        return render_heatmaps
    if name == "render_batch":
        from pyskl_semloss.heatmap.torch_engine import render_batch

        return render_batch
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
