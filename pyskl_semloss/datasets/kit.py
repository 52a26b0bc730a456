"""Conversion of the challenge kit's arrays.

A set is ``{set}_data.npy`` (N, 3, T, V, 1) and ``{set}_label.pkl``.
"""

from __future__ import annotations

import os
import re
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from pyskl_semloss.annotations.clip import Clip
from pyskl_semloss.annotations.mending import MAX_METRES
from pyskl_semloss.datasets.findings import Findings
from pyskl_semloss.datasets.formats import FORMATS, command_of
from pyskl_semloss.datasets.label_tables import first_label
from pyskl_semloss.datasets.raw import clip_entry, mended_clip
from pyskl_semloss.datasets.raw_format import RawFormat
from pyskl_semloss.datasets.splits import SplitOptions, Splits, split_clips
from pyskl_semloss.datasets.summary import finish, lock_target
from pyskl_semloss.errors import InputError
from pyskl_semloss.io.arrays import NpyRows
from pyskl_semloss.io.progress import ProgressCallback
from pyskl_semloss.io.reading import AnyPath, list_folder, missing_file_error, short_repr
from pyskl_semloss.untrusted import safe_pickle

SETS = {"train": "train", "valid": "val", "test": "test"}
"""Name of a set in the kit, and of its split."""
MOST_FRAMES = 100_000
"""Frames of a clip (40 MB): a file with holes may claim any number."""


def convert_kit(
    raw: RawFormat,
    source: AnyPath,
    out: AnyPath,
    splits: SplitOptions | None = None,
    *,
    keep_padding: bool = False,
    strict: bool = False,
    labels_from: int | None = None,
    progress: ProgressCallback | None = None,
) -> dict[str, Any]:
    """Convert a challenge kit to an annotation file with a summary.

    Args:
        raw: The data set.
        source: Folder with ``train_data.npy``, ``train_label.pkl`` and so on for the sets ``valid`` and ``test``;
            a set with neither file is left out.
        out: The annotation file to write, ``.pkl``; ``.json`` and ``.md`` are written beside it.
        splits: How to make the splits; without lists the sets of the kit are they.
        keep_padding: Keep the frames of zeros at the ends of clips, as the paper did.
        strict: Refuse what would be mended or dropped.
        labels_from: The label of the first class; without it 0, but labels that seem to count from 1 are refused.
        progress: Called with the number of clips done and the number of clips.

    Returns:
        The summary, as it is written to the JSON file.

    Raises:
        InputError: A file is absent, damaged, of another shape or holds objects; the names do not match the array;
            the coordinates are no pixels; labels seem to count from 1; another process writes ``out``; or (strict) a
            defect.
    """
    findings = Findings(strict)
    with lock_target(out):
        _check_folder(source, raw)
        sets = {name: read_set(Path(source), name, raw) for name in SETS if _present(Path(source), name)}
        first = first_label(
            [each for _, _, labels in sets.values() for each in labels], raw.num_classes, labels_from, source
        )
        total, done = sum(len(names) for _, names, _ in sets.values()), 0
        clips: dict[str, Clip] = {}
        video_of: dict[str, str] = {}
        groups: dict[str, str] = {}
        set_of: dict[str, str] = {}
        for name, (data, names, labels) in sets.items():
            for at in range(len(names)):
                where = f"{Path(source) / name}_data.npy"
                clip = _convert_clip(raw, data[at], names[at], (labels[at], first), (where, at, keep_padding), findings)
                if names[at] in video_of:
                    raise InputError(
                        "two clips have this name", file=f"{Path(source) / name}_label.pkl", clip=names[at]
                    )
                # Of a video in several sets the last one counts: what a list leaves over of it does not train.
                video = raw.video_of_clip(names[at]) or names[at]
                groups[video] = SETS[name]
                if clip is not None:
                    set_of[names[at]] = SETS[name]
                    clips[names[at]], video_of[names[at]] = clip, video
                done += 1
                if progress and (done % 200 == 0 or done == total):
                    progress(done, total)
        clip_splits = _split(set_of, video_of, groups, splits or SplitOptions(), raw, findings)
        facts = {"data_set": raw.name, "source": os.fspath(source), "form": "kit", "num_classes": raw.num_classes}
        facts |= {"strict": strict, "padding": "kept" if keep_padding else "trimmed", "sets": list(sets)}
        return finish(out, list(clips.values()), clip_splits, findings, facts)


