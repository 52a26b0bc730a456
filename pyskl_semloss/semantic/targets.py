"""Transforms of label vectors: centred, whitened, orthonormal, simplex.

Word vectors share a common component: the mean cosine between two class names of iMiGUE is 0.36 with GloVe. The
transforms remove it, or make all classes equally far from each other. :func:`transform` keeps the mean square of the
given vectors, so that one alpha weighs alike.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np

from pyskl_semloss.errors import InputError
from pyskl_semloss.io.reading import did_you_mean
from pyskl_semloss.semantic.label_vectors import PAPER_MEAN_SQUARE, LabelVectors

_RANK = 1e-5
"""Singular values below this share of the largest are none: the vectors are float32."""


def rescaled(vectors: np.ndarray, mean_square: float = PAPER_MEAN_SQUARE) -> np.ndarray:
    """Vectors scaled by one factor to a given mean square per dimension.

    ``E sqrt(m / mean(E^2))`` with the mean square m.

    Args:
        vectors: (C, D) label vectors, not all zero.
        mean_square: New mean of the squared components; the default is that of the paper's vectors.

    Returns:
        (C, D) float32.

    Example:
        >>> rescaled(np.array([[3.0, 4.0]]), mean_square=0.125)
        array([[0.3, 0.4]], dtype=float32)
    """
    exact = np.asarray(vectors, np.float64)
    return (exact * np.sqrt(mean_square / np.mean(np.square(exact)))).astype(np.float32)


def centred(vectors: np.ndarray) -> np.ndarray:
    r"""Vectors without their mean: :math:`E_c - \frac{1}{C} \sum_k E_k`.

    Args:
        vectors: (C, D) label vectors.

    Returns:
        (C, D) float64.

    Raises:
        InputError: The vector of a class is the mean, so that no direction is left for it.

    Example:
        >>> centred(np.array([[3.0, 1.0], [1.0, 1.0]]))
        array([[ 1.,  0.],
               [-1.,  0.]])
    """
    exact = np.asarray(vectors, np.float64)
    result = exact - exact.mean(0)
    lengths, scale = np.linalg.norm(result, axis=1), np.abs(exact).max()
    if (lengths <= _RANK * scale).any():
        row = int(np.argmin(lengths))
        raise InputError(
            f"the vector of class {row} is the mean of all, so that nothing of it is left without the mean",
            field="transform",
            fix="Leave the transform out, or give the class another name.",
        )
    return result


def whitened(vectors: np.ndarray) -> np.ndarray:
    r"""Centred vectors whose directions all have the same variance.

    With the singular value decomposition :math:`E - \bar E = U S V^T` the result is :math:`\sqrt C\, U V^T` over the
    singular values that are not zero. If the C centred vectors have rank C - 1, as is usual in D > C dimensions, the
    result is the simplex, up to its scale.

    Args:
        vectors: (C, D) label vectors.

    Returns:
        (C, D) float64.

    Raises:
        InputError: The vector of a class is the mean.

    Example:
        >>> np.abs(whitened(np.array([[3.0, 1.0], [1.0, 1.0]]))).round(6)
        array([[1., 0.],
               [1., 0.]])
    """
    left, _, right = _directions(centred(vectors))
    return np.sqrt(len(vectors)) * left @ right


def orthonormal(vectors: np.ndarray) -> np.ndarray:
    r"""Nearest vectors of length 1 that are perpendicular to each other.

    :math:`U V^T` of :math:`E = U S V^T` (polar factor) minimises :math:`\lVert E / s - Q \rVert` over all frames Q with
    :math:`Q Q^T = 1` (Schönemann 1966): all classes are equally far from each other, and as near as possible to E.

    Args:
        vectors: (C, D) label vectors.

    Returns:
        (C, D) float64.

    Raises:
        InputError: The vectors are not linearly independent: more classes than dimensions, or classes that share a
            vector.

    Example:
        >>> orthonormal(np.array([[2.0, 0.0], [0.0, 5.0]])).round(6)
        array([[1., 0.],
               [0., 1.]])
    """
    left, rank, right = _directions(np.asarray(vectors, np.float64))
    if rank < len(vectors):
        problem = (
            f"the vectors of {len(vectors)} classes span {rank} dimensions, so that no {len(vectors)} perpendicular "
            "ones are near them"
        )
        raise InputError(problem, field="transform", fix=_more_dimensions(vectors, len(vectors)))
    return left @ right


def simplex(vectors: np.ndarray) -> np.ndarray:
    r"""Nearest vectors of length 1 with the largest possible equal angles.

    The cosine between any two is :math:`-1 / (C - 1)`: the corners of a regular simplex around the origin.

    Args:
        vectors: (C, D) label vectors, C at least 2.

    Returns:
        (C, D) float64.

    Raises:
        InputError: The centred vectors span fewer than C - 1 dimensions.

    Example:
        >>> corners = simplex(np.eye(3))
        >>> (corners @ corners.T).round(6)
        array([[ 1. , -0.5, -0.5],
               [-0.5,  1. , -0.5],
               [-0.5, -0.5,  1. ]])
    """
    left, rank, right = _directions(centred(vectors))
    if rank < len(vectors) - 1:
        problem = (
            f"the vectors of {len(vectors)} classes span {rank} dimensions around their mean, a simplex needs "
            f"{len(vectors) - 1}"
        )
        raise InputError(problem, field="transform", fix=_more_dimensions(vectors, len(vectors) - 1))
    corners = left @ right
    return corners / np.linalg.norm(corners, axis=1, keepdims=True)


def _more_dimensions(vectors: np.ndarray, needed: int) -> str:
    """Fix for vectors that span too few dimensions."""
    if vectors.shape[1] < needed:
        return f"Take word vectors of at least {needed} dimensions; these have {vectors.shape[1]}."
    if len(np.unique(vectors, axis=0)) < len(vectors):
        return "Give classes that share a vector names of different words."
    return "Give some classes names of other words: their vectors are sums of those of other classes."


TARGETS: dict[str, Callable[[np.ndarray], np.ndarray]] = {
    "centred": centred,
    "whitened": whitened,
    "orthonormal": orthonormal,
    "simplex": simplex,
}
"""Name -> function of (C, D) label vectors."""
_SUM_IS_ZERO = ("centred", "whitened", "simplex")
"""Of their results none is independent of the others, so that no perpendicular vectors are near them."""


def transform(labels: LabelVectors, names: Sequence[str]) -> LabelVectors:
    """Label vectors after the named transforms, with their mean square kept.

    Args:
        labels: Vectors (C, D); their words, source and checksum are kept.
        names: Names in ``TARGETS``, in order; ``notes["transform"]`` of the result lists them.

    Returns:
        Label vectors (C, D).

    Raises:
        InputError: A transform is unknown, or not defined for these vectors.

    Example:
        >>> labels = LabelVectors(("a", "b"), np.array([[3.0, 1.0], [1.0, 1.0]]), ((), ()), "", "")
        >>> transform(labels, ["centred"]).vectors.round(4)
        array([[ 2.4495,  0.    ],
               [-2.4495,  0.    ]], dtype=float32)
    """
    vectors = labels.vectors.astype(np.float64)
    if len(vectors) < 2:
        raise InputError("there is one class, and a transform needs two or more", field="transform")
    before = labels.notes.get("transform", [])
    for name in names:
        if name not in TARGETS:
            problem = f"there is no transform {name!r}{did_you_mean(name, TARGETS)}"
            raise InputError(problem, field="transform", fix=f"There are {', '.join(TARGETS)}.")
        if name == "orthonormal" and before and before[-1] in _SUM_IS_ZERO:
            raise InputError(
                f"the vectors add up to zero after {before[-1]!r}, so that no perpendicular ones are near them",
                field="transform",
                fix="Take 'orthonormal' alone or first, or 'simplex', which is the nearest to it around zero.",
            )
        vectors = TARGETS[name](vectors)
        before = [*before, name]
    scaled = rescaled(vectors, float(np.mean(np.square(labels.vectors, dtype=np.float64))))
    notes = {**labels.notes, "transform": before}
    return LabelVectors(labels.class_names, scaled, labels.words, labels.source, labels.checksum, notes)


def transform_with(labels: LabelVectors, further: np.ndarray, names: Sequence[str]) -> tuple[LabelVectors, np.ndarray]:
    r"""Label vectors and vectors of further names after the same transforms.

    The maps are fitted to the label vectors alone: the mean that is taken away is theirs. The other transforms are
    linear, :math:`M = (E - \bar E)^+ E'`, so that of a further vector only what lies in the span of the label vectors
    is left.

    Args:
        labels: The C label vectors, as they were before any transform.
        further: (F, D) vectors of further names.
        names: Names in ``TARGETS``, in order.

    Returns:
        What :func:`transform` gives, and (F, D) float32 with its scale.

    Raises:
        InputError: As :func:`transform`; or nothing is left of a further vector.

    Example:
        >>> labels = LabelVectors(("a", "b"), np.array([[3.0, 1.0], [1.0, 1.0]]), (("a",), ("b",)))
        >>> after, further = transform_with(labels, np.array([[2.0, 3.0]]), ["centred"])
        >>> bool((abs(further @ after.vectors.T) < 1e-6).all())
        True
    """
    result = transform(labels, names)
    vectors, extra = labels.vectors.astype(np.float64), np.asarray(further, np.float64)
    for name in names:
        shift = vectors.mean(0) if name in _SUM_IS_ZERO else np.zeros(vectors.shape[1])
        after = TARGETS[name](vectors)
        left = extra - shift
        extra = left if name == "centred" else left @ np.linalg.pinv(vectors - shift, rcond=_RANK) @ after
        vectors = after
    lengths = np.linalg.norm(extra, axis=1)
    if (lengths <= _RANK * np.linalg.norm(vectors, axis=1).max()).any():
        row = int(np.argmin(lengths))
        problem = f"nothing is left of the vector of further name {row} after {', '.join(map(repr, names))}"
        raise InputError(problem, field="transform", fix="Word the name otherwise.")
    scale = np.linalg.norm(result.vectors.astype(np.float64)) / np.linalg.norm(vectors)
    return result, (scale * extra).astype(np.float32)


def _directions(vectors: np.ndarray) -> tuple[np.ndarray, int, np.ndarray]:
    """U (C, R) and V^T (R, D) over the R singular values that are not zero, and R."""
    left, values, right = np.linalg.svd(vectors, full_matrices=False)
    rank = int((values > _RANK * values[0]).sum())
    return left[:, :rank], rank, right[:rank]
