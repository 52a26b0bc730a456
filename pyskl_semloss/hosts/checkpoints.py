"""Safe reading and conversion of checkpoints of the hosts and the published release."""

from __future__ import annotations

import contextlib
import os
import pickle
import re
import zipfile
from collections import OrderedDict
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, TypeGuard

import numpy as np
import torch
from torch import Tensor

from pyskl_semloss.errors import InputError
from pyskl_semloss.io.reading import open_regular, reason, short_repr
from pyskl_semloss.io.results import result_file
from pyskl_semloss.semantic.label_vectors import load_matrix
from pyskl_semloss.untrusted.checkpoint_scan import check_checkpoint

_BRANCH = "cls_head.semantic_branch."
LABEL_VECTORS_KEY = f"{_BRANCH}label_vectors"
# Names of the branch's weights in the release, and here.
_RENAMED = {f"cls_head.emb_fc.{part}": f"{_BRANCH}fc.{part}" for part in ("weight", "bias")}
# Linear, tanh, Linear; the release has no such branch.
_MLP = tuple(f"{_BRANCH}fc.{layer}.{part}" for layer in (0, 2) for part in ("weight", "bias"))


_HISTORY = "mmengine.logging.history_buffer.HistoryBuffer"
# mmengine pickles these methods of its log history by name, through getattr.
_STATISTICS = ("min", "max", "mean", "current")


class _Ignored:
    """Placeholder for mmengine's log history, on which no weight depends."""

    min = max = mean = current = None


def log_history_globals(history_buffer: type = _Ignored) -> list[Any]:
    """Safe globals of ``torch.load`` for the log history in mmengine's checkpoints.

    Without them mmengine 0.10 cannot read its own checkpoints under torch 2.6 and later. They allow data only: the
    history, numpy arrays, scalars and dtypes, under the names that numpy 1.x and 2.x write.

    Args:
        history_buffer: mmengine's class to keep the history; by default it is discarded.
    """

    def statistics_method(owner: object, name: str) -> Any:
        if owner is not history_buffer or name not in _STATISTICS:
            raise pickle.UnpicklingError(f"getattr({owner!r}, {name!r}) in a checkpoint is refused")
        return getattr(owner, name)

    core = getattr(np, "core" if np.lib.NumpyVersion(np.__version__) < "2.0.0" else "_core")
    arrays = [
        (function, f"numpy.{module}.multiarray.{function.__name__}")
        for function in (core.multiarray._reconstruct, core.multiarray.scalar)
        for module in ("core", "_core")
    ]
    dtypes = {type(np.dtype(kind)) for kind in ("f4", "f8", "i4", "i8", "u1", "b1")}
    history = (history_buffer, _HISTORY)
    return [history, (statistics_method, "builtins.getattr"), *arrays, np.ndarray, np.dtype, *dtypes]


def _readable_log_history() -> contextlib.AbstractContextManager:
    """Allow :func:`log_history_globals`, unless a host already does: leaving the context would disallow them again."""
    allowed = torch.serialization.get_safe_globals()
    if any(isinstance(entry, tuple) and entry[1] == _HISTORY for entry in allowed):
        return contextlib.nullcontext()
    return torch.serialization.safe_globals(log_history_globals())


def read_checkpoint(path: str | os.PathLike[str], map_location: Any = "cpu") -> dict[str, Any]:
    """Content of a checkpoint of mmengine, mmcv 1.x or plain torch.

    No code in the file runs.

    Args:
        path: Path of the file.
        map_location: Device of its tensors, as in :func:`torch.load`.

    Raises:
        InputError: The file is missing, is no checkpoint, contains more than data, or declares more data than it has.
    """
    with open_regular(path) as stream:
        try:
            check_checkpoint(stream)
            stream.seek(0)
            with _readable_log_history():
                content = torch.load(stream, map_location=map_location, weights_only=True)
        except torch.cuda.OutOfMemoryError:
            raise
        # zipfile, pickle and torch raise many types of errors on corrupt bytes.
        except Exception as error:
            problem = f"expected a checkpoint that holds tensors and plain data only ({_reason(error)})"
            cut = isinstance(error, (zipfile.BadZipFile, EOFError))
            raise InputError(problem, file=path, fix="It may be cut short: copy it anew." if cut else None) from None
    if not isinstance(content, dict):
        raise InputError("expected a state dict of tensors, or a dict with one", file=path)
    try:
        check_attributes(content)
    except InputError as error:
        raise error.located(file=path) from None
    return content


