"""Score files: the predictions of a test, by clip id."""

from __future__ import annotations

import os
from collections.abc import Iterable
from dataclasses import dataclass
from itertools import islice
from pathlib import Path

import numpy as np

from pyskl_semloss.errors import InputError
from pyskl_semloss.evaluation.toolbox_results import TABLES, read_results
from pyskl_semloss.io.arrays import read_npz, write_npz
from pyskl_semloss.io.reading import short_repr
from pyskl_semloss.semantic.class_names import check_class_names

_REQUIRED = ("sample_id", "score", "label")
_SEMANTIC = ("semantic_cosine", "semantic_distance")


@dataclass(frozen=True, eq=False)
class Scores:
    """Validated scores of a model or fusion, N clips x C classes.

    Args:
        sample_id: (N,) ids of the clips, each once.
        score: (N, C) class scores, usually probabilities; the class is the 0-based column. Kept as float32.
        label: (N,) true classes, 0 … C - 1, or -1 where it is unknown.
        semantic_cosine: (N, C) cosine between the predicted embedding and each class's label vector.
        semantic_distance: (N, C) Euclidean distance between the same two.
        class_names: C names, or nothing.
        source: The file that the scores come from, for messages; it is not saved.

    Raises:
        InputError: A shape or type is wrong, an id occurs twice or is empty, a label is out of range, a number is NaN
            or infinite. The message names the first clip concerned.

    Example:
        >>> scores = Scores(np.array(["a", "b"]), np.array([[0.8, 0.2], [0.4, 0.6]]), np.array([0, -1]))
        >>> scores.score.shape, scores.score.argmax(axis=1).tolist()
        ((2, 2), [0, 1])
    """

    sample_id: np.ndarray
    score: np.ndarray
    label: np.ndarray
    semantic_cosine: np.ndarray | None = None
    semantic_distance: np.ndarray | None = None
    class_names: tuple[str, ...] = ()
    source: str = ""

    def __post_init__(self) -> None:
        put = object.__setattr__
        put(self, "sample_id", self._checked_ids())
        put(self, "score", self._checked_table("score", self.score, classes=None))
        put(self, "label", self._checked_labels())
        for field in _SEMANTIC:
            value = getattr(self, field)
            if value is not None:
                put(self, field, self._checked_table(field, value, classes=self.score.shape[1]))
        put(self, "class_names", tuple(str(name) for name in self.class_names))
        check_class_names(self.class_names, self.source or None)
        if self.class_names and len(self.class_names) != self.score.shape[1]:
            raise self._error(
                f"{len(self.class_names)} names for scores of {self.score.shape[1]} classes", field="class_names"
            )

    def _error(self, problem: str, *, field: str, clip: object = None) -> InputError:
        return InputError(problem, file=self.source or None, clip=clip, field=field)

    def _checked_ids(self) -> np.ndarray:
        ids = np.asarray(self.sample_id)
        if ids.dtype == object and all(isinstance(item, str) for item in ids.ravel()):
            ids = ids.astype(str)
        if ids.ndim != 1 or not ids.size or ids.dtype.kind != "U":
            raise self._error(
                f"expected a list of ids (text), at least one, got shape {ids.shape} of type {ids.dtype}",
                field="sample_id",
            )
        unique, count = np.unique(ids, return_counts=True)
        if (count > 1).any():
            twice = unique[count > 1]
            raise self._error(f"{len(twice)} ids occur more than once: {first_ids(twice)}", field="sample_id")
        if unique[0] == "":
            raise self._error(f"the id of clip number {int(np.flatnonzero(ids == '')[0])} is empty", field="sample_id")
        return ids

    def _checked_table(self, field: str, value: np.ndarray, classes: int | None) -> np.ndarray:
        table = np.asarray(value)
        clips = len(self.sample_id)
        fits = table.ndim == 2 and len(table) == clips and table.shape[1] == (classes or max(table.shape[1], 1))
        if not fits or table.dtype.kind not in "fiu":
            expected = f"({clips}, {classes or 'classes'})"
            raise self._error(
                f"expected numbers of shape {expected}, got shape {table.shape} of type {table.dtype}", field=field
            )
        with np.errstate(over="ignore"):
            table = table.astype(np.float32, copy=False)
        bad = np.flatnonzero(~np.isfinite(table).all(axis=1))
        if bad.size:
            raise self._error(
                f"NaN or infinity in {bad.size} of {clips} clips", field=field, clip=str(self.sample_id[bad[0]])
            )
        return table

    def _checked_labels(self) -> np.ndarray:
        label = np.asarray(self.label)
        clips, classes = self.score.shape
        if label.shape != (clips,) or label.dtype.kind not in "iu":
            raise self._error(
                f"expected {clips} whole numbers, got shape {label.shape} of type {label.dtype}", field="label"
            )
        label = label.astype(np.int64, copy=False)
        bad = np.flatnonzero((label < -1) | (label >= classes))
        if bad.size:
            raise self._error(
                f"expected 0 to {classes - 1}, or -1 for unknown, got {label[bad[0]]} ({bad.size} of {clips} clips "
                "are out of range)",
                field="label",
                clip=str(self.sample_id[bad[0]]),
            )
        return label

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write an npz archive, whole or not at all.

        It holds no pickles; equal scores give equal bytes.

        Raises:
            InputError: The name does not end in ``.npz``.
        """
        if Path(path).suffix != ".npz":
            raise InputError("expected a name that ends in .npz", file=path)
        members = {name: getattr(self, name) for name in _REQUIRED}
        members.update({name: getattr(self, name) for name in _SEMANTIC if getattr(self, name) is not None})
        if self.class_names:
            members["class_names"] = np.asarray(self.class_names, dtype=str)
        write_npz(path, members)

    @classmethod
    def load(cls, path: str | os.PathLike[str]) -> Scores:
        """Read what :meth:`save` wrote; further members of the archive are ignored.

        Raises:
            InputError: The file is absent, no npz archive, lacks a member, or its content is refused (see the class).
        """
        members = read_npz(path)
        missing = [name for name in _REQUIRED if name not in members]
        if missing:
            raise InputError(
                f"expected a score file with the arrays {', '.join(_REQUIRED)}, got {', '.join(members) or 'none'}",
                file=path,
                fix="A score file is written by semloss test.",
            )
        known = {name: members[name] for name in (*_REQUIRED, *_SEMANTIC) if name in members}
        names = members.get("class_names", np.empty(0, str))
        if names.ndim != 1 or names.dtype.kind != "U":
            problem = f"expected a list of text, got shape {names.shape} of type {names.dtype}"
            raise InputError(problem, file=path, field="class_names")
        return cls(**known, class_names=tuple(names.tolist()), source=os.fspath(path))


def check_score_file(path: str | os.PathLike[str]) -> None:
    """Refuse the path of a score file where there is none.

    Raises:
        InputError: There is nothing, or a folder.
    """
    if os.path.isdir(path):
        inside = Path(path, "test_scores.npz")
        fix = f"Give {inside}." if inside.is_file() else "semloss test writes one: test_scores.npz in a run's folder."
        raise InputError("expected a score file, got a folder", file=path, fix=fix)
    if not os.path.lexists(path):
        raise InputError(
            "there is no such file",
            file=path,
            fix="Score files are written by semloss test; a path is relative to the working directory.",
        )


def read_scores(
    path: str | os.PathLike[str], ann_file: str | os.PathLike[str] | None = None, split: str | None = None
) -> Scores:
    """Read a score file, or results of another program: PySKL, MMAction2, lists in JSON, a CSV table.

    Pickles and lists hold no ids: the n-th result belongs to the n-th clip of ``ann_file``, if that has splits, to the
    n-th whose id is in ``split``. An ``.npz``, a table and a dict need neither. Pickles are read by a restricted
    unpickler.

    Raises:
        InputError: The file is absent, of another kind, damaged, or does not fit the annotations.
    """
    check_score_file(path)
    suffix = Path(path).suffix.lower()
    if suffix == ".npz":
        return Scores.load(path)
    if suffix not in (".pkl", ".pickle", ".json", *TABLES):
        problem = "expected a score file (.npz), or results of another program (.pkl, .json, .csv)"
        raise InputError(problem, file=path)
    sample_id, score, label, class_names = read_results(path, ann_file, split)
    return Scores(np.asarray(sample_id), score, label, class_names=class_names, source=os.fspath(path))


def first_ids(ids: Iterable[object], count: int = 3) -> str:
    """The first few of many ids, as text for a message."""
    every = list(ids)
    few = ", ".join(short_repr(str(item)) for item in islice(every, count))
    return few + (f" and {len(every) - count} more" if len(every) > count else "")
