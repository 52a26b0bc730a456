"""Word vectors of needed words, from each kind of source.

A source is ``shipped`` (GloVe for the words of iMiGUE's class names), ``hash`` (seeded random vectors), a local file
(GloVe text, word2vec text or binary, each also gzipped, or a gensim ``.kv``), or the name of a model of gensim's
downloader.
"""

from __future__ import annotations

import contextlib
import hashlib
import logging
import os
import re
import socket
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from pyskl_semloss.errors import InputError
from pyskl_semloss.io.files import sha256
from pyskl_semloss.io.reading import closest_names
from pyskl_semloss.io.resources import pip_install, resource_path
from pyskl_semloss.semantic.word_vector_files import read_word_vectors

DEFAULT_SOURCE = "glove-wiki-gigaword-300"
SHIPPED_SOURCE = "shipped"
"""The GloVe vectors of the words in iMiGUE's class names, which come with the package."""
SHIPPED_FILE = "glove.6B.300d.imigue48.txt"
# gensim-data has had no new model since 2018, so that a name that is not here is a slip of the pen.
DOWNLOADER_NAMES = (
    "conceptnet-numberbatch-17-06-300",
    "fasttext-wiki-news-subwords-300",
    "glove-twitter-25",
    "glove-twitter-50",
    "glove-twitter-100",
    "glove-twitter-200",
    "glove-wiki-gigaword-50",
    "glove-wiki-gigaword-100",
    "glove-wiki-gigaword-200",
    "glove-wiki-gigaword-300",
    "word2vec-google-news-300",
    "word2vec-ruscorpora-300",
)
# Root mean square of the numbers of glove.6B.300d, over the 48 words of the iMiGUE class names.
HASH_SCALE = 0.3577
NETWORK_TIMEOUT_S = 20.0


@dataclass(frozen=True)
class FoundVectors:
    """Vectors of a source for the requested words.

    Attributes:
        vectors: Word -> (D,) float32.
        near: Missing word -> up to three words of the source that are spelled nearly the same.
        source: The file's name, the downloader's name, or ``hash:DIM:SEED``.
        checksum: SHA-256 of the source file; for ``hash`` the seed, spelled out.
        side_files: Name -> SHA-256 of files that the source file refers to (the ``.vectors.npy`` of a ``.kv``).
        doubt: Where words are missing, what is wrong with the number of words that the file promises; else nothing.
    """

    vectors: dict[str, np.ndarray]
    near: dict[str, list[str]]
    source: str
    checksum: str
    side_files: dict[str, str] = field(default_factory=dict)
    doubt: str = ""


def find_word_vectors(words: Iterable[str], source: str | os.PathLike[str] = DEFAULT_SOURCE) -> FoundVectors:
    """Vectors of words in a source; a file is streamed up to the last match.

    Args:
        words: The words, spelled as the source spells them.
        source: ``shipped``; ``hash``, ``hash:DIM`` or ``hash:DIM:SEED``; a file; or a name of gensim's downloader.

    Raises:
        InputError: The source does not exist, cannot be fetched, or is malformed.
    """
    needed = list(dict.fromkeys(words))
    text = os.fspath(source)
    if text == "hash" or text.startswith("hash:"):
        dimension, seed = _parse_hash(text)
        vectors = {word: hash_vector(word, dimension, seed) for word in needed}
        return FoundVectors(vectors, {}, f"hash:{dimension}:{seed}", f"seed {seed}")
    path = resource_path(f"data/{SHIPPED_FILE}") if text == SHIPPED_SOURCE else _locate(text)
    vectors, near, beside, doubt = read_word_vectors(path, needed)
    side_files = {file.name: sha256(file) for file in beside}
    name = text if text in DOWNLOADER_NAMES else path.name
    return FoundVectors(vectors, near, name, sha256(path), side_files, doubt)