def read_set(folder: Path, name: str, raw: RawFormat) -> tuple[NpyRows, list[str], list[int]]:
    """Open one set: array (N, 3, T, V, 1), names and labels.

    Clips are read from the array one at a time.

    Raises:
        InputError: A file is absent, damaged, of another shape or holds objects, or the names do not match the array.
    """
    data_file, label_file = folder / f"{name}_data.npy", folder / f"{name}_label.pkl"
    names, labels = _names_and_labels(label_file)
    data = NpyRows(data_file)
    check_set_shape(data, raw.num_joints, data_file)
    if len(names) != len(data):
        problem = f"it has {len(names)} names, but {data_file.name} has {len(data)} clips"
        raise InputError(problem, file=label_file, fix="The two belong to different sets; ask for both anew.")
    if raw.units == "kinect":
        _check_pixels(data, data_file, raw)
    return data, names, labels


def check_set_shape(data: np.ndarray | NpyRows, joints: int, file: AnyPath) -> None:
    """Refuse an array that is not (N, 3, T, V, 1) numbers.

    Raises:
        InputError: Says what came.
    """
    expected = f"an array (N clips, 3, T frames, {joints} joints, 1 person) of numbers"
    shape = data.shape
    if data.dtype.kind not in "fiu" or len(shape) != 5 or (shape[1], *shape[3:]) != (3, joints, 1) or not shape[2]:
        command_of_joints = {raw.num_joints: f"{raw.name}, {command_of(raw, 'kit')}" for raw in FORMATS.values()}
        other = command_of_joints.get(shape[3]) if len(shape) == 5 else None
        fix = f"So many joints has {other}." if other and shape[3] != joints else None
        raise InputError(f"expected {expected}, got {shape} of {data.dtype}", file=file, fix=fix)
    if shape[2] > MOST_FRAMES:
        raise InputError(f"expected clips of at most {MOST_FRAMES} frames, got {shape[2]}", file=file)


def trim(data: np.ndarray) -> np.ndarray:
    """Clip (3, T, V, M) without trailing frames of zeros.

    One frame of a clip of zeros remains.
    """
    filled = np.flatnonzero(data.any(axis=(0, 2, 3)))
    return data[:, : filled[-1] + 1 if len(filled) else 1]


def _convert_clip(
    raw: RawFormat, data: np.ndarray, name: str, labelled: tuple[int, int], position: tuple[str, int, bool],
    findings: Findings,
) -> Clip | None:  # fmt: skip
    file, at, keep_padding = position
    label, first = labelled
    if label != -1 and not first <= label < first + raw.num_classes:
        last = first + raw.num_classes - 1
        problem = f"expected a label from {first} to {last}, or -1 where it is hidden, got {short_repr(label)}"
        findings.add("labels_unknown", problem, file=file, row=at + 1, clip=name)
        return None
    label -= first if label != -1 else 0
    if label == -1:
        findings.add("labels_hidden", "the label is -1", file=file, row=at + 1, clip=name)
    padded = np.asarray(data)
    data = padded if keep_padding else trim(padded)
    findings.add("padding_trimmed", "zeros", file=file, clip=name, count=padded.shape[1] - data.shape[1])
    points = np.ascontiguousarray(data.transpose(3, 1, 2, 0))
    entry = clip_entry(raw, name, label, points[..., :2].copy(), points[..., 2].copy())
    return mended_clip(entry, findings, file, f" (entry {at + 1} of the array)")


