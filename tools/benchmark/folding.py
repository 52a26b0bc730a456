"""Compare our folded backbone with torch's on a CPU: seconds per forward pass, ratios.

python tools/benchmark/folding.py                        # the released size and the small model, float32 and bfloat16
python tools/benchmark/folding.py --rounds 9 --threads 2
Sides take turns. A ratio is the median of processor time over the rounds, because other load changes that little.
The volumes are those of a synthetic recording. Inductor needs a C++ compiler. A side that cannot run the model prints
its reason.
"""

import argparse
import copy
import time
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn

from pyskl_semloss.cli.program import exit_on_error
from pyskl_semloss.heatmap.sparse_convolution import HeatmapConv3d

_CONFIGS = Path(__file__).resolve().parents[2] / "configs" / "mmaction2"
_SIZES = {"released": "imigue", "small": "synthetic"}


def _plain(backbone: nn.Module) -> nn.Module:
    """A copy with torch's own convolutions, which torch.fx can trace."""
    plain = copy.deepcopy(backbone)
    for module in list(plain.modules()):
        for name, part in module.named_children():
            if isinstance(part, nn.Conv3d) and type(part) is not nn.Conv3d:
                conv = nn.Conv3d(part.in_channels, part.out_channels, part.kernel_size, part.stride, part.padding,
                                 part.dilation, part.groups, part.bias is not None)  # fmt: skip
                conv.load_state_dict(part.state_dict())
                setattr(module, name, conv)
    plain.eval()  # the host's returns nothing
    return plain.to(memory_format=torch.channels_last_3d)


class _SparseFirst(nn.Module):
    """A convolution with a bias that skips zeros."""

    def __init__(self, conv: nn.Conv3d) -> None:
        super().__init__()
        self.bias, conv.bias = conv.bias, None
        self.conv = HeatmapConv3d.of(conv)

    def forward(self, x: Tensor) -> Tensor:
        return self.conv(x).add_(self.bias[:, None, None, None])


def _traced(model: nn.Module, dtype: torch.dtype, *, sparse: bool) -> nn.Module:
    from torch.fx.experimental.optimization import fuse

    folded = fuse(_plain(model.backbone))
    if sparse:
        folded.conv1.conv = _SparseFirst(folded.conv1.conv)
    return folded.to(dtype, memory_format=torch.channels_last_3d)


def _compiled(model: nn.Module, dtype: torch.dtype, *, sparse: bool) -> nn.Module:
    import torch._inductor.config as inductor

    inductor.freezing = True
    backbone = copy.deepcopy(model.backbone) if sparse else _plain(model.backbone)
    return torch.compile(backbone.to(dtype), fullgraph=not sparse)


def _ours(model: nn.Module, dtype: torch.dtype) -> nn.Module:
    from pyskl_semloss.hosts.mmaction2.model.folding import fold_batch_norm

    folded = fold_batch_norm(model)
    if folded is model:
        raise RuntimeError("this build of torch lacks the operations")
    return folded.backbone


SIDES: dict[str, Callable[[nn.Module, torch.dtype], nn.Module]] = {
    "ours": _ours,
    "not folded": lambda model, dtype: model.backbone,
    "torch.fx fuse": lambda model, dtype: _traced(model, dtype, sparse=False),
    "torch.fx fuse, zeros skipped": lambda model, dtype: _traced(model, dtype, sparse=True),
    "inductor, freezing": lambda model, dtype: _compiled(model, dtype, sparse=False),
    "inductor, freezing, zeros skipped": lambda model, dtype: _compiled(model, dtype, sparse=True),
}


def _model(size: str, fast: bool) -> nn.Module:
    import pyskl_semloss.hosts.mmaction2  # noqa: F401, I001
    from mmaction.registry import MODELS
    from mmengine.config import Config
    from mmengine.registry import init_default_scope

    init_default_scope("mmaction")
    config = Config.fromfile(str(_CONFIGS / _SIZES[size] / "joint.py")).model
    config.fast = fast
    config.cls_head.label_vectors = np.eye(config.cls_head.num_classes, dtype=np.float32)
    torch.manual_seed(0)
    model = MODELS.build(config)
    return model.eval()


