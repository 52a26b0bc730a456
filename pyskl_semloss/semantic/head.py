"""The semantic branch on a head of a host, by one mixin for any head."""

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


class SemanticHeadMixin:
    """A classification head whose pooled feature must also land near the label vector of its class.

    Stands before the host's head among the bases. The head it is mixed into gives what differs between heads,
    :meth:`pooled`, and hands pooled features and labels to :meth:`semantic_losses`.

    Args:
        num_classes: Number of classes C; None: as many as there are label vectors.
        in_channels: Channels of the pooled feature.
        label_vectors: (C, D) array, or the path of a file of label vectors.
        alpha: Weight of the semantic loss.
        loss: A name in :data:`pyskl_semloss.semantic.loss.LOSSES`, or a function like them.
        branch: ``"linear"`` or ``"mlp"``.
        temperature: Of the contrastive loss.
        rescale: Scale the vectors to the mean square of the paper's, so that alpha weighs alike for any vectors.
        seen_classes: The classes that have training clips, where not all have.
        **kwargs: The arguments of the host's head.

    Raises:
        InputError: An argument that neither this nor the host's head has; label vectors of a wrong shape, for other
            classes, or not finite; no such loss or branch.
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
        """Pooled features (N, in_channels), before dropout, of whatever the host's head takes."""
        raise NotImplementedError

    def semantic_losses(self, pooled: Tensor, label: Tensor) -> dict[str, Tensor]:
        """``loss_emb``, weighted by alpha, and the error under the loss's own name, for the log alone.

        Args:
            pooled: (N, in_channels) pooled features.
            label: (N,) integer classes.

        Raises:
            InputError: Not one label for each feature.
        """
        weighted, error = self.semantic_branch.loss(pooled, label)
        return {"loss_emb": weighted, self.semantic_branch.log_name: error}


def _check_names(head: type, names: Iterable[str]) -> None:
    """Refuse arguments that no ``__init__`` takes to which the head's own hands them on."""
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
    """Refuse labels that are not one class for each clip: which name a soft label stands for is not defined.

    Args:
        numbers: How many numbers the labels are.
        clips: How many clips they are of; None for the label of a single clip.
        clip: Its id.
        field: Where the labels come from.

    Raises:
        InputError: There are more or fewer numbers than clips.
    """
    if numbers != (1 if clips is None else clips):
        expected = "expected one class index" + ("" if clips is None else f" for each of {clips} clips")
        fix = "The semantic loss works with one class for each clip."
        raise InputError(f"{expected}, got {numbers} numbers", clip=clip, field=field, fix=fix)
