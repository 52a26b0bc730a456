"""Lists of clip or video ids, and their match to known ids."""

from __future__ import annotations

import os
import re
from collections.abc import Iterable, Iterator, Sequence

from pyskl_semloss.errors import InputError
from pyskl_semloss.io.reading import TEXT_LIMIT, AnyPath, closest_names, fold_name, short_repr
from pyskl_semloss.io.tables import read_rows, title_key

ID_TITLES = (
    "frame_dir", "sample_id", "sampleid", "clip_id", "clip", "sample", "id", "ids", "name", "names",
    "video_id", "video", "recording", "file", "filename", "file_name",
)  # fmt: skip
"""Titles of an id column in order of precedence: clips before videos."""
_SMALL = re.compile(r"\d{1,3}", re.ASCII)
_NUMBERED = re.compile(r"\d+(?:_\d+)*", re.ASCII)
_ENDING = re.compile(
    r"(.+)\.(?:csv|tsv|txt|json|npz|npy|pkl|mp4|m4v|avi|mov|mkv|webm|mpe?g|wmv|flv|mts|m2ts|3gp|mxf|gif|wav|eaf)",
    re.IGNORECASE | re.DOTALL,
)


class IdList(tuple[str, ...]):
    """Ids of a file, in its order.

    Attributes:
        file: Source of the ids.
        lines: Line number of each id, counted from 1; empty where the file has no lines.
        title: First cell if it was taken as the title of the id column, else empty.
        table: Whether the file has further columns, which are ignored.
    """

    file: str
    lines: tuple[int, ...]
    title: str
    table: bool

    def __new__(
        cls, ids: Iterable[str], file: AnyPath = "", lines: Iterable[int] = (), title: str = "",
        table: bool = False,
    ) -> IdList:  # fmt: skip
        """List of ids; see the attributes."""
        self = super().__new__(cls, ids)
        self.file, self.lines, self.title, self.table = os.fspath(file), tuple(lines), title, table
        return self

    def with_title_if_known(self, known: KnownNames) -> IdList:
        """List with its title as the first id, if a known name equals the title.

        Raises:
            InputError: The title equals a known name, and the file has further columns: both meanings are possible.
        """
        if not self.title or known.find(self.title) is None:
            return self
        if self.table:
            problem = f"{self.title!r} in the first line may be the title of a column, or an id: there is such a one"
            raise InputError(problem, file=self.file, fix="Write one id a line.")
        return IdList((self.title, *self), self.file, (1, *self.lines))

    def line_prefix(self, index: int) -> str:
        """Message prefix such as ``"line 3: "``, or empty."""
        return f"line {self.lines[index]}: " if self.lines else ""


def read_id_list(path: AnyPath) -> IdList:
    """Read a list of ids from lines or from a column of a table.

    Delimiters are those of :func:`pyskl_semloss.io.tables.read_rows`. A title such as ``id`` in the first line selects
    the column. Without a title, rows of an id and numbers (its class) are a table, too; other cells are all ids. Blank
    lines are ignored.

    Raises:
        InputError: The file cannot be read, has no id, has a line without an id, or has rows of numbers only, which may
            be ids or an id and its class.
    """
    rows = [(line, _without_empty_end(cells)) for line, cells in read_rows(path, TEXT_LIMIT)[1]]
    title, column = _title(rows[0][1]) if rows else ("", None)
    if title:
        rows = rows[1:]
    if not rows:
        raise InputError("expected ids, one a line, got no id", file=path)
    if not title:
        column = _column(rows, path)
    ids = [(line, cell) for line, cells in rows for cell in _id_cells(cells, column)]
    for line, cell in ids:
        if not cell:
            raise InputError(f"line {line} has no id", file=path)
    return IdList((cell for _, cell in ids), path, (line for line, _ in ids), title, column is not None)


def _without_empty_end(cells: list[str]) -> list[str]:
    while not cells[-1]:
        cells = cells[:-1]
    return cells


def _title(cells: Sequence[str]) -> tuple[str, int | None]:
    """Title of the id column, and its index if there are several columns."""
    keys = [title_key(cell) for cell in cells]
    title = next((title for title in ID_TITLES if title in keys), None)
    if title is None:
        return "", None
    column = keys.index(title)
    return cells[column], column if len(cells) > 1 else None


def _column(rows: Sequence[tuple[int, list[str]]], path: AnyPath) -> int | None:
    """Index of the id column in a table without titles; None if every cell is an id."""
    widths = {len(cells) for _, cells in rows}
    if len(rows) == 1 or len(widths) > 1 or widths == {1}:
        return None
    text = [index for index in range(min(widths)) if not all(_SMALL.fullmatch(cells[index]) for _, cells in rows)]
    if not text:
        problem = f"it has {min(widths)} numbers a line: are they ids, or an id and its class?"
        raise InputError(problem, file=path, fix="Write one id a line, or the titles above, as id,class.")
    return text[0] if len(text) == 1 else None


def _id_cells(cells: Sequence[str], column: int | None) -> Sequence[str]:
    if column is None:
        return cells
    return [cells[column] if column < len(cells) else ""]


class KnownNames:
    """Lookup of existing names by their spelling in lists and tables.

    In order of precedence, a spelling matches a name if it is equal to it, if it differs only in case, blanks and
    Unicode form, if it is a path of it (``videos/0001.mp4``), or if it is a number without leading zeros (``1_0`` for
    ``0001_0``), as spreadsheets write them. A spelling of two names matches none.

    Example:
        >>> names = KnownNames(["0001_0", "0001_1"])
        >>> names.find("1_0"), names.find("raw/0001_1.csv"), names.find("0001_2")
        ('0001_0', '0001_1', None)
    """

    def __init__(self, known: Iterable[str]) -> None:
        self._known = dict.fromkeys(known)
        self._folded: dict[str, set[str]] = {}
        self._short: dict[str, set[str]] = {}
        for name in self._known:
            self._folded.setdefault(fold_name(name), set()).add(name)
            self._short.setdefault(_without_zeros(fold_name(name)), set()).add(name)

    def find(self, name: str) -> str | None:
        """Matching name, or None where no name or more than one matches."""
        if name in self._known:
            return name
        forms = [fold_name(form) for form in _base_names(name)]
        for table, form in [*((self._folded, form) for form in forms), (self._short, _without_zeros(forms[-1]))]:
            if matches := table.get(form):
                return next(iter(matches)) if len(matches) == 1 else None
        return None

    def __iter__(self) -> Iterator[str]:
        return iter(self._known)

    @staticmethod
    def base_name(name: str) -> str:
        """Name without folders and file endings."""
        return _base_names(name)[-1]

    def hint(self, name: str) -> str:
        """Hint such as ``"; did you mean 'NAME'?"``, or empty."""
        near = closest_names(name, self._known, 2)
        several = self._short.get(_without_zeros(fold_name(self.base_name(name))), set())
        if len(several) > 1:
            return f"; it may mean {' or '.join(map(short_repr, sorted(several)[:3]))}"
        return f"; did you mean {near[0]!r}?" if near else ""


def _base_names(name: str) -> list[str]:
    """Stripped name, name without folders, and name without each further ending."""
    forms = [name.strip(), re.split(r"[/\\]", name.strip().rstrip("/\\"))[-1]]
    while ending := _ENDING.fullmatch(forms[-1]):
        forms.append(ending[1])
    return forms


def _without_zeros(name: str) -> str:
    if not _NUMBERED.fullmatch(name):
        return name
    return "_".join(part.lstrip("0") or "0" for part in name.split("_"))
