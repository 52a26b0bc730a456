"""The page: one session for each browser tab, with its own files; needs NiceGUI."""

from __future__ import annotations

import json
import shutil
import tempfile
import webbrowser
from collections.abc import Callable
from dataclasses import dataclass, field
from importlib import resources
from pathlib import Path
from typing import Any

import numpy as np
from fastapi import HTTPException
from fastapi.responses import FileResponse
from nicegui import Client, app, events, ui
from starlette.middleware.trustedhost import TrustedHostMiddleware

from pyskl_semloss.app.analysis import Work
from pyskl_semloss.app.figures import timeline_figure
from pyskl_semloss.app.limits import Limits, UploadLimit, allowed_hosts, is_loopback
from pyskl_semloss.app.sessions import Sessions, safe_name
from pyskl_semloss.app.worker import Task, Worker
from pyskl_semloss.errors import InputError

_ASSETS = resources.files("pyskl_semloss.app") / "assets"
_RECONNECT = 60.0
"""Seconds that a session waits for its browser after the connection is lost."""


@dataclass
class Entry:
    """A file of a session, and how far it is."""

    name: str
    folder: Path
    stage: str = "waiting"
    share: float = 0.0
    error: str = ""
    found: dict[str, Any] = field(default_factory=dict)


def serve(make: Callable[[], Task], *, about: str, limits: Limits, host: str, port: int, show: bool = True) -> None:
    """Serve the page until the process is ended.

    Args:
        make: Makes, in the worker's process, the function that takes a :class:`Work` and returns what the page shows:
            see :func:`pyskl_semloss.app.analysis.analyse`.
        about: A line on the models.
        limits: What is taken.
        host: The address to listen on.
        port: The port to listen on.
        show: Whether to open a browser.
    """
    sessions = Sessions()
    worker = Worker(make)
    # Uploads are spooled there until they are whole.
    tempfile.tempdir = str(sessions.folder)
    app.add_middleware(UploadLimit, limit=limits.size)
    app.add_middleware(TrustedHostMiddleware, allowed_hosts=allowed_hosts(host))
    app.on_shutdown(worker.stop)
    app.on_shutdown(sessions.close)

    @app.get("/files/{token}/{job}/{name}")
    def file(token: str, job: str, name: str, download: bool = False) -> FileResponse:
        path = sessions.file(token, job, name)
        if path is None:
            raise HTTPException(404, "there is no such file, or its session has ended")
        headers = {"cache-control": "no-store", "x-content-type-options": "nosniff"}
        return FileResponse(path, filename=name if download else None, headers=headers)

    @ui.page("/", reconnect_timeout=_RECONNECT)
    def page(client: Client) -> None:
        _Page(client, sessions, worker, limits, about)

    @app.on_startup
    def say() -> None:
        address = f"http://{'localhost' if is_loopback(host) else host}:{port}"
        reach = "only this machine reaches it" if is_loopback(host) else "everybody who reaches this machine can use it"
        print(f"The page is at {address} ({reach}). Ctrl-C ends it, and removes all that was uploaded.", flush=True)
        if show:
            webbrowser.open(address)

    try:
        ui.run(
            host=host, port=port, title="Gestures in a recording", reload=False, show=False, dark=None, tailwind=False,
            show_welcome_message=False, reconnect_timeout=_RECONNECT, favicon="👋",
        )  # fmt: skip
    finally:
        worker.stop()
        sessions.close()


