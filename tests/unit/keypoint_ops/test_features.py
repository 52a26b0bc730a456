"""Inputs of graph networks by value: normalisation, missing points, bones, motions, rotation, scale, persons."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pyskl_semloss import keypoint_ops as ops
from pyskl_semloss.errors import InputError
from pyskl_semloss.keypoint_ops.transforms import (
    CompactKeypoints,
    FlipKeypoints,
    FormatGraphInput,
    KeypointStream,
    NormaliseKeypoints,
    RandomResizedCropKeypoints,
    RandomRotateKeypoints,
    RandomScaleKeypoints,
    ResizeKeypoints,
    SampleKeypointFrames,
)
from pyskl_semloss.skeletons import SkeletonGraph, get_layout, skeleton_graph

CHAIN = SkeletonGraph(3, ((1, 0), (2, 1)), 0)
SHAPE = (100, 200)


def make_points(seed=0, persons=2, frames=6, joints=22, missing=0.2):
    """Points of a clip, some missing: (0, 0) with score 0."""
    rng = np.random.default_rng(seed)
    keypoint = rng.uniform(5, 95, (persons, frames, joints, 2))
    score = rng.uniform(0.1, 1, (persons, frames, joints))
    gone = rng.random(score.shape) < missing
    keypoint[gone], score[gone] = 0, 0
    return keypoint, score


def test_missing_by_score_place_or_nan():
    keypoint = np.array([[[[1, 2], [3, 4], [0, 0], [0, 5], [np.nan, 5]]]])
    points, score = ops.mark_missing(keypoint, np.array([[[0.5, 0.01, 1, 0.02, 1]]]))
    assert points.dtype == score.dtype == np.float32
    np.testing.assert_array_equal(points, [[[[1, 2], [0, 0], [0, 0], [0, 5], [0, 0]]]])
    np.testing.assert_allclose(score, [[[0.5, 0, 0, 0.02, 0]]])
    assert ops.mark_missing(keypoint)[1].tolist() == [[[1, 1, 0, 1, 0]]]
    assert ops.mark_missing(keypoint, np.full((1, 1, 5), 0.3), threshold=0.3)[1].sum() == 0
    assert keypoint[0, 0, 1].tolist() == [3, 4]


def test_image_reaches_from_minus_one_to_one():
    points = np.array([[[[0.5, 0.5], [200, 100], [100, 50], [0, 0]]]])
    normal, unit = ops.normalise(points, np.array([[[1, 1, 1, 0]]]), SHAPE)
    np.testing.assert_allclose(normal, [[[[-0.995, -0.99], [1, 1], [0, 0], [0, 0]]]])
    assert unit == (100, 50)


def test_body_fills_its_longer_edge_and_keeps_its_shape():
    points = np.array([[[[50, 20], [70, 60], [0, 0]]], [[[60, 100], [0, 0], [0, 0]]]], float)
    score = (points != 0).any(axis=-1).astype(float)
    normal, unit = ops.normalise(points, score, SHAPE, by="body")
    np.testing.assert_allclose(normal, [[[[-0.25, -1], [0.25, 0], [0, 0]]], [[[0, 1], [0, 0], [0, 0]]]])
    assert unit == (40, 40)
    # A body that is nearer, or elsewhere, is the same.
    again = ops.normalise(np.where(score[..., None] > 0, 3 * points + (7, 11), 0), score, SHAPE, by="body")[0]
    np.testing.assert_allclose(again, normal, atol=1e-12)


def test_a_body_of_one_point_or_none():
    point = np.array([[[[50.0, 20.0]]]])
    assert ops.normalise(point, np.ones((1, 1, 1)), SHAPE, by="body")[0].tolist() == [[[[0, 0]]]]
    assert ops.normalise(point * 0, np.zeros((1, 1, 1)), SHAPE, by="body")[0].tolist() == [[[[0, 0]]]]


def test_bones_by_hand():
    keypoint = np.array([[[[1, 1], [4, 5], [4, 7]], [[1, 1], [0, 0], [4, 7]]]], float)
    score = np.array([[[1, 0.5, 0.3], [1, 0, 0.3]]])
    bone, bone_score = ops.bones(keypoint, score, CHAIN)
    np.testing.assert_array_equal(bone, [[[[0, 0], [3, 4], [0, 2]], [[0, 0], [0, 0], [0, 0]]]])
    np.testing.assert_allclose(bone_score, [[[1, 0.75, 0.4], [1, 0, 0]]])
    with pytest.raises(InputError, match="expected the 3 joints of the graph, got 2"):
        ops.bones(keypoint[:, :, :2], score[:, :, :2], CHAIN)


@pytest.mark.filterwarnings("ignore:skeleton layout")
def test_bones_of_the_published_wrong_graph():
    """Of two parents the last one counts; joints that are no child have no bone, and no score unless the centre."""
    keypoint, score = make_points(missing=0)
    bone, bone_score = ops.bones(keypoint, score, skeleton_graph(get_layout("release22_with_mistakes")))
    np.testing.assert_array_equal(bone[:, :, 1], keypoint[:, :, 1] - keypoint[:, :, 10])
    np.testing.assert_array_equal(bone[:, :, 5], keypoint[:, :, 5] - keypoint[:, :, 16])
    assert not bone[:, :, [0, *range(11, 22)]].any() and not bone_score[:, :, [0, *range(11, 22)]].any()


def test_motion_by_hand():
    keypoint = np.array([[[[1, 1], [2, 2]], [[4, 5], [0, 0]], [[6, 6], [3, 3]]]], float)
    score = np.array([[[1, 0.5], [0.5, 0], [0.2, 0.5]]])
    difference, motion_score = ops.motion(keypoint, score)
    np.testing.assert_array_equal(difference, [[[[3, 4], [0, 0]], [[2, 1], [0, 0]], [[0, 0], [0, 0]]]])
    np.testing.assert_allclose(motion_score, [[[0.75, 0], [0.35, 0], [0, 0]]])
    single = ops.motion(keypoint[:, :1], score[:, :1])
    assert not single[0].any() and not single[1].any() and single[0].shape == (1, 1, 2, 2)


def test_streams_are_what_they_are_called():
    keypoint, score = make_points()
    graph = skeleton_graph(get_layout("openpose22"))
    bone = ops.bones(keypoint, score, graph)
    expected = {
        "joint": (keypoint, score), "bone": bone, "joint_motion": ops.motion(keypoint, score),
        "bone_motion": ops.motion(*bone),
    }  # fmt: skip
    for name, points in expected.items():
        for ours, theirs in zip(ops.stream(keypoint, score, name, graph), points, strict=True):
            np.testing.assert_array_equal(ours, theirs)
    assert ops.stream(keypoint, score, "joint_motion")[0].any()
    with pytest.raises(InputError, match="the stream 'bone' needs a graph"):
        ops.stream(keypoint, score, "bone")
    with pytest.raises(InputError, match="expected one of joint, bone, joint_motion, bone_motion, got 'limb'"):
        ops.stream(keypoint, score, "limb")


@given(st.integers(0, 1000), st.sampled_from(ops.features.STREAMS), st.sampled_from(["image", "body"]))
def test_law_missing_stays_missing(seed, name, by):
    """What is computed from a missing point is 0 with score 0, and only that; nothing else lacks a score."""
    keypoint, score = make_points(seed, joints=3)
    points, scores = ops.mark_missing(keypoint, score)
    normal = ops.rotate(ops.normalise(points, scores, SHAPE, by)[0], 0.3) * ops.draw_scale(0.2)
    stream, stream_score = ops.stream(normal, scores, name, CHAIN)
    assert not stream[stream_score == 0].any()
    known = score > 0
    if name.startswith("bone"):
        known = known & known[:, :, [0, 0, 1]]
    if name.endswith("motion"):
        known = np.concatenate((known[:, 1:] & known[:, :-1], np.zeros_like(known[:, :1])), axis=1)
    np.testing.assert_array_equal(stream_score > 0, known)


def test_rotation_keeps_lengths_in_pixels():
    keypoint, score = make_points(missing=0)
    normal, unit = ops.normalise(keypoint, score, SHAPE)
    turned = ops.rotate(normal, 0.7, unit)
    np.testing.assert_allclose(
        np.linalg.norm(turned * unit, axis=-1), np.linalg.norm(normal * unit, axis=-1), rtol=1e-12
    )
    x, y = np.moveaxis(normal * unit, -1, 0)
    np.testing.assert_allclose((turned * unit)[..., 0], np.cos(0.7) * x - np.sin(0.7) * y, rtol=1e-9)
    np.testing.assert_allclose(ops.rotate(turned, -0.7, unit), normal, rtol=1e-9)


def test_draws_cover_what_they_say():
    rng = np.random.RandomState(0)
    angles = np.array([ops.draw_angle(0.3, rng) for _ in range(4000)])
    assert -0.3 <= angles.min() < -0.299 and 0.299 < angles.max() <= 0.3 and abs(angles.mean()) < 0.01
    factors = np.array([ops.draw_scale(0.1, rng) for _ in range(4000)])
    assert 0.9 <= factors.min() < 0.901 and 1.099 < factors.max() <= 1.1
    assert abs(np.corrcoef(factors.T)[0, 1]) < 0.05 and abs(factors.mean() - 1) < 0.003
    np.random.seed(7)
    drawn = ops.draw_angle(0.3)
    assert drawn == ops.draw_angle(0.3, np.random.RandomState(7))


def test_persons():
    known = np.array([0.5, 0, 0.9, 0.7])
    keypoint = np.arange(1, 5.0)[:, None, None, None] * np.ones((4, 2, 3, 2))
    score = np.ones((4, 2, 3)) * known[:, None, None]

    def persons(number, of=4):
        points, scores = ops.fill_persons(keypoint[:of], score[:of], number)
        assert points.shape == (number, 2, 3, 2)
        numbers = points[:, 0, 0, 0].astype(int)
        np.testing.assert_array_equal(scores[:, 1, 2], known[numbers - 1])
        return numbers.tolist()

    assert persons(1) == [3] and persons(2) == [3, 4] and persons(3) == [1, 3, 4]
    assert persons(4) == [1, 3, 4, 1] and persons(6) == [1, 3, 4] * 2
    assert persons(2, of=2) == [1, 1]
    empty = ops.fill_persons(keypoint[:2] * 0, score[:2] * 0, 3)
    assert not empty[0].any() and empty[0].shape == (3, 2, 3, 2)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: ops.draw_angle(-0.1), "'theta': expected radians from 0 to pi, got -0.1"),
        (lambda: ops.draw_scale(1.0), "'scale': expected a number from 0 to below 1"),
        (lambda: NormaliseKeypoints(by="box"), "'by': expected 'image' or 'body', got 'box'"),
        (lambda: RandomRotateKeypoints(theta=30), "'theta'"),
        (lambda: RandomScaleKeypoints(scale=-1), "'scale'"),
        (lambda: KeypointStream("limb"), "'stream': expected one of joint"),
        (lambda: FormatGraphInput(0), "'num_person': expected at least 1"),
        (lambda: ops.fill_persons(np.ones((1, 1, 1, 2)), np.ones((1, 1, 1)), 0), "'num_person'"),
    ],
)
def test_refused(call, message):
    with pytest.raises(InputError, match=message):
        call()


def make_clip(**options):
    keypoint, score = make_points(persons=1, frames=40, **options)
    return {"keypoint": keypoint.astype(np.float16), "keypoint_score": score.astype(np.float16), "img_shape": SHAPE,
            "frame_dir": "a", "total_frames": 40}  # fmt: skip


def test_a_whole_pipeline():
    clip = make_clip()
    before = {key: np.copy(clip[key]) for key in ("keypoint", "keypoint_score")}
    results, layout = dict(clip), get_layout("openpose22")
    results["skeleton"] = layout
    np.random.seed(4)
    for step in (NormaliseKeypoints(), RandomRotateKeypoints(0.2), RandomScaleKeypoints(0.1), KeypointStream("bone"),
                 SampleKeypointFrames(8, num_clips=3), FormatGraphInput(num_person=2)):  # fmt: skip
        results = step(results)
    whole = results["keypoint"]
    assert whole.shape == (3, 2, 8, 22, 3) and whole.dtype == np.float32 and whole.flags.c_contiguous
    assert "keypoint_score" not in results

    np.random.seed(4)
    points, scores = ops.mark_missing(before["keypoint"], before["keypoint_score"])
    normal, unit = ops.normalise(points, scores, SHAPE)
    normal = ops.rotate(normal, np.random.uniform(-0.2, 0.2), unit)
    normal = normal * (1 + np.random.uniform(-1, 1, 2) * 0.1).astype(np.float32)
    bone, bone_score = ops.bones(normal, scores, skeleton_graph(layout))
    frames = ops.uniform_frame_indices(40, 8, 3)
    np.testing.assert_allclose(whole[1, 0, ..., :2], bone[0, frames[8:16]], atol=1e-6)
    np.testing.assert_array_equal(whole[1, 0, ..., 2], bone_score[0, frames[8:16]])
    np.testing.assert_array_equal(whole[:, 0], whole[:, 1])
    for key, value in before.items():
        np.testing.assert_array_equal(clip[key], value)


def test_a_wrong_order_or_layout_names_the_clip():
    for step in (RandomRotateKeypoints(), RandomScaleKeypoints(), KeypointStream()):
        with pytest.raises(InputError, match="clip 'a'.*got pixels. Put NormaliseKeypoints before"):
            step(make_clip())
    normal = NormaliseKeypoints()(make_clip())
    pixels = (CompactKeypoints(), ResizeKeypoints((64, 64)), RandomResizedCropKeypoints(), NormaliseKeypoints(),
              FlipKeypoints(flip_ratio=1, skeleton="openpose22"))  # fmt: skip
    for step in pixels:
        with pytest.raises(InputError, match="clip 'a'.*needs points in pixels.*before NormaliseKeypoints"):
            step(dict(normal))
    with pytest.raises(InputError, match="clip 'a'.*no layout says which joints a bone joins.*KeypointStream"):
        KeypointStream("bone")(dict(normal))
    with pytest.raises(InputError, match="clip 'a'.*expected the 25 joints of skeleton 'kinect25', got 22"):
        KeypointStream("bone_motion", skeleton="kinect25")(dict(normal))
    by_name = KeypointStream("bone", skeleton="openpose22", centre="nose")(dict(normal))
    assert not by_name["keypoint"][:, :, 0].any() and by_name["keypoint"][:, :, 1].any()
