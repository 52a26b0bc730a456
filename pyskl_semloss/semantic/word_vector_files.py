"""Files of word vectors, streamed: GloVe text, word2vec text and binary, these gzipped, and gensim's ``.kv``.

What a file holds decides how it is read, not its name. Only the vectors that are asked for are kept in memory.
"""

from __future__ import annotations

import codecs
import difflib
import gzip
import io
import re
import zlib
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import IO, Any, cast

import numpy as np

from pyskl_semloss.errors import InputError
from pyskl_semloss.io.arrays import NpyRows
from pyskl_semloss.io.reading import open_regular
from pyskl_semloss.untrusted import safe_pickle

_LONGEST_LINE = 1 << 20
_LARGEST_DIMENSION = 100_000
_HEADER = re.compile(rb"(\d{1,12})[ \t]+(\d{1,12})[ \t]*\r?\n")
_OTHER = (
    "expected GloVe text, word2vec text or binary (plain or gzipped), or a gensim .kv, but the file is none of these"
)
_GZIP_ERRORS = (EOFError, zlib.error, gzip.BadGzipFile)
# A word, its vector as it stands in the file, and the number of the line (text) or of the word (binary).
_Record = tuple[bytes, bytes, int]
_Read = tuple[dict[str, np.ndarray], dict[str, list[str]], list[Path], str]


class _Doubt(Exception):
    """The number of words in a file is not what its header promises."""

    def __init__(self, problem: str, difference: int) -> None:
        super().__init__(problem)
        self.difference = difference


def read_word_vectors(path: Path, needed: Sequence[str]) -> _Read:
    """Read the vectors of the needed words; reading ends at the last match.

    Args:
        path: A file in one of the formats above. The first of two vectors of one word counts.
        needed: The words, spelled as the file spells them.

    Returns:
        word -> (D,) float32; missing word -> up to three words of the file that are spelled nearly the same; the
        further files that were read; and what is wrong with the header, where it is off by one and words are missing,
        else nothing.

    Raises:
        InputError: The file is in another format, malformed or truncated, or a needed vector holds NaN or infinity.
            Where its header promises other words than there are, the missing words are listed, too.
    """
    try:
        vectors, near, beside, doubt = _read(path, needed)
    except _GZIP_ERRORS as error:
        raise _bad_gzip(error, 0, path) from None
    except OSError as error:
        raise InputError(f"the file cannot be read ({error.strerror or error})", file=path) from None
    for word, vector in vectors.items():
        if not np.isfinite(vector).all():
            raise InputError(
                f"the vector of the word {word!r} holds NaN, infinity or a number beyond float32", file=path
            )
    return vectors, near, beside, doubt


class NearSpellings:
    """Search for the three nearest spellings of each wanted word.

    Of equally near spellings the earlier wins.

    Args:
        words: The wanted words.
        budget: Number of comparisons after which the search stops. Files begin with the common words.
    """

    def __init__(self, words: Sequence[str], budget: int = 4_000_000) -> None:
        self._matchers = {word: difflib.SequenceMatcher(None, "", word.lower(), autojunk=False) for word in words}
        self._best: dict[str, list[tuple[float, str]]] = {word: [] for word in words}
        self._budget = budget

    def forget(self, word: str) -> None:
        """Stop the search for a word that was found itself."""
        del self._matchers[word], self._best[word]

    def see(self, candidate: str) -> None:
        """Compare a word of the file with each wanted word."""
        if self._budget <= 0:
            return
        self._budget -= len(self._matchers)
        lower, length = candidate.lower(), len(candidate)
        for word, matcher in self._matchers.items():
            if abs(length - len(word)) > 3:
                continue
            best = self._best[word]
            cutoff = best[-1][0] if len(best) == 3 else 0.59
            matcher.set_seq1(lower)
            if matcher.quick_ratio() > cutoff and (ratio := matcher.ratio()) > cutoff:
                best.append((ratio, candidate))
                best.sort(key=lambda item: -item[0])
                del best[3:]

    def nearest(self) -> dict[str, list[str]]:
        """Wanted word -> at most three spellings, the nearest first."""
        return {word: [spelling for _, spelling in best] for word, best in self._best.items()}


