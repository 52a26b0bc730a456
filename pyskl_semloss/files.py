"""Files that are whole or absent: atomic writing, checksums, npz archives without pickles."""

from __future__ import annotations

import contextlib
import hashlib
import os
import tempfile
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import IO, Any

import numpy as np

from pyskl_semloss.errors import InputError


@contextlib.contextmanager
def atomic_write(path: str | os.PathLike[str], mode: str = "wb", **kwargs: Any) -> Iterator[IO[Any]]:
    """Open a temporary file beside ``path`` that takes its name only when the block ends without an error.

    Missing parent folders are made. On an error the old file is untouched and the temporary file is removed.

    Args:
        path: The file to write.
        mode: ``"wb"`` or ``"w"``.
        **kwargs: Passed to :func:`open` (``encoding``, ``newline``).
    """
    target = Path(path)
    target.parent.mkdir(parents=True, exist_ok=True)
    handle, temporary = tempfile.mkstemp(dir=target.parent, prefix=f".{target.name}.", suffix=".tmp")
    try:
        with os.fdopen(handle, mode, **kwargs) as stream:
            yield stream
            stream.flush()
            os.fsync(stream.fileno())
        umask = os.umask(0)
        os.umask(umask)
        os.chmod(temporary, 0o666 & ~umask)
        os.replace(temporary, target)
    except BaseException:
        with contextlib.suppress(FileNotFoundError):
            os.unlink(temporary)
        raise


def sha256(path: str | os.PathLike[str]) -> str:
    """Hexadecimal SHA-256 of a file's bytes."""
    digest = hashlib.sha256()
    with open(path, "rb") as stream:
        while block := stream.read(1 << 20):
            digest.update(block)
    return digest.hexdigest()


def read_npz(path: str | os.PathLike[str]) -> dict[str, np.ndarray]:
    """Read every member of an npz archive; pickled members are refused.

    Raises:
        InputError: The file is absent, no npz archive, damaged, or holds a pickled (object) member.
    """
    try:
        with np.load(path, allow_pickle=False) as archive:
            if not isinstance(archive, np.lib.npyio.NpzFile):
                raise InputError("expected an npz archive, got a single npy array", file=path)
            return {name: archive[name] for name in archive.files}
    except FileNotFoundError:
        raise InputError("there is no such file", file=path) from None
    except InputError:
        raise
    except (ValueError, OSError, EOFError, zipfile.BadZipFile, KeyError) as error:
        raise InputError(
            f"expected an npz archive of plain arrays, but it cannot be read ({error})", file=path
        ) from None
