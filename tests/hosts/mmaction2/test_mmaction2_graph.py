"""Graphs of layouts against MMAction2's own Graph."""

import warnings

import numpy as np
import pytest

pytest.importorskip("mmaction")

from mmaction.models.utils.graph import Graph

from pyskl_semloss.skeletons import adjacency, get_layout, layout_names, skeleton_graph


@pytest.fixture(params=layout_names())
def graph(request):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return skeleton_graph(get_layout(request.param))


@pytest.mark.parametrize(
    ("mode", "options"),
    [("spatial", {}), ("stgcn_spatial", {}), ("stgcn_spatial", {"max_hop": 2}), ("stgcn_spatial", {"max_hop": 3})],
)
def test_adjacency_is_the_hosts_to_the_bit(graph, mode, options):
    host = Graph(layout=graph.host_layout(), mode=mode, **options)
    ours = adjacency(graph, mode, **options)
    assert (ours.dtype, ours.shape) == (host.A.dtype, host.A.shape)
    np.testing.assert_array_equal(ours, host.A)


@pytest.mark.parametrize(("name", "hosts"), [("kinect25", "nturgb+d"), ("coco17", "coco")])
def test_layouts_that_the_host_has(name, hosts):
    graph, host = skeleton_graph(get_layout(name)), Graph(layout=hosts)
    assert set(graph.edges) == set(host.inward) and len(graph.edges) == len(host.inward)
    assert (graph.num_nodes, graph.centre) == (host.num_node, host.center)
    for mode in ("spatial", "stgcn_spatial"):
        np.testing.assert_array_equal(adjacency(graph, mode), Graph(layout=hosts, mode=mode).A)
