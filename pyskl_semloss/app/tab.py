"""Browser tab: upload, list of files, and the open result."""

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
_REFUSED = "(files) => emit(files.map((entry) => [entry.file.name, entry.file.size, entry.failedPropValidation]))"
# What stays in the browser's list cannot be chosen again.
_FORGET = "upload.files.forEach((file) => getElement({}).$refs.qRef.removeFile(file))"
_ARRIVED = "(upload) => {forget}"
_LOST = "(upload) => {{ emit(upload.files.map((file) => [file.name, upload.xhr.status])); {forget}; }}"


@dataclass
class UploadedFile:
    """Uploaded file and its progress."""

    name: str
    folder: Path
    stage: str = _WAITING
    share: float = 0.0
    error: str = ""
    result: dict[str, Any] = field(default_factory=dict)
    job: asyncio.Future[Any] | None = None


class Tab:
    """Content and session of a browser tab.

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
        self._files: list[UploadedFile] = []
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
            self._status = ui.label().classes("semloss-hidden").props('role="status"')
            self._list = ui.column().classes("semloss-list")
            self._result = ui.column().classes("semloss-result")
        ui.timer(0.3, self._refresh)

    def end(self) -> None:
        """End the session: cancel its tasks and remove its files."""
        self._over = True
        for file in self._files:
            if file.job is not None:
                file.job.cancel()
        self._sessions.end(self._folder)

    def _refuse(self, files: list[tuple[str, int, str]]) -> None:
        """Report files that the browser did not send."""
        for name, size, reason in files:
            if reason == "max-file-size":
                most = f"{self._limits.megabytes:g} that are taken"
                problem = f"it has {size / 1e6:.1f} MB, more than the {most}. Cut it, or start the app with a larger "
                self._fail(name, f"{problem}--max-megabytes.")
            elif reason != "duplicate":
                self._fail(name, f"the browser does not send it ({reason}).")

    def _miss(self, files: list[tuple[str, int]]) -> None:
        """Report files that did not arrive."""
        for name, status in files:
            reason = _WHY.get(status, f"the app answered with status {status}")
            self._fail(name, f"it did not arrive: {reason}.")

    def _fail(self, name: str, problem: str) -> None:
        name = shown_name(name)
        self._add(UploadedFile(name, self._new_folder(), _FAILED, error=f"{name}: {problem}"))

    def _new_folder(self) -> Path:
        return self._folder / str(next(self._numbers))

    def _add(self, file: UploadedFile) -> None:
        self._files.append(file)
        with self._list:
            self._card(file)

    def name_of(self, job: str) -> str | None:
        """Original name of a job's file."""
        return next((file.name for file in self._files if file.folder.name == job), None)

    async def receive(self, name: str, blocks: AsyncIterator[bytes]) -> int:
        """Receive a file and analyse it when it is complete.

        Args:
            name: What the browser calls it.
            blocks: Its bytes.

        Returns:
            The status of the answer; of a file that is not whole, nothing is kept.
        """
        file = UploadedFile(shown_name(name), self._new_folder())
        size, status = 0, 500
        try:
            file.folder.mkdir()
            with (file.folder / _UPLOAD).open("wb", buffering=_BLOCK) as stream:
                async for block in blocks:
                    size += len(block)
                    if self._over or size > self._limits.size:
                        return (status := 404 if self._over else 413)
                    # A full block goes to the disk, for which the other tabs need not wait.
                    await asyncio.to_thread(stream.write, block)
            status = 204
        except ClientDisconnect:
            name = escape_control_characters(file.name)
            problem = f"{name}: the upload was broken off after {size} bytes; nothing is kept."
            print(problem, file=sys.stderr, flush=True)
        except OSError as error:
            status = 404 if self._over else 507
            if not self._over:
                print(
                    f"{escape_control_characters(file.name)}: it cannot be kept ({error.strerror}).",
                    file=sys.stderr,
                    flush=True,
                )
        finally:
            if status != 204 or self._over:
                self._sessions.end(self._folder if self._over else file.folder)
        if status == 204 and not self._over:
            self._add(file)
            background_tasks.create(self._take(file), name=f"work on {file.folder.name}")
        return status

    async def _take(self, file: UploadedFile) -> None:
        """Analyse an uploaded file."""
        try:
            file.job = asyncio.ensure_future(
                self._worker.run(
                    AnalysisTask(file.folder / _UPLOAD, file.name, file.folder, self._limits),
                    lambda stage, share: self._at(file, stage, share),
                )
            )
            file.result = await file.job
            file.stage = _DONE
        except InputError as error:
            file.stage, file.error = _FAILED, self._as_typed(str(error))
        except asyncio.CancelledError:
            if not self._over:
                raise
        finally:
            # What was written since the tab was left.
            if self._over:
                self._sessions.end(self._folder)
        if not self._over:
            self._status.set_text(f"{file.name}: {self._state(file)}. {file.error}")
            if file.stage == _DONE and self._opened is None:
                self._open(file)

    def _at(self, file: UploadedFile, stage: str, share: float) -> None:
        file.stage, file.share = stage, share

    def _card(self, file: UploadedFile) -> None:
        """Add a file's card to the list."""
        card: Any = ui.card().classes("semloss-card").props("flat bordered")
        with card:
            with ui.row().classes("items-center no-wrap full-width"):
                ui.label(file.name).classes("semloss-name")
                state = ui.label().classes("text-caption semloss-state")
                button = ui.button("Open", on_click=lambda: self._open(file)).props("outline dense no-caps")
                button.props["aria-label"] = f"Open {file.name}"
            bar = ui.linear_progress(show_value=False).props("instant-feedback")
            bar.props["aria-label"] = f"Progress of {file.name}"
            problem = ui.label().classes("semloss-problem").props('role="alert"')
        card.file, card.parts = file, (state, button, bar, problem)
        self._update(card)

    def _refresh(self) -> None:
        for card in self._list.default_slot.children:
            self._update(card)

    def _update(self, card: Any) -> None:
        """Update a file's card."""
        file, (state, button, bar, problem) = card.file, card.parts
        state.set_text(self._state(file))
        bar.set_visibility(file.stage not in (_DONE, _FAILED))
        bar.set_value(file.share)
        if bar.props.get("indeterminate") != (file.share == 0):
            bar.props["indeterminate"] = file.share == 0
            bar.update()
        button.set_visibility(file.stage == _DONE and file is not self._opened)
        problem.set_text(file.error)
        problem.set_visibility(bool(file.error))

    def _state(self, file: UploadedFile) -> str:
        if file.stage == _FAILED:
            return "failed"
        if file.stage == _DONE:
            count = len(file.result["segments"])
            return f"{count} segment{'s' * (count != 1)}{', shown below' * (file is self._opened)}"
        if file.stage == _WAITING:
            return "waiting for its turn …" if self._worker.prepared else "waiting for the models …"
        return f"{file.stage}{f' {100 * file.share:.0f} %' * (file.share > 0)} …"

    def _open(self, file: UploadedFile) -> None:
        """Show the result of a file."""
        self._opened = file
        self._result.clear()
        with self._result:
            show_result(file.name, file.result, file.folder, f"/files/{self.token}/{file.folder.name}")
        self._refresh()
