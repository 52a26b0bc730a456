"""Conversion of own keypoints to recordings, parallel and resumable."""

from __future__ import annotations

import contextlib
import json
import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from pyskl_semloss import __version__
from pyskl_semloss.cpu.workers import map_tasks
from pyskl_semloss.errors import InputError
from pyskl_semloss.io.files import acquire_lock, explain_write_errors
from pyskl_semloss.io.progress import ProgressCallback
from pyskl_semloss.io.reading import AnyPath, list_folder, read_json
from pyskl_semloss.io.results import result_file
from pyskl_semloss.recordings.assembly import RecordingOptions, make_recording
from pyskl_semloss.recordings.keypoint_files import find_sources, read_keypoints
from pyskl_semloss.recordings.mmpose import recording_name
from pyskl_semloss.recordings.visibility import visibility_text
from pyskl_semloss.skeletons import SkeletonLayout

Failure = Callable[[str, InputError], None]
_OPTIONS = ("image-size", "fps", "aliases", "joints")
"""Fields of errors that an option mends."""
_ALIKE = 3


@dataclass(frozen=True)
class KeypointOptions:
    """Options for reading keypoints and making recordings.

    Attributes:
        form: Format of the sources; guessed from each name without it.
        layout: What the joints of the sources are, where they do not say it.
        recording: How recordings are made of them.
    """

    form: str | None = None
    layout: SkeletonLayout | None = None
    recording: RecordingOptions = field(default_factory=RecordingOptions)


def convert_recordings(
    sources: Sequence[AnyPath],
    folder: AnyPath,
    options: KeypointOptions,
    *,
    workers: int = 1,
    progress: ProgressCallback | None = None,
    on_failure: Failure | None = None,
) -> list[dict[str, Any]]:
    """Convert keypoints to recordings.

    Each recording is ``<name>.npz``; ``<name>.json`` beside it describes the persons found.
    A recording that is there already, of the same source and options, is not made again.

    Args:
        sources: Files or folders, see :func:`pyskl_semloss.recordings.keypoint_files.find_sources`.
        folder: Where to; it is made.
        options: How.
        workers: Number of processes.
        progress: Called with the number of recordings done and the number of recordings.
        on_failure: Called with a source of which no recording can be made, and why; the others are made. Without it,
            that is raised.

    Returns:
        What the JSON files hold, in the order of the sources, and ``file``, the recording; without those that failed.

    Raises:
        InputError: No recording can be made, two are of one name, another process writes into the folder, or (without
            ``on_failure``) a source cannot be read.
    """
    if workers < 1:
        raise InputError(f"expected at least 1, got {workers}", field="workers")
    paths = list(dict.fromkeys(path for source in sources for path in find_sources(source, options.form)))
    _check_apart(paths, folder)
    # An archive says its name itself.
    _check_names({path: recording_name(path) for path in paths if Path(path).suffix.lower() != ".npz"})
    with explain_write_errors(folder):
        os.makedirs(folder, exist_ok=True)
    with acquire_lock(folder, "writes into"):
        return _convert(paths, folder, options, workers, progress or (lambda number, total: None), on_failure)


def _convert(
    paths: Sequence[str],
    folder: AnyPath,
    options: KeypointOptions,
    workers: int,
    report: ProgressCallback,
    on_failure: Failure | None,
) -> list[dict[str, Any]]:
    keys = {path: _key(path, options) for path in paths}
    done = {path: record for path in paths if (record := _cached(Path(folder), path, keys[path])) is not None}
    tasks = [(path, os.fspath(folder), options, keys[path]) for path in paths if path not in done]
    report(len(done), len(paths))
    failed: dict[str, InputError] = {}
    for number, result in enumerate(map_tasks(_convert_task, tasks, workers, lambda task: task[0]), len(done) + 1):
        if "error" in result:
            failed[result["source"]] = error = result["error"]
            if on_failure is None or _is_of_options(list(failed.values()), len(done)):
                raise error
        else:
            done[result["source"]] = result
        report(number, len(paths))
    if failed and not done:
        raise _no_recording([failed[path] for path in paths])
    for path in paths:
        if path in failed and on_failure is not None:
            on_failure(path, failed[path])
    converted = [path for path in paths if path in done]
    _check_names({path: done[path]["recording"] for path in converted})
    return [{**done[path], "file": os.fspath(Path(folder) / f"{done[path]['recording']}.npz")} for path in converted]


def _is_of_options(failed: Sequence[InputError], num_done: int) -> bool:
    """Test whether the first recordings all lack the same option.

    The others would fail, too, after hours.
    """
    first = failed[0]
    return (
        not num_done
        and len(failed) >= _ALIKE
        and first.field in _OPTIONS
        and all((each.problem, each.field) == (first.problem, first.field) for each in failed)
    )


