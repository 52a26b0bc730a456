"""The submission file of the MiGA challenge."""

from __future__ import annotations

import os
import zipfile
from pathlib import Path

from pyskl_semloss.errors import InputError
from pyskl_semloss.evaluation.scores import Scores, first_ids
from pyskl_semloss.files import atomic_write

_MEMBER = "Submission.csv"


def submission_csv(scores: Scores) -> str:
    """One line ``id,class`` per clip, in the order of ``scores``, without a header line.

    The class is the 0-based index of the highest score (the lower one of equal scores).

    Raises:
        InputError: An id holds a comma, a quotation mark, a line break or another control character, has blanks around
            it, or starts with ``=``, ``+``, ``-`` or ``@``, which spreadsheets take for a formula.
    """
    refused = [one for one in scores.sample_id.tolist() if not _fit_for_csv(one)]
    if refused:
        raise InputError(
            f"{len(refused)} of {len(scores.sample_id)} ids cannot stand in a submission: {first_ids(refused)}",
            file=scores.source or None,
            field="sample_id",
            fix="An id may hold no comma, quotation mark or control character, and may not start with = + - or @.",
        )
    predicted = scores.score.argmax(axis=1).tolist()
    return "".join(f"{one},{each}\n" for one, each in zip(scores.sample_id.tolist(), predicted, strict=True))


def write_submission(scores: Scores, path: str | os.PathLike[str]) -> None:
    """Write ``Submission.csv`` (see :func:`submission_csv`) into a zip archive: equal scores, equal bytes.

    Raises:
        InputError: The name does not end in ``.zip``, or an id is refused.
    """
    if Path(path).suffix != ".zip":
        raise InputError("expected a name that ends in .zip", file=path)
    content = submission_csv(scores)
    member = zipfile.ZipInfo(_MEMBER, date_time=(1980, 1, 1, 0, 0, 0))
    member.compress_type = zipfile.ZIP_DEFLATED
    member.create_system = 3  # fixed: it would name the operating system
    member.external_attr = 0o644 << 16
    with atomic_write(path) as stream, zipfile.ZipFile(stream, "w") as archive:
        archive.writestr(member, content.encode("utf-8"))


def _fit_for_csv(one: str) -> bool:
    return one == one.strip() and one.isprintable() and one[:1] not in "=+-@" and not set(",\"'") & set(one)
