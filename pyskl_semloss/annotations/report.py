"""What was found in an annotation file: counts by kind, and the first few clips of each."""

from __future__ import annotations

import os
from collections import Counter
from dataclasses import dataclass, field
from typing import NamedTuple

from pyskl_semloss.errors import InputError, escape_control_characters


class Kind(NamedTuple):
    """What is counted: one and many of it, what is the matter with it, and what becomes of it."""

    singular: str
    plural: str
    matter: str
    outcome: str

    def counted(self, count: int) -> str:
        """The defect, such as ``"3 scores below 0"``."""
        return f"{count} {self.singular if count == 1 else self.plural} {self.matter}"

    def __str__(self) -> str:
        return f"{self.plural} {self.matter}, {self.outcome}"


MENDED = {
    "points_not_finite": Kind("point", "points", "with NaN or infinity", "now missing"),
    "points_absurd": Kind("point", "points", "far outside the image", "now missing"),
    "scores_not_finite": Kind("score", "scores", "of NaN or infinity", "now 0"),
    "scores_negative": Kind("score", "scores", "below 0", "now 0"),
    "scores_above_one": Kind("score", "scores", "slightly above 1", "now 1"),
    "without_score": Kind("clip", "clips", "without keypoint_score", "now all 1"),
    "without_original_shape": Kind("clip", "clips", "without original_shape", "now img_shape"),
    "zero_clips_dropped": Kind("clip", "clips", "of zeros only", "left out"),
    "duplicate_clips": Kind("clip", "clips", "repeating an earlier one", "left out"),
    "duplicate_ids": Kind("id", "ids", "listed twice in a split", "now once"),
    "ids_without_clip": Kind("id", "ids", "in a split without a clip", "left out"),
}
NOTED = {
    "points_off_image": Kind("point", "points", "outside the image", "dropped as asked"),
    "zero_frames": Kind("frame", "frames", "of zeros only", "kept"),
    "zero_clips": Kind("clip", "clips", "of zeros only", "kept"),
    "one_frame_clips": Kind("clip", "clips", "of one frame", "kept"),
    "clips_without_split": Kind("clip", "clips", "in no split", "kept"),
    "unused_keys": Kind("further key", "further keys", "in clips", "not used"),
}
EXAMPLES = 3


@dataclass
class Report:
    """Counts of what was mended and noted while a file was read.

    Attributes:
        file: The file.
        strict: Whether a defect is refused instead of mended.
        clips_read: Clips looked at (those of the requested split).
        clips_kept: Clips handed on.
        counts: Number of points, scores, frames, clips or ids by kind; the kinds are the keys of ``MENDED`` and
            ``NOTED``. Absent kinds count 0.
        names: The distinct clips (or ids) by kind, in the order of the file.
    """

    file: str | os.PathLike[str] = ""
    strict: bool = False
    clips_read: int = 0
    clips_kept: int = 0
    counts: Counter[str] = field(default_factory=Counter)
    names: dict[str, list[str]] = field(default_factory=dict)

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
        self.counts[kind] += count
        names = self.names.setdefault(kind, [])
        if not names or names[-1] != clip:
            names.append(clip)

    def lines(self, kinds: dict[str, Kind]) -> list[str]:
        """One phrase for each kind that occurred, such as ``"3 scores below 0, now 0 (2 clips: 'a', 'b')"``."""
        return [
            f"{kind.counted(self.counts[name])}, {kind.outcome} ({self._examples(name)})"
            for name, kind in kinds.items()
            if self.counts[name]
        ]

    def _examples(self, kind: str) -> str:
        names = self.names[kind]
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
