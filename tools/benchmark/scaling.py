"""How time and memory grow with what a clip, a batch and a loader are made of."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from typing import Any

from sides import Setup
from turns import Child

_LAYOUTS = {17: "coco17", 22: "openpose22", 25: "openpose25"}


def axes(device: str, quick: bool) -> dict[str, tuple[int, ...]]:
    """The values that each axis takes while the others stay at the training config's."""
    if quick:
        return {"frames": (8, 16), "size": (16, 32), "joints": (17, 22), "persons": (1, 2), "batch": (1, 2)}
    batch = (16, 32, 64, 128) if device == "cuda" else (1, 2, 4, 8)
    return {
        "frames": (24, 48, 96),
        "size": (28, 56, 112),
        "joints": (17, 22, 25),
        "persons": (1, 2, 4),
        "batch": batch,
    }


def scaling(setup: Setup, quick: bool, say: Callable[[str], None]) -> list[dict[str, Any]]:
    """Rendering, training step and memory at each point of each axis, each in a fresh process, then the workers.

    Args:
        setup: The side; its batch is the base.
        quick: A few points of the small model.
        say: Told what is being measured.
    """
    base = {"frames": 16 if quick else 48, "size": 32 if quick else 56, "joints": 22, "persons": 1}
    base["batch"] = setup.batch
    steps = 10 if setup.device == "cuda" else 1
    found = []
    for axis, values in axes(setup.device, quick).items():
        for value in values:
            say(f"scaling: {axis} {value}")
            point = {**base, axis: value}
            joints = point.pop("joints")
            with Child(dataclasses.replace(setup, batch=point["batch"])) as child:
                answer = child.ask("point", steps=steps, skeleton=_LAYOUTS[joints], **point)
            found.append({"axis": axis, "value": value, **answer})
    return found


def loading(setup: Setup, quick: bool, say: Callable[[str], None]) -> list[dict[str, Any]]:
    """The loader alone by its number of workers."""
    workers = (0, 1) if quick else (0, 4, 16) if setup.device == "cuda" else (0, 1, 2, 4)
    clips = 32 if quick else 4096
    with Child(setup) as child:
        found = []
        for count in workers:
            say(f"scaling: {count} workers")
            found.append({"workers": count, **child.ask("loading", workers=count, clips=clips)})
        return found
