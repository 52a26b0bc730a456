"""Sentence vectors of class names and descriptions, by sentence-transformers."""

from __future__ import annotations

import contextlib
import hashlib
import logging
import os
import warnings
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np

from pyskl_semloss.errors import HostError, InputError
from pyskl_semloss.io.reading import did_you_mean, reason
from pyskl_semloss.io.resources import pip_install
from pyskl_semloss.io.tables import read_spreadsheet

PREFIX = "sentence:"


def read_descriptions(path: str | os.PathLike[str], class_names: Sequence[str]) -> dict[str, list[str]]:
    """Descriptions of classes from a table with the columns ``class`` and ``sentence``.

    Args:
        path: The table; a class may have several rows.
        class_names: The C names; each must have a row.

    Returns:
        Class name -> its sentences, in the order of the file.

    Raises:
        InputError: The table lacks a column, a row lacks its sentence or names no known class, or a class has no row.
    """
    table = read_spreadsheet(path)
    columns = table.column_indices(("class", "sentence"))
    absent = [name for name in ("class", "sentence") if name not in columns]
    if absent:
        raise InputError(
            table.missing_columns(absent), file=path, fix="Give a row for each description: class, sentence."
        )
    descriptions: dict[str, list[str]] = {name: [] for name in class_names}
    for line, cells in table.rows:
        name, sentence = (cells[columns[key]] if columns[key] < len(cells) else "" for key in ("class", "sentence"))
        if name not in descriptions:
            hint = did_you_mean(name, class_names)
            raise InputError(f"line {line}: there is no class {name!r}{hint}", file=path, field="class")
        if not sentence:
            raise InputError(f"line {line}: the class {name!r} has no sentence", file=path, field="sentence")
        descriptions[name].append(sentence)
    bare = [name for name, sentences in descriptions.items() if not sentences]
    if bare:
        raise InputError(
            f"{len(bare)} of {len(descriptions)} classes have no description", file=path, items=bare,
            fix="Give each class a row, if need be with its name as the sentence.",
        )  # fmt: skip
    return descriptions


def fill_template(template: str, class_names: Sequence[str]) -> dict[str, list[str]]:
    """One sentence for each class: the template with the name instead of ``{}``.

    Raises:
        InputError: The template has not exactly one ``{}``.

    Example:
        >>> fill_template("a person {}", ["waving"])
        {'waving': ['a person waving']}
    """
    if template.count("{}") != 1:
        fix = 'Write it as "a person {}".'
        raise InputError(f"expected one {{}} for the class name, got {template!r}", field="template", fix=fix)
    return {name: [template.replace("{}", name)] for name in class_names}


def encode(model: str, descriptions: Mapping[str, Sequence[str]]) -> tuple[np.ndarray, str]:
    """Mean sentence vector of each class, over unit vectors of its sentences.

    ``E[c] = mean(v / |v|)`` over the sentence vectors v of class c.

    Args:
        model: Folder of a sentence-transformers model, or the name of a model in the library's cache. Text towers of
            CLIP that the library loads work, too. Nothing is downloaded, and no code of the model runs.
        descriptions: Class name -> sentences, for C classes.

    Returns:
        (C, D) float32, and the SHA-256 of the model's weights.

    Raises:
        HostError: sentence-transformers is not installed.
        InputError: The model is not on this machine, or is no text encoder.
    """
    if not model:
        problem = f"expected {PREFIX}NAME or {PREFIX}FOLDER, got {PREFIX!r} alone"
        raise InputError(problem, field="vectors")
    encoder = _load(model)
    sentences = [sentence for texts in descriptions.values() for sentence in texts]
    with _quiet():
        vectors = np.asarray(
            encoder.encode(sentences, convert_to_numpy=True, show_progress_bar=False, normalize_embeddings=True),
            dtype=np.float64,
        )
    if vectors.ndim != 2 or not np.isfinite(vectors).all():
        raise InputError(f"the encoder {model!r} gave no finite vector for each sentence", field="vectors")
    ends = np.cumsum([len(texts) for texts in descriptions.values()])
    means = [part.mean(0) for part in np.split(vectors, ends[:-1])]
    return np.stack(means).astype(np.float32), _checksum(encoder)


def _load(model: str) -> Any:
    try:
        from sentence_transformers import SentenceTransformer
    except ImportError:
        raise HostError(f"sentence vectors need sentence-transformers; run: {pip_install('text')}") from None
    from transformers.utils import logging as transformers_logging

    # A bar for the weights is nobody's news here.
    transformers_logging.disable_progress_bar()
    try:
        with _quiet():
            return SentenceTransformer(model, device="cpu", local_files_only=True, trust_remote_code=False)
    except Exception as error:  # the library raises errors of many kinds, some of them of other libraries
        where = "is no sentence-transformers model" if os.path.isdir(model) else "is not on this machine"
        raise InputError(
            f"the text encoder {model!r} {where} ({type(error).__name__}: {reason(error)})",
            field="vectors",
            fix="Save it in a folder where there is a network, SentenceTransformer(NAME).save(FOLDER), and give "
            f"{PREFIX}FOLDER; or load it there once, and give its name.",
        ) from None


def _checksum(encoder: Any) -> str:
    """SHA-256 over the names and numbers of all weights: the same for each file format."""
    digest = hashlib.sha256()
    for name, tensor in sorted(encoder.state_dict().items()):
        digest.update(name.encode())
        digest.update(tensor.detach().cpu().float().contiguous().numpy().tobytes())
    return digest.hexdigest()


@contextlib.contextmanager
def _quiet() -> Iterator[None]:
    """Context without the library's bars, hints and warnings."""
    before = logging.root.manager.disable
    logging.disable(logging.WARNING)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        logging.disable(before)