def _no_recording(errors: Sequence[InputError]) -> InputError:
    first = errors[0]
    if len(errors) == 1:
        return first
    if len({(each.problem, each.field) for each in errors}) == 1:
        return InputError(f"{first.problem}, and so in all {len(errors)} recordings", file=first.file,
                          field=first.field, fix=first.fix)  # fmt: skip
    return InputError(f"none of the {len(errors)} recordings can be made", items=[str(each) for each in errors])


def _check_names(name_of: Mapping[str, str]) -> None:
    source_of: dict[str, str] = {}
    for path, name in name_of.items():
        if source_of.setdefault(name, path) != path:
            problem = f"the recording {name!r} is {source_of[name]} too"
            raise InputError(problem, file=path, fix="Rename one of the two.")


def _check_apart(paths: Sequence[str], folder: AnyPath) -> None:
    """Refuse an output folder that holds the sources.

    Recordings have the names of their sources and would replace them.
    """
    where = os.path.realpath(folder)
    for path in paths:
        if where in (os.path.realpath(path), os.path.realpath(os.path.dirname(os.path.abspath(path)))):
            problem = "the recordings would be written among their sources, as this one"
            raise InputError(f"{problem}: {os.fspath(path)}", file=folder, fix="Name another folder for the results.")


def _convert_task(task: tuple[str, str, KeypointOptions, str]) -> dict[str, Any]:
    """Task of a worker process."""
    path, folder, options, key = task
    try:
        keypoints = read_keypoints(path, options.form, options.layout)
        recording, facts, report = make_recording(keypoints, options.recording)
        record = {"key": key, "source": path, **facts, "mended": dict(report.counts)}
        recording.save(Path(folder) / f"{recording.name}.npz")
        # Last: where it is, the recording is whole.
        with result_file(Path(folder) / f"{recording.name}.json", "w", encoding="utf-8") as stream:
            json.dump(record, stream, indent=1)
    except InputError as error:
        return {"source": path, "error": error}
    return record


def _key(path: str, options: KeypointOptions) -> str:
    """Cache key: files, their sizes and times, options, version."""
    files = [path]
    if os.path.isdir(path):
        files += [os.path.join(path, name) for name in list_folder(path)]
    stamps = []
    for file in files:
        with contextlib.suppress(OSError):
            status = os.stat(file)
            stamps.append((status.st_size, status.st_mtime_ns))
    total = (len(stamps), sum(size for size, _ in stamps), max((time for _, time in stamps), default=0))
    return json.dumps([__version__, os.path.abspath(path), total, repr(asdict(options))])


def _cached(folder: Path, path: str, key: str) -> dict[str, Any] | None:
    """Description of a recording made earlier with the same key, or None."""
    if not folder.is_dir():
        return None
    absolute = Path(os.path.abspath(path))
    names = [absolute.stem, absolute.name, recording_name(absolute)]
    for name in names:
        file = folder / f"{name}.json"
        if file.is_file() and (folder / f"{name}.npz").is_file():
            # Whatever is wrong with it, the remedy is to make it anew.
            with contextlib.suppress(InputError):
                record = read_json(file)
                if isinstance(record, dict) and record.get("key") == key and record.get("recording") == name:
                    return record
    return None


def recording_line(record: dict[str, Any]) -> str:
    """One line about a recording for the screen."""
    share = record["frames_seen"] / max(1, record["frames"])
    whom = "the largest of each frame" if not record["chosen"] else f"person {', '.join(map(str, record['chosen']))}"
    others = [each for each in record["persons"] if each["number"] not in record["chosen"]] if record["chosen"] else []
    line = f"{record['recording']}: {record['frames']} frames ({record['seconds']:g} s), {record['layout']}, {whom} of "
    line += f"{record['persons_found']} seen in {share:.0%} of them"
    line += visibility_text(record.get("seen_by_part", {}), record["frames"])
    if others:
        listed = ", ".join(f"{each['number']} in {each['frames']} frames, {each['size']:.0f} px" for each in others[:3])
        line += f" (others: {listed}{', …' * (len(others) > 3)})"
    line += "".join(f"; {doubt}" for doubt in record.get("doubts", []))
    if record["points_filled"]:
        line += f"; {record['points_filled']} points filled"
    if record["missing"]:
        names = record["missing"]
        line += f"; missing joints: {', '.join(names[:4])}{f' and {len(names) - 4} more' * (len(names) > 4)}"
    return line
