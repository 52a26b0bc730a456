"""What the page takes from outside: how many bytes a file may have, how long a recording may be, who may ask."""

from __future__ import annotations

import ipaddress
import socket
from collections.abc import Awaitable, Callable, Mapping, MutableMapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

from pyskl_semloss.errors import InputError

_Message = MutableMapping[str, Any]
_Receive = Callable[[], Awaitable[_Message]]
_Send = Callable[[_Message], Awaitable[None]]
_OTHER = 1 << 20
"""Bytes of a request that brings no file; the server may hold it in memory."""
_LARGE = "the file is larger than this app takes"
UPLOADS = "/upload/"
"""Where the requests that bring a file go."""


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

    Requests that bring no file are refused beyond 1 MiB: what is behind them may hold them in memory.

    Args:
        app: The application behind it.
        limit: Bytes of a file.
    """

    def __init__(self, app: Callable[..., Awaitable[None]], limit: int) -> None:
        self._app, self._limit = app, limit

    async def __call__(self, scope: _Message, receive: _Receive, send: _Send) -> None:
        """Pass on a request that is small enough."""
        if scope["type"] != "http":
            return await self._app(scope, receive, send)
        most = self._limit if scope["path"].startswith(UPLOADS) else _OTHER
        said = dict(scope["headers"]).get(b"content-length", b"0")
        if not said.isdigit() or len(said) > 18 or int(said) > most:
            return await _refuse(send, 413, _LARGE)
        came, refused = 0, False

        async def counted() -> _Message:
            nonlocal came, refused
            message = await receive()
            came += len(message.get("body", b""))
            if came > most:
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
            await _refuse(send, 413, _LARGE)


class SameOrigin:
    """ASGI middleware that answers the app's own page alone: not what other pages make a browser ask here.

    A page from elsewhere may send a browser to any address, also to one that only this machine reaches. Such requests
    name another origin; and where a name of that page was made to lead here (DNS rebinding), they ask for that name.

    Args:
        app: The application behind it.
        host: The address that the app listens on.
    """

    def __init__(self, app: Callable[..., Awaitable[None]], host: str) -> None:
        self._app, self._host = app, host

    async def __call__(self, scope: _Message, receive: _Receive, send: _Send) -> None:
        """Pass on a request that is the page's own, or that opens it."""
        if scope["type"] in ("http", "websocket"):
            headers = {name: value.decode("latin-1") for name, value in reversed(scope["headers"])}
            problem = refusal_reason(headers, self._host)
            if problem and scope["type"] == "websocket":
                # Before it is accepted, that is an answer of 403.
                return await send({"type": "websocket.close", "code": 1008, "reason": problem})
            if problem:
                return await _refuse(send, 403, problem)
        await self._app(scope, receive, send)


def refusal_reason(headers: Mapping[bytes, str], host: str) -> str | None:
    """Why a request is refused, or None where it is not.

    Args:
        headers: Of the request, by names in lower case.
        host: The address that the app listens on.
    """
    asked = headers.get(b"host", "")
    if not is_name_of(_hostname(asked), host):
        return "the app is not known by this name; ask for it by its IP address"
    origin = headers.get(b"origin")
    if origin is not None and origin.partition("://")[2].lower() != asked.lower():
        return "another page asks here"
    opens = headers.get(b"sec-fetch-mode") == "navigate" and headers.get(b"sec-fetch-dest") == "document"
    if headers.get(b"sec-fetch-site", "none") not in ("same-origin", "none") and not opens:
        return "another page asks here"
    return None


def is_name_of(name: str, host: str) -> bool:
    """Whether a browser may ask under a name for an app that listens on ``host``.

    On the loopback address those of this machine alone. Elsewhere any IP address, which no page can make to lead
    here, and the names of the machine.
    """
    if is_loopback(name) or name == host.lower():
        return True
    if is_loopback(host):
        return False
    return _is_address(name) or name in {socket.gethostname().lower(), socket.getfqdn().lower()}


def is_loopback(host: str) -> bool:
    """Whether only this machine reaches an address."""
    return ipaddress.ip_address(host).is_loopback if _is_address(host) else host.lower() == "localhost"


def _is_address(name: str) -> bool:
    try:
        ipaddress.ip_address(name)
    except ValueError:
        return False
    return True


def _hostname(asked: str) -> str:
    try:
        return urlsplit(f"//{asked}").hostname or ""
    except ValueError:
        return ""


async def _refuse(send: _Send, status: int, problem: str) -> None:
    await send({"type": "http.response.start", "status": status, "headers": [(b"content-type", b"text/plain")]})
    await send({"type": "http.response.body", "body": problem.encode()})
