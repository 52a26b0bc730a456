"""Lists of ids of clips or videos, in the forms that they come in, and which of the known ids each means."""

from __future__ import annotations

import os
import re
from collections.abc import Iterable, Iterator, Sequence

from pyskl_semloss.errors import InputError
from pyskl_semloss.io.reading import TEXT_LIMIT, closest, fold, shown
from pyskl_semloss.io.tables import read_rows, title_key

_TITLES = (
    "frame_dir", "sample_id", "sampleid", "clip_id", "clip", "sample", "id", "ids", "name", "names",
    "video_id", "video", "recording", "file", "filename", "file_name",
)  # fmt: skip
"""Titles of the column of ids: of several the first one here is meant, clips before videos."""
_SMALL = re.compile(r"\d{1,3}", re.ASCII)
_NUMBERED = re.compile(r"\d+(?:_\d+)*", re.ASCII)
_ENDING = re.compile(
    r"(.+)\.(?:csv|tsv|txt|json|npz|npy|pkl|mp4|m4v|avi|mov|mkv|webm|mpe?g|wmv|flv|mts|m2ts|3gp|mxf|gif|wav|eaf)",
    re.IGNORECASE | re.DOTALL,
)


class IdList(tuple[str, ...]):
    """The ids of a file, in its order.

    Attributes:
        file: Where they are from.
        lines: Line of each id, counted from 1; empty where the file has no lines.
        title: What stood above them and was taken for the title of a column; empty where nothing did.
        table: Whether there were columns beside that of the ids, which were not used.
    """

    file: str
    lines: tuple[int, ...]
    title: str
    table: bool

    def __new__(
        cls, ids: Iterable[str], file: str | os.PathLike[str] = "", lines: Iterable[int] = (), title: str = "",
        table: bool = False,
    ) -> IdList:  # fmt: skip
        """A list of ids; see the attributes."""
        made = super().__new__(cls, ids)
        made.file, made.lines, made.title, made.table = os.fspath(file), tuple(lines), title, table
        return made

    def among(self, known: KnownNames) -> IdList:
        """The same list, with its title as the first id where that is one: a clip may be called ``clip``.

        Raises:
            InputError: There were other columns, too, so that it may be a title or an id.
        """
        if not self.title or known.find(self.title) is None:
            return self
        if self.table:
            problem = f"{self.title!r} in the first line may be the title of a column, or an id: there is such a one"
            raise InputError(problem, file=self.file, fix="Write one id a line.")
        return IdList((self.title, *self), self.file, (1, *self.lines))

    def place(self, at: int) -> str:
        """``"line 3: "``, for messages."""
        return f"line {self.lines[at]}: " if self.lines else ""


def read_id_list(path: str | os.PathLike[str]) -> IdList:
    """Read a list of ids: one a line, several in a line, or a table with a column of them.

    The separators are those of every table, see :func:`pyskl_semloss.io.tables.read_rows`. A first line with a title
    such as ``id`` names the column. Without one, rows of an id and numbers (its class) are a table, too. Blank lines do
    not count.

    Raises:
        InputError: The file cannot be read, has no id, a line without one, or rows of numbers alone, which may be
            ids or an id and its class.
    """
    _, rows_read = read_rows(path, TEXT_LIMIT)
    rows = [(line, _without_empty_end(cells)) for line, cells in rows_read]
    title, column = _title(rows[0][1]) if rows else ("", None)
    if title:
        rows = rows[1:]
    if not rows:
        raise InputError("expected ids, one a line, got no id", file=path)
    if not title:
        column = _column(rows, path)
    found = [(line, cell) for line, cells in rows for cell in _chosen(cells, column)]
    for line, cell in found:
        if not cell:
            raise InputError(f"line {line} has no id", file=path)
    return IdList((cell for _, cell in found), path, (line for line, _ in found), title, column is not None)


def _without_empty_end(cells: list[str]) -> list[str]:
    while not cells[-1]:
        cells = cells[:-1]
    return cells


def _title(cells: Sequence[str]) -> tuple[str, int | None]:
    """The title of the column of ids and its place, which a title alone has not; nothing where there is none."""
    keys = [title_key(cell) for cell in cells]
    named = [name for name in _TITLES if name in keys]
    if not named:
        return "", None
    at = keys.index(named[0])
    return cells[at], at if len(cells) > 1 else None


def _column(rows: Sequence[tuple[int, list[str]]], path: str | os.PathLike[str]) -> int | None:
    """The column of ids in a table without titles, None where every cell is an id."""
    widths = {len(cells) for _, cells in rows}
    if len(rows) == 1 or len(widths) > 1 or widths == {1}:
        return None
    text = [at for at in range(min(widths)) if not all(_SMALL.fullmatch(cells[at]) for _, cells in rows)]
    if not text:
        problem = f"it has {min(widths)} numbers a line: are they ids, or an id and its class?"
        raise InputError(problem, file=path, fix="Write one id a line, or the titles above, as id,class.")
    return text[0] if len(text) == 1 else None


def _chosen(cells: Sequence[str], column: int | None) -> Sequence[str]:
    if column is None:
        return cells
    return [cells[column] if column < len(cells) else ""]


class KnownNames:
    """Names that there are, found by what a list or a table calls them.

    A name is meant by itself, else by what differs from it in capitals, blanks and Unicode form alone, then by a path
    or a file of it (``videos/0001.mp4``), then, where names are numbers, by one without zeros in front (``1_0`` for
    ``0001_0``), as spreadsheets write them. What would mean two names means none.

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
            self._folded.setdefault(fold(name), set()).add(name)
            self._short.setdefault(_without_zeros(fold(name)), set()).add(name)

    def find(self, name: str) -> str | None:
        """The name that is meant, None where none is, or more than one."""
        if name in self._known:
            return name
        forms = [fold(one) for one in _plainer(name)]
        for table, form in [(self._folded, one) for one in forms] + [(self._short, _without_zeros(forms[-1]))]:
            if found := table.get(form):
                return next(iter(found)) if len(found) == 1 else None
        return None

    def __iter__(self) -> Iterator[str]:
        return iter(self._known)

    @staticmethod
    def plain(name: str) -> str:
        """A name without folders and the endings of files."""
        return _plainer(name)[-1]

    def hint(self, name: str) -> str:
        """``"; did you mean 'NAME'?"``, or which names it may mean, or nothing."""
        near = closest(name, self._known, 2)
        several = self._short.get(_without_zeros(fold(_plainer(name)[-1])), set())
        if len(several) > 1:
            return f"; it may mean {' or '.join(map(shown, sorted(several)[:3]))}"
        return f"; did you mean {near[0]!r}?" if near else ""


def _plainer(name: str) -> list[str]:
    """The name, then without folders, then without one ending after the other."""
    forms = [name.strip(), re.split(r"[/\\]", name.strip().rstrip("/\\"))[-1]]
    while ending := _ENDING.fullmatch(forms[-1]):
        forms.append(ending[1])
    return forms


def _without_zeros(name: str) -> str:
    if not _NUMBERED.fullmatch(name):
        return name
    return "_".join(part.lstrip("0") or "0" for part in name.split("_"))
