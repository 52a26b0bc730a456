"""What the toolboxes themselves write after a test: PySKL's ``result.pkl``, MMAction2's ``--dump`` file.

Neither is keyed by clip. Both keep the order of the toolbox's PoseDataset, which is the order of the annotation file,
reduced to the clips of one split.
"""

from __future__ import annotations

import io
import math
import os
from collections.abc import Sequence
from itertools import islice
from typing import Any

import numpy as np

from pyskl_semloss.errors import InputError
from pyskl_semloss.io.reading import AnyPath, shown
from pyskl_semloss.untrusted import safe_pickle


def read_results(
    path: AnyPath, ann_file: AnyPath | None, split: str | None
) -> tuple[list[str], np.ndarray, np.ndarray]:
    """Read a toolbox's results and give every one its id.

    Args:
        path: A pickle: a list of (C,) arrays (PySKL), or a list of dicts of torch tensors (MMAction2).
        ann_file: The annotation file that was tested. Not needed where each dict has its own ``frame_dir``.
        split: The split of it that was tested; None if all clips were.

    Returns:
        The ids, the scores (N, C), the labels (N,).

    Raises:
        InputError: The pickle is of another kind, its length or its labels contradict the annotations.
    """
    results = safe_pickle.load(path, extra=_TENSOR_GLOBALS)
    if not isinstance(results, list) or not results:
        raise InputError(f"expected a list of results, got {_kind(results)}", file=path)
    if not all(isinstance(result, dict) for result in results):
        ids, labels = _clips_of(path, ann_file, split, len(results))
        return ids, _stack(path, ids, results), np.asarray(labels, dtype=np.int64)
    scores = [_item(path, number, result, "pred_score") for number, result in enumerate(results)]
    dumped = [_label(path, number, result) for number, result in enumerate(results)]
    if all(isinstance(result.get("frame_dir"), str) for result in results):
        ids = [result["frame_dir"] for result in results]
    else:
        ids, labels = _clips_of(path, ann_file, split, len(results))
        _check_order(path, ann_file, ids, dumped, labels)
        dumped = [known if known >= 0 else annotated for known, annotated in zip(dumped, labels, strict=True)]
    return ids, _stack(path, ids, scores), np.asarray(dumped, dtype=np.int64)


def read_clips(ann_file: AnyPath, split: str | None) -> tuple[list[str], list[int]]:
    """The ids and labels of a PySKL annotation file in the order in which both toolboxes test them.

    Raises:
        InputError: The file is no annotation file, or has no such split.
    """
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
    key = "filename" if annotations and "filename" in annotations[0] else "frame_dir"
    for entry in annotations:
        if not isinstance(entry.get(key), str) or not _is_label(entry.get("label", -1)):
            values = f"{shown(entry.get(key))} and {shown(entry.get('label'))}"
            problem = f"an annotation has no usable {key} and label, but {values}"
            raise InputError(problem, file=ann_file)
    clips = [entry for entry in annotations if chosen is None or entry[key] in chosen]
    return [str(entry[key]) for entry in clips], [int(entry.get("label", -1)) for entry in clips]


def _is_label(value: object) -> bool:
    return isinstance(value, (int, np.integer)) and -1 <= int(value) < 2**31


def _split_ids(content: dict[str, Any], ann_file: AnyPath, split: str | None) -> set[Any]:
    splits = content.get("split")
    if not isinstance(splits, dict):
        raise InputError(f"expected a dict of splits, got {_kind(splits)}", file=ann_file, field="split")
    if split not in splits:
        problem = "no split was named" if split is None else f"there is no split {split!r}"
        raise InputError(
            f"{problem}; the file has {', '.join(map(shown, splits))}",
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
    ids, labels = read_clips(ann_file, split)
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
        keys = [key if isinstance(key, str) else shown(key) for key in islice(value, 10)]
        return f"a dict with {', '.join(keys)[:200]}"
    return type(value).__name__


class _Storage:
    """The numbers of a tensor as they lie in the file; nothing of it can be set."""

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
        raise ValueError(f"a tensor of {shown(math.prod(size))} numbers, of which the file has {storage.flat.numel()}")
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
