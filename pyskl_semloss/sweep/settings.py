"""What a run's numbers depend on, so that a folder is never filled from two settings."""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from pyskl_semloss.annotations.store import HEAD, is_store
from pyskl_semloss.datasets.commands import missing_file
from pyskl_semloss.errors import InputError
from pyskl_semloss.io.files import sha256
from pyskl_semloss.io.records import flatten, read_record, short_json
from pyskl_semloss.semantic.controls import CONTROLS
from pyskl_semloss.semantic.label_vectors import LabelVectors
from pyskl_semloss.semantic.targets import transform
from pyskl_semloss.sweep.plan import Run, fill_seed, run_options

SETTINGS_FILE = "settings.json"
DONE_FILE = "done.json"

ReadConfig = Callable[[str, Sequence[str]], Mapping[str, Any]]
"""A config file and KEY=VALUE options -> the config with its bases and the options, as plain values."""

# What mmengine's runner makes a model and its scores of; logging, hooks that save, and helper variables are not in it.
_CONTENT = (
    *("model", "data_preprocessor", "randomness", "load_from", "env_cfg", "custom_hooks"),
    *("optim_wrapper", "param_scheduler", "auto_scale_lr"),
    *(f"{stage}_{part}" for stage in ("train", "val", "test") for part in ("cfg", "dataloader")),
)
_VECTORS = "model.cls_head.label_vectors"
_SHARED = ("epochs", "data")
_OWN = ("model", "setting", "vectors", "alpha", "seed", "label_vectors", "unseen", "transform")
_OF_VECTORS = ("label_vectors", "transform", "held_out")


class Describer:
    """Settings of runs; each config is read once and each file is hashed once.

    Args:
        out: The folder of the sweep; label vectors that are drawn are written to ``label_vectors`` in it.
        read_config: See ``ReadConfig``.
        options: The user's ``--cfg-options``.
        epochs: Of all runs; each config's own without it.
    """

    def __init__(self, out: Path, read_config: ReadConfig, options: Sequence[str] = (), epochs: int | None = None):
        if epochs is not None and epochs < 1:
            raise InputError(f"expected at least 1, got {epochs}", field="--epochs")
        self.out, self.options, self.epochs = out, list(options), epochs
        self._read_config = read_config
        self._configs: dict[tuple[str, ...], Mapping[str, Any]] = {}
        self._hashes: dict[str, str] = {}

    def vectors_file(self, run: Run) -> Path | None:
        """File of the label vectors that are made for a run; None where they are as given, or there are none."""
        setting = run.setting
        if setting.vectors not in CONTROLS and not setting.transform:
            return None
        return self.out / "label_vectors" / f"{setting.name or setting.vectors}_seed{run.seed}.npz"

    def all_options(self, run: Run) -> list[str]:
        """The ``--cfg-options`` of the run's training and test."""
        drawn = self.vectors_file(run)
        vectors = None if drawn is None else str(drawn)
        if drawn is None and run.setting.label_vectors is not None:
            vectors = os.fspath(self._given(run))
        return [fill_seed(option, run) for option in run_options(run, self.options, vectors)]

    def describe(self, run: Run) -> dict[str, Any]:
        """Settings that the run's numbers depend on, as JSON.

        Raises:
            InputError: The config cannot be used, or a file that it names is not there.
        """
        config = self._config(run)
        data: dict[str, str] = {}
        of_seed: list[str] = []
        for key in ("train", "val", "test"):
            dataset, field = annotated_dataset(config, key)
            if dataset.get("ann_file"):
                path = os.path.join(dataset.get("data_root") or "", dataset["ann_file"])
                data[key] = self._hash(fill_seed(path, run), run, f"{field}.ann_file")
                of_seed += [f"data.{key}"] * (fill_seed(path, run) != path)
        content = _without_paths(config)
        setting = run.setting
        if setting.alpha is not None and fill_seed(given := self._given_template(run), run) != given:
            of_seed.append("label_vectors")
        return {
            "model": run.model,
            "setting": setting.name or None,
            "vectors": setting.vectors,
            "alpha": setting.alpha,
            "seed": run.seed,
            "epochs": self.epochs or (config.get("train_cfg") or {}).get("max_epochs"),
            "data": data,
            "label_vectors": None if setting.alpha is None else self._hash(self._given(run), run, _VECTORS),
            "transform": list(setting.transform) or None,
            "options": [key for key, _ in setting.options],
            "of_seed": of_seed,
            "config_file": str(run.config),
            "config_sha256": hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest(),
            "config": content,
        }

    def make_vectors(self, run: Run) -> None:
        """Write the label vectors that are made for a run; the same bytes every time.

        Raises:
            InputError: The given label vectors have no names or words, cannot be shuffled, or not be transformed.
        """
        path = self.vectors_file(run)
        if path is None:
            return
        labels, setting = LabelVectors.load(self._given(run)), run.setting
        if setting.transform:
            labels = transform(labels, setting.transform)
        if setting.vectors in CONTROLS:
            labels = CONTROLS[setting.vectors](labels, run.seed)
        labels.save(path)

    def _config(self, run: Run) -> Mapping[str, Any]:
        key = (str(run.config), *run_options(run, self.options))
        if key not in self._configs:
            self._configs[key] = self._read_config(key[0], key[1:])
        return self._configs[key]

    def _given(self, run: Run) -> str:
        return fill_seed(self._given_template(run), run)

    def _given_template(self, run: Run) -> str:
        """Path of the given label vectors, with ``{seed}`` where they vary with the seed."""
        head = (self._config(run).get("model") or {}).get("cls_head") or {}
        value = head.get("label_vectors")
        if not isinstance(value, str):
            raise InputError(
                f"expected the path of a file of label vectors, got {type(value).__name__}",
                file=run.config,
                field=_VECTORS,
                fix="A sweep needs a config with the semantic head, and a file in it.",
            )
        own = run.setting.label_vectors
        if own is None:
            return value
        return own if os.path.dirname(own) else os.path.join(os.path.dirname(value), own)

    def _hash(self, path: str, run: Run, field: str) -> str:
        if path not in self._hashes:
            # The head of a store has the hash of what it was made of.
            file = os.path.join(path, HEAD) if is_store(path) else path
            if not os.path.isfile(file):
                raise missing_file(path, run.config, field)
            self._hashes[path] = sha256(file)
        return self._hashes[path]


