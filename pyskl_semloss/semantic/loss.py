"""The semantic objective: the pooled skeletal embedding must land near the word vector of its class name.

Li et al., "Joint Skeletal and Semantic Embedding Loss for Micro-gesture Classification", MiGA@IJCAI 2023:
``loss = cross_entropy + alpha * mse(W z + b, E[y])`` with z the globally pooled feature, before dropout.
"""

from __future__ import annotations

import math
import warnings
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

from pyskl_semloss.errors import InputError
from pyskl_semloss.semantic.label_vectors import load_matrix


def semantic_mse(embedding: Tensor, label: Tensor, label_vectors: Tensor) -> Tensor:
    """Mean squared error between embeddings and the vectors of their classes, over batch and dimensions.

    Args:
        embedding: (N, D) predicted embeddings.
        label: (N,) integer classes.
        label_vectors: (C, D) vector of each class name.

    Returns:
        Scalar, in float32 also under autocast.

    Raises:
        InputError: Shapes that do not fit together; a loss that broadcast would be silently wrong.

    Example:
        >>> semantic_mse(torch.zeros(2, 3), torch.tensor([1, 0]), torch.tensor([[1.0, 1, 1], [3, 3, 3]]))
        tensor(5.)
    """
    if label.ndim != 1 or embedding.shape != (len(label), label_vectors.shape[1]):
        raise InputError(
            f"expected embeddings ({len(label_vectors)} classes known) of shape (N, {label_vectors.shape[1]}) and "
            f"labels (N,), got {tuple(embedding.shape)} and {tuple(label.shape)}",
            field="label",
        )
    return functional.mse_loss(embedding.float(), label_vectors[label].float())


def semantic_scores(embedding: Tensor, label_vectors: Tensor) -> tuple[Tensor, Tensor]:
    """Cosine similarity and distance of embeddings to each class name.

    ``cosine[n, c] = e_n . E_c / (|e_n| |E_c|)`` and ``distance[n, c] = |e_n - E_c|``.

    Args:
        embedding: (N, D) predicted embeddings.
        label_vectors: (C, D) vector of each class name.

    Returns:
        Cosine similarities (N, C) and Euclidean distances (N, C), float32.

    Raises:
        InputError: Shapes that do not fit together.

    Example:
        >>> cosine, distance = semantic_scores(torch.tensor([[3.0, 4]]), torch.tensor([[3.0, 4], [0, 1]]))
        >>> [[round(value, 4) for value in cosine[0].tolist()], [round(value, 4) for value in distance[0].tolist()]]
        [[1.0, 0.8], [0.0, 4.2426]]
    """
    if embedding.ndim != 2 or label_vectors.ndim != 2 or embedding.shape[1] != label_vectors.shape[1]:
        raise InputError(
            "expected embeddings (N, D) and label vectors (C, D), "
            f"got {tuple(embedding.shape)} and {tuple(label_vectors.shape)}",
            field="embedding",
        )
    embedding, vectors = embedding.float(), label_vectors.float()
    cosine = functional.normalize(embedding, dim=-1) @ functional.normalize(vectors, dim=-1).T
    distance = torch.cdist(embedding, vectors, compute_mode="donot_use_mm_for_euclid_dist")
    return cosine, distance


class SemanticBranch(nn.Module):
    """Linear map from the pooled feature to the label vectors' space, and its loss.

    ``loss = alpha * mse(W z + b, E[y])`` for pooled features z (N, in_channels) and classes y (N,).

    The label vectors are a buffer of the state dict, so that a checkpoint is whole. Building and initialising draws no
    number from torch's global generator: a model with this branch starts from the very weights of one without.

    Args:
        in_channels: Length of the pooled feature.
        num_classes: Number of classes.
        label_vectors: (C, D) array, or the path of an npz or npy file.
        alpha: Weight of the loss; it depends on the vectors' scale.
        init_std: Standard deviation of the initial weights.

    Raises:
        InputError: Vectors of a wrong shape, for other classes, or not finite; a negative or non-finite alpha.

    Example:
        >>> branch = SemanticBranch(in_channels=512, num_classes=2, label_vectors=np.eye(2, 300))
        >>> loss, mse = branch.loss(torch.zeros(8, 512), torch.zeros(8, dtype=torch.long))
        >>> round(loss.item() / mse.item(), 4), round(mse.item() * 300, 4)
        (20.0, 1.0)
    """

    label_vectors: Tensor

    def __init__(
        self,
        in_channels: int,
        num_classes: int,
        label_vectors: str | Path | np.ndarray,
        alpha: float = 20.0,
        init_std: float = 0.01,
    ) -> None:
        super().__init__()
        if not isinstance(alpha, (int, float, np.number)) or not (math.isfinite(alpha) and alpha >= 0):
            raise InputError(f"expected a finite number of at least 0, got {alpha!r}", field="alpha")
        matrix = torch.from_numpy(np.array(load_matrix(label_vectors, num_classes), np.float32))
        self.alpha = float(alpha)
        self.init_std = init_std
        with torch.random.fork_rng(devices=[]):
            self.fc = nn.Linear(in_channels, matrix.shape[1])
        self.register_buffer("label_vectors", matrix)
        self.init_weights()

    def init_weights(self) -> None:
        """Normal weights and zero bias, from a generator of their own that follows the global seed."""
        generator = torch.Generator().manual_seed(torch.initial_seed() % 2**63)
        with torch.no_grad():
            self.fc.weight.copy_(torch.randn(self.fc.weight.shape, generator=generator) * self.init_std)
            self.fc.bias.zero_()

    def _load_from_state_dict(self, state_dict: Mapping[str, Tensor], prefix: str, *args: Any) -> None:
        """Load as any module does, but say so when a checkpoint brings other label vectors than the config named."""
        loaded = state_dict.get(f"{prefix}label_vectors")
        if loaded is not None and not torch.equal(loaded.cpu(), self.label_vectors.cpu()):
            warnings.warn("the checkpoint's label vectors differ from the config's and replace them", stacklevel=2)
        super()._load_from_state_dict(state_dict, prefix, *args)

    def forward(self, pooled: Tensor) -> Tensor:
        """(N, in_channels) pooled features, before dropout -> (N, D) embeddings."""
        return self.fc(pooled)

    def loss(self, pooled: Tensor, label: Tensor) -> tuple[Tensor, Tensor]:
        """The weighted loss, and the unweighted mean squared error without gradient for the log.

        Args:
            pooled: (N, in_channels) pooled features.
            label: (N,) integer classes.

        Raises:
            InputError: Not one label for each feature.
        """
        mse = semantic_mse(self(pooled), label, self.label_vectors)
        return self.alpha * mse, mse.detach()

    def scores(self, pooled: Tensor) -> tuple[Tensor, Tensor]:
        """Cosine similarity and distance (N, C) of the features' embeddings to each class name.

        Args:
            pooled: (N, in_channels) pooled features.

        Raises:
            InputError: Features that are no matrix.
        """
        return semantic_scores(self(pooled), self.label_vectors)
