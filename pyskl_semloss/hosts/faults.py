"""Failures of a run in one sentence: which clip a loader's worker had in hand, what failed, and what to do."""

from __future__ import annotations

import contextlib
import errno
import mmap
import multiprocessing.queues
import os
import re
import signal
import struct
import sys
import tempfile
import threading
import time
import traceback
import weakref
from collections.abc import Callable, Iterator, Sequence
from types import FrameType, TracebackType
from typing import Any, ClassVar, Protocol

from pyskl_semloss.errors import TRACEBACK, HostError, InputError
from pyskl_semloss.io.files import DISK_FULL_BELOW, explain_write_error, free_space
from pyskl_semloss.io.resources import pip_install

try:
    import resource
except ImportError:  # Windows
    resource = None  # type: ignore[assignment]

_SLOT = struct.Struct("qq")
"""Process id of a worker, and the index of its clip, -1 between two clips."""
_WORKERS = 1024
_INPUT_ERROR = f"\n{InputError.__module__}.{InputError.__qualname__}: "
_DEATH = re.compile(r"DataLoader worker \(pid(?:\(s\))? (?P<pids>[\d, ]+)\) (?:is|exited) (?P<how>.*)", re.DOTALL)
_MEMORY = (
    "Linux kills a process when memory is short (dmesg tells): take fewer workers, such as --cfg-options "
    "train_dataloader.num_workers=1"
)
# What to install for a module of another name, or of a toolbox, whose versions must fit together.
_PACKAGES = {"PIL": "pip install pillow", "cv2": "pip install opencv-python-headless"}
_PACKAGES |= dict.fromkeys(("mmengine", "mmcv", "mmaction"), pip_install("mmaction2"))
_ALONE = "To see where, run it again with --cfg-options train_dataloader.num_workers=0 "
_ALONE += "train_dataloader.persistent_workers=False"


class ClipDataset(Protocol):
    """A dataset of clips: what is needed to say which one failed."""

    ann_file: str
    pipeline: Any

    def clip_id(self, idx: int) -> str:
        """The id (``frame_dir``) of a clip."""


_TOO_MANY = os.strerror(errno.EMFILE)
_LIMIT = re.compile(rf"\[Errno {errno.EMFILE}\]|{_TOO_MANY}")
_DEATH_IS_KNOWN_AFTER = 5.0
"""Seconds at most from the end of a worker's connection to the news that it ended."""
_LEAST, _ENOUGH = 24, 1 << 16
"""Open files: without these no worker can be started; what is allowed beyond those makes no difference here."""

_in_hand: weakref.WeakKeyDictionary[Any, mmap.mmap] = weakref.WeakKeyDictionary()


def watch(dataset: ClipDataset) -> None:
    """Let workers that are forked from now on note which clip they have in hand, in memory that they share with us.

    Spawned workers share nothing; of them the clip stays unknown where they die.
    """
    _in_hand[dataset] = mmap.mmap(-1, _WORKERS * _SLOT.size)
    multiprocessing.queues.Queue._on_queue_feeder_error = staticmethod(_lost)  # type: ignore[attr-defined]
    _raise_deaths_in_loaders_alone()


_lost_by_default = multiprocessing.queues.Queue._on_queue_feeder_error  # type: ignore[attr-defined]


def _lost(error: Exception, batch: Any) -> None:
    """Called in the thread that passes on what a process puts into a queue, where that failed.

    Python prints a traceback and goes on; of a loader's worker a batch would be lost, for which the training would wait
    for ever. So the worker ends, and its status says why.
    """
    from torch.utils.data import get_worker_info

    if get_worker_info() is None:
        _lost_by_default(error, batch)
    else:
        os._exit(errno.EMFILE if _LIMIT.search(str(error)) else 1)


class _SharersHook:
    """What a worker calls for an error that nobody caught: those of the thread that hands out its open files.

    That thread prints a traceback and tries again, for ever where no more files may be open. So the worker ends, as in
    :func:`_lost`. Where the other process went away, that one says why.
    """

    def __init__(self, default: Callable[..., Any]) -> None:
        self.default = default

    def __call__(self, kind: type[BaseException], error: BaseException, place: TracebackType | None) -> None:
        if threading.current_thread() is threading.main_thread():
            self.default(kind, error, place)
        elif _LIMIT.search(str(error)):
            os._exit(errno.EMFILE)
        elif not isinstance(error, (ConnectionError, EOFError)):
            self.default(kind, error, place)


def _settle_worker() -> None:
    """Let this worker die without words of its own: the trainer tells of it.

    torch's handlers of crashes write a line that ends with a zero byte, which would begin the trainer's.
    """
    sys.excepthook = _SharersHook(sys.excepthook)
    if threading.current_thread() is threading.main_thread():
        for name in ("SIGSEGV", "SIGBUS", "SIGFPE"):
            if hasattr(signal, name):
                signal.signal(getattr(signal, name), signal.SIG_DFL)


def allow_open_files() -> None:
    """Raise the number of files that this process may have open, as far as the system lets it raise it itself.

    Each tensor that a loader's worker passes on is an open file of both processes. Windows has no such limit.

    Raises:
        InputError: It is too low to begin with.
    """
    if resource is None:
        return
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = _ENOUGH if hard == resource.RLIM_INFINITY else min(hard, _ENOUGH)
    if soft != resource.RLIM_INFINITY and soft < wanted:
        resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))
    if resource.getrlimit(resource.RLIMIT_NOFILE)[0] < _LEAST and soft != resource.RLIM_INFINITY:
        raise _too_many_files()