def _reason(error: Exception) -> str:
    if isinstance(error, InputError):
        return error.problem
    # torch's message begins with advice to load the file unsafely.
    marked = re.search(r"WeightsUnpickler error:\s*(\S.*)", str(error))
    return marked[1][:200] if marked else reason(error)


def without_commands(content: dict[str, Any], path: str | os.PathLike[str]) -> dict[str, Any]:
    """Content of a checkpoint without entries that a resuming host executes.

    Both hosts run the text ``meta["config"]`` as Python code to get the number of GPUs, and delete the file (MMAction2:
    also the folder) that the checkpoint names as the best so far when a better one is saved. Only the line with the
    number is kept of the text, and only the file names of the paths, in the folder of the checkpoint.

    Args:
        content: Content from :func:`read_checkpoint`; changed in place.
        path: Path of the checkpoint.
    """
    meta, hub = content.get("meta"), content.get("message_hub")
    if isinstance(meta, dict):
        if "config" in meta:
            text = meta["config"] if isinstance(meta["config"], str) else ""
            gpus = re.search(r"^gpu_ids = range\(0, \d{1,6}\)$", text, re.MULTILINE)
            meta["config"] = gpus[0] if gpus else "gpu_ids = None"
        _keep_names(meta.get("hook_msgs"), path)
    if isinstance(hub, dict):
        _keep_names(hub.get("runtime_info"), path)
    return content


def _keep_names(notes: object, path: str | os.PathLike[str]) -> None:
    if not isinstance(notes, dict):
        return
    # Only text is printed: a nested list of a kilobyte may fill the memory when printed.
    for key in [key for key in notes if isinstance(key, str) and key.startswith(("best_ckpt", "last_ckpt"))]:
        name = Path(notes[key]).name if isinstance(notes[key], str) else ""
        notes[key] = str(Path(path).parent / name) if name.endswith(".pth") else None
    if "keep_ckpt_ids" in notes:
        ids = notes["keep_ckpt_ids"]
        notes["keep_ckpt_ids"] = [number for number in ids if type(number) is int] if isinstance(ids, list) else []


def read_state_dict(path: str | os.PathLike[str]) -> dict[str, Tensor]:
    """Weights of a checkpoint by name, on the CPU.

    Raises:
        InputError: As :func:`read_checkpoint`, or the file contains no weights.
    """
    return state_dict_of(read_checkpoint(path), path)


def state_dict_of(content: Mapping[str, Any], path: str | os.PathLike[str]) -> dict[str, Tensor]:
    """Weights by name in the content of a checkpoint.

    Args:
        content: Content from :func:`read_checkpoint`.
        path: Path of the checkpoint, for messages.

    Raises:
        InputError: The content has no weights.
    """
    state = content.get("state_dict", content)
    if not isinstance(state, Mapping) or not state or not all(isinstance(value, Tensor) for value in state.values()):
        raise InputError("expected a state dict of tensors", file=path)
    weights: dict[str, Tensor] = {}
    for key, value in state.items():
        if not isinstance(key, str):
            raise InputError(f"expected names of weights, got {short_repr(key)}", file=path, field="state_dict")
        # DistributedDataParallel and torch.compile add these prefixes.
        name = key.removeprefix("module.").removeprefix("_orig_mod.")
        if name in weights:
            raise InputError(f"the weight {short_repr(name)} is there twice", file=path, field="state_dict")
        weights[name] = value.detach()
    return weights


