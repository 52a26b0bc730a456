"""Tables of a run, with machine and targets, as Markdown and JSON."""

from __future__ import annotations

import datetime
import json
import os
import platform
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

import torch

from pyskl_semloss import __version__
from pyskl_semloss.hosts.environment import version_of
from pyskl_semloss.io.results import result_file

_PARTS = {
    "heatmaps": "heat maps of a training clip",
    "train_sample": "training sample, annotation to volume",
    "test_sample": "test sample, annotation to volumes of all views",
    "bytes": "worker to trainer, one training clip",
    "train_step": "training step, a clip",
    "epoch": "training through the loader, a clip",
    "inference": "inference, a clip of all views",
}
_FLAGS = ("avx2", "avx512f", "avx512_bf16", "amx_bf16", "amx_tile")
# iMiGUE: clips that train and test, epochs of a training, views of a test.
_TRAIN, _TEST, _EPOCHS, _VIEWS = 12_893, 4_562, 100, 20
# How many times as fast as the host a side was to be on a CPU.
_SPEED_UPS: dict[str, dict[str, Any]] = {
    "train_sample": {"ours": {"joint": 10, "limb": 20}},
    "test_sample": {"ours": 20},
    "bytes": {"ours": 200},
    "train_step": {"ours": 2.0, "fast": 3.5},
    "inference": {"ours": 2.0, "fast": 3.0},
}
# Name, measured, goal, unit, and whether the goal is the most that it may be.
Target = tuple[str, float, float, str, bool]


def header(command: str, device: str) -> dict[str, Any]:
    """Date, command, processor, GPU and versions."""
    model, flags = _processor()
    gpu = torch.cuda.get_device_name() if device == "cuda" else "none used"
    names = ("numpy", "numba", "torch", "mmengine", "mmcv", "mmaction")
    versions = {"python": platform.python_version(), **{name: version_of(name) or "absent" for name in names}}
    versions["torch"] = torch.__version__
    return {
        "date": datetime.datetime.now(datetime.timezone.utc).isoformat(timespec="seconds"),
        "command": command,
        "system": f"{platform.system()} {platform.machine()}",
        "cpu": model,
        "cores": os.cpu_count() or 0,
        "usable_cores": len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 0,
        "flags": flags,
        "load": os.getloadavg()[0] if hasattr(os, "getloadavg") else float("nan"),
        "gpu": gpu,
        "cuda": str(torch.version.cuda),
        "cudnn": str(torch.backends.cudnn.version()),
        "versions": {**versions, "pyskl_semloss": __version__},
    }


def _processor() -> tuple[str, list[str]]:
    """Processor name and relevant flags, if the kernel reports them."""
    path = Path("/proc/cpuinfo")
    lines = path.read_text(encoding="utf-8").splitlines() if path.is_file() else []
    told = {key.strip(): value.strip() for key, _, value in (line.partition(":") for line in lines)}
    have = set(told.get("flags", "").split())
    return told.get("model name", platform.processor() or "unknown"), [flag for flag in _FLAGS if flag in have]


def targets(result: dict[str, Any]) -> list[dict[str, Any]]:
    """Targets of a run: ``target``, ``measured``, ``goal``, ``unit`` and ``met``."""
    rows = _gpu_targets(result) if result["settings"]["device"] == "cuda" else _cpu_targets(result)
    names = ("target", "measured", "goal", "unit", "most")
    targets = [dict(zip(names, row, strict=True)) for row in rows]
    for row in targets:
        row["met"] = bool(row["measured"] <= row["goal"] if row["most"] else row["measured"] >= row["goal"])
    return targets


def _cpu_targets(result: dict[str, Any]) -> Iterator[Target]:
    for part in result["parts"]:
        for side, goal in _SPEED_UPS.get(part["part"], {}).items():
            goal = goal[part["modality"]] if isinstance(goal, dict) else goal
            name = f"{part['part']}, {part['modality']}, {side} against host"
            yield name, part["ratios"][side]["median"], goal, "times", False
    for losses in result["losses"]:
        name = f"losses, {losses['modality']}, ours against host over {losses['steps']} steps"
        yield name, losses["largest_difference"]["ours"], 1e-4, "largest difference", True


