"""Graphs of layouts: edges by hand, published graphs, what hangs loose; adjacency matrices by value."""

import dataclasses
import warnings

import numpy as np
import pytest

from pyskl_semloss.errors import InputError
from pyskl_semloss.skeletons import (
    SkeletonGraph,
    SkeletonLayout,
    adjacency,
    get_layout,
    layout_names,
    skeleton_graph,
)

RELEASE = "release22_with_mistakes"


def quiet_graph(name):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return skeleton_graph(get_layout(name))


def test_openpose22_by_hand():
    graph = quiet_graph("openpose22")
    edges = "0-1 2-1 3-2 4-3 5-1 6-5 7-6 8-0 9-0 10-8 11-9 12-4 13-4 14-4 15-4 16-4 17-7 18-7 19-7 20-7 21-7"
    assert ["{}-{}".format(*edge) for edge in graph.edges] == edges.split()
    assert (graph.num_nodes, graph.centre) == (22, 1)


def test_coco17_has_no_edge_from_hip_to_hip():
    """The ring nose, shoulder, hip, hip, shoulder is cut where it is farthest from the nose, as in the hosts."""
    graph = quiet_graph("coco17")
    edges = "1-0 2-0 3-1 4-2 5-0 6-0 7-5 8-6 9-7 10-8 11-5 12-6 13-11 14-12 15-13 16-14"
    assert ["{}-{}".format(*edge) for edge in graph.edges] == edges.split() and graph.centre == 0


def test_kinect25_is_ntu_rgbd():
    """The 25 edges of NTU RGB+D, counted from 1 as its authors do; thumbs hang on hands, not on wrists."""
    ntu = "1-2 2-21 3-21 4-3 5-21 6-5 7-6 8-7 9-21 10-9 11-10 12-11 13-1 14-13 15-14 16-15 17-1 18-17 19-18 20-19"
    ntu += " 22-8 23-8 24-12 25-12"
    graph = quiet_graph("kinect25")
    assert {f"{child + 1}-{parent + 1}" for child, parent in graph.edges} == set(ntu.split())
    assert graph.centre == 20
    assert (6, 22) in get_layout("kinect25").limbs  # the limb maps keep the SDK's bones


@pytest.mark.parametrize(
    ("name", "centre", "edges"),
    [
        ("kinect20", "neck", [("right_wrist", "right_elbow"), ("spine", "neck"), ("hip_centre", "spine")]),
        ("openpose25", "MidHip", [("Neck", "MidHip"), ("Nose", "Neck"), ("RHeel", "RAnkle")]),
        ("openpose18", "Neck", [("LHip", "Neck"), ("LEar", "LEye")]),
        ("openpose67", "Neck", [("LHandRoot", "LWrist"), ("RHandRoot", "RWrist"), ("LThumb1", "LHandRoot")]),
        ("openpose60", "Neck", [("LHandRoot", "LWrist"), ("RHandRoot", "RWrist")]),
        ("wholebody133", "nose", [("face_0", "nose"), ("left_hand_root", "left_wrist"), ("left_heel", "left_ankle")]),
    ],
)
def test_other_layouts(name, centre, edges):
    layout, graph = get_layout(name), quiet_graph(name)
    named = [(layout.joints[child], layout.joints[parent]) for child, parent in graph.edges]
    assert layout.joints[graph.centre] == centre and set(edges) <= set(named)


@pytest.mark.parametrize("name", [name for name in layout_names() if name != RELEASE])
def test_every_graph_is_a_symmetric_tree(name):
    layout, graph = get_layout(name), quiet_graph(name)
    parent = dict(graph.edges)
    assert sorted(parent) == [joint for joint in range(layout.num_joints) if joint != graph.centre]
    for joint in parent:
        steps = 0
        while joint != graph.centre:
            joint, steps = parent[joint], steps + 1
        assert steps < layout.num_joints
    mirror = layout.joint_mirror
    assert {(mirror[child], mirror[above]) for child, above in graph.edges} == set(graph.edges)


