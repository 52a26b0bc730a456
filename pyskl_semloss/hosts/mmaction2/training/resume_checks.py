"""Whether training can go on from what a checkpoint holds, looked at before anything of the run is touched."""

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
from pyskl_semloss.io.reading import reason, short_repr

PARTS = ("meta", "state_dict", "optimizer", "message_hub")
_LARGEST = 1 << 40
"""Of an epoch, a step and whatever else counts in a run."""
_HISTORY = {"max_length", "_log_history", "_count_history"}
_OTHER = "Go on with the config, and the --cfg-options, of that run; to start a new run from its weights, give "
_OTHER += "--cfg-options load_from=FILE in place of --resume."


class _Unfit(Exception):
    """What does not fit, in words."""


def check_parts(content: Mapping[str, Any], path: str | os.PathLike[str]) -> None:
    """Refuse a checkpoint whose parts are not of the form that mmengine writes, whatever the model is.

    Raises:
        InputError: A part is missing or of another form.
    """
    missing = [part for part in PARTS if not isinstance(content.get(part), Mapping)]
    if missing:
        fix = "To start a new run from its weights, give --cfg-options load_from=FILE in place of --resume."
        problem = f"it holds no {', '.join(missing)}, so training cannot go on from it"
        raise InputError(problem, file=path, fix=fix)
    for part, check in (("meta", _check_meta), ("state_dict", _check_weights), ("message_hub", _check_books)):
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
    notes = meta.get("dataset_meta")
    _expect(notes is None or isinstance(notes, Mapping), "dataset_meta", "a dict", notes)
    try:
        # As the host does, to compare it with the data set's.
        pickle.dumps(notes)
    except RecursionError:
        raise _Unfit("its dataset_meta is nested too deep") from None


def _check_weights(state: Mapping[str, Any]) -> None:
    for name, value in state.items():
        _expect(isinstance(name, str) and isinstance(value, torch.Tensor), short_repr(name), "a named tensor", value)
    _check_numbers(state.items(), "weights")


def _check_numbers(tensors: Any, what: str) -> None:
    wrong = [name for name, value in tensors if value.is_floating_point() and bool(torch.isnan(value).any())]
    if wrong:
        raise _Unfit(f"{len(wrong)} of its {what} hold NaN, as after a loss that was NaN ({wrong[0]})")


def _check_books(hub: Mapping[str, Any]) -> None:
    for key in ("log_scalars", "runtime_info", "resumed_keys"):
        _expect(isinstance(hub.get(key), Mapping), key, "a dict", hub.get(key))
        _expect(all(isinstance(name, str) for name in hub[key]), key, "names as keys", hub[key])
    for name, history in hub["log_scalars"].items():
        _expect(_is_history(history), f"log_scalars: {name}", "a log history of numbers", history)
    for name, kept in hub["resumed_keys"].items():
        _expect(isinstance(kept, bool), f"resumed_keys: {name}", "True or False", kept)
    for name, value in hub["runtime_info"].items():
        expected = _info(name, value)
        _expect(expected is None, f"runtime_info: {name}", expected, value)


def _is_history(history: Any) -> bool:
    if type(history) is not HistoryBuffer or set(vars(history)) - {"statistics_methods"} != _HISTORY:
        return False
    log, counts = history._log_history, history._count_history
    arrays = all(isinstance(one, np.ndarray) and one.ndim == 1 and one.dtype.kind in "fiub" for one in (log, counts))
    return arrays and len(log) == len(counts) > 0 and _is_count(history.max_length) and history.max_length > 0


