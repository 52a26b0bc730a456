"""Patches of mmcv 1.x for newer releases of torch, on which PySKL's tools would stop."""

from typing import Any

import torch
from mmcv.parallel import MMDistributedDataParallel, _functions
from torch.nn.parallel import DistributedDataParallel


def patch_distributed() -> None:
    """Fix mmcv's distributed wrapper for torch 2.1 and later.

    torch 2.1 removed an attribute that the wrapper reads before each test batch, and expects a device where mmcv passes
    the number of a GPU.
    """
    switch = "_use_replicated_tensor_module"
    if not hasattr(DistributedDataParallel, switch):
        setattr(MMDistributedDataParallel, switch, False)
        _functions._get_stream = _stream_of_number


def _stream_of_number(device: Any) -> Any:
    from torch.nn.parallel._functions import _get_stream

    return _get_stream(torch.device("cuda", device) if isinstance(device, int) else device)
