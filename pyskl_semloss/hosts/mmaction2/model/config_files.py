"""Reader and checks of config files and ``--cfg-options``."""

from __future__ import annotations

import inspect
import os
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from mmengine.config import Config
from mmengine.config.utils import MODULE2PACKAGE
from mmengine.registry import OPTIMIZERS
from mmengine.runner import Runner

from pyskl_semloss.errors import HostError, InputError
from pyskl_semloss.hosts.mmaction2.model.build_errors import describe_error, import_error_cause, unknown_type
from pyskl_semloss.io.reading import closest_names
from pyskl_semloss.io.resources import PREFIX, find_config
from pyskl_semloss.semantic.head import SEMANTIC_HEADS
from pyskl_semloss.semantic.label_vectors import load_matrix
from pyskl_semloss.skeletons import get_layout, is_layout_file, layout_fields

OPTION = "--cfg-options"
_KINDS = (".py", ".json", ".yaml", ".yml")
# Settings that mmengine's runner reads in addition to the arguments of its constructor.
_MORE = ("activation_checkpointing", "compile", "efficient_conv_bn_eval", "find_unused_parameters", "model_wrapper_cfg")
_SETTINGS = {*inspect.signature(Runner.__init__).parameters, *_MORE, "sync_bn"} - {"self", "cfg"}


def read_config(path: str, options: Mapping[str, Any] | None = None) -> Config:
    """Config of a file with its base configs, imports and overrides.

    Args:
        path: Path of the file, which the host executes, or name of a shipped config.
        options: Overrides by dotted key.

    Raises:
        InputError: The file is missing or fails, or an override names no setting of the config.
    """
    file = find_config(path)
    if Path(file).suffix not in _KINDS:
        raise InputError(f"expected a config file ({', '.join(_KINDS)})", file=path, fix="The config comes first.")
    try:
        config = Config.fromfile(file)
    except InputError:
        raise
    except Exception as error:  # a config is Python code, which can raise anything
        cause = import_error_cause(error)
        if isinstance(cause, HostError):
            raise InputError(str(cause), file=path) from error
        raise InputError(f"the config cannot be read ({describe_error(error)})", file=path) from error
    for key in options or {}:
        _check_known(config, key.split(".")[0], path)
    try:
        config.merge_from_dict(dict(options or {}))
    except (TypeError, KeyError) as error:
        words = str(error.args[0] if error.args else error).split(" You may set ")[0]
        raise InputError(f"they do not fit the config ({words})", file=path, field=OPTION) from None
    return config


def use_shipped_bases(config: type[Config]) -> None:
    """Resolve ``_base_ = "pyskl_semloss::mmaction2/imigue/joint.py"`` to a config of this package.

    mmengine's own lookup fails in an editable installation, and searches the types of such a base in registries of the
    package, while our classes are in MMAction2's registries.

    Args:
        config: mmengine's ``Config`` class; changed in place.
    """
    theirs = config._get_cfg_path

    def path_and_scope(base: str, file: str) -> tuple[str, str | None]:
        if not base.startswith(PREFIX):
            return theirs(base, file)
        try:
            return find_config(base), None
        except InputError as error:
            raise InputError(f"{base}: {error.problem}", file=file, field="_base_", fix=error.fix) from None

    config._get_cfg_path = staticmethod(path_and_scope)
    # For mmengine's get_config, which does not use _get_cfg_path.
    MODULE2PACKAGE["pyskl_semloss"] = "pyskl_semloss"


def embed_layouts(settings: Any) -> None:
    """Replace file names in ``skeleton`` settings by the layouts' fields.

    A checkpoint, which records its config, then needs no layout file.

    Args:
        settings: A config or a part of it; changed in place.

    Raises:
        InputError: A layout file is missing or invalid.
    """
    if isinstance(settings, (list, tuple)):
        for each in settings:
            embed_layouts(each)
    elif isinstance(settings, Mapping):
        for key, value in list(settings.items()):
            if key == "skeleton" and isinstance(value, (str, os.PathLike)) and is_layout_file(value):
                settings[key] = layout_fields(get_layout(value))  # type: ignore[index]
            else:
                embed_layouts(value)


