"""Resumption of a run from its latest intact checkpoint."""

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

from pyskl_semloss.errors import InputError, escape_control_characters
from pyskl_semloss.hosts.checkpoints import read_checkpoint
from pyskl_semloss.hosts.mmaction2.training.atomic_checkpoints import POINTER, point_to
from pyskl_semloss.hosts.mmaction2.training.resume_checks import check_fits, check_parts
from pyskl_semloss.io.files import acquire_lock, explain_write_errors, remove_all_abandoned
from pyskl_semloss.io.literals import parse_literals
from pyskl_semloss.io.reading import open_regular, read_text, reason
from pyskl_semloss.io.records import flatten, short_json

_LOCK_TIMEOUT = 3.0
"""Seconds that a start waits for another training in its folder, which may be about to end."""


def prepare_start(config: Config, resume: str | None = None, *, seed: int | None = None, first: bool = True) -> None:
    """Choose the checkpoint of a start and begin it: :func:`choose_start`, then :func:`begin`."""
    begin(config, choose_start(config, resume, seed=seed, first=first), first=first)


def choose_start(
    config: Config, resume: str | None = None, *, seed: int | None = None, first: bool = True
) -> Path | None:
    """Set a config to start anew or to resume, writing nothing.

    Args:
        config: Config of the run; ``resume``, ``load_from`` and the seed, that of the resumed run, are set in place.
        resume: ``"auto"`` for the latest intact checkpoint if there is any, or a file; None follows the config, which
            starts anew by default.
        seed: Seed requested by the user, if any.
        first: Whether this is the first of the run's processes; only it warns.

    Returns:
        The checkpoint, or None for a new run.

    Raises:
        InputError: All checkpoints are corrupt, the checkpoint has another seed than requested, or it does not fit the
            config's model, optimizer or schedules.
    """
    if resume is None and config.get("resume"):
        resume = config.get("load_from") or "auto"
    config.resume = False
    checkpoint = latest_whole(config, first) if resume == "auto" else None if resume is None else Path(resume)
    if checkpoint is None:
        if first and resume == "auto":
            warnings.warn(f"{config.work_dir} has no checkpoint to resume from: a new run starts", stacklevel=2)
        return None
    content = _read_run(checkpoint)
    run_seed = content["meta"].get("seed")
    if seed is not None and run_seed not in (None, seed):
        fix = f"Give --seed {run_seed}, or none, or another --work-dir for another run."
        raise InputError(f"it is of a run with seed {run_seed}, not {seed}", file=checkpoint, field="--seed", fix=fix)
    if config.get("model") is not None:
        changes = changed_settings(config, content["meta"], checkpoint)
        check_fits(config, content, checkpoint)
        for line in changes if first else ():
            warnings.warn(line, stacklevel=2)
    config.resume, config.load_from = True, str(checkpoint)
    if run_seed is not None:
        config.randomness = {**config.get("randomness", {}), "seed": run_seed}
    return checkpoint


def begin(config: Config, checkpoint: Path | None, *, first: bool = True) -> None:
    """Remove temporary files of killed processes, and name the latest checkpoint.

    Args:
        config: Config of the run.
        checkpoint: Checkpoint to resume from, or None for a new run.
        first: Whether this is the first of the run's processes; the others do nothing.
    """
    if not first:
        return
    for folder in folders(config):
        remove_all_abandoned(folder)
    if checkpoint is None:
        _forget_earlier_run(config)
    else:
        # A run that is interrupted before its first checkpoint resumes from the same one.
        point_to(config.work_dir, checkpoint)


@contextlib.contextmanager
def hold_run(config: Config) -> Iterator[None]:
    """Exclusive lock on a run's folder and on that of its checkpoints.

    Raises:
        InputError: Another training holds the lock.
    """
    with contextlib.ExitStack() as held:
        for folder in folders(config):
            with explain_write_errors(folder):
                folder.mkdir(parents=True, exist_ok=True)
            held.enter_context(acquire_lock(folder, "trains in", timeout=_LOCK_TIMEOUT))
        yield


def folders(config: Config) -> list[Path]:
    """Folder of the run, and that of its checkpoints if it differs."""
    paths = [Path(config.work_dir), _checkpoint_folder(config)]
    return paths if os.path.realpath(paths[0]) != os.path.realpath(paths[1]) else paths[:1]


def latest_whole(config: Config, warn: bool = True) -> Path | None:
    """Latest intact checkpoint of a run.

    It is the checkpoint that the host's ``last_checkpoint`` names, or, with a warning, the newest intact one before it.

    Args:
        config: Config whose ``work_dir`` and checkpoint hook give the folder and the names.
        warn: Whether to warn about corrupt checkpoints.

    Returns:
        The path, or None if there is no checkpoint.

    Raises:
        InputError: All checkpoints are corrupt.
    """
    faults: list[str] = []
    for path in _candidates(config):
        try:
            checkpoint_meta(path)
        except InputError as error:
            faults.append(f"{escape_control_characters(path.name)} is not whole ({error.problem})")
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
    """Recorded facts of a checkpoint's run, such as ``epoch``, ``iter`` and ``seed``.

    Raises:
        InputError: The file is missing or corrupt, or training cannot resume from it.
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
                # torch does not check the checksums.
                broken = archive.testzip()
        except zipfile.BadZipFile:
            raise InputError("it is cut short or no checkpoint", file=path) from None
        # zipfile and zlib raise many types of errors on corrupt bytes.
        except Exception as error:
            raise InputError(f"it cannot be read ({reason(error)})", file=path) from None
    if broken is not None:
        raise InputError(f"its part {broken} is damaged", file=path)
    content = read_checkpoint(path)
    check_parts(content, path)
    return content


def _forget_earlier_run(config: Config) -> None:
    """Remove the pointer to an earlier run's checkpoint, from which an interrupted new run would resume."""
    earlier = _candidates(config)
    Path(config.work_dir, POINTER).unlink(missing_ok=True)
    if earlier:
        warnings.warn(
            "a new run starts in the folder of an earlier one and will overwrite it; to continue the earlier one, give "
            f"--resume {earlier[0]}",
            stacklevel=3,
        )


