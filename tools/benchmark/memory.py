"""Memory of processes and of the GPU, in bytes."""

from __future__ import annotations

import resource
from pathlib import Path

import torch


def peak_bytes(device: str) -> float:
    """The most that this process held: allocated on the GPU, or resident on the CPU."""
    if device == "cuda":
        return float(torch.cuda.max_memory_allocated())
    # Kilobytes on Linux.
    return float(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024)


def reset_peak(device: str) -> None:
    """Begin anew on a GPU; a process' resident peak only grows, so that a fresh process is needed on a CPU."""
    if device == "cuda":
        torch.cuda.reset_peak_memory_stats()


def private_bytes(pid: int) -> float:
    """What a process shares with no other; 0 where the kernel does not tell."""
    try:
        lines = Path(f"/proc/{pid}/smaps_rollup").read_text(encoding="utf-8").splitlines()
    except OSError:
        return 0.0
    return float(sum(int(line.split()[1]) for line in lines if line.startswith("Private_")) * 1024)
