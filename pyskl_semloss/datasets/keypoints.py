"""Conversion of own recordings and a label table to an annotation file."""

from __future__ import annotations

import os
import shutil
import warnings
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from pyskl_semloss.annotations.clip import Clip
from pyskl_semloss.datasets.findings import Findings
from pyskl_semloss.datasets.label_tables import LabelRow, read_label_table
from pyskl_semloss.datasets.raw import mended_clip
from pyskl_semloss.datasets.recordings import KeypointOptions, convert_recordings
from pyskl_semloss.datasets.splits import SPLITS, SplitOptions, Splits, check_split_name, split_clips
from pyskl_semloss.datasets.summary import finish, lock_target
from pyskl_semloss.errors import InputError, located
from pyskl_semloss.io.id_lists import KnownNames
from pyskl_semloss.io.progress import ProgressCallback
from pyskl_semloss.io.reading import AnyPath
from pyskl_semloss.recordings.keypoint_files import find_sources, guess_format
from pyskl_semloss.recordings.mmpose import recording_name
from pyskl_semloss.recordings.recording import Recording, read_recording
from pyskl_semloss.semantic.class_names import read_name_list
from pyskl_semloss.skeletons import SkeletonLayout

MOST_CLIP_FRAMES = 10_000_000
"""Frames of all clips: each row of a table of labels may name a whole recording."""


def convert_keypoints(
    sources: Sequence[AnyPath],
    out: AnyPath,
    labels: AnyPath,
    options: KeypointOptions,
    class_names: AnyPath | None = None,
    splits: SplitOptions | None = None,
    *,
    strict: bool = False,
    labels_from: int | None = None,
    workers: int = 1,
    progress: ProgressCallback | None = None,
) -> dict[str, Any]:
    """Convert recordings and a label table to an annotation file.

    Args:
        sources: Files or folders of keypoints.
        out: The annotation file to write, ``.pkl``; ``.json`` and ``.md`` are written beside it.
        labels: The table, see :func:`read_label_table`.
        options: How the recordings are read and made.
        class_names: File of the class names, one a line; without it labels are numbers.
        splits: How to make the splits, where the table has no column for them.
        strict: Refuse what would be mended or dropped.
        labels_from: The number of the first class in the table; without it that of the numbered list of class names,
            else 0, but numbers that seem to count from 1 are refused.
        workers: Number of processes.
        progress: Called with the number of recordings done and the number of recordings.

    Returns:
        The summary, as it is written to the JSON file.

    Raises:
        InputError: A file cannot be read, no clip remains, splits are given twice, a split is empty, labels seem to
            count from 1, another process writes ``out``, or (strict) a defect.
    """
    _check_apart(out, [*sources, labels, *([] if class_names is None else [class_names])])
    findings = Findings(strict)
    with lock_target(out):
        listed = None if class_names is None else read_name_list(class_names)
        names = None if listed is None else listed.names
        if labels_from is None and listed is not None:
            labels_from = listed.first
        if listed is not None and listed.note:
            warnings.warn(f"{os.fspath(str(class_names))}: {listed.note}", stacklevel=2)
        rows = read_label_table(labels, names, findings, labels_from)
        if not rows:
            reasons = "; ".join(findings.lines()) or "it has none"
            raise InputError(f"no row of it can be used ({reasons})", file=labels)
        for row in rows:
            _split_name(row, labels)
        folder = Path(f"{os.fspath(out)}.parts")
        failed: dict[str, InputError] = {}
        on_failure = None if strict else failed.__setitem__
        records = convert_recordings(
            sources, folder, options, workers=workers, progress=progress, on_failure=on_failure
        )
        for source, error in failed.items():
            findings.add("recordings_unreadable", error.problem, file=source)
        clips, row_of = _cut(rows, records, findings, labels, [recording_name(source) for source in failed])
        recordings = [record["recording"] for record in records]
        clip_splits = (
            _split(row_of, recordings, splits or SplitOptions(), findings, labels) if clips else Splits({}, "", {})
        )
        _refuse_lost_splits(rows, clip_splits, findings, labels)
        classes = len(names) if names else 1 + max((clip.label for clip in clips), default=0)
        names_of_sources = ", ".join(os.fspath(source) for source in sources)
        facts: dict[str, Any] = {"data_set": "own keypoints", "source": names_of_sources, "form": "keypoint"}
        facts |= {"num_classes": classes, "strict": strict, "class_names": names, "labels": os.fspath(labels)}
        facts["recordings"] = [
            {name: value for name, value in each.items() if name not in ("key", "file")} for each in records
        ]
        facts["recordings_failed"] = [{"source": source, "error": str(error)} for source, error in failed.items()]
        summary = finish(out, clips, clip_splits, findings, facts)
        shutil.rmtree(folder, ignore_errors=True)
        return summary


