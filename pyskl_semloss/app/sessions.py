"""Folders of browser sessions: what was uploaded and made in one is gone when it ends."""

from __future__ import annotations

import os
import re
import secrets
import shutil
import tempfile
from pathlib import Path

_NAME = "pyskl_semloss_app_{}_"
_OURS = re.compile(r"pyskl_semloss_app_(\d+)_\w+")


class Sessions:
    """The folder of an app, with a folder for each session; all of it is removed when the app ends.

    Folders that a killed app left behind are removed when the next one starts.

    Args:
        parent: Where to make it; the system's folder for temporary files without it.
    """

    def __init__(self, parent: str | os.PathLike[str] | None = None) -> None:
        parent = Path(parent or tempfile.gettempdir())
        _remove_left_behind(parent)
        self.folder = Path(tempfile.mkdtemp(prefix=_NAME.format(os.getpid()), dir=parent))

    def begin(self) -> Path:
        """A new session's folder; only its owner can guess its name."""
        folder = self.folder / secrets.token_urlsafe(16)
        folder.mkdir(mode=0o700)
        return folder

    def end(self, folder: Path) -> None:
        """Remove a session's folder and all that is in it."""
        shutil.rmtree(folder, ignore_errors=True)

    def file(self, token: str, *names: str) -> Path | None:
        """A file of a session, or None where there is none or the path leaves the folder."""
        if any("\0" in name for name in (token, *names)):
            return None
        folder = (self.folder / token).resolve()
        path = folder.joinpath(*names).resolve()
        inside = folder.parent == self.folder.resolve() and folder in path.parents
        return path if inside and path.is_file() else None

    def close(self) -> None:
        """Remove everything."""
        shutil.rmtree(self.folder, ignore_errors=True)


def safe_name(name: str) -> str:
    """A name for a file from one that a browser sent: no folders, no leading dots, at most 100 characters."""
    last = re.split(r"[/\\]", name)[-1]
    kept = re.sub(r"[^\w.() -]", "_", last).lstrip(". ")
    stem, dot, ending = kept.rpartition(".")
    return f"{stem[:80]}{dot}{ending[:10]}" if stem else (kept[:80] or "file")


def _remove_left_behind(parent: Path) -> None:
    for path in parent.glob("pyskl_semloss_app_*"):
        found = _OURS.fullmatch(path.name)
        if found and path.is_dir() and not path.is_symlink() and not _lives(int(found[1])):
            shutil.rmtree(path, ignore_errors=True)


def _lives(process: int) -> bool:
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True
