"""Config files and ``--cfg-options``: every mistake in them is one message that says where it is."""

from __future__ import annotations

import argparse
import inspect
import os
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from mmengine.config import Config, DictAction
from mmengine.config.utils import MODULE2PACKAGE
from mmengine.registry import OPTIMIZERS
from mmengine.runner import Runner

from pyskl_semloss.errors import HostError, InputError
from pyskl_semloss.hosts.mmaction2.model.build_errors import describe_error, import_error_cause, unknown_type
from pyskl_semloss.io.reading import closest
from pyskl_semloss.io.shipped import PREFIX, find_config
from pyskl_semloss.semantic.label_vectors import load_matrix
from pyskl_semloss.skeletons import get_layout, is_layout_file, layout_fields

OPTION = "--cfg-options"
_KINDS = (".py", ".json", ".yaml", ".yml")
# Settings that mmengine's runner reads beside the arguments of its constructor.
_MORE = ("activation_checkpointing", "compile", "efficient_conv_bn_eval", "find_unused_parameters", "model_wrapper_cfg")
_SETTINGS = {*inspect.signature(Runner.__init__).parameters, *_MORE, "sync_bn"} - {"self", "cfg"}


class OverrideAction(DictAction):
    """The host's ``KEY=VALUE`` settings, refusing those without an equals sign in words."""

    def __call__(
        self,
        parser: argparse.ArgumentParser,
        namespace: argparse.Namespace,
        values: Any,
        option_string: str | None = None,
    ) -> None:
        """Take the settings."""
        for word in values or ():
            if "=" not in word or word.startswith("="):
                parser.error(f"argument {OPTION}: expected KEY=VALUE, as model.cls_head.alpha=10, got {word!r}")
        super().__call__(parser, namespace, values, option_string)


def read_config(path: str, options: Mapping[str, Any] | None = None) -> Config:
    """A config with its bases, what it imports, and the overrides.

    Args:
        path: The file, or the name of a shipped one; the host executes what is in it.
        options: Overrides by dotted key.

    Raises:
        InputError: There is no such file, it fails, or an override is none of a setting that there is.
    """
    file = find_config(path)
    if Path(file).suffix not in _KINDS:
        raise InputError(f"expected a config file ({', '.join(_KINDS)})", file=path, fix="The config comes first.")
    try:
        config = Config.fromfile(file)
    except InputError:
        raise
    except Exception as error:  # a config is Python, which can fail in any way
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
    """Let ``_base_ = "pyskl_semloss::mmaction2/imigue/joint.py"`` in a config lead to a config of this package.

    mmengine's own way fails in an editable installation, and looks up the types that such a base names in registries
    of the package, where ours are in MMAction2's.

    Args:
        config: mmengine's class.
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
    # For mmengine's get_config, which reads no bases by that name.
    MODULE2PACKAGE["pyskl_semloss"] = "pyskl_semloss"


def embed_layouts(settings: Any) -> None:
    """Put the fields of a layout in the place of its file's name, wherever a setting is called ``skeleton``.

    So a checkpoint, which keeps its config, needs no other file.

    Args:
        settings: A config or a part of one; changed in place.

    Raises:
        InputError: A file of a layout is absent or wrong.
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
    """Number of classes from the label vectors, where a config leaves it open.

    It goes into the head and into every ``KeypointDataset``, which refuses labels that are not below it; so a
    checkpoint records it.

    Args:
        config: Changed in place; the file of label vectors is there.
        path: Its file.

    Raises:
        InputError: The head has no label vectors to take the number from, they are of another number than the config
            says, or a data set has more classes than the head.
    """
    head = config.model.get("cls_head") or {}
    if head.get("type") == "SemanticEmbeddingHead" and head.get("label_vectors") is not None:
        head["num_classes"] = len(load_matrix(head["label_vectors"], head.get("num_classes")))
    elif "num_classes" in head and head["num_classes"] is None:
        problem = "expected the number of classes: this head has no label vectors to take it from, and it is None"
        raise InputError(problem, file=path, field="model.cls_head.num_classes")
    classes = head.get("num_classes")
    for use in ("train", "val", "test"):
        for dataset in _keypoint_datasets((config.get(f"{use}_dataloader") or {}).get("dataset")):
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


def _keypoint_datasets(dataset: Any) -> Iterator[Any]:
    """The settings of each data set of ours, also of those that others wrap."""
    if isinstance(dataset, Mapping):
        if dataset.get("type") == "KeypointDataset":
            yield dataset
        for each in (dataset.get("dataset"), *(dataset.get("datasets") or ())):
            yield from _keypoint_datasets(each)


def _check_known(config: Config, key: str, path: str) -> None:
    if key in config or key in _SETTINGS:
        return
    near = closest(key, sorted({*config.keys(), *_SETTINGS}))
    fix = f"Did you mean {near[0]}?" if near else f"At its top are {', '.join(sorted(config.keys()))}."
    raise InputError(f"the config has no {key!r}", file=path, field=OPTION, fix=fix)


def check_settings(config: Config, path: str, uses: Sequence[str]) -> None:
    """Refuse settings that the host would use without a word, or fail on without saying which they are.

    Args:
        config: The config, overrides included.
        path: Its file.
        uses: The data loaders that will be used.

    Raises:
        InputError: A wrong one.
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
    """Refuse what numpy takes as no seed.

    Raises:
        InputError: It is neither None nor a whole number of 32 bits.
    """
    if seed is not None and (not isinstance(seed, int) or not 0 <= seed < 1 << 32):
        raise InputError(f"expected a whole number from 0 to {(1 << 32) - 1}, got {seed!r}", file=file, field=field)