def first_mismatch(model: Mapping[str, Tensor], state: Mapping[str, Tensor], extra: bool = False) -> str | None:
    """First difference of a checkpoint's weights from a model's.

    Args:
        model: State dict of the model.
        state: State dict of the checkpoint.
        extra: Whether the checkpoint may have additional weights.

    Returns:
        The difference, with the number of others, as a clause for messages, or None if the weights fit in names, shapes
        and types of number.
    """
    differences = [f"{name} is absent in it" for name in model if name not in state]
    differences += [f"it has {name}, the model has not" for name in state if not extra and name not in model]
    for name in (name for name in model if name in state):
        if model[name].shape != state[name].shape:
            differences.append(f"{name} is {tuple(state[name].shape)} in it, {tuple(model[name].shape)} in the model")
        elif model[name].is_floating_point() != state[name].is_floating_point():
            differences.append(f"{name} is of {state[name].dtype} in it, of {model[name].dtype} in the model")
    rest = f", and {len(differences) - 1} more like it" if len(differences) > 1 else ""
    return f"{differences[0]}{rest}" if differences else None


def name_graph_head(state: Mapping[str, Any], name: str) -> dict[str, Any]:
    """Weights of a graph network, with the classifier named as a host does; other weights stay as they are.

    The networks' weights have the same names on both hosts.

    Args:
        state: Weights by name.
        name: ``"fc"`` on MMAction2, ``"fc_cls"`` on PySKL.
    """
    theirs = f"cls_head.{'fc' if name == 'fc_cls' else 'fc_cls'}."
    if "backbone.data_bn.running_mean" not in state:
        return dict(state)
    return {key.replace(theirs, f"cls_head.{name}.", 1): value for key, value in state.items()}


def convert_state_dict(
    state: Mapping[str, Tensor], label_vectors: str | Path | np.ndarray | None = None, to: str = "plugin"
) -> dict[str, Tensor]:
    """Rename the semantic branch between the release's names and ours.

    Both hosts use our names.

    Args:
        state: Weights by name.
        label_vectors: (C, D) array or file; required if the checkpoint lacks them, like the release's.
        to: ``"plugin"``, our names with the label vectors, or ``"release"``, the release's names without them.

    Raises:
        InputError: There is no semantic branch, the label vectors do not fit it, or the release does not support it.
    """
    if both := [name for pair in _RENAMED.items() for name in pair if set(pair) <= state.keys()]:
        raise InputError(f"it has the semantic branch under two names ({', '.join(both)})", field="state_dict")
    mlp = any(name in state for name in _MLP)
    if to == "release":
        if mlp:
            raise InputError(
                "its semantic branch is an MLP, and the release supports only a linear one",
                field="state_dict",
                fix="Both hosts load the checkpoint as it is.",
            )
        names = {ours: theirs for theirs, ours in _RENAMED.items()}
        result = {names.get(name, name): value for name, value in state.items() if name != LABEL_VECTORS_KEY}
        missing = [name for name in _RENAMED if name not in result]
    elif to == "plugin":
        result = {_RENAMED.get(name, name): value for name, value in state.items()}
        missing = [name for name in (_MLP if mlp else _RENAMED.values()) if name not in result]
    else:
        raise InputError(f"expected 'plugin' or 'release', got {to!r}", field="to")
    if missing:
        raise InputError(
            f"the checkpoint has no semantic branch ({', '.join(missing)} are missing)", field="state_dict"
        )
    if to == "plugin":
        result[LABEL_VECTORS_KEY] = _label_vectors(result, label_vectors)
    return result


def _label_vectors(state: Mapping[str, Tensor], source: str | Path | np.ndarray | None) -> Tensor:
    own = source is None and LABEL_VECTORS_KEY in state
    last = _MLP[2] if _MLP[2] in state else f"{_BRANCH}fc.weight"
    matrices = ["cls_head.fc_cls.weight", last, *([LABEL_VECTORS_KEY] if own else [])]
    for name in matrices:
        if name not in state or state[name].ndim != 2:
            was = f"the shape {tuple(state[name].shape)}" if name in state else "none"
            raise InputError(f"expected a matrix {name}, got {was}", field="state_dict")
    classes, dimensions = (len(state[name]) for name in matrices[:2])
    if source is not None:
        matrix = torch.from_numpy(np.array(load_matrix(source, classes), np.float32))
    elif LABEL_VECTORS_KEY in state:
        matrix = state[LABEL_VECTORS_KEY]
    else:
        raise InputError(
            "the checkpoint lacks the label vectors",
            field="label_vectors",
            fix="Give the file that it was trained with, see semloss label-vectors.",
        )
    if matrix.shape[1] != dimensions:
        raise InputError(
            f"the branch predicts {dimensions} dimensions, the label vectors have {matrix.shape[1]}",
            field="label_vectors",
        )
    return matrix