def _raise_deaths_in_loaders_alone() -> None:
    """Let torch raise a worker's death where the main thread waits for the workers, not wherever it is.

    Elsewhere, such as in the middle of a checkpoint, libraries drop the error or make another of it. Then it is kept,
    and raised when the loader asks for the next batch and finds the worker dead.
    """
    from torch.utils.data._utils.signal_handling import _set_SIGCHLD_handler

    if threading.current_thread() is not threading.main_thread() or not hasattr(signal, "SIGCHLD"):
        return
    _set_SIGCHLD_handler()
    theirs = signal.getsignal(signal.SIGCHLD)
    if callable(theirs) and not isinstance(theirs, _Deaths):
        signal.signal(signal.SIGCHLD, _Deaths(theirs))


class _Deaths:
    """A handler of SIGCHLD around torch's."""

    kept: ClassVar[list[str]] = []

    def __init__(self, theirs: Callable[[int, FrameType | None], Any]) -> None:
        self.theirs = theirs

    def __call__(self, number: int, frame: FrameType | None) -> None:
        try:
            self.theirs(number, frame)
        except RuntimeError as error:
            while frame is not None and frame.f_code.co_name != "_try_get_data":
                frame = frame.f_back
            if frame is not None:
                raise
            self.kept.append(str(error))


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
        if not isinstance(sys.excepthook, _SharersHook):
            _settle_worker()
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
        return f"the package {name} is not installed; run: {_PACKAGES.get(name, f'pip install {name}')}"
    death = _death_in(error)
    if death is not None:
        return str(_of_dead_worker([int(pid) for pid in re.findall(r"\d+", death["pids"])], death["how"]))
    if any(_LIMIT.search(str(cause)) for cause in _causes(error)):
        return str(_too_many_files())
    if isinstance(error, OSError) and error.errno in (errno.ENOSPC, errno.EDQUOT, errno.EROFS):
        return str(_of_full_disk(error))
    return None


def _causes(error: BaseException) -> Iterator[BaseException]:
    """An error, and those behind it."""
    cause: BaseException | None = error
    while cause is not None:
        yield cause
        cause = cause.__cause__ or cause.__context__


def _death_in(error: BaseException) -> re.Match[str] | None:
    """The loader's words on a worker's death; the signal or status is in those of the error behind the error.

    It may also be behind an error that a library made of it.
    """
    said = [str(cause) for cause in _causes(error) if isinstance(cause, RuntimeError)]
    deaths = [death for death in map(_DEATH.search, said) if death is not None]
    if not deaths and any(map(_is_cut_off, _causes(error))):
        deaths = _deaths_to_come()
    if not deaths:
        return None
    kept = _kept_deaths()
    return next((death for death in kept if death["pids"] in deaths[-1]["pids"].split(", ")), deaths[-1])


def _is_cut_off(error: BaseException) -> bool:
    """Whether a process stopped in the middle of handing a batch to the loader."""
    if not isinstance(error, (ConnectionError, EOFError, FileNotFoundError)):
        return False
    return any(frame.f_code.co_name == "_try_get_data" for frame, _ in traceback.walk_tb(error.__traceback__))


def _kept_deaths() -> list[re.Match[str]]:
    return [death for death in map(_DEATH.search, _Deaths.kept) if death is not None]


def _deaths_to_come() -> list[re.Match[str]]:
    """The last worker's death that was kept; a process closes its files before the system says that it ended."""
    ours = {str(pid) for notes in list(_in_hand.values()) for pid, _ in _SLOT.iter_unpack(notes[:]) if pid}
    deadline = time.monotonic() + _DEATH_IS_KNOWN_AFTER
    while True:
        deaths = [death for death in _kept_deaths() if ours.intersection(death["pids"].split(", "))]
        if deaths or time.monotonic() > deadline:
            return deaths[-1:]
        time.sleep(0.01)


def _too_many_files(worker: str = "") -> InputError:
    allowed = f": {resource.getrlimit(resource.RLIMIT_NOFILE)[0]} at a time" if resource is not None else ""
    fix = "Allow more before the start (ulimit -n 4096), or take fewer workers, such as --cfg-options "
    problem = f"too few open files are allowed{worker}{allowed}"
    return InputError(problem, fix=fix + "train_dataloader.num_workers=1.")


def _of_dead_worker(pids: Sequence[int], how: str) -> InputError:
    how = how.strip()
    if f"exit code {errno.EMFILE}." in f"{how}.":
        return _too_many_files(" in a worker of the data loader")
    killed = re.match(r"killed by signal: ([^.]*)", how)
    code = re.search(r"exit code (-?\d+)", how)
    ended = f"was ended by the signal {killed[1]!r}" if killed else f"ended with status {code[1]}" if code else "ended"
    fix = {"Killed": _MEMORY, "Bus error": _shared_memory_fix()}.get(killed[1] if killed else "", _ALONE)
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
    problem, fix = explain_write_error(error)
    file = error.filename
    if file is None:
        places = [place for place in ("/dev/shm", tempfile.gettempdir(), os.getcwd()) if os.path.isdir(place)]
        file = next((place for place in places if free_space(place) < DISK_FULL_BELOW), None)
    return InputError(
        f"it cannot be written: {problem}", file=file, fix=f"{_shared_memory_fix()}." if file == "/dev/shm" else fix
    )
