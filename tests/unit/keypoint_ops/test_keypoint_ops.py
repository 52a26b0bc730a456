"""Keypoint operations against hand-computed values, PySKL's golden clip, and laws."""

import random

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from pyskl_semloss import keypoint_ops as ops
from pyskl_semloss.errors import InputError
from pyskl_semloss.untrusted import safe_pickle

BRANCH_LENGTHS = [1, 2, 5, 7, 8, 9, 15, 16, 17, 40]  # around clip_len 8 and its double


def clips(min_coordinate=1, max_coordinate=2000):
    """Keypoints (M, T, V, 2) on a grid of 1/8 px, on which float32 sums are exact, with missing coordinates."""
    shape = st.tuples(st.integers(1, 3), st.integers(1, 6), st.integers(2, 5), st.just(2))
    eighths = st.just(0) | st.integers(8 * min_coordinate, 8 * max_coordinate)
    return shape.flatmap(lambda size: hnp.arrays(np.int64, size, elements=eighths)).map(lambda a: (a / 8).astype("f4"))


def read_only(array):
    array.flags.writeable = False
    return array


# --- frames


@pytest.mark.parametrize("num_clips", [1, 10])
@pytest.mark.parametrize("total", BRANCH_LENGTHS)
@pytest.mark.parametrize("draw", [ops.uniform_frame_indices, ops.uniform_frame_indices_test])
def test_each_clip_takes_one_frame_of_each_segment(draw, total, num_clips):
    for indices in draw(total, 8, num_clips).reshape(num_clips, 8):
        assert indices.min() >= 0 and indices.max() < total
        if total < 8:
            np.testing.assert_array_equal(indices, (indices[0] + np.arange(8)) % total)
        else:
            assert (np.diff(indices) > 0).all()
        if total >= 16:
            bounds = [segment * total // 8 for segment in range(9)]
            assert all(low <= index < high for low, index, high in zip(bounds, indices, bounds[1:], strict=False))


def test_every_choice_of_frames_occurs():
    rng = np.random.RandomState(0)
    short = {tuple(ops.uniform_frame_indices(3, 4, rng=rng)) for _ in range(200)}
    middle = {tuple(ops.uniform_frame_indices(3, 2, rng=rng)) for _ in range(200)}
    long = {tuple(ops.uniform_frame_indices(5, 2, rng=rng)) for _ in range(200)}
    assert short == {(0, 1, 2, 0), (1, 2, 0, 1), (2, 0, 1, 2)}
    assert middle == {(0, 1), (0, 2), (1, 2)}
    assert long == {(a, b) for a in (0, 1) for b in (2, 3, 4)}


def test_short_test_clips_start_evenly_spread():
    starts = ops.uniform_frame_indices_test(20, 30, num_clips=4).reshape(4, 30)[:, 0]
    np.testing.assert_array_equal(starts, [0, 5, 10, 15])
    starts = ops.uniform_frame_indices_test(3, 30, num_clips=5).reshape(5, 30)[:, 0]
    np.testing.assert_array_equal(starts, [0, 1, 2, 0, 1])


@pytest.mark.parametrize("total", BRANCH_LENGTHS)
def test_test_mode_repeats_itself_and_leaves_the_global_generators_alone(total):
    np.random.seed(3)
    random.seed(3)
    expected = np.random.rand(), random.random()
    np.random.seed(3)
    random.seed(3)
    first = ops.uniform_frame_indices_test(total, 8, 10, seed=4)
    np.testing.assert_array_equal(first, ops.uniform_frame_indices_test(total, 8, 10, seed=4))
    assert (np.random.rand(), random.random()) == expected
    if total > 8:
        assert (first != ops.uniform_frame_indices_test(total, 8, 10, seed=5)).any()


@pytest.mark.parametrize("total", BRANCH_LENGTHS)
def test_training_draws_come_from_the_global_generator_or_from_the_given_one(total):
    np.random.seed(11)
    from_global = ops.uniform_frame_indices(total, 8, 2)
    np.testing.assert_array_equal(from_global, ops.uniform_frame_indices(total, 8, 2, np.random.RandomState(11)))


def test_gathered_frames_are_new_float32_arrays_and_missing_scores_are_ones():
    keypoint = read_only(np.arange(24, dtype=np.float16).reshape(1, 3, 4, 2))
    score = read_only(np.arange(12, dtype=np.float64).reshape(1, 3, 4))
    taken, scores = ops.gather_frames(keypoint, score, np.array([2, 0, 2]))
    assert taken.dtype == scores.dtype == np.float32
    np.testing.assert_array_equal(taken[0, :, 0], [[16, 17], [0, 1], [16, 17]])
    np.testing.assert_array_equal(scores[0, :, 3], [11, 3, 11])
    np.testing.assert_array_equal(ops.gather_frames(keypoint, None, np.array([1]))[1], np.ones((1, 1, 4)))
    for original in (keypoint.astype("f4"), score.astype("f4")[..., None]):
        assert not np.shares_memory(ops.gather_frames(original, None, np.arange(3))[0], original)


def test_frames_of_the_golden_clip(shared_dir):
    golden = np.load(shared_dir / "golden" / "pyskl_val_pipeline_a11_s02_e02.npz")
    clip = golden_clip(shared_dir)
    indices = ops.uniform_frame_indices_test(clip["total_frames"], 48)
    np.testing.assert_array_equal(indices, golden["frame_inds"])


def test_peaks_of_the_golden_heat_maps_are_where_the_points_land(shared_dir):
    maps = np.load(shared_dir / "golden" / "pyskl_val_pipeline_a11_s02_e02.npz")["joint_imgs"][0]
    clip = golden_clip(shared_dir)
    indices = ops.uniform_frame_indices_test(clip["total_frames"], 48)
    keypoint, _ = ops.gather_frames(clip["keypoint"], None, indices)
    keypoint, shape = ops.compact_crop(keypoint, clip["img_shape"], hw_ratio=1.0)
    keypoint, shape = ops.resize(keypoint, shape, (64, 64), keep_ratio=False)
    assert shape == (64, 64)
    flat = maps.reshape(*maps.shape[:2], -1)
    y, x = np.divmod(flat.argmax(-1), 64)
    np.testing.assert_allclose(np.stack([x, y], -1).swapaxes(0, 1), keypoint[0], atol=0.501)
    off_centre = ((np.stack([x, y], -1).swapaxes(0, 1) - keypoint[0]) ** 2).sum(-1)
    np.testing.assert_allclose(flat.max(-1).T, np.exp(-off_centre / (2 * 0.6**2)), atol=1e-4)


def golden_clip(shared_dir):
    annotations = safe_pickle.load(shared_dir / "data" / "msr_action3d" / "msr_action3d.pkl")["annotations"]
    return next(clip for clip in annotations if clip["frame_dir"] == "a11_s02_e02")


# --- compact crop

CORNERS = read_only(np.array([[100, 50], [200, 90], [0, 0], [150, 0]], dtype=np.float32).reshape(1, 2, 2, 2))


@pytest.mark.parametrize(
    ("arguments", "box"),  # left, top, right, bottom; the points span x 100..200 and y 50..90
    [
        ({}, (87, 45, 212, 95)),
        ({"padding": 0}, (100, 50, 200, 90)),
        ({"hw_ratio": 1}, (87, 7, 212, 132)),
        ({"hw_ratio": (0.25, 0.25)}, (50, 45, 250, 95)),
        ({"hw_ratio": 2.0}, (87, -55, 212, 195)),
        ({"hw_ratio": 2.0, "allow_imgpad": False}, (87, 0, 212, 120)),
        ({"threshold": 41}, None),
        ({"threshold": 40}, (87, 45, 212, 95)),
    ],
)
def test_compact_box_by_hand(arguments, box):
    keypoint, shape = ops.compact_crop(CORNERS, (120, 300), **arguments)
    if box is None:
        assert shape == (120, 300)
        np.testing.assert_array_equal(keypoint, CORNERS)
    else:
        left, top, right, bottom = box
        assert shape == (bottom - top, right - left)
        expected = [[100 - left, 50 - top], [200 - left, 90 - top], [0, 0], [150 - left, 0]]
        np.testing.assert_array_equal(keypoint.reshape(-1, 2), expected)
    assert keypoint.dtype == np.float32 and not np.shares_memory(keypoint, CORNERS)


@settings(max_examples=60, deadline=None)
@given(clips(), st.sampled_from([None, 1, (0.5, 2)]), st.booleans())
def test_compact_keeps_missing_missing_and_encloses_the_rest(keypoint, hw_ratio, allow_imgpad):
    present = keypoint != 0
    moved, (h, w) = ops.compact_crop(read_only(keypoint), (2001, 2001), hw_ratio=hw_ratio, allow_imgpad=allow_imgpad)
    assert (moved[~present] == 0).all()
    assert (moved[..., 0][present[..., 0]] >= 0).all() and (moved[..., 0] <= w + 1).all()
    assert (moved[..., 1][present[..., 1]] >= 0).all() and (moved[..., 1] <= h + 1).all()
    for axis in (0, 1):
        shifts = (keypoint - moved)[..., axis][present[..., axis]]
        assert np.unique(shifts).size <= 1 and (shifts == np.round(shifts)).all()


@pytest.mark.filterwarnings("error")
def test_clips_that_compact_leaves_alone():
    empty = np.zeros((1, 2, 3, 2), dtype=np.float32)
    assert ops.compact_crop(empty, (24, 32))[1] == (24, 32)
    outside = np.array([[400, 10], [500, 60]], dtype=np.float32).reshape(1, 1, 2, 2)
    keypoint, shape = ops.compact_crop(outside, (100, 300), allow_imgpad=False)
    assert shape == (100, 300) and (keypoint == outside).all()
    point = np.full((1, 1, 1, 2), 7, dtype=np.float32)
    assert ops.compact_crop(point, (24, 32), threshold=0)[1] == (24, 32)


def test_nan_becomes_missing():
    keypoint = CORNERS.copy()
    keypoint[0, 1] = np.nan
    moved, _ = ops.compact_crop(read_only(keypoint), (120, 300))
    assert (moved[0, 1] == 0).all() and np.isnan(keypoint[0, 1]).all()


# --- resize


@pytest.mark.parametrize(
    ("shape", "scale", "keep_ratio", "expected"),  # (h, w)
    [
        ((240, 320), (-1, 64), True, (64, 85)),
        ((240, 320), [64, -1], True, (64, 85)),
        ((300, 100), (-1, 64), True, (192, 64)),
        ((1080, 1920), (340, 256), True, (191, 340)),
        ((1080, 1920), (256, 340), True, (191, 340)),
        ((100, 101), (340, 256), True, (256, 259)),
        ((7, 11), 0.5, True, (4, 6)),
        ((1080, 1920), 2, True, (2160, 3840)),
        ((240, 320), (56, 48), False, (48, 56)),
        ((1, 2000), (64, 64), True, (1, 64)),
    ],
)
def test_resized_shape_by_hand(shape, scale, keep_ratio, expected):
    assert ops.resized_shape(shape, scale, keep_ratio) == expected
    corner = np.array([shape[1], shape[0]], dtype=np.float32).reshape(1, 1, 1, 2)
    keypoint, new_shape = ops.resize(read_only(corner), shape, scale, keep_ratio)
    assert new_shape == expected
    np.testing.assert_allclose(keypoint[0, 0, 0], expected[::-1], rtol=1e-6)


# --- random resized crop


def test_drawn_boxes_keep_to_their_ranges():
    rng, offset_rng = np.random.RandomState(0), random.Random(0)
    boxes = [ops.draw_crop_box((300, 200), (0.25, 0.5), (0.5, 1.25), rng, offset_rng) for _ in range(2000)]
    left, top, right, bottom = np.array(boxes).T
    assert left.min() == top.min() == 0 and right.max() == 200 and bottom.max() == 300
    w, h = right - left, bottom - top
    area, ratio = w * h / (300 * 200), w / h
    assert 0.245 < area.min() < 0.26 and 0.49 < area.max() < 0.505
    assert 0.49 < ratio.min() < 0.51 and 1.22 < ratio.max() < 1.27
    assert 0.77 < np.exp(np.log(ratio).mean()) < 0.81  # log-uniform: the geometric mean, sqrt(0.5 * 1.25), is 0.79


def test_a_box_that_cannot_fit_becomes_the_centred_square():
    assert ops.draw_crop_box((50, 10), (1.0, 1.0), (4.0, 4.0)) == (0, 20, 10, 30)


def test_crop_box_draws_from_the_global_generators_or_from_the_given_ones():
    np.random.seed(5)
    random.seed(6)
    from_global = ops.draw_crop_box((300, 200))
    assert from_global == ops.draw_crop_box((300, 200), rng=np.random.RandomState(5), offset_rng=random.Random(6))
    assert from_global != ops.draw_crop_box((300, 200), rng=np.random.RandomState(5), offset_rng=random.Random(7))


def test_crop_shifts_every_point():
    keypoint, shape = ops.crop(CORNERS, (10, 20, 110, 80))
    assert shape == (60, 100)
    np.testing.assert_array_equal(keypoint.reshape(-1, 2), [[90, 30], [190, 70], [-10, -20], [140, -20]])


# --- flip


def test_flip_by_hand():
    keypoint = read_only(np.array([[10, 1], [20, 2], [0, 3]], dtype=np.float32).reshape(1, 1, 3, 2))
    score = read_only(np.array([0.1, 0.2, 0.3], dtype=np.float32).reshape(1, 1, 3))
    flipped, scores = ops.flip(keypoint, score, 50, (0, 2, 1))
    np.testing.assert_array_equal(flipped[0, 0], [[40, 1], [0, 3], [30, 2]])
    np.testing.assert_array_equal(scores[0, 0], score[0, 0, [0, 2, 1]])


@settings(max_examples=60, deadline=None)
@given(clips(max_coordinate=1999))
def test_flipping_twice_is_the_identity(keypoint):
    order = np.arange(keypoint.shape[2])
    order[:2] = 1, 0
    score = read_only(keypoint[..., 0] / 2000)
    twice = ops.flip(*ops.flip(read_only(keypoint), score, 2000, order), 2000, order)
    np.testing.assert_array_equal(twice[0], keypoint)
    np.testing.assert_array_equal(twice[1], score)


# --- wrong input


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: ops.uniform_frame_indices(0, 48), "'total_frames'.*at least one frame, got 0"),
        (lambda: ops.uniform_frame_indices_test(0, 48), "'total_frames'"),
        (lambda: ops.uniform_frame_indices(5, 0), "'clip_len'.*got 0"),
        (lambda: ops.uniform_frame_indices_test(5, 4, 0), "'num_clips'"),
        (lambda: ops.resized_shape((4, 4), 0.0), "'scale'"),
        (lambda: ops.resized_shape((4, 4), (-1, -1)), "'scale'"),
        (lambda: ops.resized_shape((4, 4), (64, 64, 64)), "'scale'"),
        (lambda: ops.resized_shape((4, 4), (-1, 64), keep_ratio=False), "'scale'.*keep_ratio"),
        (lambda: ops.resized_shape((4, 4), 0.5, keep_ratio=False), "'scale'.*keep_ratio"),
        (lambda: ops.draw_crop_box((4, 4), area_range=(0.5, 1.5)), "'area_range'.*<= 1"),
        (lambda: ops.draw_crop_box((4, 4), area_range=(0.0, 0.5)), "'area_range'"),
        (lambda: ops.draw_crop_box((4, 4), aspect_ratio_range=(2, 1)), "'aspect_ratio_range'"),
        (lambda: ops.check_compact(-0.1, None), "'padding'"),
        (lambda: ops.check_compact(float("nan"), None), "'padding'"),
        (lambda: ops.check_compact(0.25, (2, 1)), "'hw_ratio'"),
        (lambda: ops.check_compact(0.25, (1, 1, 1)), "'hw_ratio'"),
        (lambda: ops.check_clip(np.zeros((3, 4, 2)), None, clip="c7"), "'c7'.*'keypoint'.*person, frame"),
        (lambda: ops.check_clip(np.zeros((1, 3, 4, 3)), None, clip="c7"), "'c7'.*'keypoint'"),
        (lambda: ops.check_clip(np.zeros((1, 0, 4, 2)), None, clip="c7"), "'c7'.*at least one frame"),
        (lambda: ops.check_clip(np.zeros((1, 3, 4, 2)), np.zeros((1, 3, 5)), clip="c7"), "'keypoint_score'"),
        (lambda: ops.check_clip(np.zeros((1, 3, 4, 2)), None, 90, "c7"), "'total_frames'.*the 3 of.*got 90"),
    ],
)
def test_wrong_input_is_refused(call, message):
    with pytest.raises(InputError, match=message):
        call()
