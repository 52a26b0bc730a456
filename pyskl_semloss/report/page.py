"""HTML page of the report, complete in one file.

Text from data never becomes markup.
"""

from __future__ import annotations

import base64
import datetime
import hashlib
import html
import json
import math
import re
from collections.abc import Mapping
from importlib import resources
from pathlib import Path
from typing import Any, NamedTuple

from pyskl_semloss import __version__
from pyskl_semloss.annotations import Clip
from pyskl_semloss.drawing import stick_figure
from pyskl_semloss.drawing.palette import ON_DARK, ON_LIGHT
from pyskl_semloss.errors import InputError
from pyskl_semloss.io.reading import AnyPath
from pyskl_semloss.io.resources import pip_install
from pyskl_semloss.io.results import result_file
from pyskl_semloss.report import statistics
from pyskl_semloss.report.clips import PackedClips, clip_table, pack_clips
from pyskl_semloss.report.figures import figures, name_figures
from pyskl_semloss.report.inputs import ReportInputs
from pyskl_semloss.skeletons import SkeletonLayout
from pyskl_semloss.skeletons.builtin import KNOWN_LAYOUTS

SCRIPTS = ("base.js", "tables.js", "player.js", "clips.js")


class WrittenReport(NamedTuple):
    """Report that was written.

    Attributes:
        path: The page.
        size: Its bytes.
        error: The largest distance in px of a kept keypoint from its original.
    """

    path: Path
    size: int
    error: float


def write_report(
    inputs: ReportInputs,
    folder: AnyPath,
    *,
    layout: SkeletonLayout | None = None,
    title: str = "Skeleton action recognition",
    fps: float = 25.0,
) -> WrittenReport:
    """Write ``index.html`` into a folder, atomically.

    Args:
        inputs: The data, see :func:`pyskl_semloss.report.inputs.read_inputs`.
        folder: Made if it is not there.
        layout: Of the clips' joints; None takes the only known one of that many joints.
        title: The page's heading.
        fps: Frames a second of the clips, for the player.

    Raises:
        InputError: No layout fits the clips, ``fps`` is not above 0, the file cannot be written, or Plotly is missing.
    """
    if Path(folder).suffix.lower() in (".html", ".htm"):
        fix = "The page becomes index.html in it."
        raise InputError("expected the name of a folder, got that of a page", file=folder, field="out", fix=fix)
    layout = _layout_of(inputs.clips, layout)
    if not (math.isfinite(fps) and fps > 0):
        raise InputError(f"expected frames a second above 0, got {fps}", field="fps")
    ids = inputs.final.scores.sample_id.tolist()
    packed = pack_clips([inputs.clips.get(clip_id) for clip_id in ids])
    data = page_data(inputs, packed, layout, title=title, fps=fps)
    content = render(data, packed.text, _plotly_js())
    path = Path(folder) / "index.html"
    with result_file(path) as stream:
        stream.write(content)
    return WrittenReport(path, len(content), packed.error)


def page_data(
    inputs: ReportInputs, packed: PackedClips, layout: SkeletonLayout | None, *, title: str, fps: float
) -> dict[str, Any]:
    """Data for the page's scripts, as JSON types."""
    final = inputs.final
    labelled = int((final.scores.label >= 0).sum())
    precision = (
        f"Keypoints are kept to within {packed.error:.1f} px of the image, in at most {packed.frames} frames a clip."
        if packed.text
        else ""
    )
    created = datetime.datetime.now(datetime.timezone.utc).strftime("%Y-%m-%d %H:%M UTC")
    return {
        "title": title,
        "final": {"name": final.name, "role": final.role},
        "parts": [{"name": part.name, "role": part.role} for part in inputs.parts],
        "labelled": labelled,
        "headline": statistics.headline_table(inputs),
        "comparison": statistics.comparison(inputs),
        "notes": list(inputs.notes),
        "resampling": statistics.resampling_note(inputs),
        "classes": statistics.classes(inputs),
        "matrix": statistics.matrix(inputs),
        "neighbours": statistics.nearest_names(inputs),
        "nearness": statistics.nearness(inputs),
        "figures": {**figures(inputs), **name_figures(inputs)},
        "clips": {**clip_table(inputs), "index": packed.index},
        "skeleton": stick_figure.figure_data(layout) if layout and inputs.clips else {"limbs": [], "sides": []},
        "fps": fps,
        "precision": precision,
        "footer": f"Made {created} by pyskl_semloss {__version__}. The file is complete: it loads nothing.",
    }


