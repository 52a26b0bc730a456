"""Checkpoints of mmengine under torch's safe loader."""

from __future__ import annotations

import numpy as np
import torch
from mmengine.logging import HistoryBuffer


def allow_host_objects() -> None:
    """Let ``torch.load(weights_only=True)`` read the log history that mmengine puts into every checkpoint.

    Without it mmengine 0.10 cannot read its own checkpoints under torch 2.6 and later; nothing that could run code is
    added. The numpy names are those that numpy 1.x and 2.x write.
    """
    reconstruct = np.core.multiarray._reconstruct if np.lib.NumpyVersion(np.__version__) < "2.0.0" else None
    if reconstruct is None:
        reconstruct = np._core.multiarray._reconstruct
    scalar = (np.core if np.lib.NumpyVersion(np.__version__) < "2.0.0" else np._core).multiarray.scalar
    kinds = {type(np.dtype(kind)) for kind in ("f4", "f8", "i4", "i8", "u1", "b1", "O")}
    torch.serialization.add_safe_globals([
        HistoryBuffer,
        np.ndarray,
        np.dtype,
        *kinds,
        (reconstruct, "numpy.core.multiarray._reconstruct"),
        (reconstruct, "numpy._core.multiarray._reconstruct"),
        (scalar, "numpy.core.multiarray.scalar"),
        (scalar, "numpy._core.multiarray.scalar"),
    ])  # fmt: skip
