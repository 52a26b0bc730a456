"""Checks that training can resume from a checkpoint, before the run changes anything."""

from __future__ import annotations

import copy
import math
import os
import pickle
import warnings
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np
import torch
from mmengine.config import Config
from mmengine.logging import HistoryBuffer
from mmengine.optim import OptimWrapper, OptimWrapperDict, build_optim_wrapper
from mmengine.registry import MODELS, PARAM_SCHEDULERS, DefaultScope

from pyskl_semloss.errors import InputError
from pyskl_semloss.hosts.checkpoints import first_mismatch
from pyskl_semloss.io.reading import reason, short_repr

PARTS = ("meta", "state_dict", "optimizer", "message_hub")
_LARGEST = 1 << 40
"""Limit of epochs, steps and other counts of a run."""
_HISTORY = {"max_length", "_log_history", "_count_history"}
_OTHER = "Go on with the config, and the --cfg-options, of that run; to start a new run from its weights, give "
_OTHER += "--cfg-options load_from=FILE in place of --resume."


class _Unfit(Exception):
    """Mismatch between a checkpoint and a run; the text describes it."""


def check_parts(content: Mapping[str, Any], path: str | os.PathLike[str]) -> None:
    """Refuse a checkpoint whose entries lack mmengine's structure, for any model.

    Raises:
        InputError: An entry is missing or has another structure.
    """
    missing = [part for part in PARTS if not isinstance(content.get(part), Mapping)]
    if missing:
        fix = "To start a new run from its weights, give --cfg-options load_from=FILE in place of --resume."
        problem = f"it holds no {', '.join(missing)}, so training cannot go on from it"
        raise InputError(problem, file=path, fix=fix)
    for part, check in (("meta", _check_meta), ("state_dict", _check_weights), ("message_hub", _check_message_hub)):
        try:
            check(content[part])
        except _Unfit as error:
            raise InputError(f"training cannot go on from it: {error}", file=path, field=part) from None


def _check_meta(meta: Mapping[str, Any]) -> None:
    for key in ("epoch", "iter"):
        _expect(_is_count(meta.get(key)), key, "a whole number", meta.get(key))
    seed = meta.get("seed")
    _expect(seed is None or _is_count(seed) and seed < 1 << 32, "seed", "a whole number of 32 bits", seed)
    for key in ("cfg", "config"):
        _expect(isinstance(meta.get(key, ""), str), key, "text", meta.get(key))
    dataset_meta = meta.get("dataset_meta")
    _expect(dataset_meta is None or isinstance(dataset_meta, Mapping), "dataset_meta", "a dict", dataset_meta)
    try:
        # The host pickles it to compare it with the data set's.
        pickle.dumps(dataset_meta)
    except RecursionError:
        raise _Unfit("its dataset_meta is nested too deep") from None


def _check_weights(state: Mapping[str, Any]) -> None:
    for name, value in state.items():
        _expect(isinstance(name, str) and isinstance(value, torch.Tensor), short_repr(name), "a named tensor", value)
    _check_numbers(state.items(), "weights")


def _check_numbers(tensors: Any, kind: str) -> None:
    wrong = [name for name, value in tensors if value.is_floating_point() and bool(torch.isnan(value).any())]
    if wrong:
        raise _Unfit(f"{len(wrong)} of its {kind} hold NaN, as after a loss that was NaN ({wrong[0]})")


def _check_message_hub(hub: Mapping[str, Any]) -> None:
    for key in ("log_scalars", "runtime_info", "resumed_keys"):
        _expect(isinstance(hub.get(key), Mapping), key, "a dict", hub.get(key))
        _expect(all(isinstance(name, str) for name in hub[key]), key, "names as keys", hub[key])
    for name, history in hub["log_scalars"].items():
        _expect(_is_history(history), f"log_scalars: {name}", "a log history of numbers", history)
    for name, kept in hub["resumed_keys"].items():
        _expect(isinstance(kept, bool), f"resumed_keys: {name}", "True or False", kept)
    for name, value in hub["runtime_info"].items():
        expected = _wrong_info(name, value)
        _expect(expected is None, f"runtime_info: {name}", expected, value)


