"""Which clips train, validate and test: by the official lists, else by subject or video, never by clip."""

from __future__ import annotations

import os
import re
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np

from pyskl_semloss.annotations.converters.findings import Findings
from pyskl_semloss.errors import InputError
from pyskl_semloss.reading import read_json, read_text, shown

SUBJECTS = range(1, 41)
"""The subjects of SMG."""


@dataclass(frozen=True)
class SplitOptions:
    """How to make the splits.

    Attributes:
        lists: Official lists, split to ids of clips or of videos. Where none is for ``"train"``, the videos that no
            list touches train.
        subjects: Video to subject. Empty: the number in the video's name where the data set numbers videos by
            subject, else every video is taken for a subject of its own.
        val_fraction: Share of the training subjects (or videos) that validate where the source says none.
        test_fraction: Share that tests where neither folders nor subjects say which.
        seed: Of the choice of those that validate, and that test.
    """

    lists: Mapping[str, Sequence[str]] = field(default_factory=dict)
    subjects: Mapping[str, str] = field(default_factory=dict)
    val_fraction: float = 0.0
    test_fraction: float = 0.25
    seed: int = 0

    def __post_init__(self) -> None:
        for name in ("val_fraction", "test_fraction"):
            if not 0 <= getattr(self, name) < 1:
                raise InputError(f"expected a share from 0 to below 1, got {getattr(self, name)}", field=name)
        if self.seed < 0:
            raise InputError(f"expected a whole number from 0, got {self.seed}", field="seed")


@dataclass(frozen=True)
class Splits:
    """Clip ids by split, the rule they follow in a sentence, and the videos by split."""

    ids: dict[str, list[str]]
    rule: str
    videos: dict[str, list[str]]


def split_clips(
    video_of: Mapping[str, str],
    groups: Mapping[str, str],
    options: SplitOptions,
    test_subjects: Sequence[int] | None,
    findings: Findings,
) -> Splits:
    """Put every clip into a split.

    Args:
        video_of: Clip id to video, in the order of the file.
        groups: Video to the split that its source names, ``""`` where it names none.
        options: How.
        test_subjects: Numbers of the subjects that test, where the data set numbers its videos by subject.
        findings: Counts ids of the lists without a clip, and clips in no list.

    Raises:
        InputError: A clip is in two lists, or a video lacks a subject.
    """
    if options.lists:
        return _by_lists(video_of, *_with_rest(video_of, options), findings)
    videos = sorted(set(video_of.values()))
    subject = _subjects(videos, options.subjects, test_subjects)
    if test_subjects is not None and all(_number(name) in SUBJECTS for name in subject.values()):
        split_of = {video: "test" if _number(subject[video]) in test_subjects else "train" for video in videos}
        rule = f"by subject: subjects {min(test_subjects)} to {max(test_subjects)} test"
        rule += "" if options.subjects else " (the number of a sample is its subject)"
    elif videos and all(groups[video] for video in videos):
        split_of = {video: groups[video] for video in videos}
        rule = "by video: the folder (or set) that it lies in"
    else:
        split_of = _drawn(videos, subject, options.test_fraction, options.seed, "test", 1)
        rule = f"by {_unit(options)}: {options.test_fraction:g} of them test, chosen with the seed {options.seed}"
        if test_subjects is not None:
            rule += f" (NOT the official split: no subject table, and a sample's number is not in 1 to {SUBJECTS[-1]})"
    if options.val_fraction and "val" not in split_of.values():
        train = [video for video in videos if split_of[video] == "train"]
        split_of.update(_drawn(train, subject, options.val_fraction, options.seed, "val", 2))
        unit = "subjects" if options.subjects or test_subjects is not None else "videos"
        rule += f"; {options.val_fraction:g} of the training {unit} validate, chosen with the seed {options.seed}"
    return _collected(video_of, split_of, rule)


def _unit(options: SplitOptions) -> str:
    return "subject" if options.subjects else "video"


def _collected(video_of: Mapping[str, str], split_of: Mapping[str, str], rule: str) -> Splits:
    names = [name for name in ("train", "val", "test") if name in split_of.values()]
    ids: dict[str, list[str]] = {name: [] for name in names}
    for clip, video in video_of.items():
        ids[split_of[video]].append(clip)
    return Splits(ids, rule, {name: sorted(video for video in split_of if split_of[video] == name) for name in names})


def _subjects(videos: list[str], table: Mapping[str, str], test_subjects: Sequence[int] | None) -> Mapping[str, str]:
    if not table:
        return {video: str(_number(video)) if test_subjects is not None else video for video in videos}
    missing = [video for video in videos if video not in table]
    if missing:
        raise InputError(f"{len(missing)} videos have no subject in the table: {missing[:3]}", field="subjects")
    return table


def _number(name: str) -> int | None:
    digits = re.search(r"\d+$", name)
    return int(digits[0]) if digits else None


