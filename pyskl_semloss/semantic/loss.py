"""Losses between embeddings and label vectors, and the semantic branch.

Li et al., "Joint Skeletal and Semantic Embedding Loss for Micro-gesture Classification", MiGA@IJCAI 2023:
``loss = cross_entropy + alpha * mse(W z + b, E[y])`` with z the globally pooled feature, before dropout. Besides this
mean squared error there are the cosine and the contrastive loss, and those that :func:`register_loss` adds.
"""

from __future__ import annotations

import functools
import inspect
import math
import warnings
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, cast

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

from pyskl_semloss.errors import InputError
from pyskl_semloss.io.reading import did_you_mean
from pyskl_semloss.semantic.label_vectors import PAPER_MEAN_SQUARE, load_matrix
from pyskl_semloss.semantic.targets import rescaled

PAPER_ALPHA = 20.0
"""The paper's weight of its MSE, for vectors of the mean square ``PAPER_MEAN_SQUARE``."""

SemanticLoss = Callable[[Tensor, Tensor, Tensor], Tensor]
"""(N, D) embeddings, (N,) classes, (C, D) label vectors -> a scalar that is smallest at the vectors of the classes."""


def semantic_mse(embedding: Tensor, label: Tensor, label_vectors: Tensor) -> Tensor:
    r"""Mean squared error between embeddings and the vectors of their classes.

    .. math:: \frac{1}{N D} \sum_{n, d} (e_{nd} - E_{y_n d})^2

    The loss of the paper.

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
    _check(embedding, label, label_vectors)
    return functional.mse_loss(embedding.float(), label_vectors[label].float())


def semantic_cosine(embedding: Tensor, label: Tensor, label_vectors: Tensor) -> Tensor:
    r"""Mean cosine distance, 0 to 2, between embeddings and their classes' vectors.

    .. math:: \frac{1}{N} \sum_n 1 - \cos(e_n, E_{y_n})

    Args:
        embedding: (N, D) predicted embeddings.
        label: (N,) integer classes.
        label_vectors: (C, D) vector of each class name; their lengths do not matter.

    Returns:
        Scalar, float32.

    Raises:
        InputError: Shapes that do not fit together.

    Example:
        >>> semantic_cosine(torch.tensor([[2.0, 0], [0, 1]]), torch.tensor([0, 0]), torch.tensor([[1.0, 0]]))
        tensor(0.5000)
    """
    _check(embedding, label, label_vectors)
    return (1 - functional.cosine_similarity(embedding.float(), label_vectors[label].float(), dim=-1)).mean()


def semantic_contrastive(embedding: Tensor, label: Tensor, label_vectors: Tensor, temperature: float = 0.1) -> Tensor:
    r"""Cross entropy over the cosines to all label vectors.

    .. math:: -\frac{1}{N} \sum_n \log
        \frac{\exp(\cos(e_n, E_{y_n}) / \tau)}{\sum_c \exp(\cos(e_n, E_c) / \tau)}

    Unlike the two distances it also drives embeddings away from the vectors of other classes.

    Args:
        embedding: (N, D) predicted embeddings.
        label: (N,) integer classes.
        label_vectors: (C, D) vector of each class name; their lengths do not matter.
        temperature: Divisor of the cosines; a smaller value gives the nearest wrong class more weight.

    Returns:
        Scalar, float32.

    Raises:
        InputError: Shapes that do not fit together.

    Example:
        >>> vectors = torch.eye(2)
        >>> semantic_contrastive(vectors, torch.tensor([0, 1]), vectors, temperature=1.0)  # log(1 + exp(-1))
        tensor(0.3133)
    """
    _check(embedding, label, label_vectors)
    return functional.cross_entropy(semantic_scores(embedding, label_vectors)[0] / temperature, label)


LOSSES: dict[str, SemanticLoss] = {
    "mse": semantic_mse,
    "cosine": semantic_cosine,
    "contrastive": semantic_contrastive,
}
"""The losses that a config can name."""


def register_loss(name: str, loss: SemanticLoss) -> None:
    """Register a loss under a name, so that configs can choose it.

    Args:
        name: Its name; the logged value is called ``emb_NAME``.
        loss: Function, see ``SemanticLoss``; a parameter ``temperature`` gets the branch's temperature.

    Raises:
        InputError: The name is taken by another loss, or contains "loss": the hosts would add the logged value to the
            total loss.

    Example:
        >>> def largest(embedding, label, label_vectors):
        ...     return (embedding - label_vectors[label]).abs().amax(-1).mean()
        >>> register_loss("largest", largest)
        >>> LOSSES.pop("largest")(torch.zeros(1, 2), torch.tensor([0]), torch.tensor([[1.0, 3]]))
        tensor(3.)
    """
    if not name.isidentifier() or "loss" in name:
        raise InputError(f"expected an identifier without 'loss', got {name!r}", field="name")
    if LOSSES.get(name, loss) is not loss:
        raise InputError(f"there is another loss of the name {name!r}", field="name")
    LOSSES[name] = loss


def _check(embedding: Tensor, label: Tensor, label_vectors: Tensor) -> None:
    if label.ndim != 1 or embedding.shape != (len(label), label_vectors.shape[1]):
        raise InputError(
            f"expected embeddings ({len(label_vectors)} classes known) of shape (N, {label_vectors.shape[1]}) and "
            f"labels (N,), got {tuple(embedding.shape)} and {tuple(label.shape)}",
            field="label",
        )


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


def name_probabilities(cosine: Tensor, temperature: float = 0.1) -> Tensor:
    r"""Class probabilities from the cosines to the names alone.

    .. math:: p_c = \mathrm{softmax}_c(\cos(e, E_c) / \tau)

    Args:
        cosine: (..., C) cosines of embeddings to the label vectors, see :func:`semantic_scores`.
        temperature: Divisor of the cosines; a smaller value gives the nearest name more weight.

    Returns:
        (..., C) probabilities, float32.

    Example:
        >>> name_probabilities(torch.tensor([1.0, 0.0]), temperature=1.0)
        tensor([0.7311, 0.2689])
    """
    return functional.softmax(cosine.float() / temperature, dim=-1)


class SemanticBranch(nn.Module):
    """Map from pooled features to label vectors' space, and its loss.

    ``loss = alpha * error(W z + b, E[y])`` for pooled features z (N, in_channels) and classes y (N,).

    The label vectors are a buffer of the state dict, so that a checkpoint is complete. Building and initialising draw
    no number from torch's global generator: with or without the branch, a model starts from the same weights.

    Args:
        in_channels: Length of the pooled feature.
        num_classes: Number of classes.
        label_vectors: (C, D) array, or the path of an npz or npy file.
        alpha: Weight of the loss; with ``"mse"`` it depends on the vectors' scale.
        init_std: Standard deviation of the initial weights.
        loss: A name in ``LOSSES``, or a function of the same signature.
        branch: ``"linear"`` (the paper's), or ``"mlp"``: Linear, tanh, Linear, as MA-52's baseline has it; the hidden
            layer is as wide as the feature.
        temperature: Of the contrastive loss.
        rescale: Scale the vectors to the mean square of the paper's, so that one alpha weighs alike for any vectors.
        seen_classes: The classes that have training clips, where not all have; the loss sees their vectors alone, so
            that the contrastive one drives nothing away from the names of the others.

    Attributes:
        further_vectors: (F, D) vectors of further names, or None; :meth:`scores` are of these, too. Not saved.

    Raises:
        InputError: The vectors have a wrong shape or number of classes, or are not finite; alpha is negative or not
            finite; the loss, the branch or a seen class is unknown.

    Example:
        >>> branch = SemanticBranch(in_channels=512, num_classes=2, label_vectors=np.eye(2, 300))
        >>> loss, mse = branch.loss(torch.zeros(8, 512), torch.zeros(8, dtype=torch.long))
        >>> round(loss.item() / mse.item(), 4), round(mse.item() * 300, 4)
        (20.0, 1.0)
    """

    label_vectors: Tensor
    further_vectors: Tensor | None
    _seen: Tensor | None

    def __init__(
        self,
        in_channels: int,
        num_classes: int,
        label_vectors: str | Path | np.ndarray,
        alpha: float = PAPER_ALPHA,
        init_std: float = 0.01,
        *,
        loss: str | SemanticLoss = "mse",
        branch: str = "linear",
        temperature: float = 0.1,
        rescale: bool = False,
        seen_classes: Sequence[int] | None = None,
    ) -> None:
        super().__init__()
        if not isinstance(alpha, (int, float, np.number)) or not (math.isfinite(alpha) and alpha >= 0):
            raise InputError(f"expected a finite number of at least 0, got {alpha!r}", field="alpha")
        if not isinstance(temperature, (int, float, np.number)) or not (math.isfinite(temperature) and temperature > 0):
            raise InputError(f"expected a finite number above 0, got {temperature!r}", field="temperature")
        matrix = torch.from_numpy(np.array(load_matrix(label_vectors, num_classes), np.float32))
        if rescale:
            matrix = torch.from_numpy(rescaled(matrix.numpy()))
        self.alpha = float(alpha)
        self.init_std = init_std
        self.temperature = float(temperature)
        self.log_name, self._loss = _choose_loss(loss, self.temperature)
        _warn_of_alpha(loss, self.alpha, len(matrix if seen_classes is None else seen_classes))
        with torch.random.fork_rng(devices=[]):
            self.fc = _layers(branch, in_channels, matrix.shape[1])
        self.register_buffer("label_vectors", matrix)
        self.register_buffer("further_vectors", None, persistent=False)
        seen = None if seen_classes is None else torch.tensor(_check_seen(seen_classes, len(matrix)))
        self.register_buffer("_seen", seen, persistent=False)
        self.init_weights()

    def init_weights(self) -> None:
        """Initialise with normal weights and zero biases.

        The random numbers come from a separate generator with torch's global seed. The first layer of an MLP has
        Glorot's standard deviation, which fits the range of tanh.
        """
        generator = torch.Generator().manual_seed(torch.initial_seed() % 2**63)
        linear = [layer for layer in self.fc.modules() if isinstance(layer, nn.Linear)]
        with torch.no_grad():
            for layer in linear:
                std = self.init_std if layer is linear[-1] else math.sqrt(2 / sum(layer.weight.shape))
                layer.weight.copy_(torch.randn(layer.weight.shape, generator=generator) * std)
                layer.bias.zero_()

    def _load_from_state_dict(self, state_dict: Mapping[str, Tensor], prefix: str, *args: Any) -> None:
        """Load as any module does; warn if the checkpoint replaces the config's label vectors."""
        loaded = state_dict.get(f"{prefix}label_vectors")
        if loaded is not None and not torch.equal(loaded.cpu(), self.label_vectors.cpu()):
            warnings.warn("the checkpoint's label vectors differ from the config's and replace them", stacklevel=2)
        super()._load_from_state_dict(state_dict, prefix, *args)

    def forward(self, pooled: Tensor) -> Tensor:
        """Embeddings (N, D) of pooled features (N, in_channels) before dropout."""
        return self.fc(pooled)

    def loss(self, pooled: Tensor, label: Tensor) -> tuple[Tensor, Tensor]:
        """Weighted loss, and the unweighted error without gradient, logged as ``log_name``.

        Args:
            pooled: (N, in_channels) pooled features.
            label: (N,) integer classes.

        Raises:
            InputError: The number of labels is not that of the features.
        """
        vectors = self.label_vectors
        if self._seen is not None:
            vectors, label = vectors[self._seen], _places(label, self._seen)
        error = self._loss(self(pooled), label, vectors)
        return self.alpha * error, error.detach()

    def scores(self, pooled: Tensor) -> tuple[Tensor, Tensor]:
        """Cosine similarities and distances of embeddings to class and further names.

        Args:
            pooled: (N, in_channels) pooled features.

        Returns:
            Two of (N, C), or (N, C + F) where there are F further names.

        Raises:
            InputError: The features are no matrix.
        """
        further = self.further_vectors
        vectors = self.label_vectors if further is None else torch.cat([self.label_vectors, further])
        return semantic_scores(self(pooled), vectors)


def _check_seen(seen: Sequence[int], classes: int) -> list[int]:
    numbers = list(seen)
    if not numbers or len(set(numbers)) < len(numbers) or not set(numbers) <= set(range(classes)):
        raise InputError(
            f"expected some of the classes 0 to {classes - 1}, each once, got {seen}", field="seen_classes"
        )
    return sorted(numbers)


def _places(label: Tensor, seen: Tensor) -> Tensor:
    """Places of classes (N,) among the seen ones."""
    match = label[:, None].eq(seen)
    known = match.any(1)
    if not bool(known.all()):
        problem = f"a clip of class {int(label[~known][0])}, which is none of the seen classes"
        raise InputError(problem, field="seen_classes", fix="Give the data set only_classes, with the same classes.")
    return match.int().argmax(1)


def _choose_loss(loss: str | SemanticLoss, temperature: float) -> tuple[str, SemanticLoss]:
    """The name for the log, and the function."""
    if isinstance(loss, str):
        if loss not in LOSSES:
            raise InputError(f"there is no loss {loss!r}{did_you_mean(loss, LOSSES)}", field="loss",
                             fix=f"There are {', '.join(LOSSES)}.")  # fmt: skip
        name, function = loss, LOSSES[loss]
    elif callable(loss):
        name, function = getattr(loss, "__name__", "custom").replace("loss", "").strip("_") or "custom", loss
    else:
        raise InputError(f"expected the name of a loss or a function, got {loss!r}", field="loss")
    if "temperature" in inspect.signature(function).parameters:
        function = functools.partial(cast(Any, function), temperature=temperature)
    return f"emb_{name.removeprefix('semantic_')}", function


def _warn_of_alpha(loss: str | SemanticLoss, alpha: float, classes: int) -> None:
    """Warn that the paper's alpha was tuned for the MSE, which begins at the vectors' mean square."""
    before_training = {"cosine": 1.0, "contrastive": math.log(max(classes, 2))}
    if alpha != PAPER_ALPHA or not isinstance(loss, str) or loss not in before_training:
        return
    alike = PAPER_ALPHA * PAPER_MEAN_SQUARE / before_training[loss]
    warnings.warn(
        f"alpha {alpha:g} was tuned for the mean squared error; the {loss} loss of {classes} classes begins at about "
        f"{before_training[loss]:.1f}, the paper's MSE at {PAPER_MEAN_SQUARE}. alpha={alike:.2g} weighs alike before "
        "training; compare values around it on validation data (semloss sweep --alpha).",
        stacklevel=3,
    )


def _layers(branch: str, in_channels: int, dimension: int) -> nn.Module:
    if branch == "linear":
        return nn.Linear(in_channels, dimension)
    if branch == "mlp":
        return nn.Sequential(nn.Linear(in_channels, in_channels), nn.Tanh(), nn.Linear(in_channels, dimension))
    raise InputError(f"expected 'linear' or 'mlp', got {branch!r}", field="branch")
