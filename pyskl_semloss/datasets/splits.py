"""Training, validation and test splits.

Official lists decide, else the subject or the video, never the single clip.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np

from pyskl_semloss.datasets.findings import Findings
from pyskl_semloss.datasets.raw_format import RawFormat, video_before
from pyskl_semloss.errors import InputError, located
from pyskl_semloss.io.id_lists import IdList, KnownNames, read_id_list
from pyskl_semloss.io.reading import TEXT_LIMIT, AnyPath, did_you_mean, fold_name, read_json, short_repr
from pyskl_semloss.io.tables import read_rows, title_key

SPLITS = ("train", "val", "test")
_SYNONYMS = {"dev": "val", "development": "val", "eval": "val", "evaluation": "val", "holdout": "test"}
_DROPPED_ROWS = (
    "label_rows_unreadable", "label_rows_twice", "labels_unknown", "ends_before_starts", "frames_outside",
    "clips_refused",
)  # fmt: skip
_SUBJECT_TITLES = (
    ("video", "video_id", "recording", "sample", "file", "filename"),
    ("subject", "subject_id", "person", "participant"),
)


@dataclass(frozen=True)
class SplitOptions:
    """Options for splitting.

    Attributes:
        lists: Official lists, split to ids of clips or of videos. Where none is for ``"train"``, the videos that no
            list touches train, but for those that the source itself sets apart.
        subjects: Video to subject. Empty: the number in the video's name where the data set numbers videos by
            subject, else every video is taken for a subject of its own.
        val_fraction: Share of the training subjects (or videos) that validate where the source says none.
        test_fraction: Share that tests where neither folders nor subjects say which.
        seed: Of the choice of those that validate, and that test.
        partial: Ids of the lists that fit no clip and no video are noted, because only a part of the data set is there;
            otherwise they are refused.
        required: Those of ``"val"`` and ``"test"`` whose share the user asked for: where it comes out empty, that is
            refused, otherwise noted.
    """

    lists: Mapping[str, Sequence[str]] = field(default_factory=dict)
    subjects: Mapping[str, str] = field(default_factory=dict)
    val_fraction: float = 0.0
    test_fraction: float = 0.25
    seed: int = 0
    partial: bool = False
    required: Sequence[str] = ()

    def __post_init__(self) -> None:
        object.__setattr__(self, "lists", {check_split_name(name): ids for name, ids in self.lists.items()})
        for name in ("val_fraction", "test_fraction"):
            if not 0 <= getattr(self, name) < 1:
                raise InputError(f"expected a share from 0 to below 1, got {getattr(self, name)}", field=name)
        if self.seed < 0:
            raise InputError(f"expected a whole number from 0, got {self.seed}", field="seed")


@dataclass(frozen=True)
class Splits:
    """Clip ids and videos by split, and the rule as a sentence."""

    ids: dict[str, list[str]]
    rule: str
    videos: dict[str, list[str]]


def split_clips(
    video_of: Mapping[str, str],
    groups: Mapping[str, str],
    options: SplitOptions,
    raw: RawFormat | None,
    findings: Findings,
) -> Splits:
    """Put every clip into a split.

    Args:
        video_of: Clip id to video, in the order of the file.
        groups: Video to the split that its source names, ``""`` where it names none.
        options: How.
        raw: The data set, which may have numbers of subjects that test; None for own recordings.
        findings: Counts ids of the lists without a clip, and clips in no list.

    Raises:
        InputError: An id of a list fits no clip, a clip is in two lists, a video lacks a subject, or there are too few
            videos or subjects for the parts that are asked for.
    """
    videos = sorted(set(video_of.values()))
    test_subjects = raw.test_subjects if raw else ()
    subject = _subjects(videos, options.subjects, test_subjects) if not options.lists else {}
    if options.lists:
        source_splits = _source_splits({*groups, *videos}, groups, options, test_subjects)
        return _by_lists(_Source(video_of, source_splits, raw, findings), source_splits, options, findings)
    if raw and test_subjects and all(_number(name) in raw.subjects for name in subject.values()):
        split_of = {video: "test" if _number(subject[video]) in test_subjects else "train" for video in videos}
        rule = f"by subject: subjects {min(test_subjects)} to {max(test_subjects)} test"
        rule += "" if options.subjects else " (the number of a sample is its subject)"
    elif videos and all(groups[video] for video in videos):
        split_of = {video: groups[video] for video in videos}
        rule = "by video: the folder (or set) that it lies in"
    else:
        split_of = _draw(videos, subject, options, "test", findings)
        rule = f"by {_unit(options)}: {options.test_fraction:g} of them test, chosen with the seed {options.seed}"
        if raw and test_subjects:
            numbers = f"{min(raw.subjects)} to {max(raw.subjects)}"
            rule += f" (NOT the official split: no subject table, and a sample's number is not in {numbers})"
    if options.val_fraction and "val" not in split_of.values():
        train = [video for video in videos if split_of[video] == "train"]
        split_of.update(_draw(train, subject, options, "val", findings))
        unit = "subjects" if options.subjects or test_subjects else "videos"
        rule += f"; {options.val_fraction:g} of the training {unit} validate, chosen with the seed {options.seed}"
    return _splits_by_video(video_of, split_of, rule)


def _source_splits(
    videos: Iterable[str], groups: Mapping[str, str], options: SplitOptions, test_subjects: Sequence[int]
) -> dict[str, str]:
    """Split of each video by its subject or folder, or empty."""
    source_splits = {video: groups.get(video, "") for video in videos}
    if test_subjects:
        subject_names = KnownNames(options.subjects)
        for video in source_splits:
            if _number(options.subjects.get(subject_names.find(video) or "", video)) in test_subjects:
                source_splits[video] = "test"
    return source_splits


def _unit(options: SplitOptions) -> str:
    return "subject" if options.subjects else "video"


def _splits_by_video(video_of: Mapping[str, str], split_of: Mapping[str, str], rule: str) -> Splits:
    names = [name for name in ("train", "val", "test") if name in split_of.values()]
    ids: dict[str, list[str]] = {name: [] for name in names}
    for clip, video in video_of.items():
        ids[split_of[video]].append(clip)
    return Splits(ids, rule, {name: sorted(video for video in split_of if split_of[video] == name) for name in names})


def _subjects(videos: list[str], table: Mapping[str, str], test_subjects: Sequence[int]) -> Mapping[str, str]:
    if not table:
        return {video: str(_number(video)) if test_subjects else video for video in videos}
    video_names = KnownNames(videos)
    subject_of: dict[str, str] = {}
    for name, subject in table.items():
        video = video_names.find(name)
        if video is not None and subject_of.setdefault(video, subject) != subject:
            raise InputError(f"the video {video!r} has two subjects in the table", field="subjects")
    missing = [video for video in videos if video not in subject_of]
    if missing:
        hint = KnownNames(table).hint(missing[0])
        problem = f"{len(missing)} videos have no subject in the table: {missing[:3]}{hint}"
        raise InputError(problem, field="subjects")
    return subject_of


def _number(name: str) -> int | None:
    digits = re.search(r"\d+$", name)
    return int(digits[0]) if digits else None


def _draw(
    videos: list[str], subject: Mapping[str, str], options: SplitOptions, name: str, findings: Findings
) -> dict[str, str]:
    """Draw whole subjects for a split; the others train.

    At least one subject goes to each, if there are two.

    Raises:
        InputError: There is only one subject, so that the split is empty, and the user asked for its share.
    """
    share = options.val_fraction if name == "val" else options.test_fraction
    units = sorted({subject[video] for video in videos})
    if share and len(units) == 1:
        problem = f"the split {name!r} is empty: of {short_repr(units[0])} alone nothing can be set apart from 'train'"
        fix = (
            "Convert more videos, of more subjects, or name the splits (--split-file NAME=FILE, for own keypoints also "
            f"the column split of the labels); --{name}-fraction 0 says that there shall be no {name!r}."
        )
        if name in options.required:
            raise InputError(problem, field=f"{name}-fraction", fix=fix)
        findings.add("splits_empty", f"{problem}. {fix} Until then a config must name another split in its place.")
    count = min(max(1, round(share * len(units))), len(units) - 1) if share and units else 0
    stream = 2 if name == "val" else 1
    selected = {units[at] for at in np.random.default_rng([options.seed, stream]).permutation(len(units))[:count]}
    return {video: name if subject[video] in selected else "train" for video in videos}


@dataclass
class _Members:
    """Clips and videos that a list names.

    Clips are named by themselves or by their video; videos also by clips that were dropped.
    """

    clips: set[str] = field(default_factory=set)
    videos: set[str] = field(default_factory=set)


class _Source:
    """Clips and videos that ids of lists may mean."""

    def __init__(
        self, video_of: Mapping[str, str], source_splits: Mapping[str, str], raw: RawFormat | None, findings: Findings
    ) -> None:
        self.video_of, self.raw = video_of, raw
        self.clips_of: dict[str, list[str]] = {video: [] for video in source_splits}
        for clip, video in video_of.items():
            self.clips_of.setdefault(video, []).append(clip)
        self.names = KnownNames([*video_of, *self.clips_of])
        self.findings = findings
        self._rows_dropped = sum(findings.counts[kind] for kind in _DROPPED_ROWS)

    def add(self, item: str, members: _Members) -> bool:
        """Add the clip or video of an id; False if there is none.

        The id of a clip that was dropped, and said so, when its video was converted, means nothing but the video, none
        of whose other clips may train by default. There are no more such ids than rows that were dropped.
        """
        known_id = self.names.find(item)
        if known_id is None:
            video = self._video_of_absent(item)
            if video is not None and self.clips_of[video]:
                self._rows_dropped -= 1
                video = video if self._rows_dropped >= 0 else None
        else:
            video = self.video_of.get(known_id, known_id)
            members.clips.update([known_id] if known_id in self.video_of else [], self.clips_of.get(known_id, ()))
        if video is not None:
            members.videos.add(video)
        return video is not None

    def has_clip(self, item: str) -> bool:
        """Test whether an id means a clip, or a video with clips."""
        known_id = self.names.find(item) or ""
        return known_id in self.video_of or bool(self.clips_of.get(known_id))

    def _video_of_absent(self, clip: str) -> str | None:
        """Video of an absent clip: its id without the row number."""
        name = self.names.base_name(clip)
        video = self.names.find((self.raw.video_of_clip(name) if self.raw else video_before(name, "_")) or "")
        return video if video in self.clips_of else None


def _by_lists(source: _Source, source_splits: Mapping[str, str], options: SplitOptions, findings: Findings) -> Splits:
    """Splits by lists; videos in no list train where no list is for training.

    Args:
        source: The clips and videos.
        source_splits: Split of each video by its source; empty or absent where it gives none.
        options: The lists, and how a part for validation is drawn.
        findings: Counts ids without a clip, and clips in no list.
    """
    video_of = source.video_of
    members = {name: _members(name, ids, source, options.partial) for name, ids in options.lists.items()}
    ids = {name: [clip for clip in video_of if clip in each.clips] for name, each in members.items()}
    rule = "the lists given"
    if "train" not in ids:
        touched = set().union(*(each.videos for each in members.values()))
        rest, rule = _unlisted(sorted(set(video_of.values()) - touched), set(ids), source_splits, options, findings)
        for name in SPLITS:
            clips = [clip for clip, video in video_of.items() if rest.get(video) == name]
            if clips:
                ids[name] = clips
        ids = {name: ids[name] for name in SPLITS if name in ids}
    split_of: dict[str, str] = {}
    for name, clips_of_split in ids.items():
        for clip in clips_of_split:
            if clip in split_of:
                raise InputError(f"it is in the lists of {split_of[clip]!r} and {name!r}", clip=clip, field="split")
            split_of[clip] = name
    for clip in video_of:
        if clip not in split_of:
            findings.add("clips_without_split", "no list names it or its video", clip=clip)
    videos = {name: sorted({video_of[clip] for clip in ids[name]}) for name in ids}
    shared = [video for video, times in Counter(sum(videos.values(), [])).items() if times > 1]
    rule += f" ({len(shared)} of the videos have clips in several splits)" if shared else ""
    return Splits(ids, rule, videos)


def _members(name: str, ids: Sequence[str], source: _Source, partial: bool) -> _Members:
    """Clips and videos of one list.

    Raises:
        InputError: Ids of it fit no clip and no video: what they mean would train.
    """
    id_list = ids.with_title_if_known(source.names) if isinstance(ids, IdList) else IdList(ids)
    members = _Members()
    absent = [at for at, item in enumerate(id_list) if not source.add(item, members)]
    if absent and (not partial or not members.clips):
        raise _unknown_ids(name, id_list, absent, source.names, partial)
    if not members.clips:
        problem = f"the list of {name!r} names no clip that is there"
        raise InputError(problem, file=id_list.file or None, field="split-file", fix="Leave it out, or mend it.")
    for item in dict.fromkeys(id_list):
        if not source.has_clip(item):
            source.findings.add("split_ids_without_clip", f"the list of {name!r} names it", clip=item)
    return members


def _unknown_ids(name: str, id_list: IdList, absent: list[int], names: KnownNames, partial: bool) -> InputError:
    items = [f"{id_list.line_prefix(at)}{short_repr(id_list[at])}" for at in absent]
    items[:3] = [item + names.hint(id_list[at]) for item, at in zip(items[:3], absent, strict=False)]
    problem = f"of the list of {name!r}, {len(absent)} of {len(id_list)} ids fit no clip and no video"
    fix = f"The ids here are such as {short_repr(next(iter(names), ''))}; write one a line."
    if not partial:
        fix += " If you have only a part of the data set, --partial leaves out the ids of what is not here."
    return InputError(problem, file=id_list.file or None, field="split-file", items=items, fix=fix)


def _unlisted(
    rest: list[str], lists: set[str], source_splits: Mapping[str, str], options: SplitOptions, findings: Findings
) -> tuple[dict[str, str], str]:
    """Split of the videos in no list, and the rule in words.

    They train, but for those that the source sets apart for another split: such a video goes there where no list is for
    that split, and else into none.
    """
    split_of = {video: source_splits.get(video) or "train" for video in rest}
    split_of = {video: name for video, name in split_of.items() if name == "train" or name not in lists}
    if not split_of:
        return {}, "the lists given"
    rule = "the lists given; videos in none of them train"
    if set(split_of.values()) != {"train"}:
        rule += ", but those that the source sets apart"
    train = [video for video, name in split_of.items() if name == "train"]
    if options.val_fraction and train and "val" not in lists and "val" not in split_of.values():
        subject = options.subjects and _subjects(train, options.subjects, ())
        split_of |= _draw(train, subject or {video: video for video in train}, options, "val", findings)
        rule += f", {options.val_fraction:g} of their {_unit(options)}s validate, chosen with the seed {options.seed}"
    return split_of, rule


def check_split_name(text: str) -> str:
    """``train``, ``val`` or ``test``, in capitals or not.

    Raises:
        InputError: It is something else; says what it may mean.
    """
    name = fold_name(text)
    if name in SPLITS:
        return name
    suggestion = (
        _SYNONYMS.get(name)
        or next((split for split in SPLITS if name.startswith(split)), "")
        or did_you_mean(name, SPLITS)
    )
    hint = f"; did you mean {suggestion!r}?" if suggestion in SPLITS else suggestion
    raise InputError(f"expected one of the splits {', '.join(SPLITS)}, got {short_repr(text)}{hint}", field="split")


def read_split_files(items: Sequence[str]) -> dict[str, IdList]:
    """Read official lists.

    Each is ``NAME=FILE`` (:func:`pyskl_semloss.io.id_lists.read_id_list`) or JSON ``{name: [id, …]}``.

    Raises:
        InputError: A file cannot be read or holds something else, a name is no split, or a split is given twice.
    """
    lists: dict[str, IdList] = {}
    for item in items:
        name, equals, path = item.partition("=")
        for written, ids in (_list_of(name, path) if equals else _json_lists(item)).items():
            try:
                split = check_split_name(written)
            except InputError as error:
                raise error.replace(file=path or item, field="split-file") from None
            if split in lists:
                raise InputError(f"the split {split!r} is given twice", field="split-file")
            lists[split] = ids
    return lists


def _list_of(name: str, path: str) -> dict[str, IdList]:
    with located(f"the list of {name!r}", file=path, fix="Expected one id a line."):
        return {name: read_id_list(path)}


def _json_lists(path: str) -> dict[str, IdList]:
    fix = "Give NAME=FILE for a file with one id a line."
    with located(file=path, fix=fix):
        content = read_json(path)
    if not isinstance(content, dict) or not all(
        isinstance(ids, list) and all(isinstance(item, str) for item in ids) for ids in content.values()
    ):
        raise InputError("expected JSON: {split: [id, …]}", file=path, fix=fix)
    for name, ids in content.items():
        if not ids:
            raise InputError(f"the list of {short_repr(name)} is empty", file=path)
    return {name: IdList(ids, path) for name, ids in content.items()}


def read_subjects(path: AnyPath) -> dict[str, str]:
    """Read a table ``video,subject`` with or without a title row.

    Raises:
        InputError: It cannot be read, or a row is something else; names the row.
    """
    _, rows = read_rows(path, TEXT_LIMIT)
    table: dict[str, str] = {}
    line_of: dict[str, int] = {}
    columns: tuple[int, int] | None = None
    for number, (line, cells) in enumerate(rows):
        if number == 0 and (columns := _subject_columns(cells)) is not None:
            continue
        while len(cells) > 2 and columns is None and not cells[-1]:
            cells.pop()
        pair = cells if columns is None else [cells[at] if at < len(cells) else "" for at in columns]
        if len(pair) != 2 or not all(pair):
            raise InputError(f"row {line}: expected video,subject, got {short_repr(cells)}", file=path)
        video, subject = pair
        if table.setdefault(video, subject) != subject:
            raise InputError(f"row {line}: {short_repr(video)} has another subject in row {line_of[video]}", file=path)
        line_of.setdefault(video, line)
    if not table:
        raise InputError("expected rows video,subject, got none", file=path)
    return table


def _subject_columns(cells: Sequence[str]) -> tuple[int, int] | None:
    """Columns of video and subject, if the first line names both."""
    keys = [title_key(cell) for cell in cells]
    video, subject = (next((keys.index(name) for name in names if name in keys), -1) for names in _SUBJECT_TITLES)
    return (video, subject) if min(video, subject) >= 0 else None