def _info(name: str, value: Any) -> str | None:
    """What was expected of a note of the host's or of ours, where it is something else."""
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
    """Refuse a checkpoint of another model, optimizer or kind of schedule than the config's.

    The host leaves random weights where a checkpoint lacks some, and takes over whatever the states hold. So all three
    are made once for trying: the states are put into them, and one step is taken without a gradient.

    Args:
        config: Of the run.
        content: As :func:`check_parts` let it pass.
        path: The checkpoint, for messages.

    Raises:
        InputError: A part does not fit.
    """
    settings = copy.deepcopy(config._cfg_dict)
    with DefaultScope.overwrite_default_scope(settings.get("default_scope") or "mmengine"):
        if settings.get("data_preprocessor") is not None:
            settings.model.setdefault("data_preprocessor", settings.data_preprocessor)
        model = MODELS.build(settings.model)
        wrapper = build_optim_wrapper(model, copy.deepcopy(settings.optim_wrapper))
        part = "state_dict"
        try:
            _fit_weights(model, content[part])
            part = "meta"
            _fit_length(settings, content[part])
            part = "optimizer"
            for optimizer, state in _pairs(wrapper, content[part]):
                _fit_optimizer(optimizer, state)
            part = "param_schedulers"
            if settings.get("param_scheduler") is not None:
                _fit_schedules(settings, wrapper, content)
        except _Unfit as error:
            problem = f"training cannot go on from it with this config: {error}"
            raise InputError(problem, file=path, field=part, fix=_OTHER) from None


def _fit_weights(model: torch.nn.Module, state: Mapping[str, torch.Tensor]) -> None:
    own = model.state_dict()
    wrong = [f"{name} is absent in it" for name in own if name not in state]
    wrong += [f"it has {name}, the model has not" for name in state if name not in own]
    for name in (name for name in own if name in state):
        if own[name].shape != state[name].shape:
            wrong.append(f"{name} is {tuple(state[name].shape)} in it, {tuple(own[name].shape)} in the model")
        elif own[name].is_floating_point() != state[name].is_floating_point():
            wrong.append(f"{name} is of {state[name].dtype} in it, of {own[name].dtype} in the model")
    if wrong:
        rest = f", and {len(wrong) - 1} more like it" if len(wrong) > 1 else ""
        raise _Unfit(f"it is of another model: {wrong[0]}{rest}")


def _fit_length(settings: Any, meta: Mapping[str, Any]) -> None:
    for key, limit in (("epoch", "max_epochs"), ("iter", "max_iters")):
        most = (settings.get("train_cfg") or {}).get(limit)
        if most is not None and meta[key] > most:
            raise _Unfit(f"it has trained for {meta[key]}, more than {limit}, {most}")


def _pairs(wrapper: Any, state: Any) -> Iterator[tuple[OptimWrapper, Any]]:
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
    ids = [one for group in groups for one in group["params"]]
    if not all(map(_is_count, ids)) or len(set(ids)) < len(ids) or not set(kept) <= set(ids):
        raise _Unfit("its states are not those of its weights")
    for own, group in zip(ours, groups, strict=True):
        for key in own.keys() & group.keys() - {"params"}:
            _same_form(own[key], group[key], f"param_groups: {key}")
    _fit_more(wrapper, state)
    _try(wrapper.optimizer, {"state": kept, "param_groups": groups}, ids)


def _fit_more(wrapper: OptimWrapper, state: Mapping[str, Any]) -> None:
    """What mmengine's wrappers keep beside the optimizer's own state."""
    scaler = getattr(wrapper, "loss_scaler", None)
    if "loss_scaler" in state and scaler is not None:
        _same_form(scaler.state_dict(), state["loss_scaler"], "loss_scaler")
    base = state.get("base_param_settings")
    whole = base is None or isinstance(base, Mapping) and _is_number(base.get("lr"))
    _expect(whole, "base_param_settings", "a dict with a learning rate", base)