def check_folder(folder: Path, settings: Mapping[str, Any]) -> str:
    """State of a run: ``"new"``, ``"cut off"`` or ``"finished"``.

    Raises:
        InputError: The folder is of other settings, holds a checkpoint of unknown ones, or its score file is not the
            one that its numbers are of.
    """
    before = read_record(folder / SETTINGS_FILE, advice(folder))
    if before is None:
        if (folder / "last_checkpoint").exists():
            raise InputError("it holds a checkpoint, but not the settings of it", file=folder, fix=advice(folder))
        return "new"
    changes = differences(before, settings, (*_OWN, *_SHARED, "config"))
    if changes:
        raise InputError(f"it is of other settings: {'; '.join(changes)}", file=folder, fix=advice(folder))
    done = read_record(folder / DONE_FILE, advice(folder))
    if done is None:
        return "cut off"
    scores = folder / str(done.get("score_file"))
    if not scores.is_file() or sha256(scores) != done.get("score_sha256"):
        raise InputError(
            f"{scores.name} is not the file that the numbers in {DONE_FILE} are of", file=folder, fix=advice(folder)
        )
    return "finished"


def check_others(out: Path, settings: Mapping[str, Any]) -> None:
    """Refuse a run that cannot be compared with another of the folder.

    Raises:
        InputError: As :func:`check_comparable`.
    """
    for path in sorted(out.glob(f"*/{SETTINGS_FILE}")):
        other = read_record(path, advice(path.parent)) or {}
        check_comparable(other, settings, path.parent)


