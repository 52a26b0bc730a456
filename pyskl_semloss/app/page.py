"""Server of the app, on NiceGUI."""

from __future__ import annotations

import asyncio
import logging
import os
import signal
import socket
import sys
import tempfile
import webbrowser
from collections.abc import Callable
from types import FrameType
from urllib.parse import unquote

from fastapi import HTTPException, Request, Response
from fastapi.responses import FileResponse
from nicegui import Client, app, background_tasks, ui

from pyskl_semloss.app.limits import UPLOADS, Limits, SameOrigin, UploadLimit, is_loopback
from pyskl_semloss.app.result import download_name
from pyskl_semloss.app.sessions import Sessions
from pyskl_semloss.app.tab import NAME_HEADER, Tab
from pyskl_semloss.app.worker import AsyncWorker, Task
from pyskl_semloss.errors import InputError, escape_control_characters

_RECONNECT = 60.0
"""Seconds that a session waits for its browser after the connection is lost."""
_FILE = {
    "cache-control": "no-store",
    "x-content-type-options": "nosniff",
    # Whatever was uploaded runs nothing where it is opened on its own.
    "content-security-policy": "sandbox; default-src 'none'; media-src 'self'; style-src 'unsafe-inline'",
}


def serve(
    make: Callable[[], Task], *, about: str, limits: Limits, host: str, port: int, show: bool = True,
    as_typed: Callable[[str], str] = str,
) -> None:  # fmt: skip
    """Serve the page until the process is ended.

    Args:
        make: Makes, in the worker's process, the function that takes a :class:`pyskl_semloss.app.analysis.Work` and
            returns what the page shows: see :func:`pyskl_semloss.app.analysis.analyse`.
        about: A line on the models.
        limits: What is taken.
        host: The address to listen on.
        port: The port to listen on; 0 for any that is free.
        show: Whether to open a browser.
        as_typed: Names the commands in a text as the user types them.

    Raises:
        InputError: The address cannot be listened on, or the function cannot be made.
    """
    port = free_port(host, port)
    _handle_signals()
    # It names the address of a page that is not there; any other page may lead a browser to one with commands in it.
    logging.getLogger("nicegui").addFilter(_in_one_line)
    sessions, worker, problems = Sessions(), AsyncWorker(make), list[InputError]()
    # What the packages of server and worker leave behind ends with it.
    tempfile.tempdir = os.environ["TMPDIR"] = str(sessions.folder)
    app.add_middleware(UploadLimit, limit=limits.size)
    app.add_middleware(SameOrigin, host=host)
    app.on_startup(lambda: background_tasks.create(_begin(worker, host, port, show, problems), name="begin"))
    app.on_shutdown(worker.stop)
    _add_pages(sessions, lambda: Tab(sessions, worker, limits, about, as_typed))
    try:
        ui.run(
            host=host, port=port, title="Gestures in a recording", reload=False, show=False, dark=None, tailwind=False,
            show_welcome_message=False, reconnect_timeout=_RECONNECT, favicon="👋",
        )  # fmt: skip
    finally:
        worker.stop()
        sessions.close()
    if problems:
        raise problems[0]


def _add_pages(sessions: Sessions, make_tab: Callable[[], Tab]) -> None:
    tabs: dict[str, Tab] = {}

    @app.get("/files/{token}/{job}/{name}")
    def file(token: str, job: str, name: str, download: bool = False) -> FileResponse:
        path = sessions.file(token, job, name)
        uploaded = tabs[token].name_of(job) if token in tabs else None
        if path is None or uploaded is None:
            raise HTTPException(404, "there is no such file, or its session has ended")
        return FileResponse(path, filename=download_name(uploaded, name) if download else None, headers=_FILE)

    @app.post(UPLOADS + "{token}")
    async def upload(token: str, request: Request) -> Response:
        if token not in tabs:
            raise HTTPException(404, "its session has ended")
        name = unquote(request.headers.get(NAME_HEADER, ""), errors="replace")
        return Response(status_code=await tabs[token].receive(name, request.stream()))

    @app.post("/leave/{token}", status_code=204)
    async def leave(token: str) -> None:
        if token in tabs:
            tabs[token].end()

    @ui.page("/", reconnect_timeout=_RECONNECT)
    def page(client: Client) -> None:
        tab = make_tab()
        tabs[tab.token] = tab
        client.on_delete(tab.end)
        client.on_delete(lambda: tabs.pop(tab.token, None))


async def _begin(worker: AsyncWorker, host: str, port: int, show: bool, problems: list[InputError]) -> None:
    """Print the address and load the models; without them the app ends."""
    # The server says that it has begun before it listens.
    while not await _answers(host, port):
        await asyncio.sleep(0.05)
    name = {"127.0.0.1": "localhost", "0.0.0.0": socket.gethostname(), "::": socket.gethostname()}.get(host, host)
    address = f"http://{_in_address(name)}:{port}"
    reach = "only this machine reaches it" if is_loopback(host) else "everybody who reaches this machine can use it"
    print(f"The page is at {address} ({reach}). Ctrl-C ends it, and removes all that was uploaded.", flush=True)
    if show:
        webbrowser.open(address)
    try:
        await worker.prepare()
    except InputError as error:
        problems.append(error)
        app.shutdown()


def _handle_signals() -> None:
    """Make SIGTERM and SIGHUP end the app as Ctrl-C does.

    This covers the time before and after the server handles signals.
    """
    signal.signal(signal.SIGTERM, _end)
    if hasattr(signal, "SIGHUP") and signal.getsignal(signal.SIGHUP) is not signal.SIG_IGN:
        # The server knows SIGTERM alone.
        signal.signal(signal.SIGHUP, lambda *_: signal.raise_signal(signal.SIGTERM))


def _end(number: int, frame: FrameType | None) -> None:
    raise SystemExit(128 + number)


def _in_one_line(record: logging.LogRecord) -> bool:
    record.msg, record.args = escape_control_characters(record.getMessage()), None
    return True


def free_port(host: str, port: int) -> int:
    """Port that can be listened on; 0 asks for any.

    Raises:
        InputError: It cannot, and why.
    """
    if not 0 <= port <= 65535:
        raise InputError(f"expected a number from 0 to 65535, got {port}", field="--port")
    try:
        family, kind, protocol, _, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
        with socket.socket(family, kind, protocol) as probe:
            # As the server does it: what lingers of connections that have ended is no hindrance.
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, sys.platform != "win32")
            probe.bind(address)
            return int(probe.getsockname()[1])
    except OSError as error:
        reason = (error.strerror or str(error)).lower()
        raise InputError(
            f"{_in_address(host)}:{port} cannot be listened on ({reason})",
            field="--port",
            fix="Give another --port, or end the program that has it.",
        ) from None


async def _answers(host: str, port: int) -> bool:
    try:
        _, writer = await asyncio.open_connection(host, port)
    except OSError:
        return False
    writer.close()
    return True


def _in_address(host: str) -> str:
    return f"[{host}]" if ":" in host else host