def fill_num_classes(config: Config, path: str) -> None:
    """Set an open number of classes from the label vectors.

    It is set in the head and in every ``KeypointDataset``, which refuses labels that are not below it. A checkpoint
    records it with its config.

    Args:
        config: The config; changed in place. Its file of label vectors exists.
        path: Path of the config, for messages.

    Raises:
        InputError: The number is open and the head has no label vectors, the number differs from that of the label
            vectors, or a data set has more classes than the head.
    """
    head = config.model.get("cls_head") or {}
    if head.get("type") in SEMANTIC_HEADS and head.get("label_vectors") is not None:
        head["num_classes"] = len(load_matrix(head["label_vectors"], head.get("num_classes")))
    elif "num_classes" in head and head["num_classes"] is None:
        problem = "expected the number of classes: this head has no label vectors to take it from, and it is None"
        raise InputError(problem, file=path, field="model.cls_head.num_classes")
    classes = head.get("num_classes")
    for use in ("train", "val", "test"):
        for dataset in keypoint_datasets((config.get(f"{use}_dataloader") or {}).get("dataset")):
            given = dataset.get("num_classes")
            if given is None:
                dataset["num_classes"] = classes
            elif isinstance(given, int) and isinstance(classes, int) and given > classes:
                raise InputError(
                    f"it is {given}, but the model has {classes} classes",
                    file=path,
                    field=f"{use}_dataloader.dataset.num_classes",
                    fix=f"Set it to {classes}, or leave it out.",
                )


def keypoint_datasets(dataset: Any) -> Iterator[Any]:
    """Settings of every ``KeypointDataset``, also inside wrapping data sets."""
    if isinstance(dataset, Mapping):
        if dataset.get("type") == "KeypointDataset":
            yield dataset
        for each in (dataset.get("dataset"), *(dataset.get("datasets") or ())):
            yield from keypoint_datasets(each)


def _check_known(config: Config, key: str, path: str) -> None:
    if key in config or key in _SETTINGS:
        return
    near = closest_names(key, sorted({*config.keys(), *_SETTINGS}))
    fix = f"Did you mean {near[0]}?" if near else f"Its top-level settings are {', '.join(sorted(config.keys()))}."
    raise InputError(f"the config has no {key!r}", file=path, field=OPTION, fix=fix)


def check_settings(config: Config, path: str, uses: Sequence[str]) -> None:
    """Refuse settings that the host would ignore, or report without their name.

    Args:
        config: The config, overrides included.
        path: Path of the config, for messages.
        uses: Names of the data loaders in use, such as ``"train"``.

    Raises:
        InputError: Names the first wrong setting.
    """
    if not isinstance(config.get("model"), Mapping):
        raise InputError("expected a config of a model, but it has none", file=path, field="model")
    for use in uses:
        loader = config.get(f"{use}_dataloader")
        if loader is None and use == "val":
            continue
        if not isinstance(loader, Mapping) or not isinstance(loader.get("dataset"), Mapping):
            problem = "expected the settings of a loader with its dataset, but there are none"
            raise InputError(problem, file=path, field=f"{use}_dataloader")
        for name, least in (("batch_size", 1), ("num_workers", 0)):
            value = loader.get(name, least)
            if isinstance(value, bool) or not isinstance(value, int) or value < least:
                problem = f"expected a whole number from {least}, got {value!r}"
                raise InputError(problem, file=path, field=f"{use}_dataloader.{name}")
    check_seed(config.get("randomness", {}).get("seed"), "randomness.seed", path)
    if "train" in uses:
        kind = (config.get("optim_wrapper") or {}).get("optimizer", {}).get("type")
        if isinstance(kind, str) and OPTIMIZERS.get(kind) is None:
            raise unknown_type(kind, OPTIMIZERS, path)


def check_seed(seed: object, field: str, file: str | None = None) -> None:
    """Refuse seeds that numpy does not accept.

    Raises:
        InputError: The seed is neither None nor a whole number of 32 bits.
    """
    if seed is not None and (not isinstance(seed, int) or not 0 <= seed < 1 << 32):
        raise InputError(f"expected a whole number from 0 to {(1 << 32) - 1}, got {seed!r}", file=file, field=field)
