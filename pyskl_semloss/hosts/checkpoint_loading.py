"""Every checkpoint that a host opens goes through our reader: for resuming, for testing, and to start from."""

from __future__ import annotations

import hashlib
import os
from pathlib import Path
from typing import Any, NoReturn
from urllib.parse import urlparse

import torch

from pyskl_semloss.errors import InputError
from pyskl_semloss.hosts.checkpoints import read_checkpoint, without_commands

_LOCAL, _WEB = "", ("http://", "https://")


def use_safe_loaders(loader: Any) -> None:
    """Put our readers in the place of a host's own, for every kind of path that it knows.

    A host's own run ``torch.load`` or, for an address, what torch's hub makes of it, which is an unrestricted pickle.

    Args:
        loader: The host's ``CheckpointLoader`` (mmengine's or mmcv's).
    """
    # The names of the schemes are nowhere else, and a later version may know more.
    for prefix in loader._schemes:
        found = load_from_local if prefix == _LOCAL else load_from_http if prefix in _WEB else load_from_elsewhere
        loader.register_scheme(prefix, found, force=True)


def use_own_statistics(history: Any) -> None:
    """Keep files from naming the functions that mmengine's log history calls: it knows its own.

    Args:
        history: mmengine's ``HistoryBuffer``, which takes them over from each history that is read.
    """
    theirs = history.__setstate__

    def set_state(self: Any, state: dict[str, Any]) -> None:
        theirs(self, {key: value for key, value in state.items() if key != "statistics_methods"})

    history.__setstate__ = set_state


def load_from_local(filename: str, map_location: Any = None) -> dict[str, Any]:
    """Read a checkpoint on this machine.

    Raises:
        InputError: As :func:`pyskl_semloss.hosts.checkpoints.read_checkpoint`.
    """
    path = os.path.expanduser(filename)
    return without_commands(read_checkpoint(path, map_location), path)


def load_from_http(filename: str, map_location: Any = None) -> dict[str, Any]:
    """Fetch a checkpoint once, into the folder of torch's hub, and read it there.

    Raises:
        InputError: It cannot be fetched, or as :func:`load_from_local`.
    """
    # Addresses may end in the same name and mean different files.
    name = Path(urlparse(filename).path).name or "checkpoint.pth"
    path = Path(torch.hub.get_dir(), "checkpoints", f"{hashlib.sha256(filename.encode()).hexdigest()[:8]}-{name}")
    together = torch.distributed.is_available() and torch.distributed.is_initialized()
    try:
        if not together or torch.distributed.get_rank() == 0:
            _fetch(filename, path)
    finally:
        if together:
            torch.distributed.barrier()
    # Processes on other machines find nothing where the first has put it.
    _fetch(filename, path)
    return load_from_local(str(path), map_location)


def _fetch(address: str, path: Path) -> None:
    if path.is_file():
        return
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        torch.hub.download_url_to_file(address, str(path), progress=False)
    except OSError as error:
        raise InputError(f"it cannot be fetched ({error})", file=address) from None


def load_from_elsewhere(filename: str, map_location: Any = None) -> NoReturn:
    """Refuse a kind of path that only the host can open.

    Raises:
        InputError: Always.
    """
    fix = "Fetch the checkpoint and give its path, or an address that begins with https://."
    raise InputError("checkpoints of this kind would be opened by the host, which trusts them", file=filename, fix=fix)
