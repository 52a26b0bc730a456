"""Assembly of recordings from detections: repair, choice of persons, gaps, layout."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from pyskl_semloss.annotations.findings import ReadReport
from pyskl_semloss.annotations.mending import mend_points, mend_scores, without_points
from pyskl_semloss.errors import InputError, located
from pyskl_semloss.io.reading import first_forbidden_character
from pyskl_semloss.recordings.detections import Detections, check_frames
from pyskl_semloss.recordings.persons import PersonChoice
from pyskl_semloss.recordings.plausibility import plausibility_issues, share_outside
from pyskl_semloss.recordings.recording import Recording, check_fps
from pyskl_semloss.recordings.visibility import visible_frames
from pyskl_semloss.skeletons import SkeletonLayout, joint_map

FILLED_SCORE_FACTOR = 0.5
"""The score of a filled point is the lower score of the two ends of its gap times this."""


def fill_gaps(keypoint: np.ndarray, score: np.ndarray, longest: int) -> tuple[np.ndarray, np.ndarray, int]:
    """Fill gaps of each joint by linear interpolation.

    Args:
        keypoint: (M, T, V, 2) px.
        score: (M, T, V); 0 where a point is missing.
        longest: Frames of the longest gap to be filled; a gap at the start or the end never is.

    Returns:
        Keypoints and scores, new arrays unless nothing was filled, and how many points were.

    Raises:
        InputError: ``longest`` is negative.
    """
    if longest < 0:
        raise InputError(f"expected a number of frames from 0, got {longest}", field="fill-gaps")
    known = score > 0
    frames = score.shape[1]
    if longest == 0 or known.all() or not known.any():
        return keypoint, score, 0
    at = np.broadcast_to(np.arange(frames)[:, None], score.shape)
    before = np.maximum.accumulate(np.where(known, at, -1), axis=1)
    after = np.minimum.accumulate(np.where(known, at, frames)[:, ::-1], axis=1)[:, ::-1]
    missing = ~known & (before >= 0) & (after < frames) & (after - before <= longest + 1)
    person, frame, joint = np.nonzero(missing)
    if not len(frame):
        return keypoint, score, 0
    start, end = before[missing], after[missing]
    share = ((frame - start) / (end - start))[:, None]
    keypoint, score = keypoint.copy(), score.copy()
    keypoint[missing] = (1 - share) * keypoint[person, start, joint] + share * keypoint[person, end, joint]
    score[missing] = FILLED_SCORE_FACTOR * np.minimum(score[person, start, joint], score[person, end, joint])
    return keypoint, score, len(frame)


_OUTSIDE = 0.5
"""With a greater share of the points outside the image, the image's size is another one."""


