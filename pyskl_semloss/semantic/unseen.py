"""Names of classes that a model never saw: their vectors, and the nearest name among trained and further ones."""

from __future__ import annotations

import re
import warnings
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from pyskl_semloss.errors import InputError
from pyskl_semloss.io.reading import fold_name, short_repr
from pyskl_semloss.semantic.class_names import check_class_names, split_words
from pyskl_semloss.semantic.label_vectors import LabelVectors, build_label_vectors
from pyskl_semloss.semantic.sentence_vectors import PREFIX, fill_template
from pyskl_semloss.semantic.targets import transform_with
from pyskl_semloss.semantic.word_vectors import SHIPPED_FILE, SHIPPED_SOURCE

TEMPERATURE = 0.1
"""Divides the cosines before their softmax, as in the fusion with the nearest name."""
_TOLERANCE = 1e-3
"""Of the rebuilt label vectors, relative to their length: text encoders differ by rounding between machines."""


@dataclass(frozen=True)
class FurtherNames:
    """Names of F classes that a model was not trained on.

    Attributes:
        names: The F names.
        vectors: The source of their word or sentence vectors, that of the model's label vectors; where it is None, the
            recorded source, if that is ``hash`` or ``shipped``.
        seen_bias: Subtracted from the cosines of the trained names before they are compared with the further ones.

    Raises:
        InputError: There are no names, one is there twice, or the bias is no number.
    """

    names: tuple[str, ...]
    vectors: str | None = None
    seen_bias: float = 0.0

    def __post_init__(self) -> None:
        object.__setattr__(self, "names", tuple(map(str, self.names)))
        if not self.names:
            raise InputError("expected names of further classes, got none", field="names")
        check_class_names(self.names)
        twice = sorted({name for name in self.names if list(map(fold_name, self.names)).count(fold_name(name)) > 1})
        if twice:
            raise InputError(f"{short_repr(twice[0])} is there twice", field="names")
        if not np.isfinite(self.seen_bias):
            raise InputError(f"expected a finite number, got {self.seen_bias!r}", field="seen_bias")


def further_vectors(labels: LabelVectors, names: Sequence[str], source: str | None = None) -> np.ndarray:
    """Vectors of further names, built like a model's label vectors.

    The vectors of the model's own names are built, too: unless they are those that the model has, but for one factor,
    the source, or the rules, are not those of its training. Transforms are fitted to the model's own names alone.

    Args:
        labels: The model's C names and (C, D) label vectors with their source and notes.
        names: The F further names.
        source: As of :func:`pyskl_semloss.semantic.label_vectors.build_label_vectors`. Without it the recorded one is
            taken if it is ``hash`` or ``shipped``; a file or a text encoder that a record names is not opened.

    Returns:
        (F, D) float32, at the scale of the model's vectors.

    Raises:
        HostError: A text encoder is asked for, and sentence-transformers is not installed.
        InputError: A name is known already, the source is not there or another, or it lacks words.

    Example:
        >>> labels = build_label_vectors(["nod", "shrug"], "hash:4:0")
        >>> further_vectors(labels, ["shrug off"]).shape
        (1, 4)
    """
    _refuse_known(names, labels.class_names)
    origin = _recorded_source(labels) if source is None else source
    rules = _recorded_rules(labels)
    both = [*labels.class_names, *names]
    try:
        built = build_label_vectors(
            both, origin, aliases=_used_aliases(rules["aliases"], both), oov=rules["oov"],
            descriptions=_sentences(rules["descriptions"], labels.class_names, names),
        )  # fmt: skip
    except InputError as error:
        if not error.items:
            raise
        raise error.replace(fix="Word the names otherwise, or give the label vectors' own source.") from None
    skipped = sorted(set(built.notes.get("skipped", ())) - set(labels.notes.get("skipped", ())))
    if skipped:
        warnings.warn(f"words of further names without a vector are left out: {', '.join(skipped)}", stacklevel=2)
    count = len(labels.class_names)
    own = replace(built, class_names=built.class_names[:count], vectors=built.vectors[:count],
                  words=built.words[:count])  # fmt: skip
    further = built.vectors[count:]
    if rules["transform"]:
        own, further = transform_with(own, further, rules["transform"])
    return (_scale(own.vectors, labels, origin) * further).astype(np.float32)


def _scale(own: np.ndarray, labels: LabelVectors, source: str) -> float:
    """The factor from the vectors that were built to those that the model has.

    Raises:
        InputError: There is none: they are others.
    """
    theirs, ours = labels.vectors.astype(np.float64), own.astype(np.float64)
    scale = float(np.sum(ours * theirs) / np.sum(ours**2)) if ours.shape == theirs.shape else 0.0
    if scale <= 0 or np.linalg.norm(scale * ours - theirs) > _TOLERANCE * np.linalg.norm(theirs):
        recorded = f" from {short_repr(labels.source)} ({labels.checksum[:16]})" if labels.source else ""
        raise InputError(
            f"the vectors of the model's own names, built from {short_repr(source)}, are not its label vectors",
            field="vectors",
            fix=f"Give the source that they were built from{recorded}.",
        )
    return scale


def _refuse_known(names: Sequence[str], known: Sequence[str]) -> None:
    folded = set(map(fold_name, known))
    both = [name for name in names if fold_name(name) in folded]
    if both:
        raise InputError(
            f"{len(both)} of the {len(names)} names are known to the model already",
            field="names", items=map(repr, both), fix="Give the names of further classes alone.",
        )  # fmt: skip


