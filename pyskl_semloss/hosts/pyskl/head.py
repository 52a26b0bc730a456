"""PySKL's heads with the semantic branch: I3D for PoseC3D, and that of graph networks."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from pyskl.models.builder import HEADS
from pyskl.models.heads import GCNHead, I3DHead
from torch import Tensor
from torch.nn import functional

from pyskl_semloss.errors import InputError
from pyskl_semloss.semantic.head import SemanticHeadMixin, check_one_class


class _SemanticHead(SemanticHeadMixin):
    """Scores and losses of a head of the host with the branch.

    The host's recogniser passes only the scores to ``loss``, so ``forward`` stores the pooled feature of its last call.
    """

    _pooled: Tensor | None = None

    def forward(self, x: Tensor | Sequence[Tensor]) -> Tensor:
        """Class scores (N, C), as in the host.

        Args:
            x: Features of the backbone, or already pooled ones (N, in_channels), or a list of N arrays
                (S, in_channels), whose mean is taken.
        """
        self._pooled = self.pooled(x)
        # The host turns scores into numpy arrays, which have no bfloat16.
        return super().forward(self._pooled).float()  # type: ignore[misc]

    def loss(self: Any, cls_score: Tensor, label: Tensor, **kwargs: Any) -> dict[str, Tensor]:
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
        losses = super().loss(cls_score, label, **kwargs)  # type: ignore[misc]
        return {**losses, **self.semantic_losses(pooled, label.reshape(-1))}


@HEADS.register_module()
class SemanticEmbeddingHead(_SemanticHead, I3DHead):
    """I3D head with a semantic branch that regresses the class's word vector.

    Losses: the host's ``loss_cls``, and ``loss_emb`` (already weighted by alpha); the unweighted error is logged under
    the loss's name, as ``emb_mse``.

    The arguments are those of :class:`pyskl_semloss.semantic.head.SemanticHeadMixin` and of PySKL's ``I3DHead``.
    """

    def pooled(self, feats: Any) -> Tensor:
        """Global mean (N, in_channels) of any input of the host's head, as (N, in_channels, T, H, W)."""
        if isinstance(feats, list):
            return torch.stack([item.mean(dim=0) for item in feats])
        if isinstance(feats, tuple):
            feats = torch.cat(feats, dim=1)
        return feats if feats.ndim == 2 else functional.adaptive_avg_pool3d(feats, 1).flatten(1)


@HEADS.register_module()
class SemanticGCNHead(_SemanticHead, GCNHead):
    """Head of a graph network with the semantic branch; its losses are those of :class:`SemanticEmbeddingHead`.

    The arguments are those of :class:`pyskl_semloss.semantic.head.SemanticHeadMixin` and of PySKL's ``GCNHead``.
    """

    def pooled(self, feats: Any) -> Tensor:
        """Mean (N, in_channels) over persons, frames and joints of (N, M, in_channels, T, V)."""
        if isinstance(feats, list):
            return torch.stack([item.mean(dim=0) for item in feats])
        if feats.ndim == 2:
            return feats
        return functional.adaptive_avg_pool2d(feats.flatten(0, 1), 1).view(feats.shape[:3]).mean(dim=1)
