"""Temporary folders of browser sessions."""

from __future__ import annotations

import contextlib
import os
import re
import secrets
import shutil
import tempfile
from pathlib import Path

from pyskl_semloss.io.files import mark_in_use, remove_abandoned, temporary_prefix
from pyskl_semloss.io.reading import AnyPath, first_forbidden_character

_NAME = "pyskl_semloss_app"
_LONGEST = 255
"""Characters of a name, as file systems of Windows and macOS have them."""


class Sessions:
    """Folder of an app, with a subfolder for each session.

    All of it is removed when the app ends. Folders that a killed app left behind are removed when the next one starts.
    A lock that ends with the process tells which those are: process numbers are reused, as in containers.

    Args:
        parent: Where to make it; the system's folder for temporary files without it.
    """

    def __init__(self, parent: AnyPath | None = None) -> None:
        target = Path(parent or tempfile.gettempdir()) / _NAME
        remove_abandoned(target)
        self.folder = Path(tempfile.mkdtemp(dir=target.parent, prefix=temporary_prefix(target), suffix=".tmp"))
        self._lock: int | None = None
        # Windows opens no folders; what a killed app leaves stays there.
        with contextlib.suppress(PermissionError):
            self._lock = os.open(self.folder, os.O_RDONLY)
            mark_in_use(self._lock)

    def begin(self) -> Path:
        """Create a session's folder with an unguessable name."""
        folder = self.folder / secrets.token_urlsafe(16)
        folder.mkdir(mode=0o700)
        return folder

    def end(self, folder: Path) -> None:
        """Remove a session's folder and all that is in it."""
        shutil.rmtree(folder, ignore_errors=True)

    def file(self, token: str, *names: str) -> Path | None:
        """File of a session, or None if absent or outside its folder."""
        if any("\0" in name for name in (token, *names)):
            return None
        folder = (self.folder / token).resolve()
        path = folder.joinpath(*names).resolve()
        inside = folder.parent == self.folder.resolve() and folder in path.parents
        return path if inside and path.is_file() else None

    def close(self) -> None:
        """Remove everything."""
        shutil.rmtree(self.folder, ignore_errors=True)
        if self._lock is not None:
            os.close(self._lock)


def shown_name(name: str) -> str:
    """File name from a browser, without folders and control characters."""
    last = "".join(
        "_" if first_forbidden_character(character) else character for character in re.split(r"[/\\]", name)[-1]
    )
    if len(last) > _LONGEST:
        stem, ending = split_name(last)
        last = f"{stem[: _LONGEST - 20]}{ending[:20]}"
    return last if last.strip(". ") else "file"


def split_name(name: str) -> tuple[str, str]:
    """Stem and ending (with dot) of a file name; the stem is never empty.

    Example:
        >>> split_name("a.b.npz"), split_name(".npz"), split_name("film")
        (('a.b', '.npz'), ('npz', ''), ('film', ''))
    """
    stem, dot, ending = name.rpartition(".")
    return (stem, dot + ending) if stem else (ending, "")
