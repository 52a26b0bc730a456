"""Why no segment was found in a recording: which rule left nothing over, by how much, and which option changes it."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Iterable, Sequence

import numpy as np

from pyskl_semloss.segments.find import SegmentRules, background_classes, find_segments
from pyskl_semloss.segments.segment import Segment
from pyskl_semloss.segments.windows import Timeline, WindowRules, frame_blocks


def why_nothing(timelines: Sequence[Timeline], windows: WindowRules, rules: SegmentRules) -> str:
    """The reason why there is no segment, in one or two sentences: the first rule that nothing passes.

    Args:
        timelines: Of the persons of a recording; none of them has a segment.
        windows: By which they were made.
        rules: Of the segments.
    """
    seconds = timelines[0].windows.frames / timelines[0].fps
    if seconds < rules.shortest:
        return f"The recording lasts {seconds:.2f} s, and a segment at least {rules.shortest:g} s (--shortest)."
    seen, moved = (np.concatenate([getattr(timeline, name) for timeline in timelines]) for name in ("seen", "movement"))
    enough = seen >= windows.seen
    if not enough.any():
        return _too_little_seen(float(seen.max()), windows)
    if not (enough & (moved >= windows.still)).any():
        most = _down(float(moved[enough].max()))
        return (
            f"Nobody moves enough: the most movement in a window is {most} body sizes, and {windows.still:g} are "
            "asked for (--still)."
        )
    return _too_weak(timelines, rules) + _left_out(enough, moved, windows)


def _down(number: float, digits: int = 3) -> str:
    """Rounded down, so that a rule of this number lets it pass, and it never shows as what was asked for."""
    return f"{math.floor(number * 10**digits) / 10**digits:.{digits}f}"


def _too_little_seen(most: float, windows: WindowRules) -> str:
    if not most:
        return "Nobody is seen in it: every point is missing. Look at the video, and at how its keypoints were found."
    return (
        f"Too little of a person is seen: at most {_down(100 * most, 0)} % of the points are known in a window, and "
        f"{100 * windows.seen:g} % are asked for (--seen)."
    )


def _too_weak(timelines: Sequence[Timeline], rules: SegmentRules) -> str:
    # Without --gap, which joins only what is long enough.
    pieces = _found(timelines, dataclasses.replace(rules, shortest=0.0, gap=0.0))
    if pieces:
        longest = max(pieces, key=lambda segment: segment.seconds)
        return (
            f"Gestures are too short: the longest, {longest.name!r} at {longest.start:.2f} s, lasts "
            f"{_down(longest.seconds, 2)} s, and {rules.shortest:g} s are asked for (--shortest)."
        )
    names = _background(timelines, rules)
    if names:
        return f"All that is probable enough is background: {', '.join(map(repr, names))} (--background)."
    highest = max((_highest(timeline, rules) for timeline in timelines), key=lambda segment: segment[0])
    if not highest[1]:
        return "The most probable class is background all the time (--background)."
    return (
        f"No gesture is probable enough: the highest probability is {_down(highest[0])}, of {highest[1]!r} at "
        f"{highest[2]:.2f} s, and {rules.threshold:g} is asked for (--threshold)."
    )


def _found(timelines: Iterable[Timeline], rules: SegmentRules) -> list[Segment]:
    return [segment for timeline in timelines for segment in find_segments(timeline, rules)]


def _background(timelines: Iterable[Timeline], rules: SegmentRules) -> list[str]:
    """The background classes that would be segments if they were none."""
    if not rules.background:
        return []
    return sorted({segment.name for segment in _found(timelines, dataclasses.replace(rules, background=()))})


def _highest(timeline: Timeline, rules: SegmentRules) -> tuple[float, str, float]:
    """Probability, name and moment in s of the frame where a class that is no background is most probable."""
    background = background_classes(timeline.class_names, rules.background)
    highest = (0.0, "", 0.0)
    for first, block in frame_blocks(timeline, rules.smoothing):
        label = block.argmax(axis=1)
        best = np.where(np.isin(label, background), 0.0, block.max(axis=1))
        frame = int(best.argmax())
        if best[frame] > highest[0]:
            highest = (float(best[frame]), timeline.class_names[label[frame]], (first + frame) / timeline.fps)
    return highest


def _left_out(enough: np.ndarray, moved: np.ndarray, windows: WindowRules) -> str:
    unseen, still = int((~enough).sum()), int((enough & (moved < windows.still)).sum())
    if not unseen + still:
        return ""
    parts = [f"nobody moves in {still}"] * (still > 0) + [f"too little is seen in {unseen}"] * (unseen > 0)
    return f" Of {len(moved)} windows {unseen + still} were not looked at: {', '.join(parts)}."
