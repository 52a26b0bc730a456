"""Which checkpoint a run goes on from: the latest that is whole."""

from __future__ import annotations

import contextlib
import json
import os
import re
import warnings
import zipfile
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from mmengine.config import Config

from pyskl_semloss.errors import InputError, one_line
from pyskl_semloss.evaluation.fusion_config import parse_literals
from pyskl_semloss.hosts.checkpoints import read_checkpoint
from pyskl_semloss.hosts.mmaction2.training.atomic_checkpoints import POINTER, point_to
from pyskl_semloss.hosts.mmaction2.training.resume_checks import check_fits, check_parts
from pyskl_semloss.io.files import hold, remove_all_abandoned, writing
from pyskl_semloss.io.reading import open_regular, read_text, reason
from pyskl_semloss.io.records import flat, short

_PATIENCE = 3.0
"""Seconds that a start waits for another training in its folder, which may be about to end."""


def prepare_start(config: Config, resume: str | None = None, *, seed: int | None = None, first: bool = True) -> None:
    """Make a config start, or go on from a checkpoint, see :func:`choose_start` and :func:`begin`."""
    begin(config, choose_start(config, resume, seed=seed, first=first), first=first)


def choose_start(
    config: Config, resume: str | None = None, *, seed: int | None = None, first: bool = True
) -> Path | None:
    """Make a config start, or go on from a checkpoint that fits it; nothing is written.

    Args:
        config: Changed: ``resume``, ``load_from``, and the seed, which becomes that of the resumed run.
        resume: ``"auto"`` to go on from the latest whole checkpoint if there is any, or a file; None leaves it to the
            config, which starts anew unless it says otherwise.
        seed: The one that the user asks for, if any.
        first: Whether this is the first of the run's processes, which warns for all.

    Returns:
        The checkpoint, or None for a new run.

    Raises:
        InputError: The checkpoint is damaged, and so is every earlier one; it is of another seed than asked for; or it
            does not fit the config's model, optimizer or schedules.
    """
    if resume is None and config.get("resume"):
        resume = config.get("load_from") or "auto"
    config.resume = False
    found = latest_whole(config, first) if resume == "auto" else None if resume is None else Path(resume)
    if found is None:
        if first and resume == "auto":
            warnings.warn(f"{config.work_dir} has no checkpoint to go on from: a new run starts", stacklevel=2)
        return None
    content = _read_run(found)
    of_run = content["meta"].get("seed")
    if seed is not None and of_run not in (None, seed):
        fix = f"Give --seed {of_run}, or none, or another --work-dir for another run."
        raise InputError(f"it is of a run with seed {of_run}, not {seed}", file=found, field="--seed", fix=fix)
    if config.get("model") is not None:
        changes = changed_settings(config, content["meta"], found)
        check_fits(config, content, found)
        for line in changes if first else ():
            warnings.warn(line, stacklevel=2)
    config.resume, config.load_from = True, str(found)
    if of_run is not None:
        config.randomness = {**config.get("randomness", {}), "seed": of_run}
    return found


def begin(config: Config, found: Path | None, *, first: bool = True) -> None:
    """Clear the run's folder of what a killed process left half written, and name the checkpoint as the latest.

    Args:
        config: Of the run.
        found: The checkpoint that it goes on from, or None for a new run.
        first: Whether this is the first of the run's processes, which does it for all.
    """
    if not first:
        return
    for folder in folders(config):
        remove_all_abandoned(folder)
    if found is None:
        _forget_earlier_run(config)
    else:
        # Until it has written its own, an interrupted run goes on from the same.
        point_to(config.work_dir, found)


@contextlib.contextmanager
def hold_run(config: Config) -> Iterator[None]:
    """Hold the only right to train in a run's folder, and in that of its checkpoints.

    Raises:
        InputError: Another training holds it.
    """
    with contextlib.ExitStack() as held:
        for folder in folders(config):
            with writing(folder):
                folder.mkdir(parents=True, exist_ok=True)
            held.enter_context(hold(folder, "trains in", patience=_PATIENCE))
        yield


def folders(config: Config) -> list[Path]:
    """The run's folder, and that of its checkpoints where it is another."""
    places = [Path(config.work_dir), _folder(config)]
    return places if os.path.realpath(places[0]) != os.path.realpath(places[1]) else places[:1]


def latest_whole(config: Config, warn: bool = True) -> Path | None:
    """The checkpoint that the host's ``last_checkpoint`` names, or the newest whole one before it with a warning.

    Args:
        config: ``work_dir`` and the checkpoint hook's settings say where they are and how they are named.
        warn: Whether to warn.

    Returns:
        None where there is no checkpoint.

    Raises:
        InputError: There are some, and none is whole.
    """
    faults: list[str] = []
    for path in _candidates(config):
        try:
            checkpoint_meta(path)
        except InputError as error:
            faults.append(f"{one_line(path.name)} is not whole ({error.problem})")
            continue
        if faults and warn:
            warnings.warn(f"{'; '.join(faults)}: training goes on from {path}", stacklevel=2)
        return path
    if faults:
        raise InputError(
            f"no checkpoint is whole: {'; '.join(faults)}",
            file=config.work_dir,
            field="--resume",
            fix="Copy a whole one there and name it with --resume FILE, or start anew without --resume.",
        )
    return None


