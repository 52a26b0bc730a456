"""Label vectors: one vector per class name, and their file with provenance."""

from __future__ import annotations

import json
import math
import os
import warnings
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from pyskl_semloss.errors import InputError, escape_control_characters
from pyskl_semloss.io.arrays import read_npy, read_npz, write_npz
from pyskl_semloss.io.reading import open_regular
from pyskl_semloss.semantic.class_names import (
    check_class_names,
    parse_aliases,
    read_class_names,
    refuse_numbered,
    split_words,
)
from pyskl_semloss.semantic.sentence_vectors import PREFIX, encode
from pyskl_semloss.semantic.word_vectors import DEFAULT_SOURCE, SHIPPED_SOURCE, FoundVectors, find_word_vectors

__all__ = [
    "LabelVectors",
    "build_label_vectors",
    "identical_classes",
    "load_matrix",
    "nearest_classes",
    "read_class_names",
    "split_words",
    "summary",
]

# Mean of the squared numbers of the paper's own matrix, to which its alpha = 20 belongs.
PAPER_MEAN_SQUARE = 0.0769


@dataclass(frozen=True, eq=False)
class LabelVectors:
    """One vector per class, with its provenance.

    Attributes:
        class_names: The C names, in the order of the labels.
        vectors: (C, D) float32, the mean of the word vectors of each name.
        words: The words that were averaged for each class, after aliases and skipping.
        source: The file or downloader name of the word vectors, or ``hash:DIM:SEED``.
        checksum: SHA-256 of the source file; for ``hash`` the seed, spelled out.
        notes: ``casing``, ``oov`` (the rule), ``aliases`` (those used), ``skipped`` (words left out), ``side_files``.

    Raises:
        InputError: The matrix is not valid (see :func:`load_matrix`), or the numbers of names, words and rows differ.
    """

    class_names: tuple[str, ...]
    vectors: np.ndarray
    words: tuple[tuple[str, ...], ...]
    source: str = ""
    checksum: str = ""
    notes: Mapping[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        object.__setattr__(self, "vectors", load_matrix(self.vectors, len(self.class_names)))
        check_class_names(self.class_names)
        if len(self.words) != len(self.class_names):
            raise InputError(
                f"expected the words of {len(self.class_names)} classes, got {len(self.words)}", field="words"
            )

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write an npz archive without pickles, atomically.

        Raises:
            InputError: The file cannot be written.
        """
        members = {
            "class_names": np.array(self.class_names),
            "vectors": self.vectors,
            "words": np.array([" ".join(words) for words in self.words]),
            "source": np.array(self.source),
            "checksum": np.array(self.checksum),
            "notes": np.array(json.dumps(dict(self.notes), ensure_ascii=False, sort_keys=True)),
        }
        write_npz(path, members)

    @classmethod
    def load(cls, path: str | os.PathLike[str]) -> LabelVectors:
        """Read a file written by :meth:`save`.

        Raises:
            InputError: The file is absent, damaged, of another kind, or its parts do not fit each other.
        """
        members = read_npz(path)
        missing = {"class_names", "vectors", "words", "source", "checksum", "notes"} - members.keys()
        if missing:
            raise InputError(f"this is no file of label vectors, it lacks {', '.join(sorted(missing))}", file=path)
        try:
            return cls(
                class_names=tuple(str(name) for name in members["class_names"]),
                vectors=members["vectors"],
                words=tuple(tuple(str(words).split()) for words in members["words"]),
                source=str(members["source"]),
                checksum=str(members["checksum"]),
                notes=_parse_notes(str(members["notes"])),
            )
        except InputError as error:
            raise error.located(file=path) from None
        except (TypeError, ValueError) as error:
            raise InputError(f"this is no file of label vectors ({error})", file=path) from None


def load_matrix(
    source: str | os.PathLike[str] | np.ndarray | Sequence[Any], num_classes: int | None = None
) -> np.ndarray:
    """Matrix of label vectors, (C, D) float32, as a checked copy.

    Args:
        source: An npz written by :meth:`LabelVectors.save`, an npy file, or an array-like.
        num_classes: Required number of rows C.

    Raises:
        InputError: The file cannot be read; the matrix has not two dimensions, not ``num_classes`` rows, or no columns;
            it is not of real numbers, or holds NaN, infinity, a number beyond float32, or a row of zeros.

    Example:
        >>> load_matrix([[1, 0, 0], [0, 1, 0]], num_classes=2).shape
        (2, 3)
    """
    file: str | None = None
    matrix: Any = source
    if isinstance(source, (str, os.PathLike)):
        file = os.fspath(source)
        matrix = _read_matrix(file)
    try:
        array = np.asarray(matrix)
    except ValueError as error:
        raise InputError(f"expected a matrix of numbers ({error})", field="label_vectors") from None

    def refuse(problem: str, fix: str | None = None) -> InputError:
        return InputError(problem, file=file, field="label_vectors", fix=fix)

    if array.dtype.kind not in "fiu":
        raise refuse(f"expected real numbers, got dtype {array.dtype}")
    if array.ndim != 2 or not array.size:
        raise refuse(f"expected a matrix (classes, dimension), got the shape {array.shape}")
    if num_classes is not None and len(array) != num_classes:
        raise refuse(
            f"expected {num_classes} classes, got {len(array)} rows",
            "Build it from the list of all class names, in order.",
        )
    with np.errstate(over="ignore"):
        result = np.array(array, dtype=np.float32, order="C")
    bad = np.flatnonzero(~np.isfinite(result).all(axis=1))
    if len(bad):
        raise refuse(f"NaN, infinity or a number beyond float32 in {len(bad)} rows, the first is row {bad[0]}")
    zero = np.flatnonzero(~result.any(axis=1))
    if len(zero):
        raise refuse(f"{len(zero)} rows are all zeros, the first is row {zero[0]}; no angle to such a vector exists")
    return result


def _parse_notes(text: str) -> dict[str, Any]:
    try:
        notes = json.loads(text)
    except RecursionError:
        raise ValueError("its notes are nested too deeply") from None
    if not isinstance(notes, dict):
        raise ValueError("its notes are no object of JSON")
    return notes


def _read_matrix(file: str) -> np.ndarray:
    if not os.path.lexists(file):
        raise InputError("there is no such file", file=file, fix="semloss label-vectors makes it.")
    with open_regular(file) as stream:
        magic = stream.read(6)
    if magic == b"\x93NUMPY":
        return read_npy(file)
    if not magic.startswith(b"PK"):
        raise InputError(
            "expected an npz of label vectors or an npy matrix",
            file=file,
            fix="semloss label-vectors makes one.",
        )
    members = read_npz(file)
    if "vectors" not in members:
        raise InputError(f"expected a member 'vectors', got {', '.join(sorted(members)) or 'nothing'}", file=file)
    return members["vectors"]


def build_label_vectors(
    class_names: Sequence[str],
    source: str | os.PathLike[str] = DEFAULT_SOURCE,
    *,
    aliases: Mapping[str, str | Sequence[str]] | None = None,
    oov: str = "error",
    descriptions: Mapping[str, Sequence[str]] | None = None,
) -> LabelVectors:
    """Label vectors as the mean word vector of each class name.

    ``E[c] = mean(v[w] for w in words(c))``, not normalised. The rule is that of Li et al., "Joint Skeletal and Semantic
    Embedding Loss for Micro-gesture Classification", 2023; with its names and vectors the result is bit-identical to
    its matrix.

    Args:
        class_names: The C names, in label order.
        source: See :func:`pyskl_semloss.semantic.word_vectors.find_word_vectors`; or ``sentence:`` and a text encoder,
            see :func:`pyskl_semloss.semantic.sentence_vectors.encode`.
        aliases: Word -> the word or words that stand for it, as a string (comma between words) or a sequence.
        oov: For words without a vector: ``"error"``, or ``"skip"`` to leave them out of the means.
        descriptions: Class name -> sentences, for a text encoder; without it the names are encoded.

    Returns:
        Label vectors (C, D).

    Raises:
        HostError: The source is a text encoder, and sentence-transformers is not installed.
        InputError: Words have no vector (all are listed), a name has no words, names begin with their labels, or the
            source is wrong.

    Example:
        >>> labels = build_label_vectors(["Touching face", "Crossing arms"], "hash:50:0")
        >>> labels.vectors.shape, labels.words
        ((2, 50), (('touching', 'face'), ('crossing', 'arms')))
    """
    if oov not in ("error", "skip"):
        raise InputError(f"expected 'error' or 'skip', got {oov!r}", field="oov")
    refuse_numbered(class_names)
    if os.fspath(source).startswith(PREFIX):
        return _of_sentences(class_names, os.fspath(source), descriptions, aliases)
    if descriptions is not None:
        raise InputError(
            f"word vectors know no sentences, and the source is {os.fspath(source)!r}",
            field="descriptions", fix=f"Give a text encoder as the source, {PREFIX}NAME_OR_FOLDER.",
        )  # fmt: skip
    pairs = [f"{word}={to if isinstance(to, str) else ','.join(to)}" for word, to in (aliases or {}).items()]
    stand_ins = parse_aliases(pairs)
    raw = [split_words(name) for name in class_names]
    wordless = [repr(name) for name, words in zip(class_names, raw, strict=True) if not words]
    if wordless or not raw:
        raise InputError(
            f"class names without any word: {', '.join(wordless) or 'the list is empty'}", field="class_names"
        )
    used = {word: list(to) for word, to in stand_ins.items() if any(word in words for words in raw)}
    if len(used) < len(stand_ins):
        unused = ", ".join(sorted(stand_ins.keys() - used))
        warnings.warn(f"{len(stand_ins) - len(used)} aliases name no word of the class names: {unused}", stacklevel=2)
    wanted = [[target for word in words for target in stand_ins.get(word, (word,))] for words in raw]
    known = find_word_vectors([word for words in wanted for word in words], source)
    kept = [tuple(word for word in words if word in known.vectors) for words in wanted]
    missing = sorted({word for words in wanted for word in words} - known.vectors.keys())
    if missing and (oov == "error" or not all(kept)):
        raise _missing_words(class_names, wanted, kept, known, source, oov)
    if known.doubt:
        warnings.warn(f"{known.source}: {known.doubt}; its last word may be one that is left out here", stacklevel=2)
    # Float32 throughout and in the order of the words, as for the released matrix.
    vectors = np.stack([np.mean(np.stack([known.vectors[word] for word in words]), axis=0) for words in kept])
    notes: dict[str, Any] = {"casing": "lower", "oov": oov, "aliases": used, "skipped": missing}
    if known.side_files:
        notes["side_files"] = known.side_files
    result = LabelVectors(tuple(class_names), vectors, tuple(kept), known.source, known.checksum, notes)
    _warn_of_twins(identical_classes(result))
    return result


def _warn_of_twins(twins: Sequence[Sequence[str]]) -> None:
    if twins:
        listed = "; ".join(" = ".join(repr(name) for name in group) for group in twins)
        warnings.warn(
            f"{len(twins)} groups of classes have the same vector, so no loss tells them apart: {listed}", stacklevel=3
        )


def _of_sentences(
    class_names: Sequence[str],
    source: str,
    descriptions: Mapping[str, Sequence[str]] | None,
    aliases: Mapping[str, str | Sequence[str]] | None,
) -> LabelVectors:
    if aliases:
        fix = "Give descriptions, which may say anything."
        raise InputError("a text encoder takes sentences, not words that stand for others", field="aliases", fix=fix)
    texts = {name: list((descriptions or {}).get(name, (name,))) for name in class_names}
    model = source.removeprefix(PREFIX)
    vectors, checksum = encode(model, texts)
    words = tuple(tuple(split_words(name)) for name in class_names)
    notes = {} if descriptions is None else {"descriptions": texts}
    name = os.path.basename(os.path.abspath(model)) if os.path.isdir(model) else model
    result = LabelVectors(tuple(class_names), vectors, words, f"{PREFIX}{name}", checksum, notes)
    twins: dict[bytes, list[str]] = {}
    for name, vector in zip(class_names, vectors, strict=True):
        twins.setdefault(vector.tobytes(), []).append(name)
    _warn_of_twins([tuple(names) for names in twins.values() if len(names) > 1])
    return result


def _missing_words(
    class_names: Sequence[str],
    wanted: Sequence[Sequence[str]],
    kept: Sequence[Sequence[str]],
    known: FoundVectors,
    source: str | os.PathLike[str],
    oov: str,
) -> InputError:
    missing = list(dict.fromkeys(word for words in wanted for word in words if word not in known.vectors))
    lines = []
    for word in missing:
        classes = [repr(name) for name, words in zip(class_names, wanted, strict=True) if word in words]
        near = ", ".join(known.near.get(word, [])) or "none"
        lines.append(f"{word} (in {', '.join(classes)}); near spellings: {near}")
    empty = [repr(name) for name, words in zip(class_names, kept, strict=True) if not words]
    lines += [f"no word at all is left for {', '.join(empty)}"] if oov == "skip" else []
    skip = "" if oov == "skip" else ", or leave such words out of the means with --oov skip"
    lines += [f"{known.doubt}: one more word may have been in it"] if known.doubt else []
    problem = f"no vector for {len(missing)} of the words in the class names"
    fix = f"Give words that stand for them, as --alias {missing[0]}=WORD or WORD,WORD{skip}."
    if os.fspath(source) == SHIPPED_SOURCE:
        fix += " A whole file of GloVe vectors knows more words than these, which are those of iMiGUE's class names."
    return InputError(problem, file=known.source, fix=fix, items=lines)


def identical_classes(labels: LabelVectors) -> list[tuple[str, ...]]:
    """Groups of classes with equal words in equal proportions in their names.

    Their label vectors are equal, so that no loss can separate them.

    Returns:
        Names of each group of two or more classes.

    Example:
        >>> identical_classes(build_label_vectors(["arms crossing", "touching face", "Crossing arms"], "hash:50"))
        [('arms crossing', 'Crossing arms')]
    """
    groups: dict[frozenset[tuple[str, int]], list[str]] = {}
    for name, words in zip(labels.class_names, labels.words, strict=True):
        counts = Counter(words)
        divisor = math.gcd(*counts.values())
        key = frozenset((word, count // divisor) for word, count in counts.items())
        groups.setdefault(key, []).append(name)
    return [tuple(names) for names in groups.values() if len(names) > 1]


def cosines(vectors: np.ndarray) -> np.ndarray:
    """Cosines between label vectors, ``cos[a, b] = E_a . E_b / (|E_a| |E_b|)``.

    Args:
        vectors: (C, D) label vectors, none of them zero.

    Returns:
        (C, C) float64.

    Example:
        >>> cosines(np.array([[1.0, 0.0], [3.0, 4.0]]))
        array([[1. , 0.6],
               [0.6, 1. ]])
    """
    units = vectors / np.linalg.norm(vectors.astype(np.float64), axis=1, keepdims=True)
    return units @ units.T


def nearest_classes(labels: LabelVectors, count: int = 3) -> list[tuple[float, str, str]]:
    """Pairs of classes with the highest cosine, the highest first.

    ``cos(a, b) = E_a . E_b / (|E_a| |E_b|)``.

    Args:
        labels: Vectors (C, D).
        count: Number of pairs.

    Returns:
        (cosine, name, name) of each pair.

    Example:
        >>> labels = LabelVectors(("a", "b", "c"), np.array([[1, 0], [3, 4], [0, 2]]), (("a",), ("b",), ("c",)), "", "")
        >>> [(round(cosine, 4), name, other) for cosine, name, other in nearest_classes(labels, 2)]
        [(0.8, 'b', 'c'), (0.6, 'a', 'b')]
    """
    table, names = cosines(labels.vectors), labels.class_names
    pairs = np.argwhere(np.triu(np.ones(table.shape, bool), 1))
    nearest = np.argsort(-table[tuple(pairs.T)], kind="stable")[:count]
    return [(float(table[row, other]), names[row], names[other]) for row, other in pairs[nearest]]


def summary(labels: LabelVectors) -> str:
    """Lines for the screen: size, source, scale, nearest classes, aliases, skipped words."""
    classes, dimension = labels.vectors.shape
    scale = float(np.mean(np.square(labels.vectors, dtype=np.float64)))
    lines = [
        f"{classes} classes, {dimension} dimensions, {len({word for words in labels.words for word in words})} words",
        f"source {labels.source} ({labels.checksum[:16]})",
        f"mean square per dimension {scale:.4f} (the paper's label vectors: {PAPER_MEAN_SQUARE}, with alpha 20)",
        *(f"cosine {cosine:.3f}  {name} | {other}" for cosine, name, other in nearest_classes(labels)),
        *(f"alias {word} = {', '.join(to)}" for word, to in labels.notes.get("aliases", {}).items()),
    ]
    if targets := labels.notes.get("transform"):
        lines.append(f"transformed: {', '.join(targets)}")
    if skipped := labels.notes.get("skipped"):
        lines.append(f"skipped, without a vector: {', '.join(skipped)}")
    return "\n".join(map(escape_control_characters, lines))