def _gpu_targets(result: dict[str, Any]) -> Iterator[Target]:
    for part in result["parts"]:
        modality = part["modality"]
        if part["part"] == "epoch":
            seconds, workers = part["spread"]["fast"]["median"], result["settings"]["workers"]
            yield f"training through the loader, {modality}", 1 / seconds, 1000, "clips/s", False
            name = f"the same against the host with {workers} workers each (target: 16), {modality}"
            yield name, part["ratios"]["fast"]["median"], {"joint": 3, "limb": 6}[modality], "times", False
            name = f"{_EPOCHS} epochs of {_TRAIN:,} clips, extrapolated, {modality}"
            yield name, _EPOCHS * _TRAIN * seconds / 60, 25, "min", True
        elif part["part"] == "inference" and result["settings"]["views"] == _VIEWS:
            name = f"testing {_TEST:,} clips x {_VIEWS} views, extrapolated, {modality}"
            yield name, _TEST * part["spread"]["fast"]["median"] / 60, 4, "min", True
    for rendering in result["rendering"]:
        name = f"rendering as a part of the step, {rendering['modality']}"
        yield name, 100 * rendering["share"]["fast"], 5, "%", True


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
    """Seconds with a suitable unit."""
    for unit, scale in (("s", 1), ("ms", 1e-3)):
        if seconds >= scale:
            return f"{seconds / scale:.3g} {unit}"
    return f"{seconds / 1e-6:.3g} µs"


def size(number: float) -> str:
    """Bytes with a suitable unit."""
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
        row = [_PARTS[part["part"]], part["modality"]]
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
    for losses in result["losses"]:
        parts = ", ".join(f"{side} {value:.2g}" for side, value in losses["largest_difference"].items())
        lines.append(
            f"`loss_cls` over {losses['steps']} steps ({losses['modality']}, alpha 0, same dropout): "
            f"largest difference from the host: {parts}."
        )
    return "\n".join(lines)


def _rendering(result: dict[str, Any]) -> str:
    lines = []
    for rendering in result["rendering"]:
        shares = ", ".join(
            f"{side} {100 * share:.2g} % ({100 * rendering['share_with_transfer'][side]:.2g} % with the transfer)"
            for side, share in rendering["share"].items()
        )
        lines.append(f"Rendering as a part of the training step ({rendering['modality']}): {shares}.")
    return "\n".join(lines)


def _memory(result: dict[str, Any]) -> str:
    if not result["memory"]:
        return ""
    rows = []
    for row in result["memory"]:
        views = "" if row["views"] is None else f", {row['views']} views"
        cells = [f"{size(row[side]['peak'])} ({size(row[side]['before'])})" for side in ("host", "ours", "fast")]
        rows.append([row["what"] + views, row["modality"], *cells])
    kind = "allocated on the GPU" if result["settings"]["device"] == "cuda" else "resident in the process"
    return f"Peak memory, {kind} (before):\n\n" + _grid(["what", "modality", "host", "ours", "fast"], rows)


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
    for counted in result["floor"]:
        clips = counted["shape"][0]
        for name, cost in counted["cost"].items():
            flops = (cost["flops_forward"] + cost["flops_backward"]) / clips
            moved = sum(cost[f"bytes_{part}"] for part in ("forward", "backward", "optimizer")) / clips
            floor = duration(cost["floor_seconds_of_clip"]) if "floor_seconds_of_clip" in cost else "peak unknown"
            side = "ours" if name.startswith("float32") else "fast"
            beside = measured.get((counted["modality"], side), "not in this run")
            rows.append([name, counted["modality"], f"{flops / 1e12:.3g} TFLOP", size(moved), floor, beside])
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
