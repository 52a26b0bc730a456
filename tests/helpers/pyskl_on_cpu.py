"""Run one of PySKL's own tools where there is no GPU: ``python tests/helpers/pyskl_on_cpu.py TOOL ARGUMENTS…``.

The tools move the model to a GPU and join their processes over it; here both stay on the CPU. Nothing else differs.
"""

import os
import runpy
import sys

import mmcv.parallel
import mmcv.runner
import torch


class OnCpu(mmcv.parallel.MMDistributedDataParallel):
    """mmcv's own wrapper, without a device to scatter to."""

    def __init__(self, module, device_ids=None, **kwargs):
        super().__init__(module, device_ids=None, **kwargs)


def join_processes(launcher, **options):
    """As mmcv's ``init_dist``, over gloo."""
    torch.distributed.init_process_group("gloo")


def main():
    """Run the tool."""
    torch.nn.Module.cuda = lambda self, device=None: self
    torch.cuda.current_device = lambda: 0
    mmcv.parallel.MMDistributedDataParallel = OnCpu
    mmcv.runner.init_dist = join_processes
    # The launcher puts the rank in front of the tool's name.
    ranks = [argument for argument in sys.argv[1:] if argument.startswith(("--local-rank", "--local_rank"))]
    sys.argv = [argument for argument in sys.argv[1:] if argument not in ranks] + ranks
    sys.path[0] = os.path.dirname(sys.argv[0])
    runpy.run_path(sys.argv[0], run_name="__main__")


if __name__ == "__main__":
    main()