def _check_apart(out: AnyPath, inputs: Sequence[AnyPath]) -> None:
    """Refuse an output that would overwrite an input.

    ``talk.json`` of MMPose has the name of the summary of ``talk.pkl``.
    """
    written = {os.path.realpath(Path(out).with_suffix(suffix)) for suffix in (".pkl", ".json", ".md")}
    for path in inputs:
        sources = find_sources(path) if os.path.isdir(path) else [os.fspath(path)]
        if written & {os.path.realpath(each) for each in sources}:
            problem = f"{os.fspath(path)} would be overwritten by the annotation file or its summary (.json, .md)"
            raise InputError(problem, file=out, fix="Name the annotation file otherwise.")
        if os.path.realpath(path) == os.path.dirname(os.path.realpath(out)) and guess_format(path):
            problem = f"it would be written among the frames of the recording {os.fspath(path)}"
            raise InputError(problem, file=out, fix="Name another folder for it.")


def _cut(
    rows: Sequence[LabelRow],
    records: Sequence[dict[str, Any]],
    findings: Findings,
    labels: AnyPath,
    failed: Sequence[str],
) -> tuple[list[Clip], dict[str, tuple[LabelRow, str]]]:
    """Clips by recording; label row and recording of each clip id."""
    by_recording: dict[str, list[LabelRow]] = {record["recording"]: [] for record in records}
    readable, unreadable = KnownNames(by_recording), KnownNames(failed)
    for row in rows:
        name = readable.find(row.recording)
        if name is None and unreadable.find(row.recording) is not None:
            problem = f"the recording {row.recording!r} cannot be read"
            findings.add("labels_without_recording", problem, file=labels, row=row.line)
        elif name is None:
            problem = f"there is no recording {row.recording!r}{readable.hint(row.recording)}"
            findings.add("labels_without_recording", problem, file=labels, row=row.line)
        else:
            by_recording[name].append(row)
    clips: list[Clip] = []
    row_of = {}
    frames = 0
    layout: SkeletonLayout | None = None
    for record in records:
        name = record["recording"]
        _note(record, bool(by_recording[name]), findings)
        recording = read_recording(record["file"]) if by_recording[name] else None
        if recording is not None and (layout := layout or recording.layout) != recording.layout:
            raise _different_layouts([each for each in records if by_recording[each["recording"]]])
        for row in by_recording[name]:
            clip = _clip(recording, row, findings, labels) if recording else None
            if clip is not None:
                frames += clip.total_frames
                if frames > MOST_CLIP_FRAMES:
                    raise InputError(f"its clips have more than {MOST_CLIP_FRAMES} frames in all", file=labels)
                clips.append(clip)
                row_of[clip.frame_dir] = row, name
    return clips, row_of


def _different_layouts(records: Sequence[dict[str, Any]]) -> InputError:
    """Error for recordings of different layouts."""
    layouts = dict.fromkeys(record["layout"] for record in records)
    if len(layouts) == 1:
        fix = "Give one description of it to all, or make one layout of them with --to LAYOUT."
        return InputError(f"the recordings have different layouts of the name {next(iter(layouts))!r}",
                          field="layout", fix=fix)  # fmt: skip
    lines = [f"{record['recording']} ({record['source']}): {record['layout']}" for record in records]
    fix = f"Make one layout of them: {' or '.join(f'--to {name}' for name in layouts)}; joints that lack score 0."
    return InputError("the recordings are of different layouts", field="layout", items=lines, fix=fix)


