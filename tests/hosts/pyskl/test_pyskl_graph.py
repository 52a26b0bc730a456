"""Graphs of layouts against PySKL's own Graph."""

import warnings

import numpy as np
import pytest

pytest.importorskip("pyskl")

from pyskl.utils import Graph

from pyskl_semloss.skeletons import adjacency, get_layout, layout_names, skeleton_graph

MODES = [("spatial", {}), ("stgcn_spatial", {}), ("stgcn_spatial", {"max_hop": 3}), ("random", {"num_filter": 8})]


def host_graph(graph, **options):
    """PySKL's Graph of any edges; its own class knows four names."""

    class OwnGraph(Graph):
        def get_layout(self, layout):
            self.num_node, self.inward, self.center = graph.num_nodes, list(graph.edges), graph.centre
            self.self_link = [(joint, joint) for joint in range(self.num_node)]
            self.outward = [(parent, child) for child, parent in self.inward]

    return OwnGraph(**options)


@pytest.mark.parametrize("name", layout_names())
@pytest.mark.parametrize(("mode", "options"), MODES)
def test_adjacency_is_the_hosts_to_the_bit(name, mode, options):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        graph = skeleton_graph(get_layout(name))
    np.random.seed(5)
    host = host_graph(graph, mode=mode, **options).A
    np.random.seed(5)
    ours = adjacency(graph, mode, **options)
    assert ours.dtype == host.dtype
    np.testing.assert_array_equal(ours, host)


@pytest.mark.parametrize(("name", "hosts"), [("kinect25", "nturgb+d"), ("coco17", "coco")])
def test_layouts_that_the_host_has(name, hosts):
    graph, host = skeleton_graph(get_layout(name)), Graph(layout=hosts)
    assert set(graph.edges) == set(host.inward) and (graph.num_nodes, graph.centre) == (host.num_node, host.center)
    np.testing.assert_array_equal(adjacency(graph), host.A)