def _read(path: Path, needed: Sequence[str]) -> _Read:
    with open_regular(path) as raw:
        zipped = raw.read(2) == b"\x1f\x8b"
    with _open(path, zipped) as stream:
        head = stream.read1(4096)
    if not head.strip():
        raise InputError("expected word vectors, but the file is empty", file=path)
    if head.startswith(b"PK\x03\x04"):
        raise InputError("this is a zip archive", file=path, fix="Unpack it and give one of the files in it.")
    if head.startswith(b"\x80"):
        if zipped:
            raise InputError("this is a gzipped gensim file", file=path, fix="Unzip it first.")
        return _read_keyed_vectors(path, needed)
    binary = _is_binary(head, path)
    with _open(path, zipped) as stream:
        if binary:
            vectors, near, doubt = _collect(_binary_records(stream, path), _binary_vector, needed, path)
        else:
            vectors, near, doubt = _collect(_text_records(stream, path), _text_vector, needed, path)
        return vectors, near, [], doubt


def _open(path: Path, zipped: bool) -> io.BufferedReader:
    return cast(io.BufferedReader, gzip.open(path, "rb")) if zipped else path.open("rb")


def _is_binary(head: bytes, path: Path) -> bool:
    header = _HEADER.match(head)
    sample = head[header.end() :] if header else head
    if _are_numbers(sample.partition(b"\n")[0].split()[1:2]):
        return False
    try:
        codecs.getincrementaldecoder("utf-8")().decode(sample)
        is_text = b"\0" not in sample
    except UnicodeDecodeError:
        is_text = False
    if not is_text and not header:
        raise InputError(_OTHER, file=path)
    return not is_text


def _collect(
    records: Iterator[_Record], decode: Callable[[bytes, int, Path], np.ndarray], needed: Sequence[str], path: Path
) -> tuple[dict[str, np.ndarray], dict[str, list[str]], str]:
    pending = {word.encode(): word for word in needed}
    spellings = NearSpellings(needed)
    vectors: dict[str, np.ndarray] = {}
    number, doubt = 0, ""
    try:
        for key, packed, number in records:
            if key in pending:
                word = pending.pop(key)
                spellings.forget(word)
                vectors[word] = decode(packed, number, path)
                if not pending:
                    break
            spellings.see(key.decode("utf-8", "replace"))
    except _GZIP_ERRORS as error:
        raise _bad_gzip(error, number, path) from None
    except _Doubt as error:
        doubt, near = str(error), spellings.nearest()
        if abs(error.difference) > 1:
            items = [f"{word}; near spellings: {', '.join(near[word]) or 'none'}" for word in pending.values()]
            problem = f"{doubt}: it is truncated, or its header is wrong; {len(pending)} of the words have no vector"
            raise InputError(problem, file=path, items=items, fix="Fetch it again, or mend its first line.") from None
    return vectors, spellings.nearest(), doubt


def _bad_gzip(error: Exception, number: int, path: Path) -> InputError:
    problem = f"the gzip file is truncated or damaged, after line or word {number} ({error})"
    return InputError(problem, file=path, fix="Fetch it again.")


def _text_records(stream: IO[bytes], path: Path) -> Iterator[_Record]:
    dimension, promised, number = 0, None, 0
    for number, raw in enumerate(iter(lambda: stream.readline(_LONGEST_LINE), b""), 1):
        if len(raw) == _LONGEST_LINE:
            raise InputError(f"line {number}: it has {_LONGEST_LINE} bytes or more; {_OTHER}", file=path)
        line = raw.rstrip()
        if number == 1:
            line = line.removeprefix(b"\xef\xbb\xbf")
            if header := _HEADER.fullmatch(line + b"\n"):
                promised, dimension = int(header[1]), int(header[2])
                continue
            dimension = len(line.split()) - 1
            _text_vector(b" ".join(line.split()[1:]), number, path)
        word, packed = _split(line, dimension, number, path)
        yield word, packed, number
    if promised is not None and promised != number - 1:
        problem = f"line 1: the header promises {promised} words, but {number - 1} lines follow"
        raise _Doubt(problem, promised - (number - 1))


def _split(line: bytes, dimension: int, number: int, path: Path) -> tuple[bytes, bytes]:
    if line.count(b" ") == dimension and b"\t" not in line:
        word, _, packed = line.partition(b" ")
        return word, packed
    fields = line.split()
    surplus = len(fields) - 1 - dimension
    # glove.840B has words with spaces in them (". . ."): no numbers, unlike what a vector that is too long has there.
    if surplus < 0 or (surplus and _are_numbers(fields[1 : 1 + surplus])):
        problem = f"line {number}: expected a word and {dimension} numbers, as line 1 has or promises"
        raise InputError(f"{problem}, got {max(len(fields) - 1, 0)}", file=path)
    return b" ".join(fields[: 1 + surplus]), b" ".join(fields[1 + surplus :])


def _are_numbers(fields: list[bytes]) -> bool:
    try:
        return bool([float(item) for item in fields])
    except ValueError:
        return False


