"""One-sentence messages for failures of a run, with the clip that a worker was processing."""

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
"""Process id of a worker, and the index of its clip, -1 between clips."""
_WORKERS = 1024
_INPUT_ERROR = f"\n{InputError.__module__}.{InputError.__qualname__}: "
_DEATH = re.compile(r"DataLoader worker \(pid(?:\(s\))? (?P<pids>[\d, ]+)\) (?:is|exited) (?P<how>.*)", re.DOTALL)
_MEMORY = (
    "Linux kills a process when memory is short (dmesg tells): take fewer workers, such as --cfg-options "
    "train_dataloader.num_workers=1"
)
_SHARED_MEMORY = (
    "Make room in /dev/shm, give the container more of it (docker run --shm-size), or take fewer workers, such as "
    "--cfg-options train_dataloader.num_workers=1"
)
# Install commands of modules with another package name, or of a toolbox, whose versions must fit together.
_PACKAGES = {"PIL": "pip install pillow", "cv2": "pip install opencv-python-headless"}
_PACKAGES |= dict.fromkeys(("mmengine", "mmcv", "mmaction"), pip_install("mmaction2"))
_ALONE = "To see where, run it again with --cfg-options train_dataloader.num_workers=0 "
_ALONE += "train_dataloader.persistent_workers=False"


class ClipDataset(Protocol):
    """Data set of clips with the attributes that error messages need."""

    ann_file: str
    pipeline: Any

    def clip_id(self, idx: int) -> str:
        """Id (``frame_dir``) of a clip."""


_TOO_MANY = os.strerror(errno.EMFILE)
_LIMIT = re.compile(rf"\[Errno {errno.EMFILE}\]|{_TOO_MANY}")
_DEATH_TIMEOUT = 5.0
"""Seconds to wait for the report of a worker's death after its connection ends."""
_LEAST_FILES, _ENOUGH_FILES = 24, 1 << 16
"""Limits of open files: the least with which a worker can start, and the most that a run needs."""

_in_hand: weakref.WeakKeyDictionary[Any, mmap.mmap] = weakref.WeakKeyDictionary()


def watch(dataset: ClipDataset) -> None:
    """Record in shared memory which clip each forked worker processes.

    Spawned workers share no memory; their clip is unknown if they die.
    """
    _in_hand[dataset] = mmap.mmap(-1, _WORKERS * _SLOT.size)
    multiprocessing.queues.Queue._on_queue_feeder_error = staticmethod(_on_queue_error)  # type: ignore[attr-defined]
    _raise_deaths_only_in_loaders()


_default_on_queue_error = multiprocessing.queues.Queue._on_queue_feeder_error  # type: ignore[attr-defined]


def _on_queue_error(error: Exception, batch: Any) -> None:
    """Handler of errors in a queue's feeder thread that ends a loader's worker.

    Python prints a traceback and drops the batch; the training would wait for it forever. The worker's exit status
    gives the cause.
    """
    from torch.utils.data import get_worker_info

    if get_worker_info() is None:
        _default_on_queue_error(error, batch)
    else:
        os._exit(errno.EMFILE if _LIMIT.search(str(error)) else 1)


class _WorkerExcepthook:
    """Excepthook of a worker for the thread that shares its open files.

    Without it that thread prints a traceback and retries, forever if the limit of open files is reached. So the worker
    ends, as in :func:`_on_queue_error`. Errors of a closed connection are ignored, as the other process reports them.
    """

    def __init__(self, default: Callable[..., Any]) -> None:
        self.default = default

    def __call__(self, kind: type[BaseException], error: BaseException, tb: TracebackType | None) -> None:
        if threading.current_thread() is threading.main_thread():
            self.default(kind, error, tb)
        elif _LIMIT.search(str(error)):
            os._exit(errno.EMFILE)
        elif not isinstance(error, (ConnectionError, EOFError)):
            self.default(kind, error, tb)


def _silence_worker() -> None:
    """Let this worker die without messages, as the trainer reports its death.

    torch's crash handlers write a line with a trailing zero byte, which would stand before the trainer's message.
    """
    sys.excepthook = _WorkerExcepthook(sys.excepthook)
    if threading.current_thread() is threading.main_thread():
        for name in ("SIGSEGV", "SIGBUS", "SIGFPE"):
            if hasattr(signal, name):
                signal.signal(getattr(signal, name), signal.SIG_DFL)


