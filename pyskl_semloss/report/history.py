"""Training curves of a run, from what MMEngine wrote beside its score file."""

from __future__ import annotations

import json
import math
import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from pyskl_semloss.io.reading import read_bytes


@dataclass(frozen=True)
class History:
    """Scalars of a training, as (epoch, value) points of each name; epochs of the training loss are fractions."""

    curves: dict[str, list[tuple[float, float]]]


def find_history(score_file: str | os.PathLike[str]) -> History | None:
    """Training curves of the run that a score file lies in: what MMEngine wrote beside it, resumed runs joined.

    Lines that are damaged are left out.

    Raises:
        InputError: A log cannot be read.
    """
    logs = sorted(Path(score_file).parent.glob("*/vis_data/scalars.json"))
    rows = [row for log in logs for row in _json_lines(log)]
    return read_history(rows) if rows else None


def read_history(rows: Sequence[dict[str, float]]) -> History | None:
    """Curves from MMEngine's scalars; of a step that stands twice, because a run was resumed, the later row holds.

    Training rows have ``epoch`` and a running ``iter``; validation rows have ``acc/…`` and, as ``step``, the epoch.
    """
    ratios = [row["iter"] / row["epoch"] for row in rows if row.get("iter", 0) > 0 and row.get("epoch", 0) > 0]
    per_epoch = max((ratio for ratio in ratios if 0 < ratio < math.inf), default=1.0)
    points: dict[str, dict[float, float]] = {}
    for row in rows:
        training = "epoch" in row and "iter" in row
        place = row["iter"] / per_epoch if training else row.get("step")
        if place is None or not math.isfinite(place):
            continue
        for name, value in row.items():
            if name.startswith("acc/") or (training and name.startswith("loss")):
                points.setdefault(name, {})[float(place)] = float(value)
    return History({name: sorted(curve.items()) for name, curve in points.items()}) if points else None


def _json_lines(path: Path) -> list[dict[str, float]]:
    rows = []
    for line in read_bytes(path).decode("utf-8", "replace").splitlines():
        try:
            row = json.loads(line)
        except (ValueError, RecursionError):
            continue  # the last line of a run that was killed, or damage
        if isinstance(row, dict):
            rows.append({key: value for key, value in row.items() if _is_number(value)})
    return rows


def _is_number(value: object) -> bool:
    # A whole number may be too large for a float.
    return isinstance(value, float) or (isinstance(value, int) and abs(value) < 1 << 53)
