"""PoseC3D's I3D head with the semantic branch, for PySKL's own recogniser."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from pyskl.models.builder import HEADS
from pyskl.models.heads import I3DHead
from torch import Tensor
from torch.nn import functional

from pyskl_semloss.errors import InputError
from pyskl_semloss.semantic.head import SemanticHeadMixin, check_one_class


@HEADS.register_module()
class SemanticEmbeddingHead(SemanticHeadMixin, I3DHead):
    """I3D head with a semantic branch that regresses the class's word vector.

    Losses: the host's ``loss_cls``, and ``loss_emb`` (already weighted by alpha); the unweighted error is logged under
    the loss's name, as ``emb_mse``. The host's recogniser passes only the scores to ``loss``, so ``forward`` stores the
    pooled feature of its last call.

    The arguments are those of :class:`pyskl_semloss.semantic.head.SemanticHeadMixin` and of PySKL's ``I3DHead``.
    """

    _pooled: Tensor | None = None

    def pooled(self, feats: Any) -> Tensor:
        """Global mean (N, in_channels) of any input of the host's head."""
        if isinstance(feats, list):
            return torch.stack([item.mean(dim=0) for item in feats])
        if isinstance(feats, tuple):
            feats = torch.cat(feats, dim=1)
        return feats if feats.ndim == 2 else functional.adaptive_avg_pool3d(feats, 1).flatten(1)

    def forward(self, x: Tensor | Sequence[Tensor]) -> Tensor:
        """Class scores (N, C), as in the host.

        Args:
            x: Features (N, in_channels, T, H, W) or, already pooled, (N, in_channels); or a list of N arrays
                (S, in_channels), whose mean is taken.
        """
        self._pooled = self.pooled(x)
        # The host turns scores into numpy arrays, which have no bfloat16.
        return super().forward(self._pooled).float()

    def loss(self, cls_score: Tensor, label: Tensor, **kwargs: Any) -> dict[str, Tensor]:
        """The host's losses and accuracies, ``loss_emb`` and the unweighted error.

        Raises:
            InputError: A clip has not exactly one class, a label is not below the number of classes, or the scores are
                not those of the last ``forward``.
        """
        pooled, self._pooled = self._pooled, None
        if pooled is None or len(pooled) != len(cls_score):
            raise InputError(
                f"the scores of {len(cls_score)} clips are not those that forward gave last", field="cls_score"
            )
        check_one_class(label.numel(), len(cls_score))
        # Not checked by a data set whose config leaves the number of classes open.
        if int(label.max()) >= self.num_classes:
            raise InputError(
                f"expected labels from 0 to {self.num_classes - 1}, as there are {self.num_classes} label vectors, got "
                f"{int(label.max())}",
                field="label",
                fix="Build the label vectors from the list of all class names, in order.",
            )
        losses = super().loss(cls_score, label, **kwargs)
        return {**losses, **self.semantic_losses(pooled, label.reshape(-1))}