def _try(optimizer: torch.optim.Optimizer, state: dict[str, Any], ids: Sequence[int]) -> None:
    """Put a state into an optimizer that has made one step, whose own state says what form it should have."""
    weights = [weight for group in optimizer.param_groups for weight in group["params"]]
    for weight in weights:
        weight.grad = torch.zeros_like(weight)
    try:
        optimizer.step()
    except Exception:
        # One that needs more than gradients, or a GPU.
        return
    optimizer.state.clear()
    _step(optimizer, {"state": {}, "param_groups": state["param_groups"]})
    own, kept = copy.deepcopy(optimizer.state_dict()["state"]), state["state"]
    order = [one for group in optimizer.state_dict()["param_groups"] for one in group["params"]]
    _say_what_is_lost(
        weights, [next(_tensors(own.get(one)), None) is not None for one in order], [one in kept for one in ids]
    )
    for mine, theirs in zip(order, ids, strict=True):
        if theirs in kept and mine in own:
            _same_form(own[mine], kept[theirs], f"state: {theirs}")
    _check_numbers([(f"state {one}", value) for one, entry in kept.items() for value in _tensors(entry)], "states")
    _step(optimizer, state)


def _say_what_is_lost(weights: Sequence[torch.Tensor], needed: Sequence[bool], there: Sequence[bool]) -> None:
    """Some weights may never have had a gradient; torch begins anew with the others, without a word."""
    lost = [need and weight.requires_grad and not has for weight, need, has in zip(weights, needed, there, strict=True)]
    if any(lost) and sum(lost) == sum(needed):
        raise _Unfit("it holds the state of no weight")
    if any(lost):
        told = f"the optimizer's state of {sum(lost)} of {len(lost)} weights is not in it and begins anew"
        warnings.warn(told, stacklevel=2)


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
    found: Any = content.get("param_schedulers")
    configured = settings.param_scheduler
    if isinstance(wrapper, OptimWrapperDict):
        _expect(isinstance(found, Mapping) and set(found) == set(wrapper.keys()), "it", "schedules by name", found)
        own = isinstance(configured, Mapping) and "type" not in configured
        for name, each in wrapper.items():
            _fit_list(configured[name] if own else configured, each, found[name], settings, content)
    else:
        _fit_list(configured, wrapper, found, settings, content)


def _fit_list(configured: Any, wrapper: OptimWrapper, found: Any, settings: Any, content: Mapping[str, Any]) -> None:
    wanted = configured if isinstance(configured, (list, tuple)) else [configured]
    _expect(isinstance(found, (list, tuple)), "it", "a list", found)
    if len(found) != len(wanted):
        raise _Unfit(f"it has {len(found)} schedules, the config has {len(wanted)}")
    for number, (schedule, state) in enumerate(zip(wanted, found, strict=True)):
        _fit_schedule(_schedule(schedule, wrapper, settings, content["meta"]), state, f"schedule {number}")


def _schedule(schedule: Any, wrapper: OptimWrapper, settings: Any, meta: Mapping[str, Any]) -> Any:
    """As the host makes it; how many steps an epoch has, only the data set knows, and they do not matter here."""
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


def _same_form(own: Any, found: Any, name: str, same_length: bool = False) -> None:
    """Refuse a value that is of another form than ours: type, shape, keys; of numbers those that are none."""
    if isinstance(own, torch.Tensor) and own.ndim:
        fits = isinstance(found, torch.Tensor) and found.shape == own.shape
        _expect(
            fits and found.is_floating_point() == own.is_floating_point(), name, f"{tuple(own.shape)} numbers", found
        )
    elif isinstance(own, Mapping):
        _expect(isinstance(found, Mapping), name, "a dict", found)
        _expect(type(own) is not dict or set(own) <= set(found), name, f"{', '.join(map(str, own))}", found)
        for key in own.keys() & found.keys():
            _same_form(own[key], found[key], f"{name}: {key}")
    elif isinstance(own, (list, tuple)):
        fits = isinstance(found, (list, tuple)) and (len(found) == len(own) or not same_length and len(found) > 0)
        _expect(fits, name, f"a list of {len(own)}", found)
        for value in found:
            _same_form(own[0] if own else value, value, name)
    elif isinstance(own, bool) or own is None or isinstance(own, str):
        known = (bool, str, type(None))
        _expect(isinstance(found, known if own is None else type(own)) or own is None and _is_number(found), name,
                "None" if own is None else type(own).__name__, found)  # fmt: skip
    else:
        _expect(_is_number(found), name, "a number", found)
