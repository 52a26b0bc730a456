"""From a timeline to segments: which frames belong to a gesture, and which gestures are one."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from pyskl_semloss.errors import InputError
from pyskl_semloss.io.reading import closest, fold
from pyskl_semloss.segments.segment import Segment
from pyskl_semloss.segments.windows import Timeline, frame_blocks

TOP = 5
"""Classes that a segment names."""


@dataclass(frozen=True)
class SegmentRules:
    """What makes a stretch of a timeline a segment.

    Attributes:
        threshold: Least probability of the best class of a frame; below it the frame belongs to no gesture.
        extent: A segment ends where its class falls below this share of its highest probability in the segment.
        smoothing: Standard deviation in s of the Gaussian that smooths the probabilities over time.
        shortest: A segment lasts at least so many s.
        gap: Two segments of one name with less than so many s between them are one.
        background: Names of classes that are no gestures: frames whose best class is one of them are left out.

    Raises:
        InputError: A number is out of its range.
    """

    threshold: float = 0.45
    extent: float = 0.7
    smoothing: float = 0.3
    shortest: float = 0.8
    gap: float = 0.5
    background: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        object.__setattr__(self, "background", tuple(self.background))
        for name in ("threshold", "extent"):
            if not 0 <= getattr(self, name) <= 1:
                raise InputError(f"expected a number from 0 to 1, got {getattr(self, name)!r}", field=name)
        for name in ("smoothing", "shortest", "gap"):
            value = getattr(self, name)
            if not (math.isfinite(value) and value >= 0):
                raise InputError(f"expected seconds, at least 0, got {value!r}", field=name)


@dataclass
class _Run:
    """Neighbouring frames of one class, with their probabilities."""

    label: int
    start: int
    parts: list[np.ndarray]

    @property
    def frames(self) -> int:
        return sum(len(part) for part in self.parts)


def find_segments(timeline: Timeline, rules: SegmentRules | None = None) -> list[Segment]:
    """The segments of a timeline, by start.

    The class of a frame is the most probable one. Neighbouring frames of one class are a segment, cut to its extent;
    too short ones are left out, and then those of one name that nearly touch are joined. The confidence of a segment is
    the mean probability of its class over its frames, and so are those of its five best classes.

    Memory holds one block of frames and the segment that is going on, not the recording.

    Args:
        timeline: The scores.
        rules: What makes a segment.

    Raises:
        InputError: A background name is no class.
    """
    rules = rules or SegmentRules()
    background = background_classes(timeline.class_names, rules.background)
    shortest, gap = rules.shortest * timeline.fps, rules.gap * timeline.fps
    stretches: list[_Stretch] = []
    for run in _runs(timeline, rules, background):
        stretch = _cut(run, rules.extent)
        if stretch.stop - stretch.start < shortest:
            continue
        before = stretches[-1] if stretches else None
        if before is not None and before.label == stretch.label and stretch.start - before.stop < gap:
            stretches[-1] = _Stretch(
                stretch.label, before.start, stretch.stop, before.total + stretch.total, before.frames + stretch.frames
            )
        else:
            stretches.append(stretch)
    return [_segment(timeline, stretch) for stretch in stretches]


def background_classes(class_names: Sequence[str], background: Sequence[str]) -> list[int]:
    """The classes of some names; capitals and blanks do not count where that leaves one class.

    Raises:
        InputError: A name is none of the classes'; lists them.
    """
    numbers = {name: number for number, name in enumerate(class_names)}
    alike: dict[str, list[int]] = {}
    for number, name in enumerate(class_names):
        alike.setdefault(fold(name), []).append(number)
    result = []
    for name in background:
        near = [numbers[name]] if name in numbers else alike.get(fold(name), [])
        if len(near) != 1:
            likely = closest(name, class_names)
            fix = f"Did you mean {likely[0]!r}?" if likely else None
            problem = f"there is no class {name!r}; the classes are"
            raise InputError(problem, field="background", items=map(repr, class_names), fix=fix)
        result += near
    return result


@dataclass(frozen=True)
class _Stretch:
    label: int
    start: int
    stop: int
    total: np.ndarray
    frames: int


def _runs(timeline: Timeline, rules: SegmentRules, background: list[int]) -> Iterator[_Run]:
    run: _Run | None = None
    for first, block in frame_blocks(timeline, rules.smoothing):
        label = block.argmax(axis=1)
        label[block[np.arange(len(block)), label] < max(rules.threshold, 1e-9)] = -1
        label[np.isin(label, background)] = -1
        borders = np.concatenate([[0], np.flatnonzero(np.diff(label)) + 1, [len(label)]])
        for low, high in zip(borders[:-1].tolist(), borders[1:].tolist(), strict=True):
            if run is not None and (run.label != label[low] or low > 0):
                yield run
                run = None
            if label[low] >= 0:
                # A copy, or the run would hold the whole block.
                part = block[low:high].copy()
                if run is None:
                    run = _Run(int(label[low]), first + low, [part])
                else:
                    run.parts.append(part)
    if run is not None:
        yield run


def _cut(run: _Run, extent: float) -> _Stretch:
    rows = np.concatenate(run.parts)
    own = rows[:, run.label]
    inside = np.flatnonzero(own >= extent * own.max())
    low, high = int(inside[0]), int(inside[-1]) + 1
    return _Stretch(run.label, run.start + low, run.start + high, rows[low:high].sum(axis=0), high - low)


def _segment(timeline: Timeline, stretch: _Stretch) -> Segment:
    mean = (stretch.total / stretch.frames).clip(0, 1)
    best = np.argsort(-mean, kind="stable")[:TOP]
    # The name's own class first, where another has the same or, after joining, a higher mean.
    order = [stretch.label, *(int(k) for k in best if k != stretch.label)][:TOP]
    return Segment(
        start=stretch.start / timeline.fps,
        end=stretch.stop / timeline.fps,
        name=timeline.class_names[stretch.label],
        confidence=float(mean[stretch.label]),
        top=tuple((timeline.class_names[k], float(mean[k])) for k in order),
        nearest=_nearest(timeline, stretch),
        person=timeline.person,
    )


def _nearest(timeline: Timeline, stretch: _Stretch) -> str:
    """The name nearest to the windows whose middle lies in the segment, or to the one nearest to its own middle."""
    if timeline.cosine is None:
        return ""
    middle = (timeline.windows.start + timeline.windows.stop) / 2
    inside = (middle >= stretch.start) & (middle < stretch.stop) & timeline.probability.any(axis=1)
    if not inside.any():
        inside = np.zeros(len(middle), bool)
        inside[np.abs(middle - (stretch.start + stretch.stop) / 2).argmin()] = True
    return timeline.class_names[int(timeline.cosine[inside].mean(axis=0).argmax())]
