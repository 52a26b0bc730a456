"""PoseC3D's I3D head with the semantic branch, for PySKL's own recogniser."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from pyskl.models.builder import HEADS
from pyskl.models.heads import I3DHead
from torch import Tensor
from torch.nn import functional

from pyskl_semloss.errors import InputError
from pyskl_semloss.semantic.loss import SemanticBranch


@HEADS.register_module()
class SemanticEmbeddingHead(I3DHead):
    """I3D head whose pooled feature must also land near the word vector of its class name.

    Losses: the host's ``loss_cls``, and ``loss_emb`` (already weighted by alpha); ``emb_mse`` is the unweighted error,
    for the log alone. The host's recogniser hands ``loss`` the scores alone, so ``forward`` keeps the pooled feature
    of its last call for it.

    Args:
        num_classes: Number of classes C.
        in_channels: Channels of the backbone's feature.
        label_vectors: (C, D) array, or the path of a file of label vectors.
        alpha: Weight of the semantic loss.
        **kwargs: The arguments of PySKL's ``I3DHead``.

    Raises:
        InputError: Label vectors of a wrong shape, for other classes, or not finite.
    """

    def __init__(
        self,
        num_classes: int,
        in_channels: int,
        label_vectors: str | Path | np.ndarray,
        alpha: float = 20.0,
        **kwargs: Any,
    ) -> None:
        super().__init__(num_classes, in_channels, **kwargs)
        self.semantic_branch = SemanticBranch(in_channels, num_classes, label_vectors, alpha, self.init_std)
        self._pooled: Tensor | None = None

    def init_weights(self) -> None:
        """Initialise the classifier as the host does, then the branch."""
        super().init_weights()
        self.semantic_branch.init_weights()

    def forward(self, x: Tensor | Sequence[Tensor]) -> Tensor:
        """Class scores (N, C), as the host's head gives them.

        Args:
            x: Features (N, in_channels, T, H, W) or, already pooled, (N, in_channels); or a list of N arrays
                (S, in_channels), whose mean is taken.
        """
        self._pooled = _pool(x)
        # The host turns scores into numpy arrays, which know no bfloat16.
        return super().forward(self._pooled).float()

    def loss(self, cls_score: Tensor, label: Tensor, **kwargs: Any) -> dict[str, Tensor]:
        """The host's losses and accuracies, ``loss_emb`` and ``emb_mse``.

        Raises:
            InputError: The labels are not one class for each clip, or the scores are not those of the last forward.
        """
        pooled, self._pooled = self._pooled, None
        if pooled is None or len(pooled) != len(cls_score):
            raise InputError(
                f"the scores of {len(cls_score)} clips are not those that forward gave last", field="cls_score"
            )
        if label.numel() != len(cls_score):
            raise InputError(
                f"expected one class index for each of {len(cls_score)} clips, got {label.numel()} numbers",
                field="label",
                fix="The semantic loss works with one class for each clip.",
            )
        losses = super().loss(cls_score, label, **kwargs)
        losses["loss_emb"], losses["emb_mse"] = self.semantic_branch.loss(pooled, label.reshape(-1))
        return losses


def _pool(x: Any) -> Tensor:
    """The global mean (N, in_channels) of whatever the host's head takes."""
    if isinstance(x, list):
        return torch.stack([item.mean(dim=0) for item in x])
    if isinstance(x, tuple):
        x = torch.cat(x, dim=1)
    return x if x.ndim == 2 else functional.adaptive_avg_pool3d(x, 1).flatten(1)
