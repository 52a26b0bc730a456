"""Test results of other programs: PySKL, MMAction2, lists of scores such as MMN's, tables.

What is not keyed by clip keeps the order of a list: for the toolboxes that of the annotation file, reduced to the clips
of one split, for others that of their label file.
"""

from __future__ import annotations

import io
import math
import os
import re
from collections.abc import Sequence
from itertools import islice
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from pyskl_semloss.errors import InputError
from pyskl_semloss.io.id_lists import ID_TITLES
from pyskl_semloss.io.reading import AnyPath, read_json, short_repr
from pyskl_semloss.io.tables import Spreadsheet, is_index, read_rows, read_spreadsheet, title_key
from pyskl_semloss.untrusted import safe_pickle

TABLES = (".csv", ".tsv", ".txt")
_NUMBERED_SCORE = re.compile(r"(?:(?:score|prob|probability|p|logit|class|cls)s?_?)?\d{1,9}", re.ASCII)
_LARGEST = 1e30
"""Of a score; whole numbers of JSON may be too large for a float."""


class Results(NamedTuple):
    """Results of a test.

    Attributes:
        sample_id: Ids of the N clips.
        score: (N, C).
        label: (N,) true classes, -1 where unknown.
        class_names: C names, or nothing.
    """

    sample_id: list[str]
    score: np.ndarray
    label: np.ndarray
    class_names: tuple[str, ...] = ()


def read_results(path: AnyPath, ann_file: AnyPath | None, split: str | None) -> Results:
    """Read results of another program and give every one its id.

    Args:
        path: A pickle: a list of (C,) arrays (PySKL), or a list of dicts of torch tensors (MMAction2). A JSON file: a
            list of lists of C numbers (MMN), or a dict of such by id. A CSV file ``id,score…``, see
            :func:`read_score_table`.
        ann_file: What was tested, see :func:`read_clip_labels`. Not needed where the results have ids; then it gives
            labels that they lack.
        split: The split of it that was tested; None if all clips were.

    Raises:
        InputError: The file is of another kind, its length or its labels contradict the annotations.
    """
    suffix = Path(path).suffix.lower()
    if suffix in TABLES:
        return _with_labels(read_score_table(path), path, ann_file, split)
    results = read_json(path, unique_keys=True) if suffix == ".json" else safe_pickle.load(path, extra=_TENSOR_GLOBALS)
    if suffix == ".json" and isinstance(results, dict) and results:
        score = _stack(path, list(results), _rows(path, list(results), list(results.values())))
        return _with_labels(Results(list(results), score, np.full(len(score), -1)), path, ann_file, split)
    if not isinstance(results, list) or not results:
        raise InputError(f"expected a list of results, got {_kind(results)}", file=path)
    if suffix == ".json" or not all(isinstance(result, dict) for result in results):
        ids, labels = _clips_of(path, ann_file, split, len(results))
        rows = _rows(path, ids, results) if suffix == ".json" else results
        return Results(ids, _stack(path, ids, rows), np.asarray(labels, dtype=np.int64))
    scores = [_item(path, number, result, "pred_score") for number, result in enumerate(results)]
    dumped = [_label(path, number, result) for number, result in enumerate(results)]
    if all(isinstance(result.get("frame_dir"), str) for result in results):
        ids = [result["frame_dir"] for result in results]
        named = Results(ids, _stack(path, ids, scores), np.asarray(dumped, dtype=np.int64))
        return _with_labels(named, path, ann_file, split)
    ids, labels = _clips_of(path, ann_file, split, len(results))
    _check_order(path, ann_file, ids, dumped, labels)
    dumped = [known if known >= 0 else annotated for known, annotated in zip(dumped, labels, strict=True)]
    return Results(ids, _stack(path, ids, scores), np.asarray(dumped, dtype=np.int64))


