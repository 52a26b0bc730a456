"""Folders in exactly the forms in which iMiGUE and SMG are distributed, written from clips."""

import copy
import pickle
from dataclasses import replace

import numpy as np

from pyskl_semloss.annotations import Clip
from pyskl_semloss.synthetic.clips import generate

IMAGE = (1080, 1920)
IMIGUE_JOINTS = [*range(8), *range(15, 19), *range(25, 35)]
GAP = 7
"""Frames between two clips of a video."""


def imigue_clips(count, seed=0, frames=None):
    """Synthetic clips of 22 joints, cut to some frames."""
    return [_cut(clip, frames) for clip in generate(max(count, 32), seed).clips[:count]]


def smg_clips(count, seed=0, frames=None):
    """Clips of 25 joints, scores 1, or 0 where a point is missing, labels 0 to 16."""
    clips = []
    for clip in imigue_clips(count, seed, frames):
        points = np.concatenate([clip.keypoint, clip.keypoint[:, :, :3] + 5], 2)
        points[0, 1 % points.shape[1], 3] = 0
        clips.append(replace(clip, label=clip.label % 17, keypoint=points, keypoint_score=_seen(points)))
    return clips


def _seen(points):
    return points.any(-1).astype(np.float32)


def _cut(clip, frames):
    points, scores = clip.keypoint[:, :frames].astype(np.float32), clip.keypoint_score[:, :frames].astype(np.float32)
    return replace(clip, keypoint=points, keypoint_score=scores)


def forged(clip, **changes):
    """A clip with other fields that nobody checks, as a damaged file may hold them."""
    clip = copy.copy(clip)
    for name, value in changes.items():
        object.__setattr__(clip, name, value)
    return clip


def table_text(table):
    """Rows of the shortest decimals that give the same float32 again."""
    return "".join(",".join(map(str, row)) + "\n" for row in table.astype(np.float32))


def imigue_rows(clip):
    """The clip as rows of an iMiGUE skeleton file: frame, BODY_25, two groups of five finger points."""
    rng = np.random.default_rng(5)
    points = rng.uniform(1, 1000, (clip.total_frames, 35, 3))
    points[:, IMIGUE_JOINTS, :2] = clip.keypoint[0]
    points[:, IMIGUE_JOINTS, 2] = clip.keypoint_score[0]
    return np.concatenate([np.arange(clip.total_frames)[:, None], points.reshape(len(points), 105)], 1)


def smg_rows(clip):
    """The clip as rows of an SMG skeleton file: 25 x (world 3, quaternion 4, colour pixel 2, two more)."""
    points = np.random.default_rng(6).normal(size=(clip.total_frames, 25, 11))
    points[..., 7:9] = clip.keypoint[0]
    return points.reshape(len(points), 275)


def write_imigue_raw(folder, videos):
    """Write ``{name: [clip, …]}``; returns the clips as a conversion must give them."""
    return _write(folder, videos, imigue_rows, ("_light_hand.csv", "_label.csv", "_"), lambda label: (label + 1, 99))


def write_smg_raw(folder, videos):
    """Write ``{name: [clip, …]}``; returns the clips as a conversion must give them."""
    return _write(folder, videos, smg_rows, ("_skeleton.csv", "_finelabels.csv", ""), lambda label: (label + 1,) * 2)


def _write(folder, videos, to_rows, names, numbers):
    skeletons, labels, separator = names
    expected = []
    for path, clips in videos.items():
        video = path.split("/")[-1]
        rows, segments, at = [], [], 0
        for number, clip in enumerate(clips):
            table = to_rows(clip)
            rows += [table_text(table), table_text(table[:1]) * GAP]
            gesture = numbers(clip.label)[int(clip.label == 31 and number % 2)]
            segments.append(f"{gesture},{at},{at + len(table) - 1}\n")
            at += len(table) + GAP
            expected.append(forged(clip, frame_dir=f"{video}{separator}{number}"))
        (folder / path).mkdir(parents=True)
        (folder / path / f"{video}{skeletons}").write_text("".join(rows))
        (folder / path / f"{video}{labels}").write_text("".join(segments))
    return expected


def write_kit(folder, sets, frames=90, protocol=4):
    """Write ``{set: [clip, …]}`` as the kit's arrays: zeros after the last frame, the last ``frames`` of longer clips.

    Returns:
        The clips as a conversion that trims must give them.
    """
    folder.mkdir(parents=True, exist_ok=True)
    expected = []
    for name, clips in sets.items():
        data = np.zeros((len(clips), 3, frames, clips[0].keypoint.shape[2], 1), np.float32)
        for at, clip in enumerate(clips):
            points, scores = clip.keypoint[0, -frames:], clip.keypoint_score[0, -frames:]
            data[at, :2, : len(points), :, 0] = points.transpose(2, 0, 1)
            data[at, 2, : len(points), :, 0] = scores
            expected.append(forged(clip, keypoint=points[None], keypoint_score=scores[None]))
        np.save(folder / f"{name}_data.npy", data)
        names, labels = [clip.frame_dir for clip in clips], [clip.label for clip in clips]
        (folder / f"{name}_label.pkl").write_bytes(pickle.dumps((names, labels), protocol))
    return expected


def named(clips, pattern):
    """The clips with ids such as ``"0001_{}"``."""
    return [replace(clip, frame_dir=pattern.format(at)) for at, clip in enumerate(clips)]


def same_clips(found: list[Clip], expected: list[Clip]):
    """Equal in every field, to the float, in any order."""
    known = {clip.frame_dir: clip for clip in found}
    assert sorted(known) == sorted(clip.frame_dir for clip in expected) and len(found) == len(expected)
    for clip in expected:
        assert known[clip.frame_dir].same_as(clip), clip.frame_dir
    return True
