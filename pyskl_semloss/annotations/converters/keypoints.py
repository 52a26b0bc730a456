"""Converting one's own recordings and a table of labels to an annotation file of clips."""

from __future__ import annotations

import difflib
import os
import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from pyskl_semloss.annotations.clip import Clip
from pyskl_semloss.annotations.converters.findings import Findings
from pyskl_semloss.annotations.converters.label_tables import LabelRow, name_of_recording, read_label_table
from pyskl_semloss.annotations.converters.raw import Progress, mended_clip
from pyskl_semloss.annotations.converters.recordings import KeypointOptions, convert_recordings
from pyskl_semloss.annotations.converters.splits import SplitOptions, Splits, split_clips
from pyskl_semloss.annotations.converters.summary import finish
from pyskl_semloss.annotations.keypoint_files import find_sources, guess_format
from pyskl_semloss.annotations.recording import Recording, read_recording
from pyskl_semloss.class_names import read_class_names
from pyskl_semloss.errors import InputError

_SPLITS = ("train", "val", "test")
MOST_CLIP_FRAMES = 10_000_000
"""Frames of all clips: each row of a table of labels may name a whole recording."""


def convert_keypoints(
    sources: Sequence[str | os.PathLike[str]],
    out: str | os.PathLike[str],
    labels: str | os.PathLike[str],
    options: KeypointOptions,
    class_names: str | os.PathLike[str] | None = None,
    splits: SplitOptions | None = None,
    *,
    strict: bool = False,
    workers: int = 1,
    progress: Progress | None = None,
) -> dict[str, Any]:
    """Convert recordings and a table of labels to an annotation file, with a summary beside it.

    Args:
        sources: Files or folders of keypoints.
        out: The annotation file to write, ``.pkl``; ``.json`` and ``.md`` are written beside it.
        labels: The table, see :func:`read_label_table`.
        options: How the recordings are read and made.
        class_names: File of the class names, one a line; without it labels are numbers.
        splits: How to make the splits, where the table has no column for them.
        strict: Refuse what would be mended or dropped.
        workers: Number of processes.
        progress: Called with the number of recordings done and the number of recordings.

    Returns:
        The summary, as it is written to the JSON file.

    Raises:
        InputError: A file cannot be read, no clip remains, splits are given twice, or (strict) a defect.
    """
    if Path(out).suffix != ".pkl":
        raise InputError("expected a name that ends in .pkl", file=out)
    _check_apart(out, [*sources, labels, *([] if class_names is None else [class_names])])
    findings = Findings(strict)
    names = None if class_names is None else read_class_names(class_names)
    rows = read_label_table(labels, names, findings)
    if not rows:
        reasons = "; ".join(findings.lines()) or "it has none"
        raise InputError(f"no row of it can be used ({reasons})", file=labels)
    for row in rows:
        _split_name(row, labels)
    folder = Path(f"{os.fspath(out)}.parts")
    made = convert_recordings(sources, folder, options, workers=workers, progress=progress)
    clips, row_of = _cut(rows, made, findings, labels)
    splits_made = _split(row_of, splits or SplitOptions(), findings, labels)
    classes = len(names) if names else 1 + max((clip.label for clip in clips), default=0)
    names_of_sources = ", ".join(os.fspath(source) for source in sources)
    facts: dict[str, Any] = {"data_set": "own keypoints", "source": names_of_sources, "form": "keypoint"}
    facts |= {"num_classes": classes, "strict": strict, "class_names": names, "labels": os.fspath(labels)}
    facts["recordings"] = [
        {name: value for name, value in each.items() if name not in ("key", "file")} for each in made
    ]
    summary = finish(out, clips, splits_made, findings, facts)
    shutil.rmtree(folder, ignore_errors=True)
    return summary


def _check_apart(out: str | os.PathLike[str], read: Sequence[str | os.PathLike[str]]) -> None:
    """``talk.json`` of MMPose would be overwritten by the summary of ``talk.pkl``."""
    written = {os.path.realpath(Path(out).with_suffix(suffix)) for suffix in (".pkl", ".json", ".md")}
    for path in read:
        found = find_sources(path) if os.path.isdir(path) else [os.fspath(path)]
        if written & {os.path.realpath(each) for each in found}:
            problem = f"{os.fspath(path)} would be overwritten by the annotation file or its summary (.json, .md)"
            raise InputError(problem, file=out, fix="Name the annotation file otherwise.")
        if os.path.realpath(path) == os.path.dirname(os.path.realpath(out)) and guess_format(path):
            problem = f"it would be written among the frames of the recording {os.fspath(path)}"
            raise InputError(problem, file=out, fix="Name another folder for it.")