def _is_history(history: Any) -> bool:
    if type(history) is not HistoryBuffer or set(vars(history)) - {"statistics_methods"} != _HISTORY:
        return False
    log, counts = history._log_history, history._count_history
    fits = all(isinstance(part, np.ndarray) and part.ndim == 1 and part.dtype.kind in "fiub" for part in (log, counts))
    return fits and len(log) == len(counts) > 0 and _is_count(history.max_length) and history.max_length > 0


def _wrong_info(name: str, value: Any) -> str | None:
    """Expected form of an entry of ``runtime_info``, or None if the value has it."""
    if name in ("epoch", "iter", "max_epochs", "max_iters", "epoch_validated"):
        return None if _is_count(value) else "a whole number"
    if name == "keep_ckpt_ids":
        return None if isinstance(value, list) and all(map(_is_count, value)) else "a list of whole numbers"
    if name.startswith("best_score"):
        return None if _is_number(value) else "a number"
    if name.startswith(("best_ckpt", "last_ckpt")):
        return None if value is None or isinstance(value, str) else "a file's name"
    return None


def _expect(holds: bool, name: str, expected: str | None, value: object) -> None:
    if not holds:
        raise _Unfit(f"{name}: expected {expected}, got {short_repr(value)}")


def _is_count(value: object) -> bool:
    return type(value) is int and 0 <= value < _LARGEST


def _is_number(value: object) -> bool:
    if isinstance(value, torch.Tensor):
        return value.numel() == 1 and bool(torch.isfinite(value).all())
    if isinstance(value, (int, np.integer)):
        return not isinstance(value, bool) and abs(int(value)) < _LARGEST
    return isinstance(value, (float, np.floating)) and math.isfinite(value)


def check_fits(config: Config, content: Mapping[str, Any], path: str | os.PathLike[str]) -> None:
    """Refuse a checkpoint whose model, optimizer or schedules differ from the config's.

    The host would leave random weights for missing ones, and load any state. So model, optimizer and schedules are
    built for a trial: the states are loaded, and a step with zero gradients is made.

    Args:
        config: Config of the run.
        content: Content of the checkpoint after :func:`check_parts`.
        path: Path of the checkpoint, for messages.

    Raises:
        InputError: An entry does not fit.
    """
    settings = copy.deepcopy(config._cfg_dict)
    with DefaultScope.overwrite_default_scope(settings.get("default_scope") or "mmengine"):
        if settings.get("data_preprocessor") is not None:
            settings.model.setdefault("data_preprocessor", settings.data_preprocessor)
        model = MODELS.build(settings.model)
        wrapper = build_optim_wrapper(model, copy.deepcopy(settings.optim_wrapper))
        part = "state_dict"
        try:
            mismatch = first_mismatch(model.state_dict(), content[part])
            if mismatch is not None:
                raise _Unfit(f"it is of another model: {mismatch}")
            part = "meta"
            _fit_length(settings, content[part])
            part = "optimizer"
            for optimizer, state in _optimizer_states(wrapper, content[part]):
                _fit_optimizer(optimizer, state)
            part = "param_schedulers"
            if settings.get("param_scheduler") is not None:
                _fit_schedules(settings, wrapper, content)
        except _Unfit as error:
            problem = f"training cannot go on from it with this config: {error}"
            raise InputError(problem, file=path, field=part, fix=_OTHER) from None


def _fit_length(settings: Any, meta: Mapping[str, Any]) -> None:
    for key, limit in (("epoch", "max_epochs"), ("iter", "max_iters")):
        most = (settings.get("train_cfg") or {}).get(limit)
        if most is not None and meta[key] > most:
            raise _Unfit(f"it has trained for {meta[key]}, more than {limit}, {most}")


def _optimizer_states(wrapper: Any, state: Any) -> Iterator[tuple[OptimWrapper, Any]]:
    if not isinstance(wrapper, OptimWrapperDict):
        yield wrapper, state
        return
    if set(state) != set(wrapper.keys()):
        raise _Unfit(f"expected the states of {', '.join(wrapper.keys())}, got {short_repr(list(state))}")
    for name, each in wrapper.items():
        yield each, state[name]


