"""One browser tab: upload above, its files, and the one that is open; needs NiceGUI."""

from __future__ import annotations

import asyncio
import itertools
import json
import sys
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, field
from importlib import resources
from pathlib import Path
from typing import Any

from nicegui import app, background_tasks, ui
from starlette.requests import ClientDisconnect

from pyskl_semloss.app.analysis import AnalysisTask
from pyskl_semloss.app.limits import UPLOADS, Limits
from pyskl_semloss.app.result import show_result
from pyskl_semloss.app.sessions import Sessions, shown_name
from pyskl_semloss.app.worker import AsyncWorker
from pyskl_semloss.drawing import stick_figure
from pyskl_semloss.drawing.palette import ON_DARK
from pyskl_semloss.errors import InputError, escape_control_characters

_ASSETS = resources.files("pyskl_semloss.app") / "assets"
_WAITING, _DONE, _FAILED = "waiting", "done", "failed"
_UPLOAD = "upload"
_WHY = {
    0: "the connection was lost",
    404: "this tab has ended; load the page anew",
    413: "it is larger than this app takes",
    507: "the app's machine cannot keep it; its disk may be full",
}
_HEADER = """
<div class="row no-wrap items-center q-pa-md semloss-drop">
  <div class="col">{{ props.isUploading ? `Uploading ${props.uploadSizeLabel}: ${props.uploadProgressLabel}`
    : "Drop videos or keypoint files (.npz) here" }}</div>
  <q-btn outline no-caps color="primary" label="Choose files" @click="props.pickFiles">
    <q-uploader-add-trigger />
  </q-btn>
</div>
"""
NAME_HEADER = "x-name"
"""The header in which the browser says the name of a file."""
# As it is: in a form, browsers change quotes and percent signs in names.
_NAMED = f"(files) => [{{name: {json.dumps(NAME_HEADER)}, value: encodeURIComponent(files[0].name)}}]"
_BLOCK = 1 << 20
"""Bytes that are written at a time."""
_REFUSED = "(found) => emit(found.map((one) => [one.file.name, one.file.size, one.failedPropValidation]))"
# What stays in the browser's list cannot be chosen again.
_FORGET = "about.files.forEach((one) => getElement({}).$refs.qRef.removeFile(one))"
_ARRIVED = "(about) => {forget}"
_LOST = "(about) => {{ emit(about.files.map((one) => [one.name, about.xhr.status])); {forget}; }}"


@dataclass
class UploadedFile:
    """A file of a session, and how far it is."""

    name: str
    folder: Path
    stage: str = _WAITING
    share: float = 0.0
    error: str = ""
    found: dict[str, Any] = field(default_factory=dict)
    job: asyncio.Future[Any] | None = None