def _cut(
    rows: Sequence[LabelRow], made: Sequence[dict[str, Any]], findings: Findings, labels: str | os.PathLike[str]
) -> tuple[list[Clip], dict[str, tuple[LabelRow, str]]]:
    """The clips, recording by recording, and for each its row and the name of its recording."""
    by_recording: dict[str, list[LabelRow]] = {about["recording"]: [] for about in made}
    for row in rows:
        name = name_of_recording(row.recording, list(by_recording))
        if name is None:
            near = difflib.get_close_matches(row.recording.casefold(), [each.casefold() for each in by_recording], n=1)
            hint = "".join(f"; did you mean {each!r}?" for each in by_recording if each.casefold() in near)
            problem = f"there is no recording {row.recording!r}{hint}"
            findings.add("labels_without_recording", problem, file=labels, row=row.line)
        else:
            by_recording[name].append(row)
    clips: list[Clip] = []
    row_of = {}
    frames = 0
    for about in made:
        name = about["recording"]
        _note(about, bool(by_recording[name]), findings)
        recording = read_recording(about["file"]) if by_recording[name] else None
        for row in by_recording[name]:
            clip = _clip(recording, row, findings, labels) if recording else None
            if clip is not None:
                frames += clip.total_frames
                if frames > MOST_CLIP_FRAMES:
                    raise InputError(f"its clips have more than {MOST_CLIP_FRAMES} frames in all", file=labels)
                clips.append(clip)
                row_of[clip.frame_dir] = row, name
    return clips, row_of


def _note(about: dict[str, Any], labelled: bool, findings: Findings) -> None:
    source = about["source"]
    if not labelled:
        findings.add("recordings_without_labels", "the table of labels does not name it", file=source)
        return
    for kind, count in about["mended"].items():
        findings.add(kind, f"{count} in the recording", file=source, count=count)
    for doubt in about.get("doubts", []):
        findings.add("recordings_in_doubt", doubt, file=source)
    left_out = about["persons_found"] - len(about["chosen"]) if about["chosen"] else 0
    findings.add("persons_left_out", f"{left_out} of {about['persons_found']}", file=source, count=left_out)
    unseen = about["frames"] - about["frames_seen"]
    findings.add("frames_without_person", f"{unseen} of {about['frames']}", file=source, count=unseen)
    filled = about["points_filled"]
    findings.add("points_filled", f"{filled} points", file=source, count=filled)


def _clip(recording: Recording, row: LabelRow, findings: Findings, labels: str | os.PathLike[str]) -> Clip | None:
    first, after = row.frames(recording.fps)
    there = f"recording {recording.name!r} has the frames 0 to {recording.frames - 1} ({recording.seconds:.2f} s)"
    if after <= 0 or first >= recording.frames:
        findings.add("frames_outside", f"frames {first} to {after - 1}, but {there}", file=labels, row=row.line)
        return None
    if first < 0 or after > recording.frames:
        # The last frame of a video may end a little before its duration.
        if first < 0 or after > recording.frames + 1 or row.in_frames:
            findings.add("frames_clipped", f"frames {first} to {after - 1}, but {there}", file=labels, row=row.line)
        first, after = max(first, 0), min(after, recording.frames)
    clip = recording.clip(first, after, row.label, f"{recording.name}_{row.row}")
    return mended_clip(clip.to_dict(), findings, os.fspath(labels), f" (line {row.line})")


def _split(
    row_of: dict[str, tuple[LabelRow, str]], options: SplitOptions, findings: Findings,
    labels: str | os.PathLike[str],
) -> Splits:  # fmt: skip
    """By the column split, else by the options, with the subjects of the table where the options have none."""
    video_of = {clip: name for clip, (_, name) in row_of.items()}
    named = {clip: _split_name(row, labels) for clip, (row, _) in row_of.items() if row.split}
    if named:
        if options.lists:
            raise InputError("it has a column split, and there are lists of splits", file=labels, field="split",
                             fix="Leave --split-file out, or the column.")  # fmt: skip
        for clip, (row, _) in row_of.items():
            if not row.split:
                raise InputError(
                    f"row {row.line}: it has no split, and others do", file=labels, clip=clip, field="split"
                )
        lists = {name: [clip for clip in named if named[clip] == name] for name in _SPLITS if name in named.values()}
        return _ruled(split_clips(video_of, {}, SplitOptions(lists), None, findings), "the column split of the labels")
    subjects = dict(options.subjects)
    if not subjects:
        for clip, (row, name) in row_of.items():
            if row.subject and subjects.setdefault(name, row.subject) != row.subject:
                problem = f"row {row.line}: recording {name!r} has the subject {subjects[name]!r} above"
                raise InputError(problem, file=labels, clip=clip, field="subject")
        absent = sorted(set(video_of.values()) - set(subjects)) if subjects else []
        if absent:
            raise InputError(f"recording {absent[0]!r} has no subject, and others do", file=labels, field="subject")
    options = SplitOptions(options.lists, subjects, options.val_fraction, options.test_fraction, options.seed)
    return split_clips(video_of, dict.fromkeys(video_of.values(), ""), options, None, findings)


def _split_name(row: LabelRow, labels: str | os.PathLike[str]) -> str:
    name = row.split.lower()
    if name not in ("", *_SPLITS):
        near = difflib.get_close_matches(name, _SPLITS, n=1, cutoff=0.4)
        fix = f"Did you mean {near[0]!r}?" if near else None
        problem = f"row {row.line}: expected {', '.join(_SPLITS)}, got {row.split!r}"
        raise InputError(problem, file=labels, field="split", fix=fix)
    return name


def _ruled(splits: Splits, rule: str) -> Splits:
    return Splits(splits.ids, splits.rule.replace("the lists given", rule), splits.videos)
