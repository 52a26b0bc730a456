"""Controls: label vectors that carry no meaning of the class names.

If meaning is what helps, real label vectors must beat them. Each control has the classes, the dimension and the mean
square of the given vectors, so that one alpha weighs alike.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np

from pyskl_semloss.errors import InputError
from pyskl_semloss.semantic.label_vectors import LabelVectors
from pyskl_semloss.semantic.word_vectors import hash_vector

_ATTEMPTS = 10_000


def shuffled(labels: LabelVectors, seed: int = 0) -> LabelVectors:
    """The same vectors, randomly permuted so that no class keeps its own.

    ``E'[c] = E[p(c)]`` with a random permutation p for which ``E[p(c)] != E[c]`` for every class c. The geometry stays,
    the assignment is wrong. ``words`` moves along with the vectors.

    Args:
        labels: Vectors (C, D).
        seed: Seed of the permutation.

    Returns:
        Label vectors (C, D).

    Raises:
        InputError: There is no such permutation, because more than half of the classes share a vector.

    Example:
        >>> from pyskl_semloss.semantic.label_vectors import build_label_vectors
        >>> labels = build_label_vectors(["nod", "shrug"], "hash:4")
        >>> bool((shuffled(labels).vectors == labels.vectors[::-1]).all())
        True
    """
    rng = np.random.RandomState(seed)
    _, which = np.unique(labels.vectors, axis=0, return_inverse=True)
    which = which.reshape(-1)
    for _ in range(_ATTEMPTS):
        order = rng.permutation(len(which))
        if (which[order] != which).all():
            break
    else:
        raise InputError(
            f"found no order of the {len(which)} label vectors in which every class has another vector than its own",
            field="label_vectors",
        )
    return LabelVectors(
        labels.class_names,
        labels.vectors[order],
        tuple(labels.words[index] for index in order),
        f"shuffled:{seed} of {labels.source}",
        labels.checksum,
        _notes(labels, "shuffled", seed, vector_of_class=order.tolist()),
    )


def random_like(labels: LabelVectors, seed: int = 0) -> LabelVectors:
    """Random directions, uniform on the sphere, with the given vectors' lengths.

    ``E'[c] = |E[c]| u / |u|`` with normal numbers u (D,).

    Args:
        labels: Vectors (C, D).
        seed: Seed of the random numbers.

    Returns:
        Label vectors (C, D).

    Example:
        >>> from pyskl_semloss.semantic.label_vectors import build_label_vectors
        >>> labels = build_label_vectors(["nod", "shrug"], "hash:4")
        >>> lengths = np.linalg.norm([labels.vectors, random_like(labels).vectors], axis=2)
        >>> bool(np.allclose(lengths[0], lengths[1]))
        True
    """
    rng = np.random.RandomState(seed)
    drawn = rng.standard_normal(labels.vectors.shape)
    length = np.linalg.norm(labels.vectors.astype(np.float64), axis=1, keepdims=True)
    vectors = drawn / np.linalg.norm(drawn, axis=1, keepdims=True) * length
    nothing: tuple[tuple[str, ...], ...] = ((),) * len(labels.class_names)
    notes = _notes(labels, "random", seed)
    return LabelVectors(labels.class_names, vectors, nothing, f"random:{seed}", f"seed {seed}", notes)


def hash_like(labels: LabelVectors, seed: int = 0) -> LabelVectors:
    """Means of random word vectors over the words of each class name.

    ``E'[c] = s mean(hash_vector(w) for w in words[c])``; s is such that the mean square is that of the given vectors.
    Classes that share words are neighbours; the meaning of the words is unknown.

    Args:
        labels: Vectors (C, D) with the words of each class.
        seed: Seed of the word vectors.

    Returns:
        Label vectors (C, D).

    Raises:
        InputError: A class has no words.

    Example:
        >>> from pyskl_semloss.semantic.label_vectors import build_label_vectors
        >>> labels = build_label_vectors(["nod", "shrug"], "hash:4:0")
        >>> bool(np.isclose((hash_like(labels, 7).vectors ** 2).mean(), (labels.vectors**2).mean()))
        True
    """
    wordless = [repr(name) for name, words in zip(labels.class_names, labels.words, strict=True) if not words]
    if wordless:
        raise InputError(f"these label vectors are of no words, so that none can be hashed: {', '.join(wordless)}")
    dimension = labels.vectors.shape[1]
    vectors = np.stack(
        [np.mean([hash_vector(word, dimension, seed) for word in words], axis=0) for words in labels.words]
    ).astype(np.float64)
    scale = math.sqrt(np.mean(np.square(labels.vectors, dtype=np.float64)) / np.mean(np.square(vectors)))
    source = f"hash:{dimension}:{seed}"
    notes = _notes(labels, "hash", seed, scale=scale)
    return LabelVectors(labels.class_names, vectors * scale, labels.words, source, f"seed {seed}", notes)


CONTROLS: dict[str, Callable[[LabelVectors, int], LabelVectors]] = {
    "hash": hash_like,
    "shuffled": shuffled,
    "random": random_like,
}
"""Name -> function of the given label vectors and a seed."""


def _notes(labels: LabelVectors, control: str, seed: int, **more: Any) -> dict[str, Any]:
    """Notes of a control, with those of the given vectors inside."""
    given = {"source": labels.source, "checksum": labels.checksum, "notes": dict(labels.notes)}
    return {"control": control, "seed": seed, "given": given, **more}