def _fit_optimizer(wrapper: OptimWrapper, state: Any) -> None:
    groups: Any = state.get("param_groups") if isinstance(state, Mapping) else None
    kept: Any = state.get("state") if isinstance(state, Mapping) else None
    _expect(isinstance(kept, Mapping), "state", "a dict", kept)
    ours = wrapper.optimizer.param_groups
    _expect(isinstance(groups, list) and all(isinstance(group, Mapping) for group in groups), "param_groups",
            "a list of dicts", groups)  # fmt: skip
    sizes = [len(ids) if isinstance(ids := group.get("params"), list) else None for group in groups]
    if sizes != [len(group["params"]) for group in ours]:
        raise _Unfit(
            f"it has groups of {short_repr(sizes)} weights, the config's has {[len(g['params']) for g in ours]}"
        )
    ids = [number for group in groups for number in group["params"]]
    if not all(map(_is_count, ids)) or len(set(ids)) < len(ids) or not set(kept) <= set(ids):
        raise _Unfit("its states are not those of its weights")
    for own, group in zip(ours, groups, strict=True):
        for key in own.keys() & group.keys() - {"params"}:
            _same_form(own[key], group[key], f"param_groups: {key}")
    _fit_wrapper(wrapper, state)
    _try(wrapper.optimizer, {"state": kept, "param_groups": groups}, ids)


def _fit_wrapper(wrapper: OptimWrapper, state: Mapping[str, Any]) -> None:
    """Check the state of mmengine's wrapper around an optimizer."""
    scaler = getattr(wrapper, "loss_scaler", None)
    if "loss_scaler" in state and scaler is not None:
        _same_form(scaler.state_dict(), state["loss_scaler"], "loss_scaler")
    base = state.get("base_param_settings")
    whole = base is None or isinstance(base, Mapping) and _is_number(base.get("lr"))
    _expect(whole, "base_param_settings", "a dict with a learning rate", base)


def _try(optimizer: torch.optim.Optimizer, state: dict[str, Any], ids: Sequence[int]) -> None:
    """Load a state into an optimizer after a step, whose own state gives the expected structure."""
    weights = [weight for group in optimizer.param_groups for weight in group["params"]]
    for weight in weights:
        weight.grad = torch.zeros_like(weight)
    try:
        optimizer.step()
    except Exception:
        # The optimizer needs a closure or a GPU.
        return
    optimizer.state.clear()
    _step(optimizer, {"state": {}, "param_groups": state["param_groups"]})
    own, kept = copy.deepcopy(optimizer.state_dict()["state"]), state["state"]
    order = [number for group in optimizer.state_dict()["param_groups"] for number in group["params"]]
    needed = [next(_tensors(own.get(number)), None) is not None for number in order]
    _check_missing_states(weights, needed, [number in kept for number in ids])
    for mine, theirs in zip(order, ids, strict=True):
        if theirs in kept and mine in own:
            _same_form(own[mine], kept[theirs], f"state: {theirs}")
    _check_numbers([(f"state {name}", value) for name, entry in kept.items() for value in _tensors(entry)], "states")
    _step(optimizer, state)


def _check_missing_states(weights: Sequence[torch.Tensor], needed: Sequence[bool], there: Sequence[bool]) -> None:
    """Refuse missing states of all weights, and warn about some: those weights may never have had a gradient."""
    lost = [need and weight.requires_grad and not has for weight, need, has in zip(weights, needed, there, strict=True)]
    if any(lost) and sum(lost) == sum(needed):
        raise _Unfit("it holds the state of no weight")
    if any(lost):
        message = f"the optimizer's state of {sum(lost)} of {len(lost)} weights is not in it and begins anew"
        warnings.warn(message, stacklevel=2)


def _step(optimizer: torch.optim.Optimizer, state: Mapping[str, Any]) -> None:
    try:
        optimizer.load_state_dict(copy.deepcopy(dict(state)))
        optimizer.step()
    except Exception as error:
        raise _Unfit(f"a step with it fails ({type(error).__name__}: {reason(error)})") from None


def _tensors(entry: Any) -> Iterator[torch.Tensor]:
    if isinstance(entry, torch.Tensor):
        yield entry
    elif isinstance(entry, (Mapping, list, tuple)):
        for each in entry.values() if isinstance(entry, Mapping) else entry:
            yield from _tensors(each)


