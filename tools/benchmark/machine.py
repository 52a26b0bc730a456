"""The machine that a report is of: its parts, its versions, and what it can compute and move in a second."""

from __future__ import annotations

import datetime
import functools
import os
import platform
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from cost import GPU_PEAKS

from pyskl_semloss.hosts.environment import version_of

_FLAGS = ("avx2", "avx512f", "avx512_bf16", "amx_bf16", "amx_tile")


def header(command: str, device: str) -> dict[str, Any]:
    """Date, command, processor, GPU and versions."""
    model, flags = _processor()
    gpu = torch.cuda.get_device_name() if device == "cuda" else "none used"
    names = ("numpy", "numba", "torch", "mmengine", "mmcv", "mmaction")
    versions = {"python": platform.python_version(), **{name: version_of(name) or "absent" for name in names}}
    versions["torch"] = torch.__version__
    from pyskl_semloss import __version__

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
    """Name and the flags that matter, where the kernel tells them."""
    path = Path("/proc/cpuinfo")
    lines = path.read_text(encoding="utf-8").splitlines() if path.is_file() else []
    told = {key.strip(): value.strip() for key, _, value in (line.partition(":") for line in lines)}
    have = set(told.get("flags", "").split())
    return told.get("model name", platform.processor() or "unknown"), [flag for flag in _FLAGS if flag in have]


def peaks(device: str) -> dict[str, Any]:
    """FLOP/s by precision and bytes/s: published for GPUs that are known, measured elsewhere."""
    if device == "cuda":
        name = torch.cuda.get_device_name()
        for part, (flops, moved) in GPU_PEAKS.items():
            if part in name:
                return {"source": f"data sheet of the {part}", "bfloat16": flops, "bytes": moved}
    size, elements = (8192, 1 << 28) if device == "cuda" else (1536, 1 << 25)
    source = torch.empty(elements, device=device)
    target = torch.empty_like(source)
    found: dict[str, Any] = {
        "source": f"measured here: {size} x {size} matrix product, copy of {4 * elements >> 20} MB"
    }
    found["bytes"] = 8.0 * elements / _best(lambda: target.copy_(source), device)
    for name, dtype in (("float32", torch.float32), ("bfloat16", torch.bfloat16)):
        matrix = torch.ones((size, size), dtype=dtype, device=device)
        found[name] = 2.0 * size**3 / _best(functools.partial(torch.matmul, matrix, matrix), device)
    return found


def _best(work: Callable[[], object], device: str, times: int = 5) -> float:
    """Seconds of the shortest of some runs, which is what the machine can do."""
    taken = []
    for _ in range(times + 1):
        start = time.perf_counter()
        work()
        if device == "cuda":
            torch.cuda.synchronize()
        taken.append(time.perf_counter() - start)
    return min(taken[1:])
