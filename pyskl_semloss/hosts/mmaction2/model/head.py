"""PoseC3D's I3D head with the semantic branch."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import torch
from mmaction.models import I3DHead
from mmaction.registry import MODELS
from mmengine.structures import LabelData
from torch import Tensor

from pyskl_semloss.errors import InputError
from pyskl_semloss.hosts.mmaction2.data.packing import field
from pyskl_semloss.semantic.label_vectors import load_matrix
from pyskl_semloss.semantic.loss import SemanticBranch


@MODELS.register_module()
class SemanticEmbeddingHead(I3DHead):
    """I3D head whose pooled feature must also land near the word vector of its class name.

    Losses: ``loss_cls`` and ``loss_emb`` (already weighted by alpha); ``emb_mse`` is the unweighted error, for the
    log alone. Predictions carry, beside the host's ``pred_scores``, the field ``pred_semantic`` with ``cosine`` and
    ``distance`` to each label vector, (C,) for averaged clips and (S, C) otherwise.

    Args:
        num_classes: Number of classes C; None: as many as there are label vectors.
        in_channels: Channels of the backbone's feature.
        label_vectors: (C, D) array, or the path of a file of label vectors.
        alpha: Weight of the semantic loss.
        **kwargs: The arguments of :class:`mmaction.models.I3DHead`.

    Raises:
        InputError: Label vectors of a wrong shape, for other classes, or not finite.
    """

    def __init__(
        self,
        num_classes: int | None,
        in_channels: int,
        label_vectors: str | Path | np.ndarray,
        alpha: float = 20.0,
        **kwargs: Any,
    ) -> None:
        vectors = load_matrix(label_vectors, num_classes)
        super().__init__(len(vectors), in_channels, **kwargs)
        self.semantic_branch = SemanticBranch(in_channels, len(vectors), vectors, alpha, self.init_std)

    def init_weights(self) -> None:
        """Initialise the classifier as the host does, then the branch."""
        super().init_weights()
        self.semantic_branch.init_weights()

    def _pool(self, feats: Tensor) -> Tensor:
        """(N, in_channels, T, H, W) -> pooled (N, in_channels, 1, 1, 1), or the same where there is no pooling."""
        return feats if self.avg_pool is None else self.avg_pool(feats)

    def _classify(self, pooled: Tensor) -> Tensor:
        dropped = pooled if self.dropout is None else self.dropout(pooled)
        # The host turns scores into numpy arrays, which know no bfloat16.
        return self.fc_cls(dropped.view(dropped.shape[0], -1)).float()

    def forward(self, x: Tensor, **kwargs: Any) -> Tensor:
        """Class scores (N, C) of features (N, in_channels, T, H, W), as the host's head gives them."""
        return self._classify(self._pool(x))

    def loss(self, feats: Tensor, data_samples: list, **kwargs: Any) -> dict[str, Tensor]:
        """The host's losses and accuracies, ``loss_emb`` and ``emb_mse``.

        Raises:
            InputError: A sample's label is not one class.
        """
        pooled = self._pool(feats)
        losses = self.loss_by_feat(self._classify(pooled), data_samples)
        label = torch.cat([_class_index(sample) for sample in data_samples]).to(feats.device)
        losses["loss_emb"], losses["emb_mse"] = self.semantic_branch.loss(pooled.flatten(1), label)
        return losses

    def predict(self, feats: Tensor, data_samples: list, **kwargs: Any) -> list:
        """The host's predictions, with the nearness of each class name averaged over the clips of a sample."""
        pooled = self._pool(feats)
        data_samples = self.predict_by_feat(self._classify(pooled), data_samples)
        cosine, distance = (
            value.view(len(data_samples), -1, self.num_classes)
            for value in self.semantic_branch.scores(pooled.flatten(1))
        )
        if self.average_clips is not None:
            cosine, distance = cosine.mean(1), distance.mean(1)
        for sample, near, far in zip(data_samples, cosine, distance, strict=True):
            sample.set_field(LabelData(cosine=near, distance=far), "pred_semantic", dtype=LabelData)
        return data_samples


def _class_index(sample: Any) -> Tensor:
    """The class (1,) of a sample; which name a soft or multi-class label stands for is not defined."""
    label = field(sample, "gt_label")
    if label.numel() != 1:
        raise InputError(
            f"expected one class index, got {label.numel()} numbers",
            clip=sample.get("sample_id"),
            field="gt_label",
            fix="The semantic loss works with one class for each clip.",
        )
    return label.reshape(1)