def _fit_schedules(settings: Any, wrapper: Any, content: Mapping[str, Any]) -> None:
    states: Any = content.get("param_schedulers")
    configured = settings.param_scheduler
    if isinstance(wrapper, OptimWrapperDict):
        _expect(isinstance(states, Mapping) and set(states) == set(wrapper.keys()), "it", "schedules by name", states)
        own = isinstance(configured, Mapping) and "type" not in configured
        for name, each in wrapper.items():
            _fit_list(configured[name] if own else configured, each, states[name], settings, content)
    else:
        _fit_list(configured, wrapper, states, settings, content)


def _fit_list(configured: Any, wrapper: OptimWrapper, states: Any, settings: Any, content: Mapping[str, Any]) -> None:
    wanted = configured if isinstance(configured, (list, tuple)) else [configured]
    _expect(isinstance(states, (list, tuple)), "it", "a list", states)
    if len(states) != len(wanted):
        raise _Unfit(f"it has {len(states)} schedules, the config has {len(wanted)}")
    for number, (schedule, state) in enumerate(zip(wanted, states, strict=True)):
        _fit_schedule(_schedule(schedule, wrapper, settings, content["meta"]), state, f"schedule {number}")


def _schedule(schedule: Any, wrapper: OptimWrapper, settings: Any, meta: Mapping[str, Any]) -> Any:
    """Schedule as the host builds it; the steps per epoch, known to the data set only, are estimated."""
    schedule, steps = copy.deepcopy(dict(schedule)), max(1, meta["iter"] // max(1, meta["epoch"]))
    loop = settings.get("train_cfg") or {}
    if schedule.get("by_epoch", True):
        schedule.setdefault("end", loop.get("max_epochs") or 1)
    else:
        schedule.setdefault("end", loop.get("max_iters") or steps * (loop.get("max_epochs") or 1))
    return PARAM_SCHEDULERS.build(schedule, default_args=dict(optimizer=wrapper, epoch_length=steps))


def _fit_schedule(own: Any, state: Any, name: str) -> None:
    mine = own.state_dict()
    _expect(isinstance(state, Mapping), name, "a dict", state)
    if set(mine) != set(state):
        odd = sorted(map(str, set(mine) ^ set(state)))
        raise _Unfit(f"{name} is of another kind than the config's {type(own).__name__} ({', '.join(odd)[:200]})")
    for key, value in mine.items():
        _same_form(value, state[key], f"{name}: {key}", key in ("base_values", "_last_value"))
    try:
        own.load_state_dict(copy.deepcopy(dict(state)))
        own.step()
        wrong = [value for value in own.get_last_value() if not _is_number(value)]
    except Exception as error:
        raise _Unfit(f"{name}: a step with it fails ({type(error).__name__}: {reason(error)})") from None
    if wrong:
        raise _Unfit(f"{name}: a step with it leads to {short_repr(wrong[0])}")


def _same_form(own: Any, value: Any, name: str, same_length: bool = False) -> None:
    """Refuse a value whose type, shape or keys differ from those of our own value, and numbers that are not finite."""
    if isinstance(own, torch.Tensor) and own.ndim:
        fits = isinstance(value, torch.Tensor) and value.shape == own.shape
        fits = fits and value.is_floating_point() == own.is_floating_point()
        _expect(fits, name, f"{tuple(own.shape)} numbers", value)
    elif isinstance(own, Mapping):
        _expect(isinstance(value, Mapping), name, "a dict", value)
        _expect(type(own) is not dict or set(own) <= set(value), name, f"{', '.join(map(str, own))}", value)
        for key in own.keys() & value.keys():
            _same_form(own[key], value[key], f"{name}: {key}")
    elif isinstance(own, (list, tuple)):
        fits = isinstance(value, (list, tuple)) and (len(value) == len(own) or not same_length and len(value) > 0)
        _expect(fits, name, f"a list of {len(own)}", value)
        for item in value:
            _same_form(own[0] if own else item, item, name)
    elif own is None:
        _expect(isinstance(value, (bool, str, type(None))) or _is_number(value), name, "None", value)
    elif isinstance(own, (bool, str)):
        _expect(isinstance(value, type(own)), name, type(own).__name__, value)
    else:
        _expect(_is_number(value), name, "a number", value)