def _volume(model: nn.Module, size: str) -> Tensor:
    """Volume (N, C, T, H, W) of the windows that pass the backbone at a time."""
    from pyskl_semloss.synthetic.recording import generate_recording

    frames, pixels = (48, 64) if size == "released" else (16, 32)
    recording, _ = generate_recording(8)
    points, scores = recording.clip(0, frames).keypoint, recording.clip(0, frames).keypoint_score
    low, high = points.min((0, 1, 2)), points.max((0, 1, 2))
    keypoint = torch.from_numpy((points - low) / (high - low).max() * (pixels - 1)).float()[None, None]
    drawn = model.data_preprocessor.render(
        keypoint, torch.from_numpy(scores).float()[None, None], (pixels, pixels), [False]
    )
    volume = drawn.flatten(0, 2).permute(0, 4, 1, 2, 3)
    return volume.repeat(1 if size == "released" else 18, 1, 1, 1, 1).contiguous(memory_format=torch.channels_last_3d)


def compare(size: str, fast: bool, rounds: int, without: Sequence[str] = ()) -> list[str]:
    """Lines of a Markdown table."""
    dtype = torch.bfloat16 if fast else torch.float32
    model = _model(size, fast)
    volume = _volume(model, size)
    wanted = model.backbone(volume)
    sides, notes = {}, {}
    for name, build in SIDES.items():
        if any(word in name for word in without):
            continue
        start = time.perf_counter()
        try:
            side = build(model, dtype)
            taken = volume if name in ("ours", "not folded") else volume.to(dtype)
            with torch.autocast("cpu", torch.bfloat16, enabled=fast and name in ("ours", "not folded")):
                difference = float((side(taken).float() - wanted).abs().max() / wanted.abs().max())
            sides[name] = (side, taken)
            notes[name] = (time.perf_counter() - start, difference)
        except Exception as error:  # noqa: BLE001
            notes[name] = f"{type(error).__name__}: {str(error).splitlines()[0][:80]}"
    seconds: dict[str, list[float]] = {name: [] for name in sides}
    for _ in range(rounds + 1):
        for name, (side, taken) in sides.items():
            begin = time.process_time()
            with torch.autocast("cpu", torch.bfloat16, enabled=fast and name in ("ours", "not folded")):
                side(taken)
            seconds[name].append(time.process_time() - begin)
    ours = np.array(seconds["ours"][1:])
    lines = []
    for name, note in notes.items():
        if isinstance(note, str):
            lines.append(f"| {size} | {dtype} | {name} | {note} | | | |")
            continue
        ratio = np.array(seconds[name][1:]) / ours
        low, middle, high = np.percentile(ratio, (0, 50, 100))
        lines.append(f"| {size} | {dtype} | {name} | {1000 * np.median(seconds[name][1:]):.0f} | {middle:.2f} "
                     f"({low:.2f}–{high:.2f}) | {note[0]:.1f} | {note[1]:.1g} |")  # fmt: skip
    return lines


@exit_on_error
def main() -> None:
    """Print a table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=7, help="turns (default: 7)")
    parser.add_argument("--threads", type=int, default=1, help="of torch (default: 1)")
    parser.add_argument("--sizes", nargs="+", choices=_SIZES, default=list(_SIZES), help="of the model (default: both)")
    parser.add_argument("--without", nargs="+", default=[], metavar="WORD", help="leave out sides, such as inductor")
    args = parser.parse_args()
    from pyskl_semloss.cpu.allocator import keep_large_blocks

    keep_large_blocks()
    torch.set_num_threads(args.threads)
    print("| size | type | backbone | ms | ratio to ours (range) | s to build | difference |")
    print("|---|---|---|---|---|---|---|")
    with torch.no_grad():
        for size in args.sizes:
            for fast in (False, True):
                print("\n".join(compare(size, fast, args.rounds, args.without)), flush=True)


if __name__ == "__main__":
    main()
