"""What the browser needs to show a recording: keypoints and probabilities as plain bytes, and what they mean."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from pyskl_semloss.recordings.recording import Recording
from pyskl_semloss.skeletons import SkeletonLayout

MISSING = -32768
"""The coordinate of a point that is not there."""


def write_view(
    recording: Recording,
    probability: np.ndarray,
    row_seconds: float,
    class_names: list[str],
    folder: Path,
    video: str | None = None,
) -> dict[str, Any]:
    """Write ``keypoints.bin`` and ``scores.bin``, and describe them.

    Args:
        recording: T frames of M persons.
        probability: (W, C), 0 to 1, of moments ``row_seconds`` apart, the first from 0 s on.
        row_seconds: In s.
        class_names: C names.
        folder: Where to write.
        video: Name of a video in the folder that a browser may show.

    Returns:
        What ``viewer.js`` takes. The files hold (T, M, V, 2) int16 little-endian, in px, and (W, C) uint8, 255 for 1.
    """
    layout, (height, width) = recording.layout, recording.image_shape
    sides = _sides(layout)
    persons, frames, joints = recording.keypoint_score.shape
    with (folder / "keypoints.bin").open("wb") as stream:
        for start in range(0, frames, 4096):
            part = slice(start, start + 4096)
            points = np.clip(np.rint(recording.keypoint[:, part]), MISSING + 1, -MISSING - 1).astype("<i2")
            points[recording.keypoint_score[:, part] <= 0] = MISSING
            stream.write(np.ascontiguousarray(points.transpose(1, 0, 2, 3)).tobytes())
    np.rint(np.clip(probability, 0, 1) * 255).astype(np.uint8).tofile(folder / "scores.bin")
    return {
        "keypoints": "keypoints.bin", "scores": "scores.bin", "video": video, "width": width, "height": height,
        "fps": recording.fps, "frames": frames, "persons": persons, "joints": joints, "seconds": recording.seconds,
        "rows": len(probability), "row_seconds": row_seconds, "class_names": class_names, "sides": sides,
        "limbs": [[a, b, sides[a] or sides[b]] for a, b in layout.limbs],
    }  # fmt: skip


def _sides(layout: SkeletonLayout) -> list[int]:
    """0 for a central joint, 1 for a left and 2 for a right one."""
    left, right = set(layout.left_kp), set(layout.right_kp)
    return [1 if joint in left else 2 if joint in right else 0 for joint in range(layout.num_joints)]
