"""Failures of a run in one sentence: which clip a loader's worker had in hand, what failed, and what to do."""

from __future__ import annotations

import contextlib
import errno
import mmap
import os
import re
import struct
import tempfile
import weakref
from collections.abc import Iterator, Sequence
from typing import Any, Protocol

from pyskl_semloss.errors import TRACEBACK, HostError, InputError
from pyskl_semloss.files import LITTLE, free_space, why_not_written

_SLOT = struct.Struct("qq")
"""Process id of a worker, and the index of its clip, -1 between two clips."""
_WORKERS = 1024
_INPUT_ERROR = f"\n{InputError.__module__}.{InputError.__qualname__}: "
_DEATH = re.compile(r"DataLoader worker \(pid(?:\(s\))? (?P<pids>[\d, ]+)\) (?:is|exited) (?P<how>.*)", re.DOTALL)
_MEMORY = (
    "Linux kills a process when memory is short (dmesg tells): take fewer workers, such as --cfg-options "
    "train_dataloader.num_workers=1"
)
_HOST = "-r requirements/mmaction2.txt"
# What to install for a module of another name, or of a toolbox, whose versions must fit together.
_PACKAGES = {"PIL": "pillow", "cv2": "opencv-python-headless", "mmengine": _HOST, "mmcv": _HOST, "mmaction": _HOST}
_ALONE = "To see where, run it again with --cfg-options train_dataloader.num_workers=0 "
_ALONE += "train_dataloader.persistent_workers=False"


class ClipDataset(Protocol):
    """A dataset of clips: what is needed to say which one failed."""

    ann_file: str
    pipeline: Any

    def clip_id(self, idx: int) -> str:
        """The id (``frame_dir``) of a clip."""


_in_hand: weakref.WeakKeyDictionary[Any, mmap.mmap] = weakref.WeakKeyDictionary()


def watch(dataset: ClipDataset) -> None:
    """Let workers that are forked from now on note which clip they have in hand, in memory that they share with us.

    Spawned workers share nothing; of them the clip stays unknown where they die.
    """
    _in_hand[dataset] = mmap.mmap(-1, _WORKERS * _SLOT.size)


@contextlib.contextmanager
def clip_in_hand(dataset: ClipDataset, idx: int) -> Iterator[None]:
    """Around the work on a clip: what it raises names the clip, the annotation file and the step of the pipeline.

    Args:
        dataset: Where the clip is from.
        idx: Its index there.

    Raises:
        InputError: The work failed. An :class:`InputError` keeps its words; the cause of another one is chained.
    """
    _note(dataset, idx)
    try:
        yield
    except InputError as error:
        clip = dataset.clip_id(idx) if error.clip is None else error.clip
        raise error.located(file=dataset.ann_file, clip=clip) from error.__cause__
    except Exception as error:
        step = _step_of(error, getattr(dataset.pipeline, "transforms", ()))
        what = f"{step} failed" if step else "it cannot be read"
        said = " ".join(str(error).split())[:500]
        raise InputError(
            f"{what} ({type(error).__name__}{': ' * bool(said)}{said})",
            file=dataset.ann_file,
            clip=dataset.clip_id(idx),
            fix=f"{TRACEBACK}=1 shows the whole traceback.",
        ) from error
    finally:
        _note(dataset, -1)


def _note(dataset: ClipDataset, idx: int) -> None:
    from torch.utils.data import get_worker_info

    worker, notes = get_worker_info(), _in_hand.get(dataset)
    if worker is not None and notes is not None:
        _SLOT.pack_into(notes, worker.id % _WORKERS * _SLOT.size, os.getpid(), idx)


def _step_of(error: BaseException, steps: Sequence[Any]) -> str | None:
    """The transform whose code the error passed through."""
    place = error.__traceback__
    while place is not None:
        frame, place = place.tb_frame, place.tb_next
        for step in steps:
            if frame.f_locals.get("self") is step or getattr(step, "__code__", None) is frame.f_code:
                return getattr(step, "__name__", type(step).__name__)
    return None


def explain(error: BaseException) -> str | None:
    """What a user should read in place of a traceback, or None where the traceback says more.

    Errors of the user's input, also those that a loader's worker met; a worker's death; a full disk; a missing package.
    """
    if isinstance(error, (InputError, HostError)):
        # A worker's error comes as the text of its traceback.
        _, mark, message = getattr(error, "problem", "").rpartition(_INPUT_ERROR)
        return message.strip() if mark else str(error)
    if isinstance(error, ModuleNotFoundError) and error.name:
        name = error.name.partition(".")[0]
        return f"the package {name} is not installed; run: pip install {_PACKAGES.get(name, name)}"
    death = _death_in(error)
    if death is not None:
        return str(_of_dead_worker([int(pid) for pid in re.findall(r"\d+", death["pids"])], death["how"]))
    if isinstance(error, OSError) and error.errno in (errno.ENOSPC, errno.EDQUOT, errno.EROFS):
        return str(_of_full_disk(error))
    return None


def _death_in(error: BaseException) -> re.Match[str] | None:
    """The loader's words on a worker's death; the signal or status is in those of the error behind the error."""
    found: re.Match[str] | None = None
    cause: BaseException | None = error
    while isinstance(cause, RuntimeError):
        found = _DEATH.search(str(cause)) or found
        cause = cause.__cause__ or cause.__context__
    return found


def _of_dead_worker(pids: Sequence[int], how: str) -> InputError:
    how = how.strip()
    signal = re.match(r"killed by signal: ([^.]*)", how)
    code = re.search(r"exit code (-?\d+)", how)
    ended = f"was ended by the signal {signal[1]!r}" if signal else f"ended with status {code[1]}" if code else "ended"
    fix = {"Killed": _MEMORY, "Bus error": _shared_memory_fix()}.get(signal[1] if signal else "", _ALONE)
    for dataset, notes in list(_in_hand.items()):
        for pid, idx in _SLOT.iter_unpack(notes[:]):
            if pid in pids and idx >= 0:
                problem = f"a worker of the data loader (process {pid}) {ended} while it had this clip in hand"
                return InputError(problem, file=dataset.ann_file, clip=dataset.clip_id(idx), fix=f"{fix}.")
    which = ", ".join(map(str, pids))
    return InputError(f"a worker of the data loader (process {which}) {ended}, no clip in hand", fix=f"{fix}.")


def _shared_memory_fix() -> str:
    return (
        "Make room in /dev/shm, give the container more of it (docker run --shm-size), or take fewer workers, such as "
        "--cfg-options train_dataloader.num_workers=1"
    )


def no_shared_memory(clip: str, clips: int) -> InputError:
    """The error for a batch that a worker cannot pass on, as /dev/shm is full.

    Args:
        clip: The batch's first clip.
        clips: How many it has.
    """
    problem = f"there is no room in shared memory (/dev/shm) to pass on the {clips} clips from this one on"
    return InputError(problem, clip=clip, fix=f"{_shared_memory_fix()}.")


def _of_full_disk(error: OSError) -> InputError:
    problem, fix = why_not_written(error)
    file = error.filename
    if file is None:
        places = [place for place in ("/dev/shm", tempfile.gettempdir(), os.getcwd()) if os.path.isdir(place)]
        file = next((place for place in places if free_space(place) < LITTLE), None)
    return InputError(
        f"it cannot be written: {problem}", file=file, fix=f"{_shared_memory_fix()}." if file == "/dev/shm" else fix
    )