class _Page:
    """One tab: upload above, its files, and the one that is open."""

    def __init__(self, client: Client, sessions: Sessions, worker: Worker, limits: Limits, about: str) -> None:
        self.sessions, self.worker, self.limits = sessions, worker, limits
        self.folder = sessions.begin()
        self.entries: list[Entry] = []
        self.opened: Entry | None = None
        self.over = False
        client.on_delete(self.end)
        ui.add_css((_ASSETS / "viewer.css").read_text(encoding="utf-8"))
        ui.add_body_html(f"<script>{(_ASSETS / 'viewer.js').read_text(encoding='utf-8')}</script>")
        with ui.column().classes("semloss-page"):
            ui.label("Gestures in a recording").classes("text-h5").props('role="heading" aria-level="1"')
            ui.label(about).classes("text-body2 text-grey")
            self.upload = (
                ui.upload(
                    label="Drop videos or keypoint files here",
                    multiple=True,
                    auto_upload=True,
                    max_file_size=limits.size,
                    on_upload=self.take,
                    on_rejected=self.refuse,
                )
                .props('flat bordered accept="video/*,.mkv,.avi,.npz"')
                .classes("semloss-upload")
            )
            ui.label(
                f"Up to {limits.megabytes:g} MB and {limits.minutes:g} minutes each; a video, or the .npz that "
                "tools/estimate_poses.py or tools/prepare_data.py writes. They stay on this machine, and are removed "
                "when this tab is closed."
            ).classes("text-caption text-grey")
            self.list = ui.column().classes("semloss-list")
            self.result = ui.column().classes("semloss-result")
        ui.timer(0.3, self.refresh)

    def end(self) -> None:
        """Remove the session's files; work on one of them ends."""
        self.over = True
        if any(entry.stage not in ("waiting", "done", "failed") for entry in self.entries):
            self.worker.stop()
        self.sessions.end(self.folder)

    def refuse(self) -> None:
        """Say why the browser did not send a file."""
        ui.notify(
            f"Not taken: files may have up to {self.limits.megabytes:g} MB, and are videos or .npz.", type="warning"
        )

    async def take(self, event: events.UploadEventArguments) -> None:
        """Work on an uploaded file."""
        name = safe_name(event.file.name)
        folder = self.folder / str(len(self.entries))
        entry = Entry(name, folder)
        self.entries.append(entry)
        self.upload.reset()
        with self.list:
            self.card(entry)
        try:
            folder.mkdir()
            await event.file.save(folder / name)
            if self.over:
                return
            entry.found = await self.worker.run(
                Work(folder / name, folder, self.limits), lambda stage, share: self.at(entry, stage, share)
            )
            entry.stage = "done"
        except InputError as error:
            entry.stage, entry.error = "failed", str(error)
        except OSError as error:
            entry.stage, entry.error = "failed", f"{name}: it cannot be kept ({error.strerror})."
        finally:
            if self.over:
                shutil.rmtree(self.folder, ignore_errors=True)
        if entry.stage == "done" and not self.over and (self.opened is None or self.opened.stage != "done"):
            self.open(entry)

    def at(self, entry: Entry, stage: str, share: float) -> None:
        """Note how far the work on a file is."""
        entry.stage, entry.share = stage, share

    def card(self, entry: Entry) -> None:
        """A file's line in the list."""
        with ui.card().classes("semloss-card").props("flat bordered") as card:
            with ui.row().classes("items-center no-wrap full-width"):
                ui.label(entry.name).classes("semloss-name")
                state = ui.label().classes("text-caption semloss-state")
                button = ui.button("Open", on_click=lambda: self.open(entry)).props("flat dense")
            bar = ui.linear_progress(show_value=False).props("instant-feedback")
            problem = ui.label().classes("text-negative text-body2").props('role="alert"')
        card.entry, card.parts = entry, (state, button, bar, problem)
        self.update(card)

    def refresh(self) -> None:
        """Bring the list up to date."""
        for card in self.list.default_slot.children:
            self.update(card)

    def update(self, card: Any) -> None:
        """Bring a file's line up to date."""
        entry, (state, button, bar, problem) = card.entry, card.parts
        working = entry.stage not in ("done", "failed")
        count = len(entry.found.get("segments", ()))
        said = {"done": f"{count} segment{'s' * (count != 1)}", "failed": "failed"}.get(
            entry.stage, f"{entry.stage}{f' {100 * entry.share:.0f} %' * (entry.share > 0)} …"
        )
        state.set_text(said)
        bar.set_visibility(working)
        bar.set_value(entry.share)
        button.set_visibility(entry.stage == "done")
        problem.set_text(entry.error)
        problem.set_visibility(bool(entry.error))

    def url(self, entry: Entry, name: str) -> str:
        """Where a file of the result is."""
        return f"/files/{self.folder.name}/{entry.folder.name}/{name}"

    def open(self, entry: Entry) -> None:
        """Show a result."""
        self.opened = entry
        self.result.clear()
        found = entry.found
        with self.result:
            ui.separator()
            with ui.row().classes("items-center full-width"):
                ui.label(entry.name).classes("text-h6").props('role="heading" aria-level="2"')
                ui.space()
                for name in found["files"]:
                    ending = name.rpartition(".")[2].upper()
                    address = f"{self.url(entry, name)}?download=true"
                    ui.button(ending, on_click=lambda address=address: ui.navigate.to(address)).props(
                        f'outline dense icon=download aria-label="Download {ending}"'
                    )
            with ui.row().classes("semloss-two"):
                viewer = ui.html((_ASSETS / "viewer.html").read_text(encoding="utf-8"), sanitize=False)
                viewer.classes("semloss-left")
                self.table(found)
            plot = self.figure(entry)
        about = {**found["viewer"]}
        for name in ("keypoints", "scores", "video"):
            about[name] = self.url(entry, about[name]) if about[name] else None
        # Where the elements are not there yet, the browser waits for them.
        ui.run_javascript(f"semlossOpen({json.dumps(viewer.html_id)}, {json.dumps(plot.html_id)}, {json.dumps(about)})")

    def table(self, found: dict[str, Any]) -> None:
        """The segments; a click goes there."""
        seconds, percent = "(value) => value.toFixed(2)", "(value) => `${Math.round(100 * value)} %`"
        columns = [
            {"name": name, "field": name, "label": label, "align": align, "sortable": True, **shown}
            for name, label, align, shown in (
                ("start", "start", "right", {":format": seconds}),
                ("end", "end", "right", {":format": seconds}),
                ("name", "gesture", "left", {}),
                ("confidence", "confidence", "right", {":format": percent}),
            )
        ]
        wanted = ("start", "end", "name", "confidence")
        rows = [{"id": number, **{key: one[key] for key in wanted}} for number, one in enumerate(found["segments"])]
        table = ui.table(columns=columns, rows=rows, row_key="id", pagination=12)
        table.props("flat bordered dense wrap-cells").classes("semloss-table")
        table.props["no-data-label"] = found["nothing"]
        table.on("rowClick", js_handler="(event, row) => window.semlossViewer?.seek(row.start)")

    def figure(self, entry: Entry) -> Any:
        """The timeline."""
        found = entry.found
        scores = np.fromfile(entry.folder / found["viewer"]["scores"], np.uint8).reshape(found["viewer"]["rows"], -1)
        times = (np.arange(len(scores)) + 0.5) * found["viewer"]["row_seconds"]
        names = found["viewer"]["class_names"]
        made = timeline_figure(
            found["segments"], times, scores / 255, names, found["viewer"]["seconds"], found["leave_out"]
        )
        return ui.plotly(made).classes("full-width semloss-plot").style(f"height: {made['layout']['height']}px")