def check_comparable(other: Mapping[str, Any], settings: Mapping[str, Any], folder: Path) -> None:
    """Refuse two runs of one table that cannot be compared.

    Files whose path contains the seed may differ between seeds.

    Args:
        other: Settings of a run.
        settings: Settings of another.
        folder: Folder of the first, for the message.

    Raises:
        InputError: They have other epochs or data; the same config with another content; the same named setting with
            another meaning; or, without names, other label vectors, transforms or numbers of classes held out.
    """
    keys = [*_SHARED, *(["config"] if _same_config(other, settings) else [])]
    options = {*(other.get("options") or ()), *(settings.get("options") or ())}
    if settings.get("setting") and _same_name(other, settings):
        keys += ["vectors", "alpha", *_OF_VECTORS]
        options = set()
    elif _same_name(other, settings) and _same_config(other, settings):
        keys += _OF_VECTORS
    varying: set[str] = set()
    if other.get("seed") != settings["seed"]:
        varying = {*(other.get("of_seed") or ()), *(settings.get("of_seed") or ())}
    old, new = (
        {**_without_options(each, options), "held_out": len(each.get("unseen") or ())} for each in (other, settings)
    )
    changes = differences(old, new, keys, varying)
    if changes:
        fix = "Give the same settings, or another folder with --out."
        raise InputError(f"a run there has other settings: {'; '.join(changes)}", file=folder, fix=fix)


def differences(
    old: Mapping[str, Any], new: Mapping[str, Any], keys: Sequence[str], varying: Collection[str] = ()
) -> list[str]:
    """Differing settings in words, at most four.

    Args:
        old: Settings of a run.
        new: Settings of another.
        keys: What is compared.
        varying: Dotted keys that may differ.
    """
    there, now = (flatten({key: settings.get(key) for key in keys}) for settings in (old, new))
    changed = [key for key in {**there, **now} if key not in varying and there.get(key) != now.get(key)]
    shown = [f"{key} {short_json(there.get(key))} there, {short_json(now.get(key))} now" for key in changed[:4]]
    return shown + ([f"{len(changed) - 4} more"] if len(changed) > 4 else [])


def advice(folder: Path) -> str:
    """Remedy where a record of the folder cannot be used."""
    return f"Delete {folder} to run it anew, or give another folder with --out."


def _same_config(old: Mapping[str, Any], new: Mapping[str, Any]) -> bool:
    return old.get("model") == new["model"] and (old.get("alpha") is None) == (new["alpha"] is None)


def _same_name(old: Mapping[str, Any], new: Mapping[str, Any]) -> bool:
    return old.get("model") == new["model"] and old.get("setting") == new.get("setting")


def _without_options(settings: Mapping[str, Any], options: Iterable[str]) -> dict[str, Any]:
    """Settings whose config lacks what the options of a setting set, in which runs of a sweep may differ."""
    prefixes = tuple(f"{option}." for option in options)
    config = flatten(settings.get("config") or {})
    shared = {key: value for key, value in config.items() if not f"{key}.".startswith(prefixes)}
    return {**settings, "config": shared}


def _without_paths(config: Mapping[str, Any]) -> dict[str, Any]:
    """What counts of a config, without what the sweep sets and without paths, whose files are hashed; plain JSON."""
    content = json.loads(json.dumps({key: config[key] for key in _CONTENT if config.get(key) is not None}, default=str))
    head = (content.get("model") or {}).get("cls_head") or {}
    for key in ("label_vectors", "alpha"):
        head.pop(key, None)
    (content.get("randomness") or {}).pop("seed", None)
    for key in ("train", "val", "test"):
        dataset, _ = annotated_dataset(content, key)
        for path in ("ann_file", "data_root"):
            dataset.pop(path, None)
    return content


def annotated_dataset(config: Mapping[str, Any], use: str) -> tuple[dict[str, Any], str]:
    """Settings of the data set with the annotation file, and their field.

    The data set may stand within one that repeats it.

    Args:
        config: The config with its bases.
        use: ``"train"``, ``"val"`` or ``"test"``.
    """
    dataset, field = (config.get(f"{use}_dataloader") or {}).get("dataset") or {}, f"{use}_dataloader.dataset"
    while not dataset.get("ann_file") and isinstance(dataset.get("dataset"), Mapping):
        dataset, field = dataset["dataset"], f"{field}.dataset"
    return dataset, field
