"""Fields of a data sample, by either of the names that MMAction2 gave them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from torch import Tensor


def field(sample: Any, name: str) -> Tensor:
    """The tensor ``name`` (``"gt_label"`` or ``"pred_score"``) of a data sample or of its dictionary.

    MMAction2 1.1 wraps it as ``gt_labels.item``, 1.2 holds it as ``gt_label``.
    """
    get = sample.get if isinstance(sample, Mapping) else lambda key: getattr(sample, key, None)
    value = get(name)
    if value is not None:
        return value
    wrapped = get(name + "s")
    return wrapped["item"] if isinstance(wrapped, Mapping) else wrapped.item