def checkpoint_meta(path: str | os.PathLike[str]) -> Mapping[str, Any]:
    """What a checkpoint says of its run, ``epoch``, ``iter`` and ``seed`` among it, after it was read to the last byte.

    Raises:
        InputError: There is no such file, it is damaged, or training cannot go on from it.
    """
    meta: Mapping[str, Any] = _read_run(path)["meta"]
    return meta


def _read_run(path: str | os.PathLike[str]) -> Mapping[str, Any]:
    if os.path.isdir(path):
        fix = "Without a name, --resume goes on from the latest one in the work dir."
        raise InputError("expected a checkpoint file, got a folder", file=path, fix=fix)
    with open_regular(path) as stream:
        try:
            with zipfile.ZipFile(stream) as archive:
                # torch does not look at the checksums.
                broken = archive.testzip()
        except zipfile.BadZipFile:
            raise InputError("it is cut short or no checkpoint", file=path) from None
        # Whatever zipfile and zlib raise on damaged bytes.
        except Exception as error:
            raise InputError(f"it cannot be read ({reason(error)})", file=path) from None
    if broken is not None:
        raise InputError(f"its part {broken} is damaged", file=path)
    content = read_checkpoint(path)
    check_parts(content, path)
    return content


def _forget_earlier_run(config: Config) -> None:
    """A run that is interrupted before its first checkpoint must not go on from an earlier run's."""
    earlier = _candidates(config)
    Path(config.work_dir, POINTER).unlink(missing_ok=True)
    if earlier:
        warnings.warn(
            f"a new run starts where an earlier one lies, and will overwrite it; that one goes on with --resume "
            f"{earlier[0]}",
            stacklevel=3,
        )


def _hook(config: Config) -> Mapping[str, Any]:
    return (config.get("default_hooks") or {}).get("checkpoint") or {}


def _folder(config: Config) -> Path:
    """Where the checkpoints are: in the work dir, or in a folder of its name below the hook's own."""
    folder = Path(config.work_dir)
    other: Any = _hook(config).get("out_dir")
    return folder if other in (None, config.work_dir) else Path(other) / folder.name


def _candidates(config: Config) -> list[Path]:
    """The checkpoint that is the latest, which may be gone, and the earlier ones, latest first."""
    pointer = Path(config.work_dir, POINTER)
    if not os.path.lexists(pointer):
        return []
    try:
        pointed = Path(read_text(pointer).strip())
        exists = pointed.is_file()
    # No text, or no path: longer than the system allows.
    except (InputError, OSError):
        pointed, exists = Path(), False
    hook, folder = _hook(config), _folder(config)
    template = hook.get("filename_tmpl") or ("epoch_{}.pth" if hook.get("by_epoch", True) else "iter_{}.pth")
    name = re.compile(re.escape(template).replace(r"\{\}", r"(\d+)"))
    numbers = {path: int(found[1]) for path in folder.glob("*") if (found := name.fullmatch(path.name))}
    newest_first = sorted(numbers, key=numbers.__getitem__, reverse=True)
    if not pointed.name:
        return newest_first
    # The folder may have been moved since; and a run may have been resumed from another folder.
    latest = folder / pointed.name
    if not latest.is_file() and exists:
        return [pointed]
    found = name.fullmatch(latest.name)
    return [latest, *(path for path in newest_first if found and numbers[path] < int(found[1]))]


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
    """The settings that count, flat; that a schedule ends with the training need not be among them."""
    kept = json.loads(json.dumps({key: config.get(key) for key in _PARTS}, default=str))
    settings = {key: value for key, value in flat(kept).items() if key.rpartition(".")[2] not in _NO_MATTER}
    epochs = settings.get("train_cfg.max_epochs")
    ends = {key for key in settings if re.fullmatch(r"param_scheduler\.(\d+\.)?(T_max|end)", key)}
    return {
        key: value
        for key, value in settings.items()
        if ".classes." not in key and value is not None and not (key in ends and value == epochs)
    }


def _word(settings: Mapping[str, Any], key: str) -> str:
    return short(settings[key]) if key in settings else "not set"


def _line(key: str, there: Mapping[str, Any], here: Mapping[str, Any]) -> str:
    both = f"{key} is {_word(there, key)} in the checkpoint's run, {_word(here, key)} here"
    if key.startswith(_OF_CHECKPOINT):
        return f"{both}: the checkpoint's is used, as it holds the state of its optimizer and schedules"
    if key in ("train_dataloader.batch_size", "train_cfg.max_epochs"):
        return f"{both}: {_word(here, key)} is used, but the learning rate and the schedule stay the checkpoint's"
    return f"{both}: {_word(here, key)} is used"
