"""Submission file of the MiGA challenge, with its checks."""

from __future__ import annotations

import zipfile
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

from pyskl_semloss.errors import InputError, located
from pyskl_semloss.evaluation.scores import Scores, first_ids
from pyskl_semloss.io.id_lists import IdList, KnownNames, read_id_list
from pyskl_semloss.io.reading import AnyPath, short_repr
from pyskl_semloss.io.results import result_file

_MEMBER = "Submission.csv"
_SHOWN = 10


def read_ids(path: AnyPath) -> IdList:
    """Read an official list of ids, in any form that :func:`pyskl_semloss.io.id_lists.read_id_list` reads.

    Raises:
        InputError: As that function, or an id is in it twice.
    """
    with located(field="ids", fix="Expected one id a line, or ids with commas between them."):
        ids = read_id_list(path)
    first_line: dict[str, int] = {}
    for clip, line in zip(ids, ids.lines, strict=True):
        if clip in first_line:
            raise InputError(
                f"the id {short_repr(clip)} is on line {first_line[clip]} and again on line {line}", file=path
            )
        first_line[clip] = line
    return ids


def submission_csv(scores: Scores, ids: Sequence[str] | None = None) -> str:
    """One line ``id,class`` per clip, without a header line, checked by :func:`check_submission`.

    The class is the 0-based index of the highest score (the lower one of equal scores). The order is that of ``ids``,
    the official list, or without one that of ``scores``.

    Raises:
        InputError: ``scores`` lacks ids of the list or has others; or an id holds a comma, a quotation mark, a line
            break or another control character, has blanks around it, or starts with ``=``, ``+``, ``-`` or ``@``,
            which spreadsheets take for a formula.
    """
    refused = [clip for clip in scores.sample_id.tolist() if not _fit_for_csv(clip)]
    if refused:
        raise InputError(
            f"{len(refused)} of {len(scores.sample_id)} ids cannot stand in a submission: {first_ids(refused)}",
            file=scores.source or None,
            field="sample_id",
            fix="An id may hold no comma, quotation mark or control character, and may not start with = + - or @.",
        )
    known = scores.sample_id.tolist()
    ids = check_ids(known, known if ids is None else ids, scores.source)
    predicted = dict(zip(scores.sample_id.tolist(), scores.score.argmax(axis=1).tolist(), strict=True))
    content = "".join(f"{clip},{predicted[clip]}\n" for clip in ids)
    check_submission(content, ids, scores.score.shape[1])
    return content


def check_submission(content: str, ids: Sequence[str], classes: int) -> None:
    """Check the text of a submission against the official ids.

    Args:
        content: Lines ``id,class`` without a header.
        ids: The official ids, in their order.
        classes: The number of classes; a class is 0 … ``classes`` - 1.

    Raises:
        InputError: A line is no ``id,class``, a class is out of range, an id is missing, unknown, there twice, or at
            another place than in the list. The message names the ids or the line.
    """
    clips: list[str] = []
    for number, line in enumerate(content.splitlines(), 1):
        clip, comma, value = line.rpartition(",")
        if not comma or not clip:
            raise InputError(f"line {number}: expected 'id,class', got {short_repr(line)}", file=_MEMBER)
        if not (value.isascii() and value.isdecimal() and len(value) < 10 and int(value) < classes):
            raise InputError(
                f"line {number}: expected a class from 0 to {classes - 1}, got {short_repr(value)}",
                file=_MEMBER,
                clip=clip,
            )
        clips.append(clip)
    check_ids(clips, ids, _MEMBER)
    for number, (clip, official) in enumerate(zip(clips, ids, strict=True), 1):
        if clip != official:
            raise InputError(f"line {number}: expected the id {official!r}, got {clip!r}; the order differs from the "
                             "official list's", file=_MEMBER)  # fmt: skip


def write_submission(scores: Scores, path: AnyPath, ids: Sequence[str] | None = None) -> None:
    """Write ``Submission.csv`` (see :func:`submission_csv`) into a zip archive: equal scores, equal bytes.

    Raises:
        InputError: The name does not end in ``.zip``, an id is refused, or the ids are not those of the official list.
    """
    if Path(path).suffix != ".zip":
        raise InputError("expected a name that ends in .zip", file=path)
    content = submission_csv(scores, ids)
    member = zipfile.ZipInfo(_MEMBER, date_time=(1980, 1, 1, 0, 0, 0))
    member.compress_type = zipfile.ZIP_DEFLATED
    member.create_system = 3  # fixed: it would name the operating system
    member.external_attr = 0o644 << 16
    with result_file(path) as stream, zipfile.ZipFile(stream, "w") as archive:
        archive.writestr(member, content.encode("utf-8"))


def _fit_for_csv(clip: str) -> bool:
    return clip == clip.strip() and clip.isprintable() and clip[:1] not in "=+-@" and not set(",\"'") & set(clip)


def check_ids(clips: Sequence[str], official: Sequence[str], source: str = "") -> Sequence[str]:
    """Check that they are the same ids, each once, in any order.

    Args:
        clips: Those of the clips that have scores.
        official: The list.
        source: Where the clips are from.

    Returns:
        The list, with its title where that is an id.

    Raises:
        InputError: Names the ids that are missing, not in the list, or there twice.
    """
    if isinstance(official, IdList):
        official = official.with_title_if_known(KnownNames(clips))
    count = Counter(clips)
    missing = [clip for clip in official if clip not in count]
    problems = [
        f"{len(group)} {label}: {first_ids(group, _SHOWN)}"
        for label, group in (
            ("missing", missing),
            ("not in the list", sorted(count.keys() - set(official))),
            ("more than once", [clip for clip, times in count.items() if times > 1]),
        )
        if group
    ]
    if problems:
        listed = f" {official.file}" if isinstance(official, IdList) else ""
        problem = f"the ids are not those of the official list{listed} ({len(clips)} for {len(official)})"
        fix = _how_it_is_written(missing, clips) or (
            "Test the split that the list (--ids) is of; every clip of it needs a score, and no other has one."
        )
        raise InputError(f"{problem}; {'; '.join(problems)}", file=source or None, field="sample_id", fix=fix)
    return official


def _how_it_is_written(missing: Sequence[str], clips: Sequence[str]) -> str:
    """Hint for a list that spells ids otherwise, ``1_0`` for ``0001_0``."""
    known = KnownNames(clips)
    for clip in missing[:_SHOWN]:
        if (meant := known.find(clip)) is not None:
            return f"The list writes {short_repr(clip)} for {short_repr(meant)}: write its ids as the clips are called."
    return ""
