"""The report's clips: keypoints in a few bytes, and the disagreement of models."""

import base64
import dataclasses

import numpy as np

from pyskl_semloss.annotations.clip import Clip
from pyskl_semloss.report import clips as report_clips
from pyskl_semloss.report.clips import disagreement, frames_that_fit, pack_clip, pack_clips
from pyskl_semloss.synthetic.clips import generate


def unpacked(content, entry, joints):
    """An own reading of what pack_clip wrote: (T, M, V, 2), NaN where a point is missing."""
    frames, _, _, people, x, y, width, height, *_ = entry
    points = int(people) * joints
    ranges = np.frombuffer(content[: points * 8], "<u2").reshape(points, 2, 2).astype(float)
    level = np.frombuffer(content[points * 8 :], np.uint8)[: int(frames) * points * 2]
    level = level.reshape(int(frames), points, 2).astype(float)
    level[level == 255] = np.nan
    low = np.array([x, y]) + ranges[:, 0] / 65535 * [width, height]
    high = np.array([x, y]) + ranges[:, 1] / 65535 * [width, height]
    return (low + level / 254 * (high - low)).reshape(int(frames), int(people), joints, 2)


def test_packed_points_come_back_within_the_stated_error():
    rng = np.random.default_rng(0)
    keypoint = rng.uniform(0, 1900, (2, 100, 5, 2)).astype(np.float32)
    keypoint[:, :, 0] = 700 + rng.normal(0, 1, (2, 100, 2))
    score = np.ones((2, 100, 5), np.float32)
    keypoint[0, 7:60, 3], score[0, 7:60, 3] = 0, 0
    keypoint[1, :, 4], score[1, :, 4] = 0, 0
    clip = Clip("a", 0, (1080, 1920), (1080, 1920), keypoint, score)
    content, entry, error = pack_clip(clip, 45)
    assert entry[:4] == [34, 100, 3, 2]
    back, kept = unpacked(content, entry, 5), keypoint[:, ::3].transpose(1, 0, 2, 3)
    seen = score[:, ::3].transpose(1, 0, 2) > 0
    np.testing.assert_array_equal(np.isnan(back).any(-1), ~seen)
    off = np.abs(back - kept)[seen].max()
    assert off <= error + 0.02 and error < 1900 / 254 / 2 * 1.02
    assert np.abs(back - kept)[:, 0, 0].max() < 0.1, "a joint that rests is kept finely"


def test_clips_without_points_or_with_one_point():
    nothing = Clip("a", 0, (10, 10), (10, 10), np.zeros((1, 3, 2, 2), np.float32), np.zeros((1, 3, 2), np.float32))
    assert pack_clip(nothing) is None
    keypoint = np.zeros((1, 3, 2, 2), np.float32)
    keypoint[0, 1, 1] = 5
    content, entry, error = pack_clip(dataclasses.replace(nothing, keypoint=keypoint))
    back = unpacked(content, entry, 2)
    np.testing.assert_allclose(back[1, 0, 1], [5, 5], atol=0.01)
    assert np.isnan(back).sum() == back.size - 2 and error < 0.01
    assert pack_clips([None, nothing]).index == [None, None]


def test_clips_begin_at_groups_of_four_characters():
    clips = generate(40, seed=3).clips[:6]
    packed = pack_clips([*clips[:3], None, *clips[3:]])
    for clip, entry in zip([*clips[:3], None, *clips[3:]], packed.index, strict=True):
        if clip is None:
            assert entry is None
            continue
        content, alone, _ = pack_clip(clip, packed.frames)
        start = int(entry[0])
        assert start % 3 == 0 and entry[1:] == alone
        text = packed.text[start // 3 * 4 :][: -(-len(content) // 3) * 4]
        assert base64.b64decode(text)[: len(content)] == content


def test_frames_give_way_to_the_budget():
    clip = Clip("a", 0, (9, 9), (9, 9), np.ones((1, 90, 22, 2), np.float32), np.ones((1, 90, 22), np.float32))
    assert frames_that_fit([clip] * 4562) == 45
    fewer = frames_that_fit([clip] * 4562, budget=6_000_000)
    assert 8 < fewer < 45
    assert sum(len(pack_clip(clip, fewer)[0]) for _ in range(4562)) <= 6_000_000
    assert frames_that_fit([clip] * 4562, budget=10) == report_clips.MIN_FRAMES


def test_disagreement_is_a_distance():
    one, two = np.eye(4)[[0, 1]], np.eye(4)[[0, 2]]
    np.testing.assert_allclose(disagreement([one, two]), [0, 1])
    np.testing.assert_allclose(disagreement([one, two, one]), [0, 2 / 3])
    np.testing.assert_array_equal(disagreement([one]), [0, 0])
    a, b = np.random.default_rng(0).dirichlet(np.ones(6), (2, 8))
    order = np.random.default_rng(1).permutation(6)
    np.testing.assert_allclose(disagreement([a, b]), disagreement([b[:, order], a[:, order]]))
