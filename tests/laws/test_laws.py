"""Laws of heat maps and mirrors, each for both engines, on drawn clips."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from pyskl_semloss import keypoint_ops as ops
from pyskl_semloss.heatmap import Channels, render_batch, render_heatmaps
from pyskl_semloss.skeletons import get_layout

LAYOUTS = ("openpose22", "kinect25", "kinect20", "coco17", "openpose25")
LIMBS = [(0, 1), (1, 2), (2, 3), (3, 0)]
SIZE = (20, 24)
AGREEMENT = {"joint": 1e-5, "limb": 1e-5}

modalities = st.sampled_from(["joint", "limb"])
seeds = st.integers(0, 2**32 - 1)
sigmas = st.floats(0.3, 4)


def by_torch(keypoint, score, channels, size, **options):
    volume = render_batch(torch.as_tensor(keypoint)[None], torch.as_tensor(score)[None], channels, size, **options)
    return volume[0].transpose(0, 1).numpy()


ENGINES = pytest.mark.parametrize("engine", [render_heatmaps, by_torch])


def channels_of(modality):
    return Channels.joints(4) if modality == "joint" else Channels.limbs(LIMBS)


def draw_clip(rng, persons, frames, spread=6.0):
    """Points (M, T, 4, 2) within and around a volume, with scores of which some are 0, and points that coincide."""
    keypoint = rng.uniform(-spread, max(SIZE) + spread, (persons, frames, 4, 2)).astype(np.float32)
    score = rng.uniform(0.01, 1, keypoint.shape[:3]).astype(np.float32)
    score[rng.random(score.shape) < 0.2] = 0
    same = rng.random(keypoint.shape[:2]) < 0.1
    keypoint[same, 1] = keypoint[same, 0]
    return keypoint, score


@st.composite
def clips(draw):
    rng = np.random.default_rng(draw(seeds))
    return *draw_clip(rng, draw(st.integers(1, 4)), draw(st.integers(1, 3))), rng


@settings(deadline=None, max_examples=80)
@given(clips(), modalities, sigmas, st.booleans())
def test_the_engines_agree(clip, modality, sigma, on_whole_pixels):
    keypoint, score, rng = clip
    if on_whole_pixels:
        keypoint = np.round(keypoint)
    keypoint[rng.random(keypoint.shape[:3]) < 0.05] = np.nan
    score[rng.random(score.shape) < 0.05] = np.nan
    both = [engine(keypoint, score, channels_of(modality), SIZE, sigma=sigma) for engine in (render_heatmaps, by_torch)]
    np.testing.assert_allclose(*both, atol=AGREEMENT[modality])
    assert min(volume.min() for volume in both) >= 0
    assert max(volume.max() for volume in both) <= np.nanmax(score, initial=0) + 1e-6


@ENGINES
@settings(deadline=None, max_examples=30)
@given(clips(), modalities)
def test_persons_are_a_set(engine, clip, modality):
    """Their order and absent ones change nothing; of several, each pixel shows the one that is largest there."""
    keypoint, score, rng = clip
    channels = channels_of(modality)
    volume = engine(keypoint, score, channels, SIZE)
    order = rng.permutation(len(keypoint))
    # To rounding alone: what is drawn first into a plane is drawn by other instructions.
    np.testing.assert_allclose(engine(keypoint[order], score[order], channels, SIZE), volume, atol=1e-6)
    absent = np.concatenate([keypoint, keypoint[:1]]), np.concatenate([score, 0 * score[:1]])
    np.testing.assert_array_equal(engine(*absent, channels, SIZE), volume)
    alone = [engine(keypoint[m : m + 1], score[m : m + 1], channels, SIZE) for m in range(len(keypoint))]
    np.testing.assert_allclose(np.max(alone, axis=0), volume, atol=1e-6)


@ENGINES
@settings(deadline=None, max_examples=30)
@given(clips(), modalities, sigmas)
def test_frames_are_drawn_one_by_one(engine, clip, modality, sigma):
    keypoint, score, rng = clip
    frames = rng.integers(0, keypoint.shape[1], 4)
    volume = engine(keypoint, score, channels_of(modality), SIZE, sigma=sigma)
    chosen = engine(keypoint[:, frames], score[:, frames], channels_of(modality), SIZE, sigma=sigma)
    np.testing.assert_array_equal(chosen, volume[frames])


@ENGINES
@settings(deadline=None, max_examples=30)
@given(clips(), modalities, st.floats(0.05, 20))
def test_scores_scale_the_maps(engine, clip, modality, factor):
    """A joint's map is its score times a Gaussian, a limb's the smaller score of its ends."""
    keypoint, score, _ = clip
    channels = channels_of(modality)
    volume = engine(keypoint, score, channels, SIZE)
    scaled = engine(keypoint, score * np.float32(factor), channels, SIZE)
    np.testing.assert_allclose(scaled, volume * factor, rtol=1e-5, atol=2e-6 * max(factor, 1))
    if modality == "joint":
        single = score.copy()
        single[..., 2] *= np.float32(factor)
        only = engine(keypoint, single, channels, SIZE)
        np.testing.assert_allclose(only[:, 2], scaled[:, 2], atol=1e-6)
        np.testing.assert_array_equal(np.delete(only, 2, 1), np.delete(volume, 2, 1))


@ENGINES
@settings(deadline=None, max_examples=30)
@given(seeds, sigmas)
def test_the_maximum_is_at_the_joint_and_along_the_limb(engine, seed, sigma):
    rng = np.random.default_rng(seed)
    keypoint = rng.integers(0, [SIZE[1], SIZE[0]], (1, 3, 4, 2)).astype(np.float32)
    score = rng.uniform(0.1, 1, (1, 3, 4)).astype(np.float32)
    joints = engine(keypoint, score, channels_of("joint"), SIZE, sigma=sigma)
    limbs = engine(keypoint, score, channels_of("limb"), SIZE, sigma=sigma)
    for t, v in np.ndindex(3, 4):
        x, y = keypoint[0, t, v].astype(int)
        assert joints[t, v, y, x] == joints[t, v].max() == pytest.approx(score[0, t, v], abs=1e-6)
        a, b = LIMBS[v]
        peak = score[0, t, a] if (keypoint[0, t, a] == keypoint[0, t, b]).all() else min(score[0, t, [a, b]])
        for x, y in keypoint[0, t, [a, b]].astype(int):
            assert limbs[t, v, y, x] == pytest.approx(peak, abs=1e-5) and limbs[t, v].max() <= peak + 1e-5


@ENGINES
@settings(deadline=None, max_examples=30)
@given(clips(), modalities, st.sampled_from([0, np.nan, "nowhere"]), st.integers(0, 3))
def test_a_missing_joint_blanks_its_own_channels_alone(engine, clip, modality, missing, joint):
    keypoint, score, _ = clip
    channels = channels_of(modality)
    volume = engine(keypoint, score, channels, SIZE)
    if missing == "nowhere":
        keypoint[:, :, joint] = np.inf
    else:
        score[:, :, joint] = missing
    without = engine(keypoint, score, channels, SIZE)
    touched = np.array([joint in np.atleast_1d(part) for part in channels.parts])
    assert not without[:, touched].any()
    np.testing.assert_array_equal(without[:, ~touched], volume[:, ~touched])


@ENGINES
@settings(deadline=None, max_examples=30)
@given(seeds, modalities, st.integers(0, 5), st.integers(0, 5), st.integers(1, 3))
def test_moving_all_points_by_whole_pixels_moves_the_maps(engine, seed, modality, dx, dy, persons):
    rng = np.random.default_rng(seed)
    # Eighths are exact in float32, and truncation toward zero moves with the point only right of zero.
    keypoint = (rng.integers(8 * 8, 8 * 20, (persons, 2, 4, 2)) / 8).astype(np.float32)
    score = rng.uniform(0.1, 1, keypoint.shape[:3]).astype(np.float32)
    still = engine(keypoint, score, channels_of(modality), (40, 40))
    moved = engine(keypoint + np.float32([dx, dy]), score, channels_of(modality), (40, 40))
    np.testing.assert_allclose(moved[..., dy:, dx:], still[..., : 40 - dy, : 40 - dx], atol=2e-6)
    assert not moved[..., :dy, :].any() and not moved[..., :dx].any() and still.max() > 0


@st.composite
def layout_clips(draw):
    """A clip on whole pixels of a layout, no two joints in one place, none at the border that means missing."""
    layout = get_layout(draw(st.sampled_from(LAYOUTS)))
    rng = np.random.default_rng(draw(seeds))
    places = rng.permuted(np.tile(np.arange(22 * 18), (2, 2, 1)), axis=-1)[..., : layout.num_joints]
    keypoint = np.stack([1 + places % 22, 1 + places // 22], -1).astype(np.float32)
    score = rng.uniform(0.01, 1, keypoint.shape[:3]).astype(np.float32)
    score[rng.random(score.shape) < 0.1] = 0
    return layout, keypoint, score


@ENGINES
@settings(deadline=None, max_examples=30)
@given(layout_clips(), modalities)
def test_the_map_of_the_mirror_image_is_the_mirror_image_of_the_map(engine, drawn, modality):
    """Flipped points with exchanged joints, against the reversed volume with exchanged channels."""
    layout, keypoint, score = drawn
    channels = Channels.of_layout(layout, modality)
    volume = engine(keypoint, score, channels, SIZE, sigma=1.0)
    flipped = engine(*ops.flip(keypoint, score, SIZE[1] - 1, layout.joint_mirror), channels, SIZE, sigma=1.0)
    np.testing.assert_allclose(flipped, volume[:, channels.mirror, :, ::-1], atol=2e-6)
    doubled = render_heatmaps(keypoint, score, channels, SIZE, sigma=1.0, mirror=True)
    np.testing.assert_allclose(doubled[len(volume) :], flipped, atol=1e-5)


@settings(deadline=None, max_examples=40)
@given(layout_clips())
def test_mirrors_of_clips(drawn):
    """Twice is nothing, bones keep their lengths, and each limb lies on the mirror image of its partner."""
    layout, keypoint, score = drawn
    flipped, scores = ops.flip(keypoint, score, SIZE[1], layout.joint_mirror)
    again, scores_again = ops.flip(flipped, scores, SIZE[1], layout.joint_mirror)
    np.testing.assert_array_equal(again, keypoint)
    np.testing.assert_array_equal(scores_again, score)
    limbs, partner = np.array(layout.limbs), list(layout.limb_mirror)
    assert sorted(partner) == list(range(layout.num_limbs)) and [partner[one] for one in partner] == sorted(partner)
    ends, ends_flipped = keypoint[:, :, limbs], flipped[:, :, limbs]
    lengths, lengths_flipped = (np.linalg.norm(e[..., 0, :] - e[..., 1, :], axis=-1) for e in (ends, ends_flipped))
    np.testing.assert_allclose(lengths_flipped, lengths[..., partner], rtol=1e-6)
    image = ends[:, :, partner] * np.float32([-1, 1]) + np.float32([SIZE[1], 0])
    same_way = (image == ends_flipped).all((-1, -2))
    turned = (image[..., ::-1, :] == ends_flipped).all((-1, -2))
    assert (same_way | turned).all()
    np.testing.assert_array_equal(scores[:, :, limbs].min(-1), score[:, :, limbs].min(-1)[..., partner])
