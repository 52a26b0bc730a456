"""Listing folders without the files that systems leave in them."""

from __future__ import annotations

import os

from pyskl_semloss.errors import InputError
from pyskl_semloss.io.reading import AnyPath, absent, reason

_OF_SYSTEMS = {
    "__macosx", "thumbs.db", "ehthumbs.db", "desktop.ini", "icon\r", "$recycle.bin", "system volume information",
    "@eadir", "lost+found",
}  # fmt: skip


def is_system_file(name: str) -> bool:
    """Whether a name is hidden, or that of a file or folder which a system keeps for itself.

    These are names that begin with a full stop (``.DS_Store``, and ``._talk.json``, which macOS puts beside
    ``talk.json`` on disks of others), ``~$table.xlsx`` of an open spreadsheet, ``Thumbs.db``, ``desktop.ini``,
    ``__MACOSX`` of archives, and the like.
    """
    return name.startswith((".", "~$")) or name.lower() in _OF_SYSTEMS


def list_folder(folder: AnyPath) -> list[str]:
    """Names of what lies in a folder, sorted, without those of :func:`is_system_file`.

    Raises:
        InputError: There is no such folder, it is a file, or it cannot be read.
    """
    try:
        return sorted(name for name in os.listdir(folder) if not is_system_file(name))
    except FileNotFoundError:
        raise absent(folder, "folder") from None
    except NotADirectoryError:
        raise InputError("it is a file, expected a folder", file=folder) from None
    except OSError as error:
        raise InputError(f"the folder cannot be read ({reason(error)})", file=folder) from None
