"""Heat maps against PySKL's stored outputs, a formula written a second time, and the laws of the definition."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from pyskl_semloss.errors import InputError
from pyskl_semloss.heatmap import Channels, render_batch, render_heatmaps
from pyskl_semloss.heatmap.numba_engine import _exp, draw
from pyskl_semloss.skeletons import get_layout

LIMBS = [(0, 1), (1, 2), (2, 3), (3, 0), (1, 1)]


def by_torch(keypoint, score, channels, size, **options):
    volume = render_batch(torch.as_tensor(keypoint)[None], torch.as_tensor(score)[None], channels, size, **options)
    assert volume.is_contiguous(memory_format=torch.channels_last_3d)
    return volume[0].transpose(0, 1).numpy()


def by_channels_last_view(keypoint, score, channels, size, *, sigma=0.6, threshold=1e-4):
    store = np.zeros((keypoint.shape[1], *size, len(channels)), np.float32)
    draw(keypoint, score, channels, store.transpose(0, 3, 1, 2), sigma=sigma, threshold=threshold)
    return store.transpose(0, 3, 1, 2)


ENGINES = pytest.mark.parametrize("engine", [render_heatmaps, by_torch, by_channels_last_view])


def channels_of(modality, joints=4, limbs=LIMBS):
    return Channels.joints(joints) if modality == "joint" else Channels.limbs(limbs)


def random_clip(rng, persons=2, frames=3, joints=4, height=20, width=24):
    keypoint = rng.uniform(-6, max(height, width) + 6, (persons, frames, joints, 2)).astype(np.float32)
    score = rng.uniform(0, 1, (persons, frames, joints)).astype(np.float32)
    score[rng.random(score.shape) < 0.2] = 0
    return keypoint, score


def plain_joint(plane, x, y, peak, sigma):
    """One joint by the definition, pixel after pixel."""
    for j in range(plane.shape[0]):
        for i in range(plane.shape[1]):
            if int(x - 3 * sigma) <= i < int(x + 3 * sigma) + 1 and int(y - 3 * sigma) <= j < int(y + 3 * sigma) + 1:
                plane[j, i] = max(plane[j, i], peak * np.exp(-((i - x) ** 2 + (j - y) ** 2) / (2 * sigma**2)))


def plain_limb(plane, a, b, peaks, sigma):
    """One limb by the definition: the distance is found on a fine subdivision of the segment."""
    if np.hypot(*(b - a)) < 1:
        return plain_joint(plane, *a, peaks[0], sigma)
    points = a + np.linspace(0, 1, 2001)[:, None] * (b - a)
    low, high = np.minimum(a, b), np.maximum(a, b)
    for j in range(plane.shape[0]):
        for i in range(plane.shape[1]):
            first, last = (low - 3 * sigma).astype(int), (high + 3 * sigma).astype(int) + 1
            if first[0] <= i < last[0] and first[1] <= j < last[1]:
                distance2 = ((points - (i, j)) ** 2).sum(-1).min()
                plane[j, i] = max(plane[j, i], min(peaks) * np.exp(-distance2 / (2 * sigma**2)))


@ENGINES
@pytest.mark.parametrize("sigma", [0.6, 1.7])
@pytest.mark.parametrize("modality", ["joint", "limb"])
def test_equals_the_definition(engine, modality, sigma):
    keypoint, score = random_clip(np.random.default_rng(3))
    keypoint[0, 0, 1] = keypoint[0, 0, 0] + 0.4
    keypoint[1, 1, 2] = (7.0, 9.0)
    keypoint[1, 1, 3] = (7.0, 15.0)
    expected = np.zeros((3, 4 if modality == "joint" else 5, 20, 24))
    for m, t in np.ndindex(score.shape[:2]):
        points, peaks = keypoint[m, t].astype(float), score[m, t].astype(float)
        if modality == "joint":
            for v in range(4):
                if peaks[v] >= 1e-4:
                    plain_joint(expected[t, v], *points[v], peaks[v], sigma)
        else:
            for c, (a, b) in enumerate(LIMBS):
                if min(peaks[a], peaks[b]) >= 1e-4:
                    plain_limb(expected[t, c], points[a], points[b], (peaks[a], peaks[b]), sigma)
    result = engine(keypoint, score, channels_of(modality), (20, 24), sigma=sigma)
    assert expected.max() > 0.3
    np.testing.assert_allclose(result, expected, atol=1e-5 if modality == "joint" else 2e-4)


@ENGINES
@pytest.mark.parametrize("case", ["one", "two"])
@pytest.mark.parametrize("modality", ["joint", "limb"])
@pytest.mark.parametrize("variant", ["", "_sigma1_noscore"])
def test_equals_pyskl(shared_dir, engine, case, modality, variant):
    golden = np.load(shared_dir / "golden" / "pyskl_heatmaps.npz")
    score = golden[f"{case}_score"]
    score, sigma = (np.ones_like(score), 1.0) if variant else (score, 0.6)
    result = engine(
        golden[f"{case}_keypoint"],
        score,
        channels_of(modality, joints=6, limbs=golden["edges"]),
        (int(golden["H"]), int(golden["W"])),
        sigma=sigma,
        threshold=1e-3,
    )
    np.testing.assert_allclose(result, golden[f"{case}_{modality}{variant}"], atol=1e-5)


@pytest.mark.parametrize("modality", ["joint", "limb"])
def test_mirror_is_the_reversed_volume_with_exchanged_channels(modality):
    keypoint, score = random_clip(np.random.default_rng(4))
    limbs = [(0, 1), (0, 2), (1, 3), (2, 3)]
    channels = Channels.joints(4, [(1, 2)]) if modality == "joint" else Channels.limbs(limbs, [(0, 1), (2, 3)])
    order = [0, 2, 1, 3] if modality == "joint" else [1, 0, 3, 2]
    volume = render_heatmaps(keypoint, score, channels, (20, 24), mirror=True)
    np.testing.assert_array_equal(volume[3:], volume[:3, order, :, ::-1])


@settings(deadline=None, max_examples=30)
@given(st.integers(0, 10_000), st.sampled_from(["joint", "limb"]), st.integers(1, 5), st.integers(1, 5))
def test_moving_the_points_moves_the_maps(seed, modality, dx, dy):
    rng = np.random.default_rng(seed)
    # Eighths are exact in float32, and truncation toward zero moves with the point only right of zero.
    keypoint = (rng.integers(8 * 8, 8 * 20, (1, 2, 4, 2)) / 8).astype(np.float32)
    score = rng.uniform(0.1, 1, (1, 2, 4)).astype(np.float32)
    channels = channels_of(modality)
    still = render_heatmaps(keypoint, score, channels, (40, 40))
    moved = render_heatmaps(keypoint + np.float32([dx, dy]), score, channels, (40, 40))
    np.testing.assert_allclose(moved[..., dy:, dx:], still[..., :-dy, :-dx], atol=1e-6)
    assert still.max() > 0


@ENGINES
@pytest.mark.parametrize("modality", ["joint", "limb"])
def test_unknown_points_draw_nothing(engine, modality):
    keypoint = np.full((1, 1, 4, 2), 10, np.float32)
    channels = channels_of(modality)
    for bad in (np.nan, np.inf):
        keypoint[0, 0, :] = bad
        assert not engine(keypoint, np.ones((1, 1, 4), np.float32), channels, (20, 24)).any()
    keypoint[:] = 10
    assert not engine(keypoint, np.zeros((1, 1, 4), np.float32), channels, (20, 24)).any()
    assert not engine(keypoint, np.full((1, 1, 4), np.nan, np.float32), channels, (20, 24)).any()
    assert not engine(keypoint, np.full((1, 1, 4), 9e-4, np.float32), channels, (20, 24), threshold=1e-3).any()
    assert engine(keypoint, np.full((1, 1, 4), 9e-4, np.float32), channels, (20, 24), threshold=1e-4).any()


@ENGINES
def test_scores_below_a_ten_thousandth_draw_nothing_by_default(engine):
    keypoint = np.full((1, 1, 4, 2), 10, np.float32)
    for modality in ("joint", "limb"):
        for score, drawn in ((9.9e-5, False), (1.01e-4, True)):
            scores = np.full((1, 1, 4), score, np.float32)
            assert engine(keypoint, scores, channels_of(modality), (20, 24)).any() == drawn


def test_the_kernels_exponential_is_as_near_as_it_says():
    x = np.linspace(-16, 0, 4001, dtype=np.float32)
    found = np.array([_exp(one) for one in x])
    np.testing.assert_allclose(found, np.exp(x.astype(float)), atol=2e-6, rtol=0)


def test_far_points_leave_the_volume_alone():
    for far in (2147480000.0, -2147480000.0, 1e30):
        keypoint = np.full((1, 1, 4, 2), far, np.float32)
        for modality in ("joint", "limb"):
            assert not render_heatmaps(keypoint, np.ones((1, 1, 4)), channels_of(modality), (20, 24)).any()


def test_engines_agree_on_a_batch():
    rng = np.random.default_rng(5)
    clips = [random_clip(rng, persons=3) for _ in range(4)]
    for modality in ("joint", "limb"):
        channels = channels_of(modality)
        batch = render_batch(
            torch.tensor(np.stack([k for k, _ in clips])), torch.tensor(np.stack([s for _, s in clips])),
            channels, (20, 24), dtype=torch.bfloat16,
        )  # fmt: skip
        assert batch.dtype == torch.bfloat16 and batch.shape == (4, len(channels), 3, 20, 24)
        for volume, (keypoint, score) in zip(batch, clips, strict=True):
            expected = render_heatmaps(keypoint, score, channels, (20, 24)).swapaxes(0, 1)
            np.testing.assert_allclose(volume.float().numpy(), expected, atol=4e-3)


def test_a_batch_drawn_in_blocks_is_the_same(monkeypatch):
    from pyskl_semloss.heatmap import torch_engine

    keypoint, score = (torch.as_tensor(a)[None] for a in random_clip(np.random.default_rng(6), frames=7))
    whole = render_batch(keypoint, score, channels_of("limb"), (20, 24))
    monkeypatch.setattr(torch_engine, "_BLOCK_PIXELS", 20 * 24 * 5 * 2)
    assert torch.equal(render_batch(keypoint, score, channels_of("limb"), (20, 24)), whole)


def test_refusals_name_the_field():
    good = np.zeros((1, 2, 4, 2)), np.zeros((1, 2, 4))
    for keypoint, score, message in (
        (good[0][..., 0], good[1], r"'keypoint': expected \(M, T, V, 2\)"),
        (np.zeros((1, 2, 4, 3)), good[1], r"'keypoint': expected \(M, T, V, 2\), got \(1, 2, 4, 3\)"),
        (good[0], good[1][:, :1], "'keypoint_score'"),
        (good[0][:, :, :3], good[1][:, :, :3], "show joint 3, but the clip has 3 joints"),
    ):
        with pytest.raises(InputError, match=message):
            render_heatmaps(keypoint, score, Channels.joints(4), (20, 24))
    with pytest.raises(InputError, match="joint 4 is not in 0..3"):
        Channels.joints(4, [(0, 4)])
    with pytest.raises(InputError, match="limb 1 stands in two pairs"):
        Channels.limbs(LIMBS, [(0, 1), (1, 2)])
    with pytest.raises(InputError, match="'joint' or 'limb'"):
        Channels.of_layout("openpose22", "bone")


def test_channels_are_parts_and_their_mirror_order():
    limbs = np.array([(0, 1), (1, 2), (2, 3)])
    for modality, parts, mirror, words in (
        ("joint", limbs, range(3), r"'parts': expected parts \(C\) and a mirror order \(C,\), got \(3, 2\) and \(3,\)"),
        ("limb", np.arange(3), range(3), r"expected parts \(C, 2\) and .* got \(3,\) and \(3,\)"),
        ("limb", np.zeros((3, 3), int), range(3), r"got \(3, 3\) and \(3,\)"),
        ("limb", np.zeros((3, 1), int), range(3), r"got \(3, 1\) and \(3,\)"),
        ("joint", np.arange(3), range(2), r"got \(3,\) and \(2,\)"),
        ("joint", np.arange(3), range(4), r"got \(3,\) and \(4,\)"),
        ("Joint", np.arange(3), range(3), "'modality': expected 'joint' or 'limb', got 'Joint'"),
    ):
        with pytest.raises(InputError, match=words):
            Channels(modality, parts, np.array(mirror))
    assert len(Channels.limbs(limbs)) == 3 and Channels.limbs([]).parts.shape == (0, 2)
    assert Channels.joints(4, [(1, 2)]).mirrored().parts.tolist() == [0, 2, 1, 3]
    mirrored = Channels.limbs(limbs, [(0, 2)]).mirrored()
    assert mirrored.parts.tolist() == [[2, 3], [1, 2], [0, 1]] and mirrored.mirror.tolist() == [2, 1, 0]
    layout = get_layout("openpose22")
    joints, limbs = (Channels.of_layout("openpose22", "".join(name)) for name in ("joint", "limb"))
    keypoint, score = random_clip(np.random.default_rng(8), joints=22)
    for one, other in ((joints, Channels.joints(22)), (limbs, Channels.limbs(layout.limbs))):
        volume = render_heatmaps(keypoint, score, other, (20, 24))
        np.testing.assert_array_equal(render_heatmaps(keypoint, score, one, (20, 24)), volume)
        np.testing.assert_allclose(by_torch(keypoint, score, one, (20, 24)), volume, atol=1e-5)
    assert joints.parts.tolist() == list(range(22)) and joints.mirror.tolist() == list(layout.joint_mirror)
    assert limbs.parts.tolist() == [list(limb) for limb in layout.limbs]
    assert limbs.mirror.tolist() == list(layout.limb_mirror) and limbs.mirror.tolist() != list(range(21))


def test_a_clip_without_joints_has_an_empty_volume():
    volume = render_heatmaps(np.zeros((1, 3, 0, 2)), np.zeros((1, 3, 0)), Channels.joints(0), (4, 5))
    assert volume.shape == (3, 0, 4, 5)


def test_a_batch_is_refused_with_the_same_words():
    good = torch.zeros(3, 1, 2, 4, 2), torch.zeros(3, 1, 2, 4)
    for keypoint, score, message in (
        (good[0][0], good[1][0], r"'keypoint': expected \(N, M, T, V, 2\), got \(1, 2, 4, 2\)"),
        (good[0][..., :1], good[1], r"'keypoint': expected \(N, M, T, V, 2\), got \(3, 1, 2, 4, 1\)"),
        (good[0], good[1][:1], r"'keypoint_score': expected \(3, 1, 2, 4\), got \(1, 1, 2, 4\)"),
        (good[0][..., :3, :], good[1][..., :3], "show joint 3, but the clip has 3 joints. Choose the skeleton layout"),
    ):
        with pytest.raises(InputError, match=message):
            render_batch(keypoint, score, Channels.joints(4), (20, 24))
