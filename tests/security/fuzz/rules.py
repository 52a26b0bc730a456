"""The rules of every reader: a result or an InputError that names the file, no code, no other file, little memory."""

import contextlib
import os
import re
import resource
import sys
import time
import traceback
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from fuzz.targets import Target
from pyskl_semloss.errors import InputError
from pyskl_semloss.io.reading import memory_limit

MOST_SECONDS = 10
MOST_WARNINGS = 20
LONGEST_MESSAGE = 5000
_RUN = {"os.system", "os.exec", "os.posix_spawn", "os.spawn", "os.fork", "os.forkpty", "subprocess.Popen",
        "pickle.find_class", "socket.connect", "socket.bind", "ctypes.dlopen"}  # fmt: skip
_CHANGE = {"os.mkdir", "os.rename", "os.remove", "os.rmdir", "os.symlink", "os.link", "os.truncate", "os.chmod"}
_WRITING = os.O_WRONLY | os.O_RDWR | os.O_CREAT | os.O_TRUNC | os.O_APPEND


class Finding(NamedTuple):
    """A rule that was broken; ``place`` is equal where it is most likely the same mistake."""

    place: str
    text: str


class _Watch:
    """Sees, through Python's audit events, that a reader runs something or changes a file outside its folder."""

    folder = ""
    seen: list[str] | None = None

    def __call__(self, event: str, arguments: tuple) -> None:
        if self.seen is None:
            return
        if event in _RUN or (event == "exec" and getattr(arguments[0], "co_filename", "") == "<string>"):
            self.seen.append(f"{event} {str(arguments)[:200]}")
        elif (event == "open" and isinstance(arguments[2], int) and arguments[2] & _WRITING) or event in _CHANGE:
            path = arguments[0]
            # Names within an open folder, which shutil uses, are below one that was seen itself.
            known = isinstance(path, (str, bytes)) and (event not in _CHANGE or os.path.isabs(path))
            if known and not os.path.realpath(os.fsdecode(path)).startswith(self.folder):
                self.seen.append(f"{event} {str(arguments)[:200]}")


_watch = _Watch()


@contextlib.contextmanager
def _watched(folder: str) -> Iterator[list[str]]:
    if not _watch.folder:
        sys.addaudithook(_watch)
    seen: list[str] = []
    _watch.folder, _watch.seen = os.path.realpath(folder), seen
    try:
        yield seen
    finally:
        _watch.seen = None


def check(target: Target, data: bytes, folder: Path) -> Finding | None:
    """Let a target read the data; what it finds is wrong with the reader."""
    target.path.write_bytes(data)
    memory, start = _most_memory(anew=True), time.monotonic()
    broken = None
    with warnings.catch_warnings(record=True) as told, _watched(str(folder)) as seen:
        warnings.simplefilter("always")
        try:
            target.read()
        except InputError as error:
            broken = _of_message(target, error)
        except KeyboardInterrupt:
            raise
        except BaseException as error:
            broken = _of_error(error)
    if seen:
        return Finding(f"effect {seen[0].split()[0]}", seen[0])
    if broken is None and len(told) > MOST_WARNINGS:
        broken = Finding("warnings", f"{len(told)} warnings, the first: {told[0].message}")
    if broken is None and (seconds := time.monotonic() - start) > MOST_SECONDS:
        broken = Finding("time", f"{seconds:.0f} s")
    # The file itself is read whole, and what is freed goes back to the system late.
    if broken is None and (grown := _most_memory() - memory) > 2 * memory_limit(len(data)) + (64 << 20):
        broken = Finding("memory", f"{grown >> 20} MiB for a file of {len(data)} bytes")
    return broken


def _most_memory(*, anew: bool = False) -> int:
    """The most bytes that the process ever had in memory; where the system can, since it was last asked anew."""
    with contextlib.suppress(OSError):
        if anew:
            Path("/proc/self/clear_refs").write_text("5")
        found = re.search(r"VmHWM:\s+(\d+) kB", Path("/proc/self/status").read_text())
        if found:
            return int(found[1]) * 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024


def _of_message(target: Target, error: InputError) -> Finding | None:
    # A file beside is named by its own name, a folder that the file is in by the folder's.
    message = str(error)
    if target.path.name not in message and str(target.path.parent) not in message:
        return Finding("message without the file", message)
    # What it lists are lines of their own, and so is then what to do.
    _, *listed = message.split("\n")
    if error.items and listed and error.fix:
        listed.pop()
    astray = [line for line in listed if not line.startswith("  ")] if error.items else listed
    if len(message) > LONGEST_MESSAGE or astray or "\x1b" in message:
        return Finding("message too long or of several lines", message[:1000])
    return None


def _of_error(error: BaseException) -> Finding:
    frames = traceback.extract_tb(error.__traceback__)
    ours = [frame for frame in frames if "pyskl_semloss" in frame.filename]
    last = f"{Path(ours[-1].filename).name}:{ours[-1].lineno}" if ours else "nowhere"
    text = "".join(traceback.format_exception(error, limit=-6))
    return Finding(f"{type(error).__name__} at {last}", text[-3000:])