def render(data: Mapping[str, Any], keypoints: str, plotly_js: str) -> bytes:
    """HTML of the page in UTF-8.

    Data stand in a block of JSON that no browser runs, in which ``<`` is an escape. Scripts are allowed by their
    SHA-256 alone, so that nothing else would run even if it found its way into the page.
    """
    assets = resources.files("pyskl_semloss.report") / "assets"

    def read(name: str) -> str:
        return (assets / name).read_text(encoding="utf-8")

    scripts = {
        "page_js": "\n".join([stick_figure.script(), *map(read, SCRIPTS)]),
        "plotly_js": plotly_js,
        "charts_js": read("charts.js"),
    }
    for name, script in scripts.items():
        if re.search(r"</script|<!--", script, re.IGNORECASE):
            raise ValueError(f"{name} holds text that would end its script element")
    values = {
        **scripts,
        "policy": html.escape(content_policy(list(scripts.values()))),
        "title": html.escape(str(data["title"])),
        "style": f':root {{ {ON_LIGHT.css()} }}\n:root[data-shade="dark"] {{ {ON_DARK.css()} }}\n{read("page.css")}',
        "data": json_text(data),
        "keypoints": keypoints,
    }
    # One pass: what is filled in is not searched for further places.
    return re.sub(r"\{\{(\w+)\}\}", lambda match: values[match[1]], read("page.html")).encode("utf-8", "replace")


def json_text(data: Any) -> str:
    """JSON for a script element, without ``<``, ``>`` and ``&``."""
    text = json.dumps(data, ensure_ascii=False, allow_nan=False, separators=(",", ":"))
    return text.replace("&", "\\u0026").replace("<", "\\u003c").replace(">", "\\u003e")


def content_policy(scripts: list[str]) -> str:
    """Content-Security-Policy that allows only these scripts.

    Nothing is loaded or sent.
    Styles may be inline, because Plotly sets them; images may be data of the page, because Plotly's do.
    """
    hashes = " ".join(
        f"'sha256-{base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()}'" for script in scripts
    )
    return (
        f"default-src 'none'; script-src {hashes}; style-src 'unsafe-inline'; img-src data: blob:; "
        "base-uri 'none'; form-action 'none'"
    )


def _layout_of(clips: Mapping[str, Clip], layout: SkeletonLayout | None) -> SkeletonLayout | None:
    """Chosen layout, or the only sound one of that many joints."""
    if not clips:
        return layout
    joints = next(iter(clips.values())).keypoint.shape[2]
    candidates = [
        candidate for candidate in KNOWN_LAYOUTS.values() if candidate.num_joints == joints and not candidate.mistakes
    ]
    if layout is None and len(candidates) == 1:
        return candidates[0]
    if layout is None or layout.num_joints != joints:
        got = "none" if layout is None else f"{layout.name!r}, which has {layout.num_joints}"
        fitting = (
            f" Of {joints} joints are {', '.join(candidate.name for candidate in candidates)}." if candidates else ""
        )
        raise InputError(
            f"the clips have {joints} joints; expected their layout, got {got}",
            field="layout",
            fix=f"Give --layout.{fitting}",
        )
    return layout


def _plotly_js() -> str:
    try:
        from plotly.offline import get_plotlyjs
    except ImportError:
        raise InputError(
            "the report needs Plotly, which is not installed",
            fix=f"Run: {pip_install('report')}.",
        ) from None
    return str(get_plotlyjs())