def _hook(config: Config) -> Mapping[str, Any]:
    return (config.get("default_hooks") or {}).get("checkpoint") or {}


def _checkpoint_folder(config: Config) -> Path:
    """Folder of the checkpoints: the work dir, or a folder of its name in the hook's ``out_dir``."""
    folder = Path(config.work_dir)
    other: Any = _hook(config).get("out_dir")
    return folder if other in (None, config.work_dir) else Path(other) / folder.name


def _candidates(config: Config) -> list[Path]:
    """Paths of the latest checkpoint, which may be missing, and of the earlier ones, latest first."""
    pointer = Path(config.work_dir, POINTER)
    if not os.path.lexists(pointer):
        return []
    try:
        pointed = Path(read_text(pointer).strip())
        exists = pointed.is_file()
    # Not text, or longer than the system's limit for paths.
    except (InputError, OSError):
        pointed, exists = Path(), False
    hook, folder = _hook(config), _checkpoint_folder(config)
    template = hook.get("filename_tmpl") or ("epoch_{}.pth" if hook.get("by_epoch", True) else "iter_{}.pth")
    name = re.compile(re.escape(template).replace(r"\{\}", r"(\d+)"))
    numbers = {path: int(match[1]) for path in folder.glob("*") if (match := name.fullmatch(path.name))}
    newest_first = sorted(numbers, key=numbers.__getitem__, reverse=True)
    if not pointed.name:
        return newest_first
    # The folder may have been moved, or the run may have been resumed from another folder.
    latest = folder / pointed.name
    if not latest.is_file() and exists:
        return [pointed]
    match = name.fullmatch(latest.name)
    return [latest, *(path for path in newest_first if match and numbers[path] < int(match[1]))]


_PARTS = ("model", "data_preprocessor", "train_dataloader", "train_cfg", "optim_wrapper", "param_scheduler",
          "auto_scale_lr", "custom_hooks")  # fmt: skip
# The host replaces these settings by the checkpoint's state of the optimizer and the schedules.
_OF_CHECKPOINT = ("optim_wrapper.optimizer.", "optim_wrapper.paramwise_cfg.", "param_scheduler.", "auto_scale_lr.")
# The results do not depend on these settings, or run.json compares the contents of the files.
_NO_MATTER = ("num_workers", "persistent_workers", "pin_memory", "prefetch_factor", "ann_file", "data_root",
              "label_vectors", "classes")  # fmt: skip
_MOST_LINES = 20


def changed_settings(config: Config, meta: Mapping[str, Any], path: str | os.PathLike[str]) -> list[str]:
    """Messages about training settings that differ from the checkpoint's run.

    Args:
        config: Config of the run.
        meta: ``meta`` of the checkpoint; its config is parsed as literals, no code in it runs.
        path: Path of the checkpoint.

    Returns:
        A line per setting with both values and the value in use, at most 20 lines and a count of the rest.

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
    there, here = _training_settings(before), _training_settings(config._cfg_dict)
    changed = [key for key in {**there, **here} if there.get(key) != here.get(key)]
    if "optim_wrapper.optimizer.type" in changed:
        raise InputError(
            f"it is of a run with the optimizer {_word(there, 'optim_wrapper.optimizer.type')}, not "
            f"{_word(here, 'optim_wrapper.optimizer.type')}",
            file=path,
            field="optim_wrapper.optimizer.type",
            fix="To start a new run from its weights, give --cfg-options load_from=FILE in place of --resume.",
        )
    lines = [_line(key, there, here) for key in changed[:_MOST_LINES]]
    if len(changed) > _MOST_LINES:
        lines.append(f"{len(changed) - _MOST_LINES} more settings are not those of the checkpoint's run")
    return lines


def _training_settings(config: Mapping[str, Any]) -> dict[str, Any]:
    """Settings that affect results by dotted key, without schedule ends that equal the end of the training."""
    kept = json.loads(json.dumps({key: config.get(key) for key in _PARTS}, default=str))
    settings = {key: value for key, value in flatten(kept).items() if key.rpartition(".")[2] not in _NO_MATTER}
    epochs = settings.get("train_cfg.max_epochs")
    ends = {key for key in settings if re.fullmatch(r"param_scheduler\.(\d+\.)?(T_max|end)", key)}
    return {
        key: value
        for key, value in settings.items()
        if ".classes." not in key and value is not None and not (key in ends and value == epochs)
    }


def _word(settings: Mapping[str, Any], key: str) -> str:
    return short_json(settings[key]) if key in settings else "not set"


def _line(key: str, there: Mapping[str, Any], here: Mapping[str, Any]) -> str:
    both = f"{key} is {_word(there, key)} in the checkpoint's run, {_word(here, key)} here"
    if key.startswith(_OF_CHECKPOINT):
        return f"{both}: the checkpoint's is used, as it holds the state of its optimizer and schedules"
    if key in ("train_dataloader.batch_size", "train_cfg.max_epochs"):
        return f"{both}: {_word(here, key)} is used, but the learning rate and the schedule stay the checkpoint's"
    return f"{both}: {_word(here, key)} is used"