def allow_open_files() -> None:
    """Raise this process's limit of open files as far as allowed.

    Each tensor from a loader's worker is an open file in both processes. Windows has no such limit.

    Raises:
        InputError: The highest allowed limit is too low for a worker.
    """
    if resource is None:
        return
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = _ENOUGH_FILES if hard == resource.RLIM_INFINITY else min(hard, _ENOUGH_FILES)
    if soft != resource.RLIM_INFINITY and soft < wanted:
        resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))
    if resource.getrlimit(resource.RLIMIT_NOFILE)[0] < _LEAST_FILES and soft != resource.RLIM_INFINITY:
        raise _too_many_files()


def _raise_deaths_only_in_loaders() -> None:
    """Let torch raise a worker's death only while the main thread waits for a batch.

    Elsewhere, such as while a checkpoint is written, libraries drop or replace the error. Then it is kept, and used
    when the loader asks for the next batch and finds the worker dead.
    """
    from torch.utils.data._utils.signal_handling import _set_SIGCHLD_handler

    if threading.current_thread() is not threading.main_thread() or not hasattr(signal, "SIGCHLD"):
        return
    _set_SIGCHLD_handler()
    handler = signal.getsignal(signal.SIGCHLD)
    if callable(handler) and not isinstance(handler, _DeathHandler):
        signal.signal(signal.SIGCHLD, _DeathHandler(handler))


class _DeathHandler:
    """Handler of SIGCHLD around torch's own; it keeps the messages that it does not raise."""

    kept: ClassVar[list[str]] = []

    def __init__(self, torch_handler: Callable[[int, FrameType | None], Any]) -> None:
        self.torch_handler = torch_handler

    def __call__(self, number: int, frame: FrameType | None) -> None:
        try:
            self.torch_handler(number, frame)
        except RuntimeError as error:
            while frame is not None and frame.f_code.co_name != "_try_get_data":
                frame = frame.f_back
            if frame is not None:
                raise
            self.kept.append(str(error))