def _drawn(
    videos: list[str], subject: Mapping[str, str], share: float, seed: int, name: str, stream: int
) -> dict[str, str]:
    """Split of the videos, ``name`` or train: whole subjects, drawn with a seed; at least one of each if it can be."""
    units = sorted({subject[video] for video in videos})
    count = min(max(1, round(share * len(units))), len(units) - 1) if share and units else 0
    chosen = {units[at] for at in np.random.default_rng([seed, stream]).permutation(len(units))[:count]}
    return {video: name if subject[video] in chosen else "train" for video in videos}


def _with_rest(video_of: Mapping[str, str], options: SplitOptions) -> tuple[Mapping[str, Sequence[str]], str]:
    """The lists, and where none is for training, one of the videos that no list touches; and the rule in words."""
    if "train" in options.lists:
        return options.lists, "the lists given"
    listed = set().union(*options.lists.values())
    touched = {video for clip, video in video_of.items() if clip in listed or video in listed}
    rest = sorted(set(video_of.values()) - touched)
    if not rest:
        return options.lists, "the lists given"
    lists, rule = {"train": rest, **options.lists}, "the lists given; videos in none of them train"
    if options.val_fraction and "val" not in lists:
        subject = options.subjects and _subjects(rest, options.subjects, None)
        drawn = _drawn(rest, subject or {video: video for video in rest}, options.val_fraction, options.seed, "val", 2)
        lists |= {name: [video for video in rest if drawn[video] == name] for name in ("train", "val")}
        rule += f", {options.val_fraction:g} of their {_unit(options)}s validate, chosen with the seed {options.seed}"
    return {name: ids for name, ids in lists.items() if ids}, rule


def _by_lists(video_of: Mapping[str, str], lists: Mapping[str, Sequence[str]], rule: str, findings: Findings) -> Splits:
    ids: dict[str, list[str]] = {}
    split_of: dict[str, str] = {}
    known = set(video_of.values())
    for name, wanted in lists.items():
        chosen = set(wanted)
        ids[name] = [clip for clip, video in video_of.items() if clip in chosen or video in chosen]
        for clip in ids[name]:
            if clip in split_of:
                raise InputError(f"it is in the lists of {split_of[clip]!r} and {name!r}", clip=clip, field="split")
            split_of[clip] = name
        for absent in sorted(item for item in chosen if item not in video_of and item not in known):
            findings.add("split_ids_without_clip", f"the list of {name!r} names it", clip=absent)
    for clip in video_of:
        if clip not in split_of:
            findings.add("clips_without_split", "no list names it or its video", clip=clip)
    videos = {name: sorted({video_of[clip] for clip in ids[name]}) for name in ids}
    shared = [video for video, times in Counter(sum(videos.values(), [])).items() if times > 1]
    rule += f" ({len(shared)} of the videos have clips in several splits)" if shared else ""
    return Splits(ids, rule, videos)


def read_split_files(items: Sequence[str]) -> dict[str, list[str]]:
    """Read official lists: ``NAME=FILE`` with an id a line, or a JSON file ``{name: [id, …]}``.

    Raises:
        InputError: A file cannot be read or holds something else, or a split is given twice.
    """
    lists: dict[str, list[str]] = {}
    for item in items:
        name, equals, path = item.partition("=")
        found = {name: _lines(path)} if equals else _json_lists(item)
        for split, ids in found.items():
            if split in lists:
                raise InputError(f"the split {split!r} is given twice", field="split-file")
            if not ids:
                raise InputError(f"the list of {split!r} is empty", file=path or item)
            lists[split] = ids
    return lists


def _lines(path: str) -> list[str]:
    return [line.strip() for line in read_text(path).splitlines() if line.strip()]


def _json_lists(path: str) -> dict[str, list[str]]:
    fix = "Give NAME=FILE for a file with one id a line."
    try:
        content = read_json(path)
    except InputError as error:
        raise error.located(file=path, fix=fix) from None
    if not isinstance(content, dict) or not all(
        isinstance(ids, list) and all(isinstance(item, str) for item in ids) for ids in content.values()
    ):
        raise InputError("expected JSON: {split: [id, …]}", file=path, fix=fix)
    return content


def read_subjects(path: str | os.PathLike[str]) -> dict[str, str]:
    """Read a CSV file ``video,subject``.

    Raises:
        InputError: It cannot be read, or a row is something else; names the row.
    """
    table: dict[str, str] = {}
    for number, line in enumerate(read_text(path).splitlines(), 1):
        cells = [cell.strip() for cell in line.split(",")]
        if cells == [""]:
            continue
        if len(cells) != 2 or not all(cells):
            raise InputError(f"row {number}: expected video,subject, got {shown(line)}", file=path)
        if table.setdefault(cells[0], cells[1]) != cells[1]:
            raise InputError(f"row {number}: {shown(cells[0])} has another subject above", file=path)
    if not table:
        raise InputError("expected rows video,subject, got none", file=path)
    return table
