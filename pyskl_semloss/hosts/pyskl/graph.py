"""PySKL's graph networks on any layout."""

from __future__ import annotations

import importlib
from collections.abc import Mapping
from typing import Any

from pyskl.utils.graph import Graph, get_hop_distance

from pyskl_semloss.errors import InputError
from pyskl_semloss.io.reading import did_you_mean, short_repr
from pyskl_semloss.skeletons import get_layout, skeleton_graph

_HOSTS_LAYOUTS = ("openpose", "nturgb+d", "coco", "handmp")
_NETWORKS = ("aagcn", "ctrgcn", "dgstgcn", "msg3d", "stgcn")
_MODES = ("spatial", "stgcn_spatial", "random", "binary_adj")


class LayoutGraph(Graph):
    """PySKL's ``Graph``, which also takes the layouts of this package.

    Args:
        layout: A name of the host's, or whatever :func:`pyskl_semloss.skeletons.get_layout` takes.
        mode: As in the host.
        **options: As in the host.

    Raises:
        InputError: The layout or the mode is unknown, or the layout is no connected graph.
    """

    def __init__(self, layout: str | Mapping[str, Any] = "coco", mode: str = "spatial", **options: Any) -> None:
        if mode not in _MODES:
            problem = f"expected one of {', '.join(_MODES)}, got {short_repr(mode)}{did_you_mean(mode, _MODES)}"
            raise InputError(problem, field="graph_cfg.mode")
        if layout in _HOSTS_LAYOUTS:
            super().__init__(layout, mode, **options)
            return
        graph = skeleton_graph(get_layout(layout))
        # The host's constructor refuses other names; its tables are made for one of them, then replaced.
        super().__init__("coco", "spatial", **{**options, "nx_node": 1})
        self.layout, self.mode, self.nx_node = layout, mode, options.get("nx_node", 1)
        self.num_node, self.center, self.inward = graph.num_nodes, graph.centre, list(graph.edges)
        self.self_link = [(joint, joint) for joint in range(graph.num_nodes)]
        self.outward = [(parent, child) for child, parent in graph.edges]
        self.neighbor = self.inward + self.outward
        self.hop_dis = get_hop_distance(self.num_node, self.inward, self.max_hop)
        self.A = getattr(self, mode)()


def use_layout_graphs() -> None:
    """Give the host's networks :class:`LayoutGraph` in place of ``Graph``; its files stay as they are."""
    for name in _NETWORKS:
        importlib.import_module(f"pyskl.models.gcns.{name}").Graph = LayoutGraph  # type: ignore[attr-defined]