def _names_and_labels(path: Path) -> tuple[list[str], list[int]]:
    content = safe_pickle.load(path)
    if not isinstance(content, (tuple, list)) or len(content) != 2:
        raise InputError("expected a pair (names, labels)", file=path)
    names, labels = (part.tolist() if isinstance(part, np.ndarray) else part for part in content)
    if not isinstance(names, (list, tuple)) or not isinstance(labels, (list, tuple)) or len(names) != len(labels):
        counts = [len(part) if isinstance(part, (list, tuple)) else type(part).__name__ for part in (names, labels)]
        raise InputError(f"expected as many names as labels, got {counts[0]} and {counts[1]}", file=path)
    for at, (name, label) in enumerate(zip(names, labels, strict=True), 1):
        if not isinstance(name, str) or not name:
            raise InputError(f"row {at}: expected a name, got {short_repr(name)}", file=path)
        if isinstance(label, bool) or not isinstance(label, (int, np.integer)):
            raise InputError(
                f"row {at}: expected a whole number as label, got {short_repr(label)}", file=path, clip=name
            )
    return list(names), [int(label) for label in labels]


def _check_pixels(data: NpyRows, file: Path, raw: RawFormat) -> None:
    """Refuse coordinates in metres.

    Kinect data come in metres, too, and their heat maps would be empty.
    """
    if 0 < max((_largest(data[at]) for at in range(min(200, len(data)))), default=0.0) < MAX_METRES:
        raise InputError(
            "the coordinates are below 10: they look like the Kinect's world coordinates in metres, expected x and y "
            f"in px of the colour image ({raw.img_shape[1]}x{raw.img_shape[0]}) and a score",
            file=file,
            fix=f"Convert the raw skeleton files with the command {command_of(raw, 'raw')}; they hold the pixels.",
        )


def _largest(clip: np.ndarray) -> float:
    """Largest finite absolute coordinate of a clip (3, T, V, M)."""
    size = np.abs(np.asarray(clip[:2], float))
    return float(size[np.isfinite(size)].max(initial=0.0))


def _check_folder(source: AnyPath, raw: RawFormat) -> None:
    if not os.path.exists(source):
        raise missing_file_error(source, "folder")
    names = list_folder(source)
    if any(_present(Path(source), name) for name in SETS):
        return
    near = next((name for name in names if re.fullmatch(r"(train|valid|test)_data\.npy", name, re.IGNORECASE)), None)
    below = next((name for name in names if any(_present(Path(source) / name, kind) for kind in SETS)), None)
    fix = f"Expected for example train_data.npy and train_label.pkl of {raw.name}."
    if near:
        fix = f"Is {near!r} meant? Names are {', '.join(f'{kind}_data.npy' for kind in SETS)}, in small letters."
    elif below:
        fix = f"Give {os.path.join(source, below)}."
    raise InputError("no set of the challenge kit is in it", file=source, fix=fix)


def _present(folder: Path, name: str) -> bool:
    return any((folder / f"{name}{end}").exists() for end in ("_data.npy", "_label.pkl"))


def _split(
    set_of: dict[str, str],
    video_of: dict[str, str],
    groups: dict[str, str],
    options: SplitOptions,
    raw: RawFormat,
    findings: Findings,
) -> Splits:
    """Splits by the sets of the kit, which may share videos.

    Only a validation part is split off by video.
    """
    raw = replace(raw, subjects=(), test_subjects=())
    if not options.lists and any(groups[video_of[name]] != group for name, group in set_of.items()):
        names = [name for name in SETS.values() if name in set_of.values()]
        lists = {name: [item for item, group in set_of.items() if group == name] for name in names}
        result = split_clips(video_of, groups, replace(options, lists=lists), raw, findings)
        return replace(result, rule=result.rule.replace("the lists given", "the sets of the kit"))
    return split_clips(video_of, groups, options, raw, findings)
