"""Which settings a resumed run has that its checkpoint's run had not, and which of the two are used."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from typing import Any

from mmengine.config import Config

from pyskl_semloss.errors import InputError
from pyskl_semloss.evaluation.fusion_config import parse_literals
from pyskl_semloss.io.records import flat, short

_PARTS = ("model", "data_preprocessor", "train_dataloader", "train_cfg", "optim_wrapper", "param_scheduler",
          "auto_scale_lr", "custom_hooks")  # fmt: skip
# The host puts these into the optimizer and the schedules, and then what the checkpoint holds of them in their place.
_OF_CHECKPOINT = ("optim_wrapper.optimizer.", "optim_wrapper.paramwise_cfg.", "param_scheduler.", "auto_scale_lr.")
# No number of the training depends on them, or run.json looks at what the files hold.
_NO_MATTER = ("num_workers", "persistent_workers", "pin_memory", "prefetch_factor", "ann_file", "data_root",
              "label_vectors", "classes")  # fmt: skip
_MOST = 20


def changed_settings(config: Config, meta: Mapping[str, Any], path: str | os.PathLike[str]) -> list[str]:
    """A line for each setting of the training that is not as it was, with both values and the one that is used.

    Args:
        config: Of the run.
        meta: The checkpoint's; the config in it is read as literals, nothing of it is run.
        path: The checkpoint.

    Raises:
        InputError: The optimizer is of another type.
    """
    text = meta.get("cfg")
    if not text:
        return [f"{path} does not record its config: whether the settings are those of its run is not known"]
    try:
        before = parse_literals(text, path, "")
    except InputError as error:
        return [f"the config in {path} cannot be read ({error.problem}): whether the settings are those of its run is "
                "not known"]  # fmt: skip
    there, here = _plain(before), _plain(config._cfg_dict)
    changed = [key for key in {**there, **here} if there.get(key) != here.get(key)]
    if "optim_wrapper.optimizer.type" in changed:
        raise InputError(
            f"it is of a run with the optimizer {_word(there, 'optim_wrapper.optimizer.type')}, not "
            f"{_word(here, 'optim_wrapper.optimizer.type')}",
            file=path,
            field="optim_wrapper.optimizer.type",
            fix="To start a new run from its weights, give --cfg-options load_from=FILE in place of --resume.",
        )
    lines = [_line(key, there, here) for key in changed[:_MOST]]
    if len(changed) > _MOST:
        lines.append(f"{len(changed) - _MOST} more settings are not those of the checkpoint's run")
    return lines


def _plain(config: Mapping[str, Any]) -> dict[str, Any]:
    """The settings that count, flat."""
    kept = json.loads(json.dumps({key: config.get(key) for key in _PARTS}, default=str))
    settings = {key: value for key, value in flat(kept).items() if key.rpartition(".")[2] not in _NO_MATTER}
    return {key: value for key, value in settings.items() if ".classes." not in key and value is not None}


def _word(settings: Mapping[str, Any], key: str) -> str:
    return short(settings[key]) if key in settings else "not set"


def _line(key: str, there: Mapping[str, Any], here: Mapping[str, Any]) -> str:
    both = f"{key} is {_word(there, key)} in the checkpoint's run, {_word(here, key)} here"
    if key.startswith(_OF_CHECKPOINT):
        return f"{both}: the checkpoint's is used, as it holds the state of its optimizer and schedules"
    if key in ("train_dataloader.batch_size", "train_cfg.max_epochs"):
        return f"{both}: {_word(here, key)} is used, but the learning rate and the schedule stay the checkpoint's"
    return f"{both}: {_word(here, key)} is used"
