"""Safe checkpoint loaders in place of the hosts' own."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any, NoReturn
from urllib.parse import urlparse

import torch

from pyskl_semloss.errors import InputError
from pyskl_semloss.hosts.checkpoints import name_graph_head, read_checkpoint, without_commands

_LOCAL, _WEB = "", ("http://", "https://")


def use_safe_loaders(loader: Any, graph_head: str) -> None:
    """Replace a host's checkpoint loaders for every kind of path.

    The host's loaders use ``torch.load`` or, for URLs, torch's hub, which unpickles arbitrary objects.

    Args:
        loader: The host's ``CheckpointLoader`` (mmengine's or mmcv's).
        graph_head: The host's name of a graph network's classifier, see
            :func:`pyskl_semloss.hosts.checkpoints.name_graph_head`.
    """

    def with_hosts_names(load: Callable[..., dict[str, Any]]) -> Callable[..., dict[str, Any]]:
        def loaded(filename: str, map_location: Any = None) -> dict[str, Any]:
            content = load(filename, map_location)
            if isinstance(state := content.get("state_dict"), dict):
                return {**content, "state_dict": name_graph_head(state, graph_head)}
            return name_graph_head(content, graph_head)

        return loaded

    # The public API does not list the schemes, and a later version may have more.
    for prefix in loader._schemes:
        load = load_from_local if prefix == _LOCAL else load_from_http if prefix in _WEB else load_from_elsewhere
        loader.register_scheme(prefix, with_hosts_names(load), force=True)


def use_own_statistics(history: Any) -> None:
    """Ignore statistics functions that a file sets in mmengine's log history.

    Args:
        history: mmengine's ``HistoryBuffer``, which would call the functions of a loaded history.
    """
    theirs = history.__setstate__

    def set_state(self: Any, state: dict[str, Any]) -> None:
        theirs(self, {key: value for key, value in state.items() if key != "statistics_methods"})

    history.__setstate__ = set_state


def load_from_local(filename: str, map_location: Any = None) -> dict[str, Any]:
    """Content of a local checkpoint.

    Raises:
        InputError: As :func:`pyskl_semloss.hosts.checkpoints.read_checkpoint`.
    """
    path = os.path.expanduser(filename)
    return without_commands(read_checkpoint(path, map_location), path)


def load_from_http(filename: str, map_location: Any = None) -> dict[str, Any]:
    """Content of a checkpoint at a URL, cached in torch's hub folder.

    Raises:
        InputError: The download fails, or as :func:`load_from_local`.
    """
    # Different URLs may end in the same file name.
    name = Path(urlparse(filename).path).name or "checkpoint.pth"
    path = Path(torch.hub.get_dir(), "checkpoints", f"{hashlib.sha256(filename.encode()).hexdigest()[:8]}-{name}")
    together = torch.distributed.is_available() and torch.distributed.is_initialized()
    try:
        if not together or torch.distributed.get_rank() == 0:
            _fetch(filename, path)
    finally:
        if together:
            torch.distributed.barrier()
    # Processes on other machines do not see the first process's file.
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
    """Refuse a path that only the host can open.

    Raises:
        InputError: Always.
    """
    fix = "Fetch the checkpoint and give its path, or an address that begins with https://."
    raise InputError("the host would open a checkpoint at this address without checks", file=filename, fix=fix)