def read_score_table(path: AnyPath) -> Results:
    """Read a table of scores: an id and C scores a row, with or without titles.

    Titles name the column of ids (``id``, ``clip``, ``sample_id``, …, else it is the first) and that of labels
    (``label``). The titles of the scores are class names, unless all are numbered (``0 1 2``, ``score_1 score_2``):
    then they must count up by one.

    Raises:
        InputError: A cell is no number, a row is too short or too long, there are fewer than two scores a row, or the
            titles are numbered in another order or only in part.
    """
    table = read_spreadsheet(path)
    titles, rows = table.titles, list(table.rows)
    if len(titles) < 2:
        raise InputError("expected an id and a score for each class in each row", file=path)
    first_is_title = title_key(titles[0]) in ID_TITLES or is_index(titles[0])
    if all(_is_number(table, cell) for cell in titles[1:]) and not first_is_title:
        titles, rows = ["id", *(str(n) for n in range(len(titles) - 1))], [(1, titles), *rows]
    keys = [title_key(title) for title in titles]
    id_column = next((keys.index(key) for key in ID_TITLES if key in keys), 0)
    label_column = keys.index("label") if "label" in keys else None
    columns = [
        n for n, title in enumerate(titles) if n not in (id_column, label_column) and not (n == 0 and is_index(title))
    ]
    names = [titles[n] for n in columns]
    if not rows or len(columns) < 2:
        got = "one score" if rows and columns else "none"
        raise InputError(f"expected an id and a score for each class in each row, got {got}", file=path)
    numbered = _check_numbering(path, names)
    ids, score, label = [], [], []
    for line, cells in rows:
        if len(cells) != len(titles):
            raise InputError(f"line {line}: expected {len(titles)} cells, got {len(cells)}", file=path)
        ids.append(cells[id_column])
        score.append([_number(table, path, line, titles[n], cells[n]) for n in columns])
        label.append(-1 if label_column is None else _class_cell(path, line, cells[label_column]))
    return Results(ids, np.array(score), np.array(label), () if numbered else tuple(names))


def read_clip_labels(ann_file: AnyPath, split: str | None) -> tuple[list[str], list[int]]:
    """Ids and labels of an annotation or label file, in the order in which its clips are tested.

    Args:
        ann_file: An annotation file of the toolboxes; a pickled list of dicts with ``file_name`` and ``label`` (MMN);
            or text, an id and its class a line with a comma or blank between, or ids alone.
        split: The split; only annotation files have some.

    Raises:
        InputError: The file is of another kind, or has no such split.
    """
    if Path(ann_file).suffix.lower() in TABLES:
        if split is not None:
            raise InputError(f"expected a file with splits, but a list has none to find {split!r} in", file=ann_file)
        return _listed_labels(ann_file)
    content = safe_pickle.load(ann_file)
    if isinstance(content, dict) and "annotations" in content:
        chosen = _split_ids(content, ann_file, split)
        annotations = content["annotations"]
    else:
        chosen, annotations = None, content
        if split is not None:
            raise InputError(f"expected a file with splits, but there are none to find {split!r} in", file=ann_file)
    if not isinstance(annotations, list) or not all(isinstance(entry, dict) for entry in annotations):
        raise InputError(f"expected a list of annotations, got {_kind(annotations)}", file=ann_file)
    known = ("filename", "file_name", "frame_dir")
    key = next((key for key in known if annotations and key in annotations[0]), "frame_dir")
    for entry in annotations:
        if not isinstance(entry.get(key), str) or not _is_label(entry.get("label", -1)):
            values = f"{short_repr(entry.get(key))} and {short_repr(entry.get('label'))}"
            problem = f"an annotation has no usable {key} and label, but {values}"
            raise InputError(problem, file=ann_file)
    clips = [entry for entry in annotations if chosen is None or entry[key] in chosen]
    return [str(entry[key]) for entry in clips], [int(entry.get("label", -1)) for entry in clips]


def _listed_labels(path: AnyPath) -> tuple[list[str], list[int]]:
    rows = [(line, cells[0].split() if len(cells) == 1 else cells) for line, cells in read_rows(path)[1]]
    if rows and title_key(rows[0][1][0]) in ID_TITLES:
        rows = rows[1:]
    wide = [line for line, cells in rows if len(cells) > 2]
    if wide or not rows:
        got = f"line {wide[0]} has more" if wide else "got none"
        raise InputError(f"expected an id, or an id and its class, a line; {got}", file=path)
    return [cells[0] for _, cells in rows], [_class_cell(path, line, "".join(cells[1:])) for line, cells in rows]


def _class_cell(path: AnyPath, line: int, cell: str) -> int:
    """Class of a cell; -1 where it is empty."""
    if not re.fullmatch(r"(-1|\d{1,9})?", cell, re.ASCII):
        raise InputError(f"line {line}: expected a class, a whole number from 0, got {short_repr(cell)}", file=path)
    return int(cell or -1)