def test_the_published_graph_of_the_release():
    """As published: the nose in no edge, shoulders and fingers on wrong joints, joints with two parents."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        layout = get_layout(RELEASE)
    graph = skeleton_graph(layout)
    edges = "2-1 2-3 3-4 4-5 2-6 6-7 7-8 1-9 9-11 1-10 10-11 5-12 5-13 5-14 5-15 5-16 8-17 8-18 8-19 8-20 8-21"
    assert ["{}-{}".format(*edge) for edge in graph.edges] == edges.split() and graph.centre == 1
    assert 0 not in {joint for edge in graph.edges for joint in edge}
    # A graph of the same limbs under another name is derived, and differs.
    own = dataclasses.replace(layout, name="own")
    assert skeleton_graph(own) != graph and (0, 1) in skeleton_graph(own).edges


def test_joints_that_hang_loose_are_named():
    layout = SkeletonLayout("two", ("hip", "knee", "ankle", "wrist", "hand"), [(0, 1), (1, 2), (3, 4)], [])
    with pytest.raises(InputError) as caught:
        skeleton_graph(layout)
    lines = str(caught.value).splitlines()
    assert lines[0] == "field 'limbs': layout 'two' is no connected graph: 2 of 5 joints hang loose:"
    assert lines[1:3] == ["  3 wrist", "  4 hand"] and "graph_limbs" in lines[3]
    mended = dataclasses.replace(layout, graph_limbs=[*layout.limbs, (0, 3)])
    assert skeleton_graph(mended) == SkeletonGraph(5, ((1, 0), (2, 1), (3, 0), (4, 3)), 0)
    lost = dataclasses.replace(layout, graph_limbs=[(0, 1), (3, 4), (2, 3)])
    with pytest.raises(InputError, match=r"'graph_limbs'.*2 of 5 joints hang loose:\n  0 hip\n  1 knee\n"):
        skeleton_graph(lost)


def test_a_stated_centre_turns_the_edges():
    layout = SkeletonLayout("chain", ("a", "b", "c", "d"), [(0, 1), (1, 2), (2, 3)], [])
    assert skeleton_graph(layout) == SkeletonGraph(4, ((0, 1), (2, 1), (3, 2)), 1)
    assert skeleton_graph(layout, 3).edges == ((0, 1), (1, 2), (2, 3)) == skeleton_graph(layout, "d").edges
    for centre, message in ((4, r"joint 4 is not in 0\.\.3"), (-1, "joint -1"), ("e", "'chain' has no joint 'e'")):
        with pytest.raises(InputError, match=message):
            skeleton_graph(layout, centre)
    assert skeleton_graph(SkeletonLayout("point", ("a",), [], [])) == SkeletonGraph(1, (), 0)


def test_graph_limbs_of_a_mapping():
    fields = {"name": "own", "joints": ["a", "b", "c"], "limbs": [["a", "b"]], "mirror_pairs": []}
    layout = get_layout({**fields, "graph_limbs": [["a", "b"], ["b", "c"]]})
    assert layout.graph_limbs == ((0, 1), (1, 2)) and get_layout(fields).graph_limbs is None
    assert get_layout({**fields, "graph_limbs": None}) == get_layout(fields)
    with pytest.raises(InputError, match=r"'graph_limbs': layout 'own': limb \(0, 3\) names a joint"):
        get_layout({**fields, "graph_limbs": [[0, 3]]})
    halves = {**fields, "limbs": [], "mirror_pairs": [["a", "c"]], "graph_limbs": [["a", "b"]]}
    with pytest.raises(InputError, match=r"1 of 1 graph_limbs have a mirror image that is no graph_limb: \(0, 1\) -> "):
        get_layout(halves)
    assert get_layout({**halves, "mistakes": "one arm"}).graph_limbs == ((0, 1),)


STAR = SkeletonGraph(3, ((1, 0), (2, 0)), 0)


def test_spatial_by_hand():
    own, parent, children = adjacency(STAR)
    np.testing.assert_array_equal(own, np.eye(3))
    # Joint 1 receives from its parent 0; joint 0 receives the mean of its children.
    np.testing.assert_array_equal(parent, [[0, 1, 1], [0, 0, 0], [0, 0, 0]])
    np.testing.assert_array_equal(children, [[0, 0, 0], [0.5, 0, 0], [0.5, 0, 0]])


def test_stgcn_spatial_by_hand():
    third, half = 1 / 3, 1 / 2
    own, not_nearer, nearer = adjacency(STAR, "stgcn_spatial")
    np.testing.assert_allclose(own, np.diag([third, half, half]))
    np.testing.assert_allclose(not_nearer, [[0, 0, 0], [third, 0, 0], [third, 0, 0]])
    np.testing.assert_allclose(nearer, [[0, half, half], [0, 0, 0], [0, 0, 0]])
    far = adjacency(STAR, "stgcn_spatial", max_hop=2)
    assert far.shape == (5, 3, 3)
    np.testing.assert_allclose(far[3], np.array([[0, 0, 0], [0, 0, 1], [0, 1, 0]]) / 3)
    np.testing.assert_allclose(far.sum(axis=(0, 1)), 1)


def test_random_says_its_mean_and_spread():
    drawn = adjacency(STAR, "random", num_filter=5000, init_std=0.5, init_off=2.0, rng=np.random.RandomState(0))
    assert drawn.shape == (5000, 3, 3) and abs(drawn.mean() - 2) < 0.01 and abs(drawn.std() - 0.5) < 0.01
    np.random.seed(3)
    by_global = adjacency(STAR, "random")
    np.testing.assert_array_equal(by_global, adjacency(STAR, "random", rng=np.random.RandomState(3)))


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"mode": "spatail"}, "expected one of spatial, stgcn_spatial, random, got 'spatail'; did you mean 'spatial'"),
        ({"max_hop": 0}, "'max_hop': expected at least 1, got 0"),
        ({"num_filter": 0}, "'num_filter': expected at least 1, got 0"),
    ],
)
def test_refused(options, message):
    with pytest.raises(InputError, match=message):
        adjacency(STAR, **options)
