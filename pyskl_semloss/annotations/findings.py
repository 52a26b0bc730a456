"""Findings in annotation files: counts and examples by kind."""

from __future__ import annotations

import os
from collections import Counter
from dataclasses import dataclass, field
from typing import NamedTuple

from pyskl_semloss.errors import InputError, escape_control_characters
from pyskl_semloss.io.reading import AnyPath


class FindingKind(NamedTuple):
    """Kind of finding: what is counted, its defect, and the consequence."""

    singular: str
    plural: str
    defect: str
    consequence: str

    def counted(self, count: int) -> str:
        """The defect, such as ``"3 scores below 0"``."""
        return f"{count} {self.singular if count == 1 else self.plural} {self.defect}"

    def __str__(self) -> str:
        return f"{self.plural} {self.defect}, {self.consequence}"


MENDED = {
    "points_not_finite": FindingKind("point", "points", "with NaN or infinity", "now missing"),
    "points_absurd": FindingKind("point", "points", "far outside the image", "now missing"),
    "scores_not_finite": FindingKind("score", "scores", "of NaN or infinity", "now 0"),
    "scores_negative": FindingKind("score", "scores", "below 0", "now 0"),
    "scores_above_one": FindingKind("score", "scores", "slightly above 1", "now 1"),
    "without_score": FindingKind("clip", "clips", "without keypoint_score", "now all 1"),
    "without_original_shape": FindingKind("clip", "clips", "without original_shape", "now img_shape"),
    "zero_clips_dropped": FindingKind("clip", "clips", "of zeros only", "left out"),
    "duplicate_clips": FindingKind("clip", "clips", "repeating an earlier one", "left out"),
    "duplicate_ids": FindingKind("id", "ids", "listed twice in a split", "now once"),
    "ids_without_clip": FindingKind("id", "ids", "in a split without a clip", "left out"),
}
NOTED = {
    "points_off_image": FindingKind("point", "points", "outside the image", "dropped as asked"),
    "zero_frames": FindingKind("frame", "frames", "of zeros only", "kept"),
    "zero_clips": FindingKind("clip", "clips", "of zeros only", "kept"),
    "one_frame_clips": FindingKind("clip", "clips", "of one frame", "kept"),
    "clips_without_split": FindingKind("clip", "clips", "in no split", "kept"),
    "unused_keys": FindingKind("further key", "further keys", "in clips", "not used"),
}
EXAMPLES = 3


@dataclass
class FindingCounter:
    """Counter of findings by kind, with examples of each.

    Attributes:
        strict: Whether a defect is refused instead of mended.
        counts: Number of points, rows, clips, … by kind. Absent kinds count 0.
        examples: Examples of each kind, in the order in which they were added.
    """

    strict: bool = False
    counts: Counter[str] = field(default_factory=Counter)
    examples: dict[str, list[str]] = field(default_factory=dict)

    def count(self, kind: str, count: int) -> list[str]:
        """Add to the count of a kind; returns its examples, to be extended."""
        self.counts[kind] += count
        return self.examples.setdefault(kind, [])


@dataclass
class ReadReport(FindingCounter):
    """Counts of what was mended and noted while a file was read.

    The kinds are the keys of ``MENDED`` and ``NOTED``; the examples are all distinct clips (or ids) concerned.

    Attributes:
        file: The file.
        clips_read: Clips looked at (those of the requested split).
        clips_kept: Clips handed on.
    """

    file: AnyPath = ""
    clips_read: int = 0
    clips_kept: int = 0

    def add(self, kind: str, clip: str, count: int = 1, *, where: str | None = None) -> None:
        """Count a finding.

        Raises:
            InputError: The finding is one to mend, and the report is strict.
        """
        if not count:
            return
        if self.strict and kind in MENDED:
            fix = "Without strict it would be mended."
            raise InputError(MENDED[kind].counted(count), clip=clip, field=where, fix=fix)
        names = self.count(kind, count)
        if names[-1:] != [clip]:
            names.append(clip)

    def lines(self, kinds: dict[str, FindingKind]) -> list[str]:
        """Phrases for the kinds that occurred.

        Such as ``"3 scores below 0, now 0 (2 clips: 'a', 'b')"``.
        """
        return [
            f"{kind.counted(self.counts[name])}, {kind.consequence} ({self._examples(name)})"
            for name, kind in kinds.items()
            if self.counts[name]
        ]

    def _examples(self, kind: str) -> str:
        names = self.examples[kind]
        shown = ", ".join(repr(name) for name in names[:EXAMPLES]) + (", …" if len(names) > EXAMPLES else "")
        return shown if self.counts[kind] == len(names) else f"in {len(names)} clip{'s' * (len(names) > 1)}: {shown}"

    @property
    def warning(self) -> str | None:
        """Everything that was mended, in one message; None when nothing was."""
        mended = self.lines(MENDED)
        return f"{os.fspath(self.file)}: mended " + "; ".join(mended) + "." if mended else None

    def __str__(self) -> str:
        head = f"{os.fspath(self.file)}: {self.clips_read} clips read, {self.clips_kept} kept"
        body = [f"  mended: {line}" for line in self.lines(MENDED)] + [f"  noted: {line}" for line in self.lines(NOTED)]
        return "\n".join(map(escape_control_characters, [head, *(body or ["  nothing to mend"])]))
