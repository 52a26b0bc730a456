"""What was to be reached, beside what a run found."""

from __future__ import annotations

from typing import Any

# iMiGUE: clips that train and test, epochs of a training.
_TRAIN, _TEST, _EPOCHS, _VIEWS = 12_893, 4_562, 100, 20

Row = dict[str, Any]


def targets(result: dict[str, Any]) -> list[Row]:
    """Rows of ``target``, ``measured`` and ``met``, for what the run measured; the rest is missing.

    Args:
        result: What ``report.run`` collects.
    """
    return _on_gpu(result) if result["settings"]["device"] == "cuda" else _on_cpu(result)


def _row(target: str, measured: float, goal: float, unit: str, *, most: bool = False) -> Row:
    met = measured <= goal if most else measured >= goal
    return {"target": target, "measured": measured, "goal": goal, "unit": unit, "most": most, "met": bool(met)}


def _ratio(part: Row, side: str) -> float | None:
    found = part["ratios"].get(side)
    return None if found is None else found["median"]


def _on_cpu(result: dict[str, Any]) -> list[Row]:
    goals: dict[str, dict[str, Any]] = {
        "train_sample": {"ours": {"joint": 10, "limb": 20}},
        "test_sample": {"ours": 20},
        "bytes": {"ours": 200},
        "train_step": {"ours": 2.0, "fast": 3.5},
        "inference": {"ours": 2.0, "fast": 3.0},
    }
    rows = []
    for part in result["parts"]:
        for side, goal in goals.get(part["part"], {}).items():
            goal = goal[part["modality"]] if isinstance(goal, dict) else goal
            measured = _ratio(part, side)
            if measured is not None:
                rows.append(_row(f"{part['part']}, {part['modality']}, {side} against host", measured, goal, "times"))
    for losses in result["losses"]:
        name = f"losses, {losses['modality']}, ours against host over {losses['steps']} steps"
        rows.append(_row(name, losses["largest_difference"]["ours"], 1e-4, "largest difference", most=True))
    return rows


def _on_gpu(result: dict[str, Any]) -> list[Row]:
    rows, settings = [], result["settings"]
    for part in result["parts"]:
        modality, fast = part["modality"], part["spread"].get("fast")
        if fast is None:
            continue
        if part["part"] == "epoch":
            rate = 1 / fast["median"]
            rows.append(_row(f"training through the loader, {modality}", rate, 1000, "clips/s"))
            name = f"the same against the host with {settings['workers']} workers each (target: 16), {modality}"
            rows.append(_row(name, part["ratios"]["fast"]["median"], {"joint": 3, "limb": 6}[modality], "times"))
            minutes = _EPOCHS * _TRAIN / rate / 60
            name = f"{_EPOCHS} epochs of {_TRAIN:,} clips, extrapolated, {modality}"
            rows.append(_row(name, minutes, 25, "min", most=True))
        elif part["part"] == "inference" and settings["views"] == _VIEWS:
            minutes = _TEST * fast["median"] / 60
            name = f"testing {_TEST:,} clips x {_VIEWS} views, extrapolated, {modality}"
            rows.append(_row(name, minutes, 4, "min", most=True))
    for found in result["rendering"]:
        name = f"rendering as a part of the step, {found['modality']}"
        rows.append(_row(name, 100 * found["share"]["fast"], 5, "%", most=True))
    return rows
