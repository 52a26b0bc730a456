"""Inputs of graph networks under MMAction2's registry, against MMAction2's own classes."""

import numpy as np
import pytest

pytest.importorskip("mmaction")

import mmaction.datasets.transforms  # noqa: F401  (registers the host's classes)
from mmaction.registry import TRANSFORMS

import pyskl_semloss.hosts.mmaction2.data.transforms  # noqa: F401  (registers ours)

FEATURES = {"joint": "j", "bone": "b", "joint_motion": "jm", "bone_motion": "bm"}


def make_clip(persons=1, frames=60):
    rng = np.random.default_rng(3)
    return {
        "keypoint": rng.uniform(20, 300, (persons, frames, 17, 2)).astype(np.float32),
        "keypoint_score": rng.uniform(0.1, 1, (persons, frames, 17)).astype(np.float32),
        "img_shape": (320, 400), "frame_dir": "a", "label": 3, "total_frames": frames,
    }  # fmt: skip


def run(steps, clip):
    results = {key: value.copy() if isinstance(value, np.ndarray) else value for key, value in clip.items()}
    np.random.seed(1)
    for step in steps:
        results = TRANSFORMS.build(step)(results)
    return results


@pytest.mark.parametrize("stream", FEATURES)
@pytest.mark.parametrize("persons", [1, 2])
def test_without_missing_points_the_input_is_the_hosts(stream, persons):
    """The host hangs the hips on the nose in bones, and on the shoulders in its own graph, as ours does in both."""
    host = [
        {"type": "mmaction.PreNormalize2D"},
        {"type": "mmaction.GenSkeFeat", "dataset": "coco", "feats": [FEATURES[stream]]},
        {"type": "mmaction.UniformSampleFrames", "clip_len": 20, "num_clips": 2},
        {"type": "mmaction.PoseDecode"},
        {"type": "mmaction.FormatGCNInput", "num_person": persons},
        {"type": "mmaction.PackActionInputs"},
    ]
    ours = [
        {"type": "NormaliseKeypoints"},
        {"type": "KeypointStream", "stream": stream, "skeleton": "coco17"},
        {"type": "SampleKeypointFrames", "clip_len": 20, "num_clips": 2},
        {"type": "FormatGraphInput", "num_person": persons},
        {"type": "mmaction.PackActionInputs"},
    ]
    theirs, mine = (run(steps, make_clip(persons))["inputs"].numpy() for steps in (host, ours))
    assert theirs.shape == mine.shape == (2, persons, 20, 17, 3) and mine.dtype == np.float32
    same = [joint for joint in range(17) if joint not in (11, 12) or not stream.startswith("bone")]
    np.testing.assert_allclose(mine[..., same, :], theirs[..., same, :], atol=1e-6)
    assert (np.abs(mine - theirs).max() < 1e-6) == (len(same) == 17)


def test_a_missing_point_stays_missing_where_the_host_moves_it():
    clip = make_clip()
    clip["keypoint"][0, 5, 9], clip["keypoint_score"][0, 5, 9] = 0, 0
    theirs, mine = run([{"type": "mmaction.PreNormalize2D"}], clip), run([{"type": "NormaliseKeypoints"}], clip)
    assert theirs["keypoint"][0, 5, 9].tolist() == [-1, -1] and mine["keypoint"][0, 5, 9].tolist() == [0, 0]
    np.testing.assert_allclose(np.delete(mine["keypoint"], 9, 2), np.delete(theirs["keypoint"], 9, 2), atol=1e-6)