@dataclass(frozen=True)
class RecordingOptions:
    """Options of the assembly of a recording.

    Attributes:
        image_shape: (height, width) px, where the file does not say it.
        fps: Frames per second, where the file does not say it.
        to: The layout that is wanted; None keeps that of the file.
        person: Whom it is about, see :class:`pyskl_semloss.recordings.persons.PersonChoice`.
        max_persons: For ``"all"``.
        pause: Frames for which a person may be gone and still be the same; None: one second.
        fill_gaps: Frames of the longest gap that is filled by interpolation.
        aliases: Joint of ``to`` to the joint that it is, see :func:`pyskl_semloss.skeletons.joint_map`.
    """

    image_shape: tuple[int, int] | None = None
    fps: float | None = None
    to: SkeletonLayout | None = None
    person: str = "largest"
    max_persons: int = 2
    pause: int | None = None
    fill_gaps: int = 0
    aliases: Mapping[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        PersonChoice(self.person, self.max_persons, self.pause)
        if self.fill_gaps < 0:
            raise InputError(f"expected a number from 0, got {self.fill_gaps}", field="fill-gaps")
        if self.fps is not None:
            check_fps(self.fps)


def make_recording(detections: Detections, options: RecordingOptions) -> tuple[Recording, dict[str, Any], ReadReport]:
    """Assemble a recording from detections.

    Returns:
        The recording; facts as plain data (``persons`` followed, numbers ``chosen`` among them, ``frames_seen`` with
        one of them, ``seen_by_part`` with a point of body, hands and face, ``doubts`` in words, ``points_filled``,
        joints ``derived`` and ``missing``); and the counts of what was mended.

    Raises:
        InputError: Size or frame rate are not known, the file says others than the options, the coordinates are no
            pixels of such an image, nobody is in it, or there is no such person; names the file.
    """
    with located(file=detections.file):
        name = _file_name(detections.name)
        shape = _agreed(
            detections.image_shape, options.image_shape, "image-size", "Give it as --image-size WIDTHxHEIGHT."
        )
        fps = _agreed(detections.fps, options.fps, "fps", "Give it as --fps.")
        report = ReadReport(file=detections.file)
        points, scores = _mended(detections, shape, report)
        doubts = plausibility_issues(points, scores, detections.layout, shape)
        seen = scores.any(1)
        frame, points, scores, person = detections.frame[seen], points[seen], scores[seen], detections.person[seen]
        if not len(frame):
            raise InputError("nobody is in it: every point is missing")
        choice = PersonChoice(options.person, options.max_persons, options.pause)
        joints = max(detections.layout.num_joints, (options.to or detections.layout).num_joints)
        check_frames(detections, joints)
        keypoint, score, whom = choice.apply(frame, person, points, scores, detections.frames, fps, shape)
        keypoint, score, filled = fill_gaps(keypoint, score, options.fill_gaps)
        mapping = joint_map(detections.layout, options.to or detections.layout, options.aliases)
        keypoint, score = mapping.apply(keypoint, score)
        facts = {
            "recording": name,
            "layout": detections.layout.name,
            "frames": detections.frames,
            "seconds": round(detections.frames / fps, 3),
            **whom,
            "seen_by_part": visible_frames(score, mapping.target),
            "doubts": doubts,
            "points_filled": filled,
            "derived": list(mapping.derived),
            "missing": list(mapping.missing),
        }
        return Recording(name, keypoint, score, mapping.target, shape, fps), facts, report


def _file_name(name: str) -> str:
    """Check that a recording's name can be that of its file."""
    if Path(name).name != name or name[:1] in ("", ".") or "\\" in name or first_forbidden_character(name) is not None:
        raise InputError(f"{name!r} cannot be the name of a recording, and of a file", field="name")
    return name


def _agreed(of_file: Any, asked: Any, field: str, fix: str) -> Any:
    if of_file is None and asked is None:
        raise InputError("the file does not say it", field=field, fix=fix)
    if of_file is not None and asked is not None and of_file != asked:
        raise InputError(f"the file says {of_file}, the option {asked}", field=field, fix="Leave the option out.")
    return asked if of_file is None else of_file


def _mended(detections: Detections, shape: tuple[int, int], report: ReadReport) -> tuple[np.ndarray, np.ndarray]:
    points, scores = detections.keypoint, detections.score
    if not len(points):
        return points, scores
    # A cell that is empty is a missing point, not a defect.
    missing = np.isnan(points).all(-1)
    points, scores = without_points(points, scores, missing) if missing.any() else (points, scores)
    scores = mend_scores(scores, detections.name, report, detections.score_limit)
    points, scores = mend_points(points, scores, shape, detections.name, report)
    missing = ~points.any(-1) | (scores == 0)
    points, scores = without_points(points, scores, missing)
    known = points[~missing]
    if len(known) and np.abs(known).max() <= 1:
        problem = "the coordinates are shares of the image, expected px"
        raise InputError(problem, field="keypoint", fix="Multiply them by its width and height.")
    outside = share_outside(known, shape)
    if outside > _OUTSIDE:
        problem = f"{outside:.0%} of the points are outside an image of {shape[1]}x{shape[0]}"
        fix = "Give the size of the video as WIDTHxHEIGHT; and x comes before y."
        if share_outside(known, shape[::-1]) == 0:
            problem += f", and none is outside one of {shape[0]}x{shape[1]}"
            fix = "Are width and height exchanged? --image-size is WIDTHxHEIGHT, image_shape of a file (height, width)."
        raise InputError(problem, field="image-size", fix=fix)
    return points, scores
