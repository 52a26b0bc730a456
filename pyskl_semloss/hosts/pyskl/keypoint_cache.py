"""Cache of keypoints in memcached, as plain arrays without pickles."""

from __future__ import annotations

import hashlib
import io
import os
from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np

from pyskl_semloss.errors import InputError


class KeypointCache:
    """Keypoints and scores by clip, shared by processes with the same content.

    Args:
        address: Host and port of memcached.
        content: Identity of the keypoints: the file's checksum and the rules of reading.
    """

    def __init__(self, address: tuple[str, int], content: str) -> None:
        self.address, self.content = address, content
        self._client: tuple[int, Any] | None = None

    def get(self, clip: str) -> tuple[np.ndarray, np.ndarray] | None:
        """Keypoints (M, T, V, 2), px, and scores (M, T, V), or None after a cache miss.

        Raises:
            InputError: memcached does not answer, or the answer is no array of keypoints.
        """
        data = self._call("get", self._key(clip))
        if data is None:
            return None
        try:
            both = np.lib.format.read_array(io.BytesIO(data), allow_pickle=False)
        except Exception as error:  # whatever numpy's parsers raise on bytes that are no array
            raise InputError(f"memcached holds no keypoints there ({error})", clip=clip, field="mc_cfg") from None
        if both.dtype != np.float32 or both.ndim != 4 or both.shape[-1] != 3:
            problem = f"memcached holds no keypoints there ({both.dtype} {both.shape})"
            raise InputError(problem, clip=clip, field="mc_cfg")
        return both[..., :2], both[..., 2]

    def fill(self, entries: Iterable[Mapping[str, Any]]) -> None:
        """Store the keypoints of annotation entries."""
        for entry in entries:
            stream = io.BytesIO()
            both = np.concatenate([entry["keypoint"], entry["keypoint_score"][..., None]], axis=-1)
            np.save(stream, both.astype(np.float32), allow_pickle=False)
            self._call("set", self._key(entry["frame_dir"]), stream.getvalue())

    def __getstate__(self) -> dict[str, Any]:
        """State without the connection, for the pickled data set of spawned workers."""
        return {**self.__dict__, "_client": None}

    def _key(self, clip: str) -> str:
        # A clip's id may be longer than memcached's keys, or hold spaces.
        return hashlib.sha256(f"{self.content}\n{clip}".encode()).hexdigest()

    def _call(self, name: str, *arguments: Any) -> Any:
        from pymemcache.client.base import Client
        from pymemcache.exceptions import MemcacheError

        for last in (False, True):
            # A connection must not be shared with a forked worker.
            if self._client is None or self._client[0] != os.getpid():
                self._client = os.getpid(), Client(self.address, timeout=60)
            try:
                return getattr(self._client[1], name)(*arguments)
            except (OSError, MemcacheError) as error:
                self._client = None
                # memcached may have been restarted since the last clip.
                if last:
                    raise InputError(
                        f"memcached at {self.address[0]}:{self.address[1]} fails ({error!r})",
                        field="mc_cfg",
                        fix="PySKL's tools start it where the config sets memcached = True; or run: "
                        f"memcached -p {self.address[1]} -m 4096 -I 16m -d",
                    ) from None
