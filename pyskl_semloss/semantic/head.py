"""Mixin that gives any classification head the semantic branch."""

from __future__ import annotations

import inspect
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from torch import Tensor

from pyskl_semloss.errors import InputError
from pyskl_semloss.io.reading import did_you_mean
from pyskl_semloss.semantic.label_vectors import load_matrix
from pyskl_semloss.semantic.loss import PAPER_ALPHA, SemanticBranch, SemanticLoss

SEMANTIC_HEADS = ("SemanticEmbeddingHead", "SemanticGCNHead")
"""Names of the heads with a semantic branch, on both hosts."""


class SemanticHeadMixin:
    """Mixin for classification heads: a semantic branch on the pooled feature.

    It stands before the host's head among the bases. The head defines :meth:`pooled` and passes pooled features and
    labels to :meth:`semantic_losses`.

    Args:
        num_classes: Number of classes C; None: as many as there are label vectors.
        in_channels: Channels of the pooled feature.
        label_vectors: (C, D) array, or the path of a file of label vectors.
        alpha: Weight of the semantic loss.
        loss: A name in :data:`pyskl_semloss.semantic.loss.LOSSES`, or a function of the same signature.
        branch: ``"linear"`` or ``"mlp"``.
        temperature: Of the contrastive loss.
        rescale: Scale the vectors to the mean square of the paper's, so that alpha weighs alike for any vectors.
        seen_classes: The classes that have training clips, where not all have.
        **kwargs: The arguments of the host's head.

    Raises:
        InputError: An argument is unknown here and to the host's head; label vectors have a wrong shape or number of
            classes, or are not finite; the loss or branch is unknown.
    """

    semantic_branch: SemanticBranch

    def __init__(
        self,
        num_classes: int | None,
        in_channels: int,
        label_vectors: str | Path | np.ndarray,
        alpha: float = PAPER_ALPHA,
        loss: str | SemanticLoss = "mse",
        branch: str = "linear",
        temperature: float = 0.1,
        rescale: bool = False,
        seen_classes: Sequence[int] | None = None,
        **kwargs: Any,
    ) -> None:
        _check_names(type(self), kwargs)
        vectors = load_matrix(label_vectors, num_classes)
        super().__init__(len(vectors), in_channels, **kwargs)  # type: ignore[call-arg]
        self.semantic_branch = SemanticBranch(
            in_channels, len(vectors), vectors, alpha, getattr(self, "init_std", 0.01),
            loss=loss, branch=branch, temperature=temperature, rescale=rescale,
            seen_classes=seen_classes,
        )  # fmt: skip

    def init_weights(self) -> None:
        """Initialise the classifier as the host does, then the branch."""
        super().init_weights()  # type: ignore[misc]
        self.semantic_branch.init_weights()

    def pooled(self, feats: Any) -> Tensor:
        """Pooled features (N, in_channels), before dropout, of the head's input."""
        raise NotImplementedError

    def semantic_losses(self, pooled: Tensor, label: Tensor) -> dict[str, Tensor]:
        """Losses for the host: ``loss_emb``, and the unweighted error for the log.

        ``loss_emb = alpha * error``. The error is logged as ``emb_mse``, or by the name of another loss; it has no
        gradient.

        Args:
            pooled: (N, in_channels) pooled features.
            label: (N,) integer classes.

        Raises:
            InputError: The number of labels is not that of the features.
        """
        weighted, error = self.semantic_branch.loss(pooled, label)
        return {"loss_emb": weighted, self.semantic_branch.log_name: error}


def _check_names(head: type, names: Iterable[str]) -> None:
    """Refuse arguments that no ``__init__`` of the head and its bases takes."""
    known: list[str] = []
    for kind in head.__mro__:
        if "__init__" not in vars(kind):
            continue
        parameters = list(inspect.signature(vars(kind)["__init__"]).parameters.values())
        known += [each.name for each in parameters[1:] if each.kind not in (each.VAR_POSITIONAL, each.VAR_KEYWORD)]
        if not any(each.kind is each.VAR_KEYWORD for each in parameters):
            break
    unknown = [name for name in names if name not in known]
    if unknown:
        problem = f"{head.__name__} has no argument {unknown[0]!r}{did_you_mean(unknown[0], known)}"
        raise InputError(problem, field=unknown[0], fix=f"It has {', '.join(dict.fromkeys(known))}.")


def check_one_class(numbers: int, clips: int | None = None, clip: str | None = None, field: str = "label") -> None:
    """Refuse labels that are not one class index per clip.

    A soft label names no single class, so that its label vector is not defined.

    Args:
        numbers: Number of values in the labels.
        clips: Number of clips; None for the label of a single clip.
        clip: Id of that clip.
        field: Source of the labels, for the message.

    Raises:
        InputError: There are more or fewer values than clips.
    """
    if numbers != (1 if clips is None else clips):
        expected = "expected one class index" + ("" if clips is None else f" for each of {clips} clips")
        fix = "The semantic loss works with one class for each clip."
        raise InputError(f"{expected}, got {numbers} numbers", clip=clip, field=field, fix=fix)