def _number(table: Spreadsheet, path: AnyPath, line: int, title: str, cell: str) -> float:
    if not _is_number(table, cell):
        raise InputError(f"line {line}: expected a number, got {short_repr(cell)}", file=path, field=title)
    return table.number(cell)


def _is_number(table: Spreadsheet, cell: str) -> bool:
    try:
        table.number(cell)
    except ValueError:
        return False
    return True


def _check_numbering(path: AnyPath, names: Sequence[str]) -> bool:
    """Whether the scores are numbered by their titles.

    Refused if those do not count up, or if other columns stand beside ``score_0 score_1``, as such are no scores.
    """
    ends = [re.fullmatch(r"\D*(\d{1,9})", name, re.ASCII) for name in names]
    numbers = [int(end[1]) for end in ends if end]
    if len(numbers) < len(names):
        others = [name for name in names if not _NUMBERED_SCORE.fullmatch(title_key(name))]
        if len(names) - len(others) > 1:
            raise InputError(
                f"some scores are numbered by their titles, but {short_repr(others)} not",
                file=path,
                fix="Leave out what is no score of a class; the true class is called label.",
            )
        return False
    if numbers[0] not in (0, 1) or numbers != list(range(numbers[0], numbers[0] + len(numbers))):
        raise InputError(
            f"the scores are titled {short_repr(list(names))}, which does not count up from 0 or 1",
            file=path,
            fix="Give a score for each class, in the order of the classes.",
        )
    return True


def _rows(path: AnyPath, ids: Sequence[str], rows: Sequence[object]) -> list[np.ndarray]:
    """Arrays of lists of numbers of a JSON file."""
    for clip, row in zip(ids, rows, strict=True):
        if not isinstance(row, list) or not all(type(value) in (int, float) for value in row):
            raise InputError(f"expected a list of numbers, one a class, got {_kind(row)}", file=path, clip=clip)
        if any(abs(value) > _LARGEST for value in row):
            raise InputError("a score is too large", file=path, clip=clip)
    return [np.array(row, dtype=np.float64) for row in rows]


def _with_labels(results: Results, path: AnyPath, ann_file: AnyPath | None, split: str | None) -> Results:
    """Results with the labels that the annotations know; those of both must agree."""
    if ann_file is None:
        return results
    known = dict(zip(*read_clip_labels(ann_file, split), strict=True))
    annotated = [known.get(clip, -1) for clip in results.sample_id]
    _check_order(path, ann_file, results.sample_id, results.label.tolist(), annotated)
    return results._replace(label=np.where(results.label >= 0, results.label, annotated))


def _is_label(value: object) -> bool:
    return isinstance(value, (int, np.integer)) and -1 <= int(value) < 2**31


def _split_ids(content: dict[str, Any], ann_file: AnyPath, split: str | None) -> set[Any]:
    splits = content.get("split")
    if not isinstance(splits, dict):
        raise InputError(f"expected a dict of splits, got {_kind(splits)}", file=ann_file, field="split")
    if split not in splits:
        problem = "no split was named" if split is None else f"there is no split {split!r}"
        raise InputError(
            f"{problem}; the file has {', '.join(map(short_repr, splits))}",
            file=ann_file,
            field="split",
            fix="Name the one that was tested (--split; --search-split for validation scores).",
        )
    ids = splits[split]
    if not isinstance(ids, (list, tuple)) or not all(isinstance(item, str) for item in ids):
        raise InputError(f"expected a list of clip ids, got {_kind(ids)}", file=ann_file, field="split")
    return set(ids)


def _clips_of(path: AnyPath, ann_file: AnyPath | None, split: str | None, count: int) -> tuple[list[str], list[int]]:
    if ann_file is None:
        raise InputError(
            "the results in it carry no ids",
            file=path,
            fix="Give the annotation file and the split that were tested (--ann-file and --split).",
        )
    ids, labels = read_clip_labels(ann_file, split)
    if len(ids) != count:
        where = os.fspath(ann_file) if split is None else f"split {split!r} of {os.fspath(ann_file)}"
        raise InputError(
            f"it holds {count} results, but {where} has {len(ids)} clips",
            file=path,
            fix="Give the annotation file and the split that were tested.",
        )
    return ids, labels