def _recorded_source(labels: LabelVectors) -> str:
    """The recorded source, where nothing needs to be opened that a record names."""
    if "control" in labels.notes:
        problem = f"the label vectors are a control ({short_repr(labels.notes['control'])}), not those of the names"
        raise InputError(problem, field="label_vectors", fix="Take a model that was trained with vectors of names.")
    if re.fullmatch(r"hash:[1-9]\d{0,4}:\d{1,18}", labels.source):
        return labels.source
    if labels.source == SHIPPED_FILE:
        return SHIPPED_SOURCE
    if not labels.source:
        problem = "what the model's label vectors were built from is not recorded"
        fix = "Give the file of label vectors that it was trained with, --label-vectors FILE.npz."
        raise InputError(problem, field="label_vectors", fix=fix)
    encoder = labels.source.startswith(PREFIX)
    missing = f"that text encoder, --vectors {PREFIX}NAME_OR_FOLDER" if encoder else "that file, --vectors FILE"
    raise InputError(
        f"the model's label vectors were built from {short_repr(labels.source)}, which is not opened by itself",
        field="vectors", fix=f"Give {missing}.",
    )  # fmt: skip


def _recorded_rules(labels: LabelVectors) -> dict[str, Any]:
    """Aliases, rule for words without a vector, descriptions and transforms of the notes.

    Raises:
        InputError: They are not what :func:`build_label_vectors` writes.
    """
    notes = labels.notes
    rules: dict[str, Any] = {"aliases": {}, "oov": "error", "descriptions": None, "transform": []}
    rules = {key: notes.get(key, value) for key, value in rules.items()}
    descriptions = rules["descriptions"]
    fits = (
        _are_word_lists(rules["aliases"])
        and rules["oov"] in ("error", "skip")
        and (descriptions is None or _are_word_lists(descriptions))
        and _are_words(rules["transform"])
    )
    if not fits:
        problem = "the notes of the label vectors are not as semloss label-vectors writes them"
        raise InputError(problem, field="notes", fix="Give the file of label vectors, --label-vectors FILE.npz.")
    return rules


def _are_words(value: object) -> bool:
    return isinstance(value, list) and all(isinstance(word, str) for word in value)


def _are_word_lists(value: object) -> bool:
    return isinstance(value, dict) and all(map(_are_words, value.values()))


def _used_aliases(aliases: Mapping[str, Sequence[str]], names: Sequence[str]) -> dict[str, Sequence[str]]:
    words = {word for name in names for word in split_words(name)}
    return {word: to for word, to in aliases.items() if word in words}


def _sentences(
    descriptions: Mapping[str, Sequence[str]] | None, known: Sequence[str], names: Sequence[str]
) -> dict[str, Sequence[str]] | None:
    """Sentences of all names: the recorded ones, and for further names their template, or the names themselves."""
    if descriptions is None:
        return None
    first = next(iter(descriptions.get(known[0], ())), "")
    template = first.replace(known[0], "{}") if known[0] in first else ""
    if template.count("{}") == 1 and fill_template(template, known) == {n: descriptions.get(n) for n in known}:
        return dict(fill_template(template, [*known, *names]))
    problem = "the trained classes were described by sentences; of further ones the names are encoded"
    warnings.warn(problem, stacklevel=3)
    return {**descriptions, **{name: [name] for name in names}}


def calibrated(cosine: np.ndarray, seen: Sequence[int] | np.ndarray, bias: float) -> np.ndarray:
    """Cosines with a bias subtracted for the names of trained classes.

    Embeddings are nearer to these names than they should be.

    Calibrated stacking: Chao, Changpinyo, Gong, Sha, "An Empirical Study and Analysis of Generalized Zero-Shot Learning
    for Object Recognition in the Wild", ECCV 2016.

    Args:
        cosine: (N, C) cosines of embeddings to names.
        seen: Columns of the trained classes.
        bias: What is subtracted from them.

    Returns:
        (N, C) float64.

    Example:
        >>> calibrated(np.array([[0.75, 0.5]]), seen=[0], bias=0.5)
        array([[0.25, 0.5 ]])
    """
    result = np.array(cosine, np.float64)
    result[:, np.asarray(seen, np.int64)] -= bias
    return result


def with_further_names(
    probability: np.ndarray, cosine: np.ndarray, bias: float = 0.0, temperature: float = TEMPERATURE
) -> np.ndarray:
    r"""Probabilities of trained and further classes, from the classifier and the names.

    With :math:`q = \mathrm{softmax}(\cos / \tau)` over all names, a further class has :math:`q_f`; the rest of the
    probability, :math:`1 - \sum_f q_f`, is shared among the trained classes as the classifier shares it.

    Args:
        probability: (N, C) of the classifier.
        cosine: (N, C + F) cosines of the embeddings to the trained and then the further names.
        bias: Subtracted from the cosines of the trained names.
        temperature: The smaller, the more the nearest name counts.

    Returns:
        (N, C + F) float32; rows sum to what they did.

    Example:
        >>> with_further_names(np.array([[0.75, 0.25]]), np.array([[0.5, 0.5, 0.5]])).round(3).tolist()
        [[0.5, 0.16699999570846558, 0.3330000042915344]]
    """
    classes = probability.shape[1]
    scaled = calibrated(cosine, np.arange(classes), bias) / temperature
    names = np.exp(scaled - scaled.max(1, keepdims=True))
    further = names[:, classes:] / names.sum(1, keepdims=True)
    total = np.asarray(probability, np.float64).sum(1, keepdims=True)
    trained = probability * (1 - further.sum(1, keepdims=True))
    return np.concatenate([trained, further * total], axis=1).astype(np.float32)
