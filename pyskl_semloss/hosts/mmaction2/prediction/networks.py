"""What models say about clips: scores with names, as the test's metric keeps them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from pyskl_semloss.evaluation.scores import Scores
from pyskl_semloss.hosts.mmaction2.data.samples import field


@dataclass(frozen=True, eq=False)
class Prediction:
    """What the models say about N clips.

    Attributes:
        scores: Probabilities (N, C), fused where there are two models, with the class names; with the cosine to each
            class name where every model has the semantic branch.
        parts: The scores of each model by its modality.
    """

    scores: Scores
    parts: Mapping[str, Scores]

    @property
    def class_names(self) -> tuple[str, ...]:
        """The C names."""
        return self.scores.class_names

    @property
    def probability(self) -> np.ndarray:
        """(N, C)."""
        return self.scores.score

    def top(self, count: int = 5) -> list[tuple[tuple[str, float], ...]]:
        """The most probable classes of each clip with their probabilities, best first."""
        return ranked(self.scores.score, self.class_names, count)

    def nearest(self, count: int = 5) -> list[tuple[tuple[str, float], ...]]:
        """The classes whose names are nearest to each clip's embedding with their cosines; nothing without a branch."""
        cosine = self.scores.semantic_cosine
        return [() for _ in self.scores.sample_id] if cosine is None else ranked(cosine, self.class_names, count)


def ranked(score: np.ndarray, names: Sequence[str], count: int) -> list[tuple[tuple[str, float], ...]]:
    """The ``count`` highest of each row (N, C) with their names; of equal ones the lower class comes first."""
    order = np.argsort(-score, axis=1, kind="stable")[:, :count]
    return [tuple((names[k], float(row[k])) for k in best) for row, best in zip(score, order, strict=True)]


def scores_of(samples: Sequence[Any], class_names: tuple[str, ...]) -> Scores:
    """The predictions of a batch, as :class:`ScoreMetric` keeps them."""
    semantic = [sample.get("pred_semantic") for sample in samples]
    columns = {} if semantic[0] is None else {
        f"semantic_{name}": np.stack([one.get(name).float().cpu().numpy() for one in semantic])
        for name in ("cosine", "distance")
    }  # fmt: skip
    return Scores(
        np.array([sample.sample_id for sample in samples]),
        np.stack([field(sample, "pred_score").float().cpu().numpy() for sample in samples]),
        np.array([int(field(sample, "gt_label").reshape(-1)[0]) for sample in samples]),
        **columns,
        class_names=class_names,
    )


def joined(batches: Sequence[Scores]) -> Scores:
    """The scores of several batches of one model, in their order."""

    def column(name: str) -> Any:
        values = [getattr(batch, name) for batch in batches]
        return None if values[0] is None else np.concatenate(values)

    names = ("sample_id", "score", "label", "semantic_cosine", "semantic_distance")
    return Scores(**{name: column(name) for name in names}, class_names=batches[0].class_names)