@contextlib.contextmanager
def clip_in_hand(dataset: ClipDataset, idx: int) -> Iterator[None]:
    """Name clip, annotation file and pipeline step in errors of a block.

    Args:
        dataset: Data set of the clip.
        idx: Index of the clip.

    Raises:
        InputError: The block failed. The text of an :class:`InputError` is kept; other errors are chained.
    """
    _note(dataset, idx)
    try:
        yield
    except InputError as error:
        clip = dataset.clip_id(idx) if error.clip is None else error.clip
        raise error.located(file=dataset.ann_file, clip=clip) from error.__cause__
    except Exception as error:
        step = _failed_step(error, getattr(dataset.pipeline, "transforms", ()))
        problem = f"{step} failed" if step else "it cannot be read"
        message = " ".join(str(error).split())[:500]
        raise InputError(
            f"{problem} ({type(error).__name__}{': ' * bool(message)}{message})",
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
        if not isinstance(sys.excepthook, _WorkerExcepthook):
            _silence_worker()
        _SLOT.pack_into(notes, worker.id % _WORKERS * _SLOT.size, os.getpid(), idx)


def _failed_step(error: BaseException, steps: Sequence[Any]) -> str | None:
    """Name of the first transform in an error's traceback."""
    for frame, _ in traceback.walk_tb(error.__traceback__):
        for step in steps:
            if frame.f_locals.get("self") is step or getattr(step, "__code__", None) is frame.f_code:
                return getattr(step, "__name__", type(step).__name__)
    return None


def explain(error: BaseException) -> str | None:
    """Message in place of a traceback, or None for unknown errors.

    Known are errors of the user's input, also in a loader's worker, a worker's death, a full disk and a missing
    package.
    """
    if isinstance(error, (InputError, HostError)):
        # A worker's error arrives as the text of its traceback.
        _, mark, message = getattr(error, "problem", "").rpartition(_INPUT_ERROR)
        return message.strip() if mark else str(error)
    if isinstance(error, ModuleNotFoundError) and error.name:
        name = error.name.partition(".")[0]
        return f"the package {name} is not installed; run: {_PACKAGES.get(name, f'pip install {name}')}"
    death = _worker_death(error)
    if death is not None:
        return str(_dead_worker_error([int(pid) for pid in re.findall(r"\d+", death["pids"])], death["how"]))
    if any(_LIMIT.search(str(cause)) for cause in _causes(error)):
        return str(_too_many_files())
    if isinstance(error, OSError) and error.errno in (errno.ENOSPC, errno.EDQUOT, errno.EROFS):
        return str(_full_disk_error(error))
    return None


def _causes(error: BaseException) -> Iterator[BaseException]:
    """An error, and its chained causes and contexts."""
    cause: BaseException | None = error
    while cause is not None:
        yield cause
        cause = cause.__cause__ or cause.__context__


def _worker_death(error: BaseException) -> re.Match[str] | None:
    """The loader's message about a worker's death in an error or its causes.

    The signal or exit status is in the message of the last cause, or in a kept message.
    """
    messages = [str(cause) for cause in _causes(error) if isinstance(cause, RuntimeError)]
    deaths = [death for death in map(_DEATH.search, messages) if death is not None]
    if not deaths and any(map(_is_cut_off, _causes(error))):
        deaths = _wait_for_death()
    if not deaths:
        return None
    kept = _kept_deaths()
    return next((death for death in kept if death["pids"] in deaths[-1]["pids"].split(", ")), deaths[-1])


def _is_cut_off(error: BaseException) -> bool:
    """Whether the connection to a worker broke while the loader received a batch."""
    if not isinstance(error, (ConnectionError, EOFError, FileNotFoundError)):
        return False
    return any(frame.f_code.co_name == "_try_get_data" for frame, _ in traceback.walk_tb(error.__traceback__))


def _kept_deaths() -> list[re.Match[str]]:
    return [death for death in map(_DEATH.search, _DeathHandler.kept) if death is not None]


def _wait_for_death() -> list[re.Match[str]]:
    """Last kept death of a worker, after a wait: a process closes its files before the system reports its end."""
    ours = {str(pid) for notes in list(_in_hand.values()) for pid, _ in _SLOT.iter_unpack(notes[:]) if pid}
    deadline = time.monotonic() + _DEATH_TIMEOUT
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


def _dead_worker_error(pids: Sequence[int], how: str) -> InputError:
    how = how.strip()
    if f"exit code {errno.EMFILE}." in f"{how}.":
        return _too_many_files(" in a worker of the data loader")
    killed = re.match(r"killed by signal: ([^.]*)", how)
    code = re.search(r"exit code (-?\d+)", how)
    ended = f"was ended by the signal {killed[1]!r}" if killed else f"ended with status {code[1]}" if code else "ended"
    fix = {"Killed": _MEMORY, "Bus error": _SHARED_MEMORY}.get(killed[1] if killed else "", _ALONE)
    for dataset, notes in list(_in_hand.items()):
        for pid, idx in _SLOT.iter_unpack(notes[:]):
            if pid in pids and idx >= 0:
                problem = f"a worker of the data loader (process {pid}) {ended} while it had this clip in hand"
                return InputError(problem, file=dataset.ann_file, clip=dataset.clip_id(idx), fix=f"{fix}.")
    which = ", ".join(map(str, pids))
    return InputError(f"a worker of the data loader (process {which}) {ended}, no clip in hand", fix=f"{fix}.")


def no_shared_memory(clip: str, clips: int) -> InputError:
    """Error for a batch that does not fit into shared memory.

    Args:
        clip: Id of the batch's first clip.
        clips: Number of its clips.
    """
    problem = f"there is no room in shared memory (/dev/shm) to pass on the {clips} clips from this one on"
    return InputError(problem, clip=clip, fix=f"{_SHARED_MEMORY}.")


def _full_disk_error(error: OSError) -> InputError:
    problem, fix = explain_write_error(error)
    file = error.filename
    if file is None:
        folders = [path for path in ("/dev/shm", tempfile.gettempdir(), os.getcwd()) if os.path.isdir(path)]
        file = next((folder for folder in folders if free_space(folder) < DISK_FULL_BELOW), None)
    return InputError(
        f"it cannot be written: {problem}", file=file, fix=f"{_SHARED_MEMORY}." if file == "/dev/shm" else fix
    )
