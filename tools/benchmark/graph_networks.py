"""Measure training steps of our CTR-GCN and DG-STGCN beside PySKL's, with the same weights and clips, in turns.

OMP_NUM_THREADS=1 python tools/benchmark/graph_networks.py [--clips 16] [--frames 32] [--base 64] [--rounds 7]

Needs PySKL. A line for each network: seconds of processor time of a step (forward, backward, SGD), medians of the
rounds after the first, and ours over PySKL's.
"""

import argparse
import statistics
import time
import warnings

import torch
from torch import nn

from pyskl_semloss.cli.program import exit_on_error
from pyskl_semloss.gcn import CTRGCN, DGSTGCN
from pyskl_semloss.hosts.environment import check_pyskl
from pyskl_semloss.skeletons import adjacency, get_layout, skeleton_graph

JOINTS = 17


def make_pairs(base: int) -> dict[str, tuple[nn.Module, nn.Module]]:
    """PySKL's network and ours of each kind, for COCO's joints."""
    from pyskl.models import gcns

    graph = skeleton_graph(get_layout("coco17"))
    random_graph = dict(layout="coco", mode="random", num_filter=8, init_off=0.04, init_std=0.02)
    pairs = {
        "CTR-GCN": (
            gcns.CTRGCN(dict(layout="coco", mode="spatial"), num_person=1, base_channels=base),
            CTRGCN(adjacency(graph), base_channels=base),
        ),
        "DG-STGCN": (
            gcns.DGSTGCN(random_graph, base_channels=base, gcn_ratio=0.125, gcn_ctr="T", gcn_ada="T"),
            DGSTGCN(adjacency(graph, "random", num_filter=8), base_channels=base),
        ),
    }
    for host, ours in pairs.values():
        ours.load_state_dict(host.state_dict())
    return pairs


def step_seconds(network: nn.Module, optimizer: torch.optim.Optimizer, clips: torch.Tensor) -> float:
    """Processor time of a training step."""
    start = time.process_time()
    loss = network(clips).square().mean()
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
    return time.process_time() - start


@exit_on_error
def main() -> None:
    """Parse the arguments and measure."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    for name, default in (("clips", 16), ("frames", 32), ("base", 64), ("rounds", 7)):
        parser.add_argument(f"--{name}", type=int, default=default)
    args = parser.parse_args()
    check_pyskl()
    warnings.simplefilter("ignore")
    clips = torch.randn(args.clips, 1, args.frames, JOINTS, 3)
    for name, pair in make_pairs(args.base).items():
        optimizers = [torch.optim.SGD(network.parameters(), lr=0.01, momentum=0.9, nesterov=True) for network in pair]
        rounds = [
            [step_seconds(network, optimizer, clips) for network, optimizer in zip(pair, optimizers, strict=True)]
            for _ in range(args.rounds + 1)
        ][1:]
        host, ours = (statistics.median(column) for column in zip(*rounds, strict=True))
        print(f"{name}: PySKL {host:.3f} s, ours {ours:.3f} s, ratio {ours / host:.2f}", flush=True)


if __name__ == "__main__":
    main()