def _note(record: dict[str, Any], labelled: bool, findings: Findings) -> None:
    source = record["source"]
    if not labelled:
        findings.add("recordings_without_labels", "the table of labels does not name it", file=source)
        return
    for kind, count in record["mended"].items():
        findings.add(kind, f"{count} in the recording", file=source, count=count)
    for doubt in record.get("doubts", []):
        findings.add("recordings_in_doubt", doubt, file=source)
    left_out = record["persons_found"] - len(record["chosen"]) if record["chosen"] else 0
    findings.add("persons_left_out", f"{left_out} of {record['persons_found']}", file=source, count=left_out)
    unseen = record["frames"] - record["frames_seen"]
    findings.add("frames_without_person", f"{unseen} of {record['frames']}", file=source, count=unseen)
    filled = record["points_filled"]
    findings.add("points_filled", f"{filled} points", file=source, count=filled)


def _clip(recording: Recording, row: LabelRow, findings: Findings, labels: AnyPath) -> Clip | None:
    first, after = row.frames(recording.fps)
    extent = f"recording {recording.name!r} has the frames 0 to {recording.frames - 1} ({recording.seconds:.2f} s)"
    if after <= 0 or first >= recording.frames:
        findings.add("frames_outside", f"frames {first} to {after - 1}, but {extent}", file=labels, row=row.line)
        return None
    if first < 0 or after > recording.frames:
        # The last frame of a video may end a little before its duration.
        if first < 0 or after > recording.frames + 1 or row.in_frames:
            findings.add("frames_clipped", f"frames {first} to {after - 1}, but {extent}", file=labels, row=row.line)
        first, after = max(first, 0), min(after, recording.frames)
    clip = recording.clip(first, after, row.label, f"{recording.name}_{row.row}")
    return mended_clip(clip.to_dict(), findings, os.fspath(labels), f" (line {row.line})")


def _split(
    row_of: dict[str, tuple[LabelRow, str]], recordings: Sequence[str], options: SplitOptions, findings: Findings,
    labels: AnyPath,
) -> Splits:  # fmt: skip
    """Splits by the column ``split``, else by the options.

    Subjects come from the table where the options have none.
    """
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
        lists = {name: [clip for clip in named if named[clip] == name] for name in SPLITS if name in named.values()}
        result = split_clips(video_of, {}, SplitOptions(lists), None, findings)
        return replace(result, rule=result.rule.replace("the lists given", "the column split of the labels"))
    subjects = dict(options.subjects)
    if not subjects:
        for clip, (row, name) in row_of.items():
            if row.subject and subjects.setdefault(name, row.subject) != row.subject:
                problem = f"row {row.line}: recording {name!r} has the subject {subjects[name]!r} above"
                raise InputError(problem, file=labels, clip=clip, field="subject")
        absent = sorted(set(video_of.values()) - set(subjects)) if subjects else []
        if absent:
            raise InputError(f"recording {absent[0]!r} has no subject, and others do", file=labels, field="subject")
    return split_clips(video_of, dict.fromkeys(recordings, ""), replace(options, subjects=subjects), None, findings)


def _split_name(row: LabelRow, labels: AnyPath) -> str:
    with located(f"row {row.line}", file=labels):
        return check_split_name(row.split) if row.split else ""


def _refuse_lost_splits(rows: Sequence[LabelRow], splits: Splits, findings: Findings, labels: AnyPath) -> None:
    """Refuse a split of the table without a remaining clip.

    Its absence would only be noticed when training is over.
    """
    for name in dict.fromkeys(_split_name(row, labels) for row in rows if row.split):
        if not splits.ids.get(name):
            raise InputError(
                f"no clip of the split {name!r} is left", file=labels, field="split", items=findings.lines()
            )