def _text_vector(packed: bytes, number: int, path: Path) -> np.ndarray:
    fields = packed.split()
    if not _are_numbers(fields):
        sample = packed[:40].decode("utf-8", "replace")
        raise InputError(f"line {number}: expected numbers after the word, got {sample!r}", file=path)
    with np.errstate(over="ignore"):
        return np.array([float(item) for item in fields], dtype=np.float32)


def _binary_records(stream: IO[bytes], path: Path) -> Iterator[_Record]:
    promised, dimension = (int(number) for number in stream.readline(_LONGEST_LINE).split())
    size, buffer, start = 4 * dimension, b"", 0
    if not 0 < dimension <= _LARGEST_DIMENSION:
        problem = f"line 1: the header gives the dimension {dimension}, expected 1 to {_LARGEST_DIMENSION}"
        raise InputError(problem, file=path)
    for number in range(1, promised + 1):
        while (space := buffer.find(b" ", start)) < 0 or len(buffer) < space + 1 + size:
            block = stream.read(1 << 16)
            if not block and not buffer[start:].strip():
                problem = f"line 1: the header promises {promised} words, but the file has {number - 1}"
                raise _Doubt(problem, promised - (number - 1))
            if not block or (space < 0 and len(buffer) - start > _LONGEST_LINE):
                raise _cut_short(number, promised, dimension, path)
            buffer, start = buffer[start:] + block, 0
        # Google's writer ends each vector with a line break, gensim's does not.
        yield buffer[start:space].lstrip(b"\n"), buffer[space + 1 : space + 1 + size], number
        start = space + 1 + size
    if (buffer[start:] + stream.read(16)).strip():
        raise _Doubt(f"line 1: the file goes on after the {promised} words that its header promises", -promised - 2)


def _cut_short(number: int, promised: int, dimension: int, path: Path) -> InputError:
    problem = (
        f"word {number}: the header (line 1) promises {promised} words of {dimension} numbers, but no such word is "
        "here: the file is truncated, or its header is wrong"
    )
    return InputError(problem, file=path)


def _binary_vector(packed: bytes, number: int, path: Path) -> np.ndarray:
    return np.frombuffer(packed, "<f4").astype(np.float32)


class _Attributes(dict[str, Any]):
    """Stands for a gensim class while its pickle is read: its attributes as a plain dict, none of its code."""

    def __init__(self) -> None:
        super().__init__()

    def __setstate__(self, state: dict[str, Any]) -> None:
        # Not copied, so that a pickle cannot multiply one large state.
        self["state"] = state


def _keyed_vectors(path: Path) -> tuple[dict[str, int], np.ndarray | NpyRows, list[Path]]:
    names = ("KeyedVectors", "Word2VecKeyedVectors", "EuclideanKeyedVectors", "Vocab")
    advice = "If it is a gensim model, save its word vectors alone with model.wv.save(...) and give that file."
    try:
        model = safe_pickle.load(path, extra={("gensim.models.keyedvectors", name): _Attributes for name in names})
    except InputError as error:
        raise error.replace(fix=advice) from None
    state = model.get("state") if isinstance(model, _Attributes) else None
    if not isinstance(state, dict):
        raise InputError("expected gensim's KeyedVectors, got another pickle", file=path, fix=advice)
    # index2word is what gensim 3 wrote.
    words = state.get("index2word")
    index = state.get("key_to_index") or {
        word: row for row, word in enumerate(words if isinstance(words, list) else []) if isinstance(word, str)
    }
    matrix, beside = state.get("vectors"), []
    if matrix is None:
        beside = [path.with_name(path.name + ".vectors.npy")]
        if not beside[0].is_file():
            raise InputError(f"its vectors are in a second file, {beside[0].name}, which is not beside it", file=path)
        matrix = NpyRows(beside[0])
    if not isinstance(matrix, (np.ndarray, NpyRows)) or matrix.ndim != 2 or matrix.dtype.kind != "f":
        raise InputError("it does not hold a matrix of word vectors", file=path, fix=advice)
    if not isinstance(index, dict) or not all(type(row) is int and 0 <= row < len(matrix) for row in index.values()):
        raise InputError(f"its word list does not fit its matrix of {len(matrix)} word vectors", file=path, fix=advice)
    return index, matrix, beside


def _read_keyed_vectors(path: Path, needed: Sequence[str]) -> _Read:
    index, matrix, beside = _keyed_vectors(path)
    vectors = {word: np.array(matrix[index[word]], dtype=np.float32) for word in needed if word in index}
    spellings = NearSpellings([word for word in needed if word not in vectors])
    for word in index:
        if isinstance(word, str):
            spellings.see(word)
    return vectors, spellings.nearest(), beside, ""
