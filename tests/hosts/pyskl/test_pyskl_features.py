"""Inputs of graph networks under PySKL's registry, against PySKL's own classes."""

import numpy as np
import pytest

pytest.importorskip("pyskl")

from pyskl.datasets.builder import PIPELINES

import pyskl_semloss.hosts.pyskl  # noqa: F401  (registers ours)

FEATURES = {"joint": "j", "bone": "b", "joint_motion": "jm", "bone_motion": "bm"}


def make_clip(missing):
    rng = np.random.default_rng(3)
    clip = {
        "keypoint": rng.uniform(20, 300, (2, 60, 17, 2)).astype(np.float32),
        "keypoint_score": rng.uniform(0.1, 1, (2, 60, 17)).astype(np.float32),
        "img_shape": (320, 400), "frame_dir": "a", "label": 3, "total_frames": 60,
    }  # fmt: skip
    if missing:
        clip["keypoint"][:, ::7, 9], clip["keypoint_score"][:, ::7, 9] = 0, 0
        clip["keypoint_score"][:, 3] = 0.005  # not sure enough
    return clip


def run(steps, clip):
    results = {key: value.copy() if isinstance(value, np.ndarray) else value for key, value in clip.items()}
    np.random.seed(1)
    for step in steps:
        results = PIPELINES.build(step)(results)
    return results["keypoint"]


def pipelines(stream):
    """All 60 frames: PySKL draws otherwise."""
    host = [
        {"type": "PreNormalize2D"},
        {"type": "GenSkeFeat", "dataset": "coco", "feats": [FEATURES[stream]]},
        {"type": "PoseDecode"},
        {"type": "FormatGCNInput", "num_person": 2},
    ]
    ours = [
        {"type": "NormaliseKeypoints"},
        {"type": "KeypointStream", "stream": stream, "skeleton": "coco17"},
        {"type": "SampleKeypointFrames", "clip_len": 60},
        {"type": "FormatGraphInput", "num_person": 2},
    ]
    return host, ours


@pytest.mark.parametrize("stream", FEATURES)
def test_without_missing_points_the_input_is_the_hosts(stream):
    """The host hangs the hips on the nose in bones, and on the shoulders in its own graph, as ours does in both."""
    theirs, mine = (run(steps, make_clip(missing=False)) for steps in pipelines(stream))
    assert theirs.shape == mine.shape == (1, 2, 60, 17, 3)
    same = [joint for joint in range(17) if joint not in (11, 12) or not stream.startswith("bone")]
    np.testing.assert_allclose(mine[..., same, :], theirs[..., same, :], atol=1e-6)
    assert (np.abs(mine - theirs).max() < 1e-6) == (len(same) == 17)


def test_points_that_are_missing_to_the_host_are_to_ours():
    theirs, mine = (run(steps, make_clip(missing=True)) for steps in pipelines("joint"))
    np.testing.assert_allclose(mine[..., :2], theirs[..., :2], atol=1e-6)
    assert (mine[..., 2] == 0).sum() == (theirs[..., 2] <= 0.01).sum() > 0


def test_random_scale_draws_the_hosts_factors():
    clip = make_clip(missing=False)
    normal = PIPELINES.build({"type": "NormaliseKeypoints"})(dict(clip))["keypoint"]
    np.random.seed(8)
    theirs = PIPELINES.build({"type": "RandomScale", "scale": 0.1})({"keypoint": normal})["keypoint"]
    np.random.seed(8)
    ours = PIPELINES.build({"type": "RandomScaleKeypoints", "scale": 0.1})(
        {"keypoint": normal, "keypoint_unit": (1, 1)}
    )
    np.testing.assert_allclose(ours["keypoint"], theirs, atol=1e-6)
