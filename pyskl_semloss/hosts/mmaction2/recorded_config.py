"""The config that a checkpoint was trained with, as the checkpoint records it, read without running anything."""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import Any

from mmaction.registry import MODELS, TRANSFORMS
from mmengine.config import Config
from mmengine.registry import FUNCTIONS, Registry

from pyskl_semloss.errors import InputError
from pyskl_semloss.evaluation.fusion_config import parse_literals
from pyskl_semloss.reading import shown

_FIX = "Give the config beside the checkpoint."
# Weights that would be fetched or read before the checkpoint's own replace them.
_WEIGHTS = ("pretrained", "init_cfg")


def recorded_config(content: Mapping[str, Any], path: str | os.PathLike[str]) -> Config:
    """The model and the test data of the config in ``meta["cfg"]``.

    The record is parsed as literals. The host would import whatever a ``type`` with a dot names, so that only names
    that are registered are taken; ``custom_imports`` is ignored.

    Args:
        content: What :func:`pyskl_semloss.checkpoints.read_checkpoint` gave.
        path: Of the checkpoint, for messages.

    Raises:
        InputError: There is no such record, or there is something else in it.
    """
    meta = content.get("meta")
    text = meta.get("cfg") if isinstance(meta, Mapping) else None
    if not isinstance(text, str) or not text.strip():
        problem = "the checkpoint records no config of MMAction2, only weights"
        raise InputError(problem, file=path, field="meta.cfg", fix=_FIX)
    values = parse_literals(text, path, _FIX)
    missing = [key for key in ("model", "test_dataloader") if not isinstance(values.get(key), dict)]
    if missing:
        problem = f"the recorded config lacks {' and '.join(missing)}"
        raise InputError(problem, file=path, field="meta.cfg", fix=_FIX)
    kept = {key: _checked(values[key], path, f"meta.cfg: {key}") for key in ("model", "test_dataloader")}
    return Config(kept)


def _checked(value: Any, path: str | os.PathLike[str], place: str) -> Any:
    if isinstance(value, dict):
        if "type" in value and not _is_registered(value["type"]):
            problem = f"the type {shown(value['type'])} is none that is registered here"
            raise InputError(problem, file=path, field=place, fix=_FIX)
        wanted = [key for key in value if key not in (*_WEIGHTS, "_scope_")]
        return {key: _checked(value[key], path, f"{place}.{key}") for key in wanted}
    if isinstance(value, (list, tuple)):
        return type(value)(_checked(one, path, f"{place}.{number}") for number, one in enumerate(value))
    return value


def _is_registered(name: object) -> bool:
    if not isinstance(name, str) or "." in name:
        return False
    registries: list[Registry | None] = [MODELS, TRANSFORMS, FUNCTIONS]
    while registries:
        registry = registries.pop()
        if registry is not None:
            if name in registry.module_dict:
                return True
            registries.append(registry.parent)
    # What a data loader's own parts are called; they are not built.
    return name in ("DefaultSampler", "KeypointDataset", "PoseDataset")