def _check_order(
    path: AnyPath, ann_file: AnyPath | None, ids: Sequence[str], dumped: Sequence[int], labels: Sequence[int]
) -> None:
    wrong = [n for n, (a, b) in enumerate(zip(dumped, labels, strict=True)) if a >= 0 and b >= 0 and a != b]
    if wrong:
        raise InputError(
            f"the label in the results is {dumped[wrong[0]]}, in {ann_file} it is {labels[wrong[0]]} "
            f"({len(wrong)} of {len(ids)} clips disagree)",
            file=path,
            clip=ids[wrong[0]],
            fix="The results are of another file or split, or in another order.",
        )


def _stack(path: AnyPath, ids: Sequence[str], scores: Sequence[Any]) -> np.ndarray:
    first = np.shape(scores[0]) if isinstance(scores[0], np.ndarray) else None
    for clip, row in zip(ids, scores, strict=True):
        if not isinstance(row, np.ndarray) or row.ndim != 1 or row.shape != first:
            raise InputError(
                f"expected one score per class, as in the first clip, got {_kind(row)}",
                file=path,
                clip=clip,
                fix="Average the views of a clip when testing (average_clips='prob'), and test one model at a time.",
            )
    if len(scores[0]) < 2:
        problem = f"expected a score for each of two classes or more, got {len(scores[0])}"
        raise InputError(problem, file=path, clip=ids[0], field="score")
    return np.stack(scores)


def _item(path: AnyPath, number: int, result: dict[str, Any], key: str) -> Any:
    value = result.get(key, result.get(key + "s"))
    if isinstance(value, dict):
        value = value["item"] if list(value) == ["item"] else value
    if not isinstance(value, np.ndarray):
        raise InputError(f"result {number}: expected one tensor, got {_kind(value)}", file=path, field=key)
    return value


def _label(path: AnyPath, number: int, result: dict[str, Any]) -> int:
    if "gt_label" not in result and "gt_labels" not in result:
        return -1
    value = _item(path, number, result, "gt_label")
    if value.size != 1:
        raise InputError(f"result {number}: expected one label, got {value.size}", file=path, field="gt_label")
    if value.dtype.kind not in "iu" or not -1 <= value.item() < 2**31:
        raise InputError(f"result {number}: expected a class, got {value.item()}", file=path, field="gt_label")
    return int(value.item())


def _kind(value: object) -> str:
    if isinstance(value, np.ndarray):
        return f"an array of shape {value.shape}"
    if isinstance(value, (list, tuple)):
        return f"a {type(value).__name__} of {len(value)}"
    if isinstance(value, dict):
        keys = [key if isinstance(key, str) else short_repr(key) for key in islice(value, 10)]
        return f"a dict with {', '.join(keys)[:200]}"
    return type(value).__name__


class _Storage:
    """Storage of a tensor, without settable attributes."""

    __slots__ = ("flat",)

    def __init__(self, flat: Any) -> None:
        self.flat = flat

    def __setstate__(self, state: object) -> None:
        raise ValueError("it sets attributes of a storage")

    def __len__(self) -> int:
        return self.flat.numel() * self.flat.element_size()


def _storage(data: bytes) -> _Storage:
    import torch

    from pyskl_semloss.untrusted.checkpoint_scan import check_checkpoint

    check_checkpoint(io.BytesIO(data))
    storage = torch.load(io.BytesIO(data), weights_only=True, map_location="cpu")
    return _Storage(torch.empty(0, dtype=storage.dtype).set_(storage))


def _tensor(storage: Any, offset: int, size: Sequence[int], stride: Sequence[int], *_: object) -> np.ndarray:
    import torch

    if math.prod(size) > storage.flat.numel():
        raise ValueError(
            f"a tensor of {short_repr(math.prod(size))} numbers, of which the file has {storage.flat.numel()}"
        )
    tensor = torch.as_strided(storage.flat, size, stride, offset)  # refuses to read beyond the storage
    return (tensor.float() if tensor.is_floating_point() else tensor).numpy().copy()


def _ordered(*items: object) -> dict[Any, Any]:
    if items:
        raise ValueError("an ordered dict of items, expected an empty one that is filled")
    return {}


_TENSOR_GLOBALS: dict[tuple[str, str], object] = {
    ("torch._utils", "_rebuild_tensor_v2"): _tensor,
    ("torch.storage", "_load_from_bytes"): _storage,
    ("collections", "OrderedDict"): _ordered,
}
