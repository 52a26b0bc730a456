"""Findings of a conversion: mended, dropped and noted defects by kind."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Mapping
from typing import Any

from pyskl_semloss.annotations.findings import MENDED as CLIP_MENDED
from pyskl_semloss.annotations.findings import NOTED as CLIP_NOTED
from pyskl_semloss.annotations.findings import FindingCounter, ReadReport
from pyskl_semloss.errors import InputError

MENDED = {
    "header_rows": "rows of column titles, left out",
    "titles_missing": "files without the row of titles that the format has, their first row used",
    "rows_cut_short": "skeleton rows cut short, the points that lack are missing",
    "rows_with_extra_columns": "skeleton rows with extra columns, cut to the columns of the format",
    "rows_with_text": "skeleton rows with cells that are no numbers, those points are missing",
    "rows_empty": "skeleton rows without anything, all points missing",
    "label_rows_with_extra_columns": "label rows with more than three columns, the first three used",
    "frames_clipped": "clips reaching past the frames of their file, cut there",
    **{kind: str(text) for kind, text in CLIP_MENDED.items() if kind.startswith(("points_", "scores_"))},
}
DROPPED = {
    "videos_without_skeletons": "videos with a label file and no skeleton file",
    "videos_without_labels": "videos with a skeleton file and no label file",
    "videos_without_files": "folders named like a video with neither file",
    "videos_unreadable": "videos or folders that cannot be read",
    "videos_empty": "videos whose skeleton file is empty",
    "videos_of_another_format": "videos whose skeleton rows have another number of columns",
    "label_rows_unreadable": "label rows whose cells are not what they must be",
    "label_rows_twice": "label rows that stand twice, the first one used",
    "labels_unknown": "label rows of a class that the data set does not have",
    "ends_before_starts": "label rows whose end is before their start",
    "frames_outside": "label rows wholly outside the frames of their file",
    "recordings_unreadable": "recordings that cannot be read, or that nobody is in",
    "labels_without_recording": "label rows of a recording that is not among the sources, or cannot be read",
    "clips_refused": "clips that break a rule of annotation files",
}
NOTED = {
    "recordings_without_labels": "recordings without a label row, left out",
    "recordings_in_doubt": "doubts about recordings; look at them",
    "persons_left_out": "persons followed and not chosen, left out",
    "frames_without_person": "frames of recordings in which no chosen person is seen",
    "points_filled": "missing points filled by interpolation, as asked",
    "label_files_empty": "label files without a row",
    "labels_hidden": "clips whose label is unknown (-1), kept",
    "split_ids_without_clip": "ids in a split list without a clip",
    "splits_empty": "splits without a clip, because there are too few videos or subjects",
    "clips_without_split": "clips that no split list names, kept",
    "zero_frames": str(CLIP_NOTED["zero_frames"]),
    "zero_clips": str(CLIP_NOTED["zero_clips"]),
    "one_frame_clips": str(CLIP_NOTED["one_frame_clips"]),
    "padding_trimmed": "frames of padding at the ends of clips, trimmed",
}
EXAMPLES = 5


class Findings(FindingCounter):
    """Counts of what was mended, dropped and noted in a conversion.

    The kinds are the keys of ``MENDED``, ``DROPPED`` and ``NOTED``; the examples are the first places of each kind,
    ``"file: row 7: what"``.
    """

    def add(
        self,
        kind: str,
        detail: str,
        *,
        file: str | os.PathLike[str] | None = None,
        row: int | None = None,
        clip: str | None = None,
        count: int = 1,
    ) -> None:
        """Count a finding.

        Args:
            kind: One of the kinds.
            detail: What is there.
            file: Where it is.
            row: Line of the file, counted from 1.
            clip: The clip it is in.
            count: How many of what the kind counts.

        Raises:
            InputError: The finding is one to mend or to drop, and the conversion is strict.
        """
        if not count:
            return
        problem = detail if row is None else f"row {row}: {detail}"
        if self.strict and kind not in NOTED:
            raise InputError(problem, file=file, clip=clip, fix="Without --strict it would be mended or dropped.")
        places = self.count(kind, count)
        if len(places) < EXAMPLES:
            where = [] if file is None else [os.fspath(file)]
            where += [] if clip is None else [f"clip {clip!r}"]
            places.append(": ".join([*where, problem]))

    def add_report(self, report: ReadReport, *, file: str | os.PathLike[str], clip: str, detail: str) -> None:
        """Count what the rules for one clip found."""
        for kind, count in report.counts.items():
            defect = {**CLIP_MENDED, **CLIP_NOTED}[kind].counted(count)
            self.add(kind, f"{defect}{detail}", file=file, clip=clip, count=count)

    def merge(self, other: Findings) -> None:
        """Add the counts and places of another part of the conversion."""
        for kind, places in other.examples.items():
            mine = self.count(kind, other.counts[kind])
            mine.extend(places[: EXAMPLES - len(mine)])

    def to_dict(self) -> dict[str, Any]:
        """As plain data for JSON."""
        return {"counts": dict(self.counts), "examples": self.examples}

    @classmethod
    def from_dict(cls, content: dict[str, Any]) -> Findings:
        """The opposite of :meth:`to_dict`."""
        return cls(counts=Counter(content["counts"]), examples=dict(content["examples"]))

    def lines(self) -> list[str]:
        """One line for each kind that occurred: ``"mended: 3 × skeleton rows cut short, … (a.csv: row 7: …)"``."""
        return [f"{line} (first: {self.examples[kind][0]})" for kind, line in counted_kinds(self.counts)]


def counted_kinds(counts: Mapping[str, int]) -> list[tuple[str, str]]:
    """Kinds that occurred, with a text such as ``"mended: 3 × skeleton rows cut short, …"``."""
    groups = (("mended", MENDED), ("dropped", DROPPED), ("noted", NOTED))
    return [
        (kind, f"{group}: {counts[kind]} × {text}")
        for group, kinds in groups
        for kind, text in kinds.items()
        if counts.get(kind)
    ]
