"""Graphs of skeletons for graph networks: edges, centre, adjacency matrices."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from pyskl_semloss.errors import InputError
from pyskl_semloss.io.reading import did_you_mean, short_repr
from pyskl_semloss.skeletons.builtin import KNOWN_LAYOUTS
from pyskl_semloss.skeletons.layout import SkeletonLayout
from pyskl_semloss.skeletons.mirror import Pair

MODES = ("spatial", "stgcn_spatial", "random")
"""The modes of :func:`adjacency`, named as in the hosts."""


@dataclass(frozen=True)
class SkeletonGraph:
    """Directed graph of a skeleton; :func:`skeleton_graph` derives it from a layout.

    Attributes:
        num_nodes: V, the number of joints.
        edges: (child, parent) pairs, the hosts' ``inward``; a parent is nearer to the centre.
        centre: The joint that all edges lead to; it has no parent.
    """

    num_nodes: int
    edges: tuple[Pair, ...]
    centre: int

    def host_layout(self) -> dict[str, Any]:
        """Value of ``layout`` in the ``graph_cfg`` of MMAction2's backbones.

        Example:
            >>> SkeletonGraph(3, ((1, 0), (2, 1)), 0).host_layout()
            {'num_node': 3, 'inward': [(1, 0), (2, 1)], 'center': 0}
        """
        return {"num_node": self.num_nodes, "inward": list(self.edges), "center": self.centre}


# Written 1-based and used 0-based, with one slip: no tree, and the nose is in no edge.
# fmt: off
_RELEASE_EDGES = (
    (2, 1), (2, 3), (3, 4), (4, 5), (2, 6), (6, 7), (7, 8), (1, 9), (9, 11), (1, 10), (10, 11),
    (5, 12), (5, 13), (5, 14), (5, 15), (5, 16), (8, 17), (8, 18), (8, 19), (8, 20), (8, 21),
)
# fmt: on
_PUBLISHED = {"release22_with_mistakes": SkeletonGraph(22, _RELEASE_EDGES, 1)}
"""Graphs that were published for layouts with mistakes, and are no trees."""


def skeleton_graph(layout: SkeletonLayout, centre: int | str | None = None) -> SkeletonGraph:
    """Graph of a layout: every joint's edge to the joint next to it on the way to the centre.

    The links are the layout's ``graph_limbs``, or its limbs. Each joint hangs on the neighbour with the fewest links
    to the centre, of several the one whose link is listed first; a link that closes a ring is therefore no edge.
    ``release22_with_mistakes`` has the graph that was published with it, which is no tree and has an isolated nose;
    :func:`pyskl_semloss.skeletons.get_layout` warns of it.

    Args:
        layout: The layout.
        centre: Index or name of the joint that all edges lead to. By default the joint with the smallest sum of
            distances, in links, to all others; of several the first.

    Returns:
        V nodes and V - 1 edges, in the order of the children.

    Raises:
        InputError: There is no such centre, or some joints hang loose.

    Example:
        >>> layout = SkeletonLayout("stick", ("hand L", "neck", "hand R"), [(0, 1), (1, 2)], [(0, 2)])
        >>> skeleton_graph(layout)
        SkeletonGraph(num_nodes=3, edges=((0, 1), (2, 1)), centre=1)
    """
    if layout.name in _PUBLISHED and layout == KNOWN_LAYOUTS[layout.name]:
        return _PUBLISHED[layout.name]
    stated = None if centre is None else _joint_index(layout, centre)
    neighbours: list[list[int]] = [[] for _ in layout.joints]
    for a, b in layout.limbs if layout.graph_limbs is None else layout.graph_limbs:
        neighbours[a].append(b)
        neighbours[b].append(a)
    distances = np.stack([_distances(neighbours, joint) for joint in range(layout.num_joints)])
    reached = np.isfinite(distances)
    if not reached.all():
        # The largest part is the body; what is not tied to it hangs loose.
        loose = np.flatnonzero(~reached[reached.sum(axis=1).argmax()])
        raise InputError(
            f"layout {short_repr(layout.name)} is no connected graph: "
            f"{len(loose)} of {layout.num_joints} joints hang loose",
            field="limbs" if layout.graph_limbs is None else "graph_limbs",
            fix="Give the layout graph_limbs: its limbs, and links from these joints to the rest.",
            items=[f"{joint} {layout.joints[joint]}" for joint in loose],
        )
    root = int(distances.sum(axis=1).argmin()) if stated is None else stated
    depth = distances[root]
    edges = tuple(
        (child, min(neighbours[child], key=depth.__getitem__)) for child in range(layout.num_joints) if child != root
    )
    return SkeletonGraph(layout.num_joints, edges, root)


def adjacency(
    graph: SkeletonGraph,
    mode: str = "spatial",
    *,
    max_hop: int = 1,
    num_filter: int = 3,
    init_std: float = 0.02,
    init_off: float = 0.04,
    rng: np.random.RandomState | None = None,
) -> np.ndarray:
    r"""Adjacency matrices of a graph network, bit-identical to the hosts'.

    ``A[k, i, j]`` is the weight of joint i in what joint j receives from its subset k of the joints.

    - ``"spatial"``, K = 3: the joint itself; its parent; the mean of its children.
    - ``"stgcn_spatial"``, K = 1 + 2 ``max_hop``: the joint itself; then, for each number of links up to ``max_hop``,
      the joints at that distance that are not nearer to the centre, and those that are. All weights of a joint are
      equal and have the sum 1.
    - ``"random"``, K = ``num_filter``: normal numbers with the mean ``init_off`` and the standard deviation
      ``init_std``, from which a network learns its own graph.

    Args:
        graph: The graph.
        mode: One of the three.
        max_hop: Largest distance of neighbours, for ``"stgcn_spatial"``.
        num_filter: K, for ``"random"``.
        init_std: For ``"random"``.
        init_off: For ``"random"``.
        rng: Legacy numpy generator of ``"random"``; default numpy's global one, as in the hosts.

    Returns:
        (K, V, V) float64.

    Raises:
        InputError: An unknown mode, or a number below 1.

    Source:
        Yan et al., "Spatial Temporal Graph Convolutional Networks", AAAI 2018 (``stgcn_spatial``); Shi et al.,
        "Two-Stream Adaptive Graph Convolutional Networks", CVPR 2019 (``spatial``); Duan et al., "DG-STGCN", 2022
        (``random``).

    Example:
        >>> adjacency(SkeletonGraph(2, ((1, 0),), 0)).astype(int).tolist()
        [[[1, 0], [0, 1]], [[0, 1], [0, 0]], [[0, 0], [1, 0]]]
    """
    for field, value in (("max_hop", max_hop), ("num_filter", num_filter)):
        if value < 1:
            raise InputError(f"expected at least 1, got {value}", field=field)
    size = graph.num_nodes
    if mode == "spatial":
        links = np.zeros((size, size))
        children, parents = _ends(graph.edges)
        links[parents, children] = 1
        return np.stack([np.eye(size), _column_normalised(links), _column_normalised(links.T)])
    if mode == "stgcn_spatial":
        return _distance_partition(graph, max_hop)
    if mode == "random":
        draw = np.random.randn if rng is None else rng.randn
        return draw(num_filter, size, size) * init_std + init_off
    raise InputError(f"expected one of {', '.join(MODES)}, got {mode!r}{did_you_mean(mode, MODES)}", field="mode")


def _distance_partition(graph: SkeletonGraph, max_hop: int) -> np.ndarray:
    neighbours: list[list[int]] = [[] for _ in range(graph.num_nodes)]
    for child, parent in graph.edges:
        neighbours[child].append(parent)
        neighbours[parent].append(child)
    hops = np.stack([_distances(neighbours, joint) for joint in range(graph.num_nodes)])
    # As in the hosts, what is out of reach of max_hop is equally far from the centre.
    hops[hops > max_hop] = np.inf
    weights = _column_normalised((hops <= max_hop).astype(float))
    not_nearer = hops[graph.centre][:, None] >= hops[graph.centre][None]
    subsets = [np.where((hops == 0) & not_nearer, weights, 0)]
    for hop in range(1, max_hop + 1):
        subsets += [np.where((hops == hop) & side, weights, 0) for side in (not_nearer, ~not_nearer)]
    return np.stack(subsets)


def _distances(neighbours: Sequence[Sequence[int]], start: int) -> np.ndarray:
    """Links from a joint to each of the V joints; inf where there is no way."""
    distance = np.full(len(neighbours), np.inf)
    distance[start] = 0
    queue = [start]
    for joint in queue:
        for other in neighbours[joint]:
            if np.isinf(distance[other]):
                distance[other] = distance[joint] + 1
                queue.append(other)
    return distance


def _column_normalised(matrix: np.ndarray) -> np.ndarray:
    sums = matrix.sum(axis=0)
    return matrix * np.where(sums > 0, 1 / np.where(sums > 0, sums, 1), 0)


def _ends(edges: tuple[Pair, ...]) -> tuple[list[int], list[int]]:
    return [child for child, _ in edges], [parent for _, parent in edges]


def _joint_index(layout: SkeletonLayout, joint: int | str) -> int:
    if isinstance(joint, str):
        if joint not in layout.joints:
            problem = f"layout {short_repr(layout.name)} has no joint {short_repr(joint)}"
            raise InputError(f"{problem}{did_you_mean(joint, layout.joints)}", field="centre")
        return layout.joints.index(joint)
    if not 0 <= joint < layout.num_joints:
        raise InputError(f"joint {joint} is not in 0..{layout.num_joints - 1}", field="centre")
    return joint
