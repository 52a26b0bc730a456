"""Sparse convolution on heat maps for the CPU.

A convolution adds, for each pixel of value v in channel c, ``v * weight[:, c]`` around it. That costs as much as there
are pixels other than zero; the usual one spends a third of PoseC3D's forward pass on multiplying zeros.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import cache
from typing import Any

import numba
import numpy as np
import torch
from torch import Tensor, nn


def map_rows_in_threads(work: Callable[[int, int], Any], count: int, threads: int) -> list[Any]:
    """Call a function on equal ranges of rows, each in a thread.

    Args:
        work: Function of the first row of a range and of the row after its last.
        count: Number of rows.
        threads: Largest number of ranges.

    Returns:
        Results in the order of the ranges.
    """
    threads = max(1, min(threads, count))
    borders = np.linspace(0, count, threads + 1).astype(int).tolist()
    parts: Sequence[tuple[int, int]] = list(zip(borders[:-1], borders[1:], strict=True))
    if threads == 1:
        return [work(*parts[0])]
    return list(_pool(threads, os.getpid()).map(lambda part: work(*part), parts))


@cache
def _pool(threads: int, process: int) -> ThreadPoolExecutor:
    """Threads of this process; those of a parent are not there after a fork."""
    return ThreadPoolExecutor(threads)


# Above this share of pixels other than zero, or below this number of products for each pixel, the usual convolution is
# faster. Both sides took the same time at shares of 0.074 (1568 products), 0.05 (800), 0.03 (392) and 0.02 (288).
_DENSEST = 0.05
_LEAST_PRODUCTS = 700


class HeatmapConv3d(nn.Conv3d):
    """``Conv3d`` with a kernel of one frame that is fast on heat maps on a CPU, and as usual everywhere else.

    The sparse way is taken in float32 for volumes on a CPU, channels last in memory, that need no gradient and are zero
    in 19 pixels of 20, if the kernel is large enough. Results agree with the usual one's to rounding. Under autocast
    processors with a unit for matrices are faster in the usual way, so it is taken.

    Example:
        >>> plain = nn.Conv3d(22, 8, (1, 7, 7), stride=(1, 2, 2), padding=(0, 3, 3))
        >>> volume = torch.zeros(1, 22, 4, 56, 56).to(memory_format=torch.channels_last_3d)
        >>> volume[:, :, :, 20, 30] = 1
        >>> torch.allclose(HeatmapConv3d.of(plain)(volume), plain(volume), atol=1e-5)
        True
    """

    @classmethod
    def of(cls, convolution: nn.Conv3d, plain: tuple[type[nn.Conv3d], ...] = (nn.Conv3d,)) -> nn.Conv3d:
        """The same convolution with the same parameters; unchanged where a part of it is not supported.

        Args:
            convolution: The convolution.
            plain: The classes that do what torch's does, and nothing else.
        """
        if type(convolution) not in plain or not _supported(convolution):
            return convolution
        sparse = cls.__new__(cls)
        sparse.__dict__ = convolution.__dict__
        return sparse

    def forward(self, x: Tensor) -> Tensor:
        """Convolve (N, C, T, H, W)."""
        large = self.weight[:, 0].numel() >= _LEAST_PRODUCTS * self.stride[1] * self.stride[2]
        if large and x.device.type == "cpu" and not torch.is_autocast_enabled("cpu") and _is_sparse(x):
            return _convolve(x, self.weight, self.stride[1], int(self.padding[1]))
        return super().forward(x)


def _supported(convolution: nn.Conv3d) -> bool:
    sizes = (convolution.kernel_size, convolution.stride, convolution.padding)
    if not all(isinstance(size, tuple) and size[1] == size[2] for size in sizes):
        return False
    frames, between, before = (int(size[0]) for size in sizes)
    plain = convolution.groups == 1 and convolution.bias is None and convolution.padding_mode == "zeros"
    return plain and frames == between == 1 and before == 0 and convolution.dilation == (1, 1, 1)


@torch.compiler.disable
def _is_sparse(x: Tensor) -> bool:
    if x.requires_grad or x.dtype != torch.float32 or x.ndim != 5:
        return False
    if not x.is_contiguous(memory_format=torch.channels_last_3d):
        return False
    sample = x[:, :, :: max(1, x.shape[2] // 4)]
    return int(torch.count_nonzero(sample)) < _DENSEST * sample.numel()


@torch.compiler.disable
def _convolve(x: Tensor, weight: Tensor, stride: int, padding: int) -> Tensor:
    return _SparseConvolution.apply(x, weight, stride, padding)  # type: ignore[no-untyped-call]


class _SparseConvolution(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x: Tensor, weight: Tensor, stride: int, padding: int) -> Tensor:
        """(N, C, T, H, W) and (O, C, 1, K, K) -> (N, O, T, OH, OW)."""
        ctx.save_for_backward(x)
        ctx.options = stride, padding, weight.shape
        (clips, _, frames, height, width), kernel = x.shape, weight.shape[-1]
        rows, columns = ((size + 2 * padding - kernel) // stride + 1 for size in (height, width))
        y = torch.empty((clips * frames, rows, columns, len(weight)))
        taps = _taps(weight.detach().numpy(), stride)
        source, target = _frames(x), y.numpy()

        def convolve(first: int, last: int) -> None:
            _draw_frames(first, last, source, taps, stride, padding, target)

        map_rows_in_threads(convolve, clips * frames, torch.get_num_threads())
        return y.view(clips, frames, rows, columns, -1).permute(0, 4, 1, 2, 3)

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> tuple[None, Tensor, None, None]:
        """The gradient of the weight alone; heat maps need none."""
        (x,) = ctx.saved_tensors
        stride, padding, shape = ctx.options
        source, seen = _frames(x), _frames(gradient)

        def gather(first: int, last: int) -> np.ndarray:
            taps = np.zeros((stride, shape[1], shape[-1], -(-shape[-1] // stride), shape[0]), np.float32)
            _gather_frames(first, last, source, seen, stride, padding, taps)
            return taps

        taps = np.sum(map_rows_in_threads(gather, len(source), torch.get_num_threads()), axis=0)
        return None, torch.from_numpy(_weight_of(taps, shape, stride)), None, None


def _frames(volume: Tensor) -> np.ndarray:
    """(N, C, T, H, W) -> (N * T, H, W, C), a view where the channels lie last."""
    return volume.detach().permute(0, 2, 3, 4, 1).contiguous().flatten(0, 1).numpy()


def _taps(weight: np.ndarray, stride: int) -> np.ndarray:
    """(O, C, 1, K, K) -> (R, C, K, J, O): for each remainder of a column, the taps by ascending output column.

    A pixel in column x reaches the columns (x + padding - k) / stride for those k that leave no remainder.
    """
    outputs, channels, _, kernel, _ = weight.shape
    taps = np.zeros((stride, channels, kernel, -(-kernel // stride), outputs), np.float32)
    for remainder in range(stride):
        chosen = np.arange(remainder, kernel, stride)[::-1]
        taps[remainder, :, :, : len(chosen)] = weight[:, :, 0, :, chosen].transpose(2, 3, 0, 1)
    return taps


def _weight_of(taps: np.ndarray, shape: torch.Size, stride: int) -> np.ndarray:
    """The inverse of :func:`_taps`."""
    weight = np.empty(shape, np.float32)
    for remainder in range(stride):
        chosen = np.arange(remainder, shape[-1], stride)[::-1]
        weight[:, :, 0, :, chosen] = taps[remainder, :, :, : len(chosen)].transpose(2, 3, 0, 1)
    return weight


@numba.njit(nogil=True, cache=True)
def _reach(x: int, padding: int, stride: int, kernel: int) -> tuple[int, int, int]:
    """Of an input column: its remainder, how many taps it has, and the first output column that it reaches."""
    remainder = (x + padding) % stride
    count = (kernel - remainder + stride - 1) // stride
    return remainder, count, (x + padding) // stride - count + 1


@numba.njit(nogil=True, cache=True, fastmath={"contract", "nsz", "reassoc"})
def _is_blank(pixel: np.ndarray) -> bool:
    total = np.float32(0)
    for value in pixel:
        total += abs(value)
    return total == 0


@numba.njit(nogil=True, cache=True, fastmath={"contract", "nsz"})
def _add(value: float, source: np.ndarray, target: np.ndarray) -> None:
    for i in range(len(source)):
        target[i] += value * source[i]


@numba.njit(nogil=True, cache=True)
def _walk(
    frame: np.ndarray, taps: np.ndarray, lines: np.ndarray, stride: int, padding: int, outputs: int, gather: bool
) -> None:
    """Add each pixel's taps to the lines around it or, to gather, those lines to its taps.

    Args:
        frame: (H, W, C).
        taps: (R, C, K, J * O).
        lines: (OH, columns * O), J columns of margin before those of the result.
        stride: Of rows and columns.
        padding: Of rows and columns.
        outputs: O.
        gather: The gradient of the taps, not the result, is summed up.
    """
    _, channels, kernel, width = taps.shape
    for row in range(frame.shape[0]):
        for column in range(frame.shape[1]):
            if _is_blank(frame[row, column]):
                continue
            remainder, count, start = _reach(column, padding, stride, kernel)
            begin, length = start * outputs + width, count * outputs
            for c in range(channels):
                value = frame[row, column, c]
                if value == 0:
                    continue
                for k in range(kernel):
                    down, rest = divmod(row + padding - k, stride)
                    if rest != 0 or not 0 <= down < len(lines):
                        continue
                    line, tap = lines[down, begin : begin + length], taps[remainder, c, k, :length]
                    if gather:
                        _add(value, line, tap)
                    else:
                        _add(value, tap, line)


@numba.njit(nogil=True, cache=True)
def _lines(x: np.ndarray, y: np.ndarray, taps: np.ndarray, stride: int, padding: int) -> np.ndarray:
    """Zeros (OH, columns * O) that hold the columns of the result and those beside it that a pixel may reach."""
    columns = max(y.shape[2], (x.shape[2] + padding) // stride + 1) + taps.shape[3]
    return np.zeros((y.shape[1], columns * y.shape[3]), np.float32)


@numba.njit(nogil=True, cache=True)
def _draw_frames(
    first: int, last: int, x: np.ndarray, taps: np.ndarray, stride: int, padding: int, y: np.ndarray
) -> None:
    """Convolve frames [first, last) of (F, H, W, C) into (F, OH, OW, O)."""
    _, rows, columns, outputs = y.shape
    lines = _lines(x, y, taps, stride, padding)
    flat, margin = taps.reshape(taps.shape[0], taps.shape[1], taps.shape[2], -1), taps.shape[3] * outputs
    for f in range(first, last):
        lines[:] = 0
        _walk(x[f], flat, lines, stride, padding, outputs, False)
        for row in range(rows):
            y[f, row] = lines[row, margin : margin + columns * outputs].reshape(columns, outputs)


@numba.njit(nogil=True, cache=True)
def _gather_frames(
    first: int, last: int, x: np.ndarray, gradient: np.ndarray, stride: int, padding: int, taps: np.ndarray
) -> None:
    """Add to the taps (R, C, K, J, O) their gradient over frames [first, last), gradient being (F, OH, OW, O)."""
    _, rows, columns, outputs = gradient.shape
    lines = _lines(x, gradient, taps, stride, padding)
    flat, margin = taps.reshape(taps.shape[0], taps.shape[1], taps.shape[2], -1), taps.shape[3] * outputs
    for f in range(first, last):
        for row in range(rows):
            lines[row, margin : margin + columns * outputs] = gradient[f, row].reshape(-1)
        _walk(x[f], flat, lines, stride, padding, outputs, True)
