"""The host's heads with the semantic branch: I3D for PoseC3D, and that of graph networks."""

from __future__ import annotations

from typing import Any

import torch
from mmaction.models import GCNHead, I3DHead
from mmaction.registry import MODELS
from mmengine.structures import LabelData
from torch import Tensor

from pyskl_semloss.hosts.mmaction2.data.packing import get_sample_field
from pyskl_semloss.semantic.head import SemanticHeadMixin, check_one_class


class _SemanticHead(SemanticHeadMixin):
    """Losses and predictions of a head of the host with the branch; the classifier is :meth:`_classify`."""

    def _classify(self, pooled: Tensor) -> Tensor:
        """Class scores (N, C) of pooled features, in float32."""
        raise NotImplementedError

    def forward(self, x: Tensor, **kwargs: Any) -> Tensor:
        """Class scores (N, C) of features, as in the host."""
        return self._classify(self.pooled(x))

    def loss(self: Any, feats: Tensor, data_samples: list, **kwargs: Any) -> dict[str, Tensor]:
        """The host's losses and accuracies, ``loss_emb`` and the unweighted error.

        Raises:
            InputError: A sample's label is not one class.
        """
        pooled = self.pooled(feats)
        losses = self.loss_by_feat(self._classify(pooled), data_samples)
        label = torch.cat([_class_index(sample) for sample in data_samples]).to(feats.device)
        return losses | self.semantic_losses(pooled, label)

    def predict(self: Any, feats: Tensor, data_samples: list, **kwargs: Any) -> list:
        """The host's predictions with cosine and distance to each label vector.

        Both are averaged over the clips of a sample if the scores are.
        """
        pooled = self.pooled(feats)
        data_samples = self.predict_by_feat(self._classify(pooled), data_samples)
        cosine, distance = (
            value.view(len(data_samples), -1, value.shape[-1]) for value in self.semantic_branch.scores(pooled)
        )
        if self.average_clips is not None:
            cosine, distance = cosine.mean(1), distance.mean(1)
        for sample, near, far in zip(data_samples, cosine, distance, strict=True):
            sample.set_field(LabelData(cosine=near, distance=far), "pred_semantic", dtype=LabelData)
        return data_samples


@MODELS.register_module()
class SemanticEmbeddingHead(_SemanticHead, I3DHead):
    """I3D head with a semantic branch that regresses the class's word vector.

    Losses: ``loss_cls`` and ``loss_emb`` (already weighted by alpha); the unweighted error is logged under the loss's
    name, as ``emb_mse``. Predictions have the host's ``pred_scores`` and the field ``pred_semantic`` with ``cosine``
    and ``distance`` to each label vector, (C,) for averaged clips and (S, C) otherwise; with F further
    names C + F in place of C.

    The arguments are those of :class:`pyskl_semloss.semantic.head.SemanticHeadMixin` and of
    :class:`mmaction.models.I3DHead`.
    """

    def pooled(self, feats: Tensor) -> Tensor:
        """Global mean (N, in_channels) of features (N, in_channels, T, H, W), if the head pools."""
        return (feats if self.avg_pool is None else self.avg_pool(feats)).flatten(1)

    def _classify(self, pooled: Tensor) -> Tensor:
        dropped = pooled if self.dropout is None else self.dropout(pooled)
        # The host turns scores into numpy arrays, which have no bfloat16.
        return self.fc_cls(dropped).float()


@MODELS.register_module()
class SemanticGCNHead(_SemanticHead, GCNHead):
    """Head of a graph network with the semantic branch; losses and predictions as :class:`SemanticEmbeddingHead`.

    The arguments are those of :class:`pyskl_semloss.semantic.head.SemanticHeadMixin` and of
    :class:`mmaction.models.GCNHead`.
    """

    def pooled(self, feats: Tensor) -> Tensor:
        """Mean (N, in_channels) over persons, frames and joints of features (N, M, in_channels, T, V)."""
        return self.pool(feats.flatten(0, 1)).view(feats.shape[:3]).mean(dim=1)

    def _classify(self, pooled: Tensor) -> Tensor:
        return self.fc(pooled if self.dropout is None else self.dropout(pooled)).float()


def _class_index(sample: Any) -> Tensor:
    """Class (1,) of a sample; soft and multi-class labels are refused, as they have no single name."""
    label = get_sample_field(sample, "gt_label")
    check_one_class(label.numel(), None, sample.get("sample_id"), "gt_label")
    return label.reshape(1)