def hash_vector(word: str, dimension: int = 300, seed: int = 0) -> np.ndarray:
    """Random vector (D,) of a word, the same on every machine.

    The D numbers are normal with standard deviation ``HASH_SCALE``, from a generator whose seed is the SHA-256 of
    ``"SEED:WORD"``. They carry nothing of the word's meaning.

    Args:
        word: The word.
        dimension: Length D.
        seed: Seed.

    Returns:
        (D,) float32.

    Example:
        >>> bool((hash_vector("face") == hash_vector("face")).all()), hash_vector("face", 50).shape
        (True, (50,))
    """
    digest = hashlib.sha256(f"{seed}:{word}".encode()).digest()
    # RandomState, because its numbers are frozen; those of numpy's newer generators may change between versions.
    generator = np.random.RandomState(np.frombuffer(digest, "<u4"))
    return (generator.standard_normal(dimension) * HASH_SCALE).astype(np.float32)


def _parse_hash(text: str) -> tuple[int, int]:
    match = re.fullmatch(r"hash(?::([1-9]\d{0,4})(?::(\d{1,18}))?)?", text)
    if not match:
        raise InputError(f"expected hash, hash:DIM or hash:DIM:SEED, as in hash:300:0, got {text!r}", field="vectors")
    return int(match[1] or 300), int(match[2] or 0)


def _locate(source: str) -> Path:
    path = Path(source).expanduser()
    if path.is_file():
        return path
    if source in DOWNLOADER_NAMES:
        return _download(source)
    if path.is_dir():
        raise InputError("expected a file of word vectors, got a folder", file=path)
    if path.suffix in {".txt", ".vec", ".gz", ".bin", ".kv", ".zip", ".model"} or len(path.parts) > 1:
        raise InputError("there is no such file of word vectors", file=path)
    near = closest_names(source, (SHIPPED_SOURCE, *DOWNLOADER_NAMES), 3)
    raise InputError(
        f"{source!r} is neither 'shipped', nor 'hash', nor a file, nor a name of gensim's downloader",
        field="vectors",
        fix=f"{'Near names' if near else 'Its names'}: {', '.join(near or DOWNLOADER_NAMES)}.",
    )


def _download(name: str) -> Path:
    """The file of a downloader model: the one already on disk, else fetched; gensim's loader code never runs."""
    folder = Path(os.environ.get("GENSIM_DATA_DIR") or Path.home() / "gensim-data")
    path = folder / name / f"{name}.gz"
    if path.is_file():
        return path
    try:
        with _timeout_and_quiet():
            import gensim.downloader

            fetched = Path(gensim.downloader.load(name, return_path=True))
        if fetched.is_file():
            return fetched
        reason = f"{fetched.parent} is there, but holds no {fetched.name}"
    except ImportError:
        reason = f"gensim is not installed; run: {pip_install('glove')}"
    except Exception as error:  # gensim raises bare Exceptions, too
        reason = " ".join(str(error).split()) or type(error).__name__
    raise InputError(
        f"the word vectors {name!r} are not on this machine and could not be downloaded ({reason})",
        field="vectors",
        fix=f"Fetch {name}.gz by hand from the release {name!r} of github.com/RaRe-Technologies/gensim-data and save "
        f"it as {path}; or give a local file of word vectors, such as glove.6B.300d.txt; or 'shipped', which knows the "
        "words of iMiGUE's class names; or, without meaning, 'hash'.",
    ) from None


@contextlib.contextmanager
def _timeout_and_quiet() -> Iterator[None]:
    """Context with a network timeout and without the downloader's log of failed attempts."""
    before, logger = socket.getdefaulttimeout(), logging.getLogger("gensim.downloader")
    was_disabled = logger.disabled
    socket.setdefaulttimeout(NETWORK_TIMEOUT_S)
    logger.disabled = True
    try:
        yield
    finally:
        socket.setdefaulttimeout(before)
        logger.disabled = was_disabled