def convert_checkpoint(
    source: str | os.PathLike[str],
    out: str | os.PathLike[str],
    label_vectors: str | Path | None = None,
    to: str = "plugin",
) -> dict[str, Tensor]:
    """Convert a checkpoint's weights to a checkpoint for both hosts.

    Args:
        source: Path of the checkpoint to read.
        out: Path of the checkpoint to write.
        label_vectors: As in :func:`convert_state_dict`.
        to: As in :func:`convert_state_dict`.

    Returns:
        The converted weights by name.

    Raises:
        InputError: As :func:`read_state_dict` and :func:`convert_state_dict`, or ``out`` is ``source``.
    """
    if os.path.exists(out) and os.path.exists(source) and os.path.samefile(source, out):
        raise InputError("it is the checkpoint to read and would be overwritten", file=out, fix="Name another file.")
    try:
        state = convert_state_dict(read_state_dict(source), label_vectors, to)
    except InputError as error:
        raise error.located(file=source) from None
    content: dict[str, Any] = {"state_dict": state, "meta": {"converted_from": Path(source).name}}
    with result_file(out) as stream:
        torch.save(content, stream)
    return state


# Attribute that torch sets on state dicts: the version of each module's format.
_METADATA = "_metadata"
_HISTORIES = ("_log_history", "_count_history")
_OF_HISTORY = {*_HISTORIES, "max_length", "_max_length", "_statistics_methods"}


def check_attributes(content: Any) -> None:
    """Refuse attributes that neither torch nor mmengine sets in a checkpoint.

    Args:
        content: Content as loaded by torch, searched recursively.

    Raises:
        InputError: Names the first such object and its attributes.
    """
    seen: set[int] = set()
    stack = [content]
    while stack:
        node = stack.pop()
        if id(node) in seen:
            continue
        seen.add(id(node))
        if isinstance(node, Tensor):
            if node._backward_hooks:
                raise _refused("a tensor", ["_backward_hooks"])
        elif isinstance(node, dict):
            _check_dict(node)
            stack.extend(node.values())
        elif isinstance(node, (list, tuple, set, frozenset)):
            stack.extend(node)
        elif type(node).__name__ == "HistoryBuffer":
            _check_history(node)


def _check_dict(node: dict[Any, Any]) -> None:
    attributes = vars(node) if isinstance(node, OrderedDict) else {}
    if attributes.keys() - {_METADATA}:
        raise _refused("an ordered dict", attributes.keys() - {_METADATA})
    if _METADATA in attributes and not _is_metadata(attributes[_METADATA]):
        raise _refused("an ordered dict", [f"{_METADATA} of another form than torch's"])


def _is_metadata(value: object) -> bool:
    """Whether a value maps module names to dicts of plain values with an integer ``version`` or none."""
    plain = (int, float, str, type(None))
    return _is_bare(value) and all(
        isinstance(name, str)
        and _is_bare(entry)
        and all(isinstance(key, str) and isinstance(setting, plain) for key, setting in entry.items())
        and isinstance(entry.get("version"), (int, type(None)))
        for name, entry in value.items()
    )


def _is_bare(value: object) -> TypeGuard[dict[Any, Any]]:
    return isinstance(value, dict) and not getattr(value, "__dict__", None)


def _check_history(node: Any) -> None:
    attributes: Mapping[str, Any] = vars(node)
    if attributes.keys() - _OF_HISTORY:
        raise _refused("a log history", attributes.keys() - _OF_HISTORY)
    log, count = (attributes.get(name) for name in _HISTORIES)
    if not (_is_list(log) and _is_list(count) and log.shape == count.shape):
        raise InputError("expected a log history of two lists of numbers, got something else", field="message_hub")


def _is_list(value: object) -> TypeGuard[np.ndarray]:
    return isinstance(value, np.ndarray) and value.ndim == 1 and value.dtype.kind in "fiu"


def _refused(whose: str, names: Iterable[str]) -> InputError:
    first = ", ".join(short_repr(name) for name in sorted(names, key=str)[:3])
    return InputError(f"expected tensors and plain data only, but {whose} in it has attributes of its own ({first})")
