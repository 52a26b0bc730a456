"""A run as Markdown for people, and as JSON."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

from pyskl_semloss.io.results import result_file

_WHAT = {
    "heatmaps": "heat maps of a training clip",
    "train_sample": "training sample, annotation to volume",
    "test_sample": "test sample, annotation to volumes of all views",
    "bytes": "worker to trainer, one training clip",
    "train_step": "training step, a clip",
    "epoch": "training through the loader, a clip",
    "inference": "inference, a clip of all views",
}


def write(result: dict[str, Any], folder: str | Path) -> tuple[Path, Path]:
    """Write ``benchmark.json`` and ``benchmark.md``; returns their paths."""
    paths = Path(folder) / "benchmark.json", Path(folder) / "benchmark.md"
    for path, text in zip(paths, (json.dumps(result, indent=1) + "\n", markdown(result)), strict=True):
        with result_file(path, "w", encoding="utf-8") as stream:
            stream.write(text)
    return paths


def markdown(result: dict[str, Any]) -> str:
    """The tables of a run."""
    sections = [_header(result), _compared(result), _losses(result), _rendering(result), _memory(result)]
    sections += [_floor(result), _scaling(result), _loading(result), _targets(result)]
    return "\n\n".join(section for section in sections if section) + "\n"


def _grid(head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    lines = ["| " + " | ".join(head) + " |", "|" + "---|" * len(head)]
    return "\n".join([*lines, *("| " + " | ".join(row) + " |" for row in rows)])


def duration(seconds: float) -> str:
    """Seconds in the unit that reads well."""
    return (
        f"{seconds * 1e6:.3g} µs"
        if seconds < 1e-3
        else f"{seconds * 1e3:.3g} ms"
        if seconds < 1
        else f"{seconds:.3g} s"
    )


def size(number: float) -> str:
    """Bytes in the unit that reads well."""
    for unit, scale in (("GB", 1e9), ("MB", 1e6), ("kB", 1e3)):
        if number >= scale:
            return f"{number / scale:.3g} {unit}"
    return f"{number:.0f} B"


def _header(result: dict[str, Any]) -> str:
    head, settings = result["header"], result["settings"]
    versions = ", ".join(f"{name} {version}" for name, version in head["versions"].items())
    lines = [
        "# Benchmark beside MMAction2",
        "",
        f"- {head['date']}: `{head['command']}`",
        f"- CPU: {head['cpu']}, {head['usable_cores']} of {head['cores']} cores, {head['system']}, "
        f"flags {' '.join(head['flags']) or 'none of interest'}, load at the start {head['load']:.1f}",
        f"- GPU: {head['gpu']}, CUDA {head['cuda']}, cuDNN {head['cudnn']}",
        f"- {versions}",
        f"- batch {settings['batch']}, {settings['workers']} workers, {settings['rounds']} rounds, {settings['views']} "
        f"views, configs {', '.join(settings['configs'].values())}{', quick' if settings['quick'] else ''}",
    ]
    for side, about in result.get("sides", {}).items():
        lines.append(f"- {side}: " + ", ".join(f"{name} {value}" for name, value in about.items()))
    lines += [
        "",
        "host: MMAction2 with its own pipeline, recogniser and head. ours: our config. fast: our config with `fast`. "
        "Same clips, seeds, weights and optimizer; every side in a process of its own, one at a time, in turn. Times "
        "are for one clip, the median of the turns (10 % to 90 %); ratios are host / side of neighbouring turns.",
    ]
    return "\n".join(lines)


def _spread(values: dict[str, float], form: Any) -> str:
    if values["p10"] == values["p90"]:
        return form(values["median"])
    return f"{form(values['median'])} ({form(values['p10'])} to {form(values['p90'])})"


def _times(number: float) -> str:
    return f"{number:.0f}x" if number >= 20 else f"{number:.1f}x" if number >= 10 else f"{number:.2f}x"


def _compared(result: dict[str, Any]) -> str:
    rows = []
    for part in result["parts"]:
        form = size if part["part"] == "bytes" else duration
        row = [_WHAT[part["part"]], part["modality"]]
        for side in ("host", "ours", "fast"):
            row.append(_spread(part["spread"][side], form) if side in part["spread"] else "")
        for side in ("ours", "fast"):
            row.append(_spread(part["ratios"][side], _times) if side in part["ratios"] else "")
        rows.append(row)
        if part["part"] == "epoch":
            rates = [f"{1 / part['spread'][side]['median']:.3g} clips/s" for side in ("host", "ours", "fast")]
            rows.append(["the same, as a rate", part["modality"], *rates, "", ""])
    if not rows:
        return ""
    return _grid(["what", "modality", "host", "ours", "fast", "host / ours", "host / fast"], rows)


def _losses(result: dict[str, Any]) -> str:
    lines = []
    for found in result["losses"]:
        parts = ", ".join(f"{side} {value:.2g}" for side, value in found["largest_difference"].items())
        lines.append(
            f"`loss_cls` over {found['steps']} steps ({found['modality']}, alpha 0, same dropout): "
            f"largest difference from the host: {parts}."
        )
    return "\n".join(lines)


def _rendering(result: dict[str, Any]) -> str:
    lines = []
    for found in result["rendering"]:
        shares = ", ".join(
            f"{side} {100 * share:.2g} % ({100 * found['share_with_transfer'][side]:.2g} % with the transfer)"
            for side, share in found["share"].items()
        )
        lines.append(f"Rendering as a part of the training step ({found['modality']}): {shares}.")
    return "\n".join(lines)


def _memory(result: dict[str, Any]) -> str:
    if not result["memory"]:
        return ""
    rows = []
    for row in result["memory"]:
        views = "" if row["views"] is None else f", {row['views']} views"
        cells = [f"{size(row[side]['peak'])} ({size(row[side]['before'])})" for side in ("host", "ours", "fast")]
        rows.append([row["what"] + views, row["modality"], *cells])
    what = "allocated on the GPU" if result["settings"]["device"] == "cuda" else "resident in the process"
    return f"Peak memory, {what} (before):\n\n" + _grid(["what", "modality", "host", "ours", "fast"], rows)


def _floor(result: dict[str, Any]) -> str:
    if not result["floor"]:
        return ""
    rows = []
    measured = {
        (part["modality"], side): duration(part["spread"][side]["median"])
        for part in result["parts"]
        if part["part"] == "train_step"
        for side in ("ours", "fast")
    }
    for found in result["floor"]:
        clips = found["shape"][0]
        for name, cost in found["cost"].items():
            flops = (cost["flops_forward"] + cost["flops_backward"]) / clips
            moved = sum(cost[f"bytes_{part}"] for part in ("forward", "backward", "optimizer")) / clips
            floor = duration(cost["floor_seconds_of_clip"]) if "floor_seconds_of_clip" in cost else "peak unknown"
            side = "ours" if name.startswith("float32") else "fast"
            beside = measured.get((found["modality"], side), "not in this run")
            rows.append([name, found["modality"], f"{flops / 1e12:.3g} TFLOP", size(moved), floor, beside])
    peaks = result["floor"][0]["peaks"]
    rates = ", ".join(
        [f"{peaks[name] / 1e12:.3g} TFLOP/s in {name}" for name in ("float32", "bfloat16") if name in peaks]
    )
    return (
        f"Floor of a training step, a clip, batch {result['floor'][0]['shape'][0]}, at {rates} and "
        f"{peaks['bytes'] / 1e9:.4g} GB/s ({peaks['source']}):\n\n"
        + _grid(["precision", "modality", "operations", "memory traffic", "floor", "measured"], rows)
    )


def _scaling(result: dict[str, Any]) -> str:
    if not result["scaling"]:
        return ""
    rows = [
        [f"{row['axis']} {row['value']}", duration(row["rendering"]), duration(row["step"]), size(row["memory"])]
        for row in result["scaling"]
    ]
    head = ["one thing changed", "heat maps, a clip", "training step, a clip", "memory of the step, the batch"]
    modality = next(iter(result["settings"]["configs"]))
    return f"How cost grows (fast, {modality}; the rest as in the training config):\n\n" + _grid(head, rows)


def _loading(result: dict[str, Any]) -> str:
    if not result["loading"]:
        return ""
    rows = [
        [str(row["workers"]), f"{1 / row['seconds']:,.0f} clips/s", size(row["worker_bytes"])]
        for row in result["loading"]
    ]
    return "The loader alone:\n\n" + _grid(["workers", "keypoint clips", "private memory of a worker"], rows)


def _targets(result: dict[str, Any]) -> str:
    if not result["targets"]:
        return ""
    rows = [
        [
            row["target"],
            f"at {'most' if row['most'] else 'least'} {row['goal']:g} {row['unit']}",
            f"{row['measured']:.3g}",
            "met" if row["met"] else "missed",
        ]
        for row in result["targets"]
    ]
    return "Targets:\n\n" + _grid(["what", "target", "measured", ""], rows)
