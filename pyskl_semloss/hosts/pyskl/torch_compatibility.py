"""What mmcv 1.x expects of torch and newer releases do otherwise; without it PySKL's tools stop on them."""

from typing import Any

import torch
from mmcv.parallel import MMDistributedDataParallel, _functions
from torch.nn.parallel import DistributedDataParallel


def patch_distributed() -> None:
    """Let mmcv's distributed wrapper test, and scatter batches to a GPU; on older torch nothing changes.

    torch 2.1 took out a switch that the wrapper reads before each test batch, and took to naming a GPU by a device
    where mmcv gives its number.
    """
    switch = "_use_replicated_tensor_module"
    if not hasattr(DistributedDataParallel, switch):
        setattr(MMDistributedDataParallel, switch, False)
        _functions._get_stream = _stream_of_number


def _stream_of_number(device: Any) -> Any:
    from torch.nn.parallel._functions import _get_stream

    return _get_stream(torch.device("cuda", device) if isinstance(device, int) else device)
