"""What the page takes from outside: how many bytes a file may have, how long a recording may be, who may ask."""

from __future__ import annotations

import ipaddress
from collections.abc import Awaitable, Callable, MutableMapping
from dataclasses import dataclass
from typing import Any

from pyskl_semloss.errors import InputError

_Message = MutableMapping[str, Any]
_Receive = Callable[[], Awaitable[_Message]]
_Send = Callable[[_Message], Awaitable[None]]
_SLACK = 1 << 16
"""Bytes of an upload that are not the file's: headers of its parts."""


@dataclass(frozen=True)
class Limits:
    """The most that is taken.

    Args:
        megabytes: Of a file, in 10**6 bytes.
        minutes: Of a recording.

    Raises:
        InputError: One of them is not above 0.
    """

    megabytes: float = 2000
    minutes: float = 90

    def __post_init__(self) -> None:
        for field in ("megabytes", "minutes"):
            if not getattr(self, field) > 0:
                raise InputError(f"expected a number above 0, got {getattr(self, field)}", field=f"--max-{field}")

    @property
    def size(self) -> int:
        """Bytes of a file."""
        return int(self.megabytes * 1e6)

    def check_seconds(self, seconds: float, name: str) -> None:
        """Refuse a recording that is too long.

        Raises:
            InputError: It is.
        """
        if seconds > 60 * self.minutes:
            problem = f"it lasts {seconds / 60:.1f} minutes, more than the {self.minutes:g} that are taken"
            raise InputError(problem, file=name, fix="Cut it, or start the app with a larger --max-minutes.")


class UploadLimit:
    """ASGI middleware that refuses a request with more bytes than a file may have, while it comes in.

    Args:
        app: The application behind it.
        limit: Bytes of a file.
    """

    def __init__(self, app: Callable[..., Awaitable[None]], limit: int) -> None:
        self._app, self._most = app, limit + _SLACK

    async def __call__(self, scope: _Message, receive: _Receive, send: _Send) -> None:
        """Pass on a request that is small enough."""
        if scope["type"] != "http" or scope["method"] in ("GET", "HEAD"):
            return await self._app(scope, receive, send)
        said = dict(scope["headers"]).get(b"content-length", b"0")
        if not said.isdigit() or int(said) > self._most:
            return await _refuse(send)
        came, refused = 0, False

        async def counted() -> _Message:
            nonlocal came, refused
            message = await receive()
            came += len(message.get("body", b""))
            if came > self._most:
                refused = True
                # The application sees a client that went away, and drops what it has got so far.
                return {"type": "http.disconnect"}
            return message

        async def answered(message: _Message) -> None:
            if not refused:
                await send(message)

        try:
            await self._app(scope, counted, answered)
        except Exception:
            if not refused:
                raise
        if refused:
            await _refuse(send)


async def _refuse(send: _Send) -> None:
    await send({"type": "http.response.start", "status": 413, "headers": [(b"content-type", b"text/plain")]})
    await send({"type": "http.response.body", "body": b"the file is larger than this app takes"})


def is_loopback(host: str) -> bool:
    """Whether only this machine reaches an address."""
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def allowed_hosts(host: str) -> list[str]:
    """Names under which a browser may ask for the page.

    On the loopback address no others, so that a page from elsewhere cannot reach it under a name of its own.
    """
    return ["localhost", "127.0.0.1", "[::1]", host] if is_loopback(host) else ["*"]