class Tab:
    """What a tab shows, and its session; made while its page is built.

    Args:
        sessions: Makes its folder.
        worker: Works on its files.
        limits: Of a file.
        about: A line on the models.
        as_typed: Names the commands in a text as the user types them.
    """

    def __init__(
        self, sessions: Sessions, worker: AsyncWorker, limits: Limits, about: str, as_typed: Callable[[str], str] = str
    ) -> None:
        self._sessions, self._worker, self._limits, self._as_typed = sessions, worker, limits, as_typed
        self._folder = sessions.begin()
        self.token = self._folder.name
        self._entries: list[UploadedFile] = []
        self._numbers = itertools.count()
        self._opened: UploadedFile | None = None
        self._over = False
        # The figure is drawn over a video or on a dark ground.
        ui.add_css(f":root {{ {ON_DARK.css()} }}\n" + (_ASSETS / "viewer.css").read_text(encoding="utf-8"))
        viewer = (_ASSETS / "viewer.js").read_text(encoding="utf-8")
        ui.add_body_html(f"<script>{stick_figure.script()}{viewer}</script>")
        ui.add_body_html(f"<script>semlossLeave({json.dumps(f'/leave/{self.token}')})</script>")
        with ui.column().classes("semloss-page").props('role="main"'):
            ui.label("Gestures in a recording").classes("text-h5").props('role="heading" aria-level="1"')
            ui.label(about).classes("semloss-faint")
            self._upload = ui.upload(multiple=True, auto_upload=True, max_file_size=limits.size)
            self._upload.classes("semloss-upload").props("flat bordered send-raw").add_slot("header", _HEADER)
            # NiceGUI would hold what comes in memory, and copy it twice.
            app.remove_route(self._upload.props["url"])
            self._upload.props["url"], self._upload.props[":headers"] = f"{UPLOADS}{self.token}", _NAMED
            forget = _FORGET.format(self._upload.id)
            self._upload.on("uploaded", js_handler=_ARRIVED.format(forget=forget))
            self._upload.on("failed", lambda event: self._miss(event.args), js_handler=_LOST.format(forget=forget))
            self._upload.on("rejected", lambda event: self._refuse(event.args), js_handler=_REFUSED)
            ui.label(
                f"Up to {limits.megabytes:g} MB and {limits.minutes:g} minutes each: videos, or the .npz that "
                f"{as_typed('semloss poses or semloss prepare')} writes. They go to the machine where this app runs "
                "and nowhere else, and are removed when this tab is closed."
            ).classes("text-caption semloss-faint")
            self._said = ui.label().classes("semloss-hidden").props('role="status"')
            self._list = ui.column().classes("semloss-list")
            self._result = ui.column().classes("semloss-result")
        ui.timer(0.3, self._refresh)

    def end(self) -> None:
        """Remove the session's files; work on them ends."""
        self._over = True
        for entry in self._entries:
            if entry.job is not None:
                entry.job.cancel()
        self._sessions.end(self._folder)

    def _refuse(self, found: list[tuple[str, int, str]]) -> None:
        """Say why the browser did not send files."""
        for name, size, why in found:
            if why == "max-file-size":
                most = f"{self._limits.megabytes:g} that are taken"
                problem = f"it has {size / 1e6:.1f} MB, more than the {most}. Cut it, or start the app with a larger "
                self._fail(name, f"{problem}--max-megabytes.")
            elif why != "duplicate":
                self._fail(name, f"the browser does not send it ({why}).")

    def _miss(self, found: list[tuple[str, int]]) -> None:
        """Say that files did not arrive."""
        for name, status in found:
            why = _WHY.get(status, f"the app answered with status {status}")
            self._fail(name, f"it did not arrive: {why}.")

    def _fail(self, name: str, problem: str) -> None:
        name = shown_name(name)
        self._enter(UploadedFile(name, self._new_folder(), _FAILED, error=f"{name}: {problem}"))

    def _new_folder(self) -> Path:
        return self._folder / str(next(self._numbers))

    def _enter(self, entry: UploadedFile) -> None:
        self._entries.append(entry)
        with self._list:
            self._card(entry)

    def name_of(self, job: str) -> str | None:
        """The name of the file of a job, as it was uploaded."""
        return next((entry.name for entry in self._entries if entry.folder.name == job), None)

    async def receive(self, name: str, blocks: AsyncIterator[bytes]) -> int:
        """Write a file as it comes, and work on it when it is whole.

        Args:
            name: What the browser calls it.
            blocks: Its bytes.

        Returns:
            The status of the answer; of a file that is not whole, nothing is kept.
        """
        entry = UploadedFile(shown_name(name), self._new_folder())
        size, status = 0, 500
        try:
            entry.folder.mkdir()
            with (entry.folder / _UPLOAD).open("wb", buffering=_BLOCK) as stream:
                async for block in blocks:
                    size += len(block)
                    if self._over or size > self._limits.size:
                        return (status := 404 if self._over else 413)
                    # A full block goes to the disk, for which the other tabs need not wait.
                    await asyncio.to_thread(stream.write, block)
            status = 204
        except ClientDisconnect:
            name = escape_control_characters(entry.name)
            print(
                f"{name}: the upload was broken off after {size} bytes; nothing is kept.", file=sys.stderr, flush=True
            )
        except OSError as error:
            status = 404 if self._over else 507
            if not self._over:
                print(
                    f"{escape_control_characters(entry.name)}: it cannot be kept ({error.strerror}).",
                    file=sys.stderr,
                    flush=True,
                )
        finally:
            if status != 204 or self._over:
                self._sessions.end(self._folder if self._over else entry.folder)
        if status == 204 and not self._over:
            self._enter(entry)
            background_tasks.create(self._take(entry), name=f"work on {entry.folder.name}")
        return status

    async def _take(self, entry: UploadedFile) -> None:
        """Work on an uploaded file."""
        try:
            entry.job = asyncio.ensure_future(
                self._worker.run(
                    AnalysisTask(entry.folder / _UPLOAD, entry.name, entry.folder, self._limits),
                    lambda stage, share: self._at(entry, stage, share),
                )
            )
            entry.found = await entry.job
            entry.stage = _DONE
        except InputError as error:
            entry.stage, entry.error = _FAILED, self._as_typed(str(error))
        except asyncio.CancelledError:
            if not self._over:
                raise
        finally:
            # What was written since the tab was left.
            if self._over:
                self._sessions.end(self._folder)
        if not self._over:
            self._said.set_text(f"{entry.name}: {self._state(entry)}. {entry.error}")
            if entry.stage == _DONE and self._opened is None:
                self._open(entry)

    def _at(self, entry: UploadedFile, stage: str, share: float) -> None:
        entry.stage, entry.share = stage, share

    def _card(self, entry: UploadedFile) -> None:
        """A file's line in the list."""
        card: Any = ui.card().classes("semloss-card").props("flat bordered")
        with card:
            with ui.row().classes("items-center no-wrap full-width"):
                ui.label(entry.name).classes("semloss-name")
                state = ui.label().classes("text-caption semloss-state")
                button = ui.button("Open", on_click=lambda: self._open(entry)).props("outline dense no-caps")
                button.props["aria-label"] = f"Open {entry.name}"
            bar = ui.linear_progress(show_value=False).props("instant-feedback")
            bar.props["aria-label"] = f"Progress of {entry.name}"
            problem = ui.label().classes("semloss-problem").props('role="alert"')
        card.entry, card.parts = entry, (state, button, bar, problem)
        self._update(card)

    def _refresh(self) -> None:
        for card in self._list.default_slot.children:
            self._update(card)

    def _update(self, card: Any) -> None:
        """Bring a file's line up to date."""
        entry, (state, button, bar, problem) = card.entry, card.parts
        state.set_text(self._state(entry))
        bar.set_visibility(entry.stage not in (_DONE, _FAILED))
        bar.set_value(entry.share)
        if bar.props.get("indeterminate") != (entry.share == 0):
            bar.props["indeterminate"] = entry.share == 0
            bar.update()
        button.set_visibility(entry.stage == _DONE and entry is not self._opened)
        problem.set_text(entry.error)
        problem.set_visibility(bool(entry.error))

    def _state(self, entry: UploadedFile) -> str:
        if entry.stage == _FAILED:
            return "failed"
        if entry.stage == _DONE:
            count = len(entry.found["segments"])
            return f"{count} segment{'s' * (count != 1)}{', shown below' * (entry is self._opened)}"
        if entry.stage == _WAITING:
            return "waiting for its turn …" if self._worker.prepared else "waiting for the models …"
        return f"{entry.stage}{f' {100 * entry.share:.0f} %' * (entry.share > 0)} …"

    def _open(self, entry: UploadedFile) -> None:
        """Show a result."""
        self._opened = entry
        self._result.clear()
        with self._result:
            show_result(entry.name, entry.found, entry.folder, f"/files/{self.token}/{entry.folder.name}")
        self._refresh()
