"""Mutations that know a format, so that most of what they make gets past lengths and checksums.

Each takes bytes and a generator of random numbers, and gives bytes, or None where the bytes are not of its format.
"""

import ast
import gzip
import io
import math
import pickletools
import random
import re
import struct
import warnings
import zipfile
from collections.abc import Callable

import numpy as np

Mutation = Callable[[bytes, random.Random], bytes | None]
LARGEST = 1 << 20
"""Bytes that a member is unpacked to."""
_NUMBERS = (0, 1, -1, 2, 3, 7, 127, 128, 255, 256, 1 << 15, 1 << 31, (1 << 31) - 1, 1 << 32, 1 << 62, 1 << 63, 10**30)
_LITERALS = (
    b"1e400",
    b"-1e308",
    b"nan",
    b"inf",
    b"-0",
    b"1_0",
    b"0x1",
    b"",
    b" ",
    "\u0663".encode(),
    b"9" * 400,
    b"9" * 5000,
)
_TOKENS = re.compile(rb"[A-Za-z_]+|-?\d+(?:\.\d+)?(?:[eE][+-]?\d+)?|\s+|.", re.DOTALL)
_MAGIC = b"\x93NUMPY\x01\x00"
_HEADERS = tuple(
    word.encode()
    for word in (
        "'descr' 'fortran_order' 'shape' True False , ( ) { } : '<f4' '>f8' '|u1' '<i8' '|b1' '<U3' '<U0' '|S2' '|O' "
        "'<M8[s]' '|V4' (3,) () (0,) (2,3) (-1,-3) (1<<40,) [('a','<i4')]"
    ).split()
)
_GLOBALS = (
    b"cnumpy\nndarray\n", b"cnumpy\ndtype\n", b"cnumpy.core.multiarray\n_reconstruct\n", b"cposix\nmkdir\n",
    b"cnumpy._core.multiarray\nscalar\n", b"cnumpy._core.numeric\n_frombuffer\n", b"c_codecs\nencode\n",
    b"c__builtin__\nset\n", b"cbuiltins\nbytearray\n", b"cbuiltins\ncomplex\n", b"cbuiltins\nfrozenset\n",
    b"cbuiltins\ngetattr\n", b"ccollections\nOrderedDict\n", b"ctorch._utils\n_rebuild_tensor_v2\n", b"ctorch\nSize\n",
    b"ctorch._utils\n_rebuild_parameter\n", b"ctorch.storage\n_load_from_bytes\n", b"ctorch\nFloatStorage\n",
    b"cmmengine.logging.history_buffer\nHistoryBuffer\n", b"ctorch\nfloat32\n", b"ctorch\ndevice\n",
    b"cgensim.models.keyedvectors\nKeyedVectors\n",
)  # fmt: skip
_OPCODES = (
    *_GLOBALS, *(op.code.encode("latin1") for op in pickletools.opcodes if op.arg is None and op.name != "STOP"),
    b"K\x00", b"K\x01", b"J\xff\xff\xff\xff", b"h\x00", b"q\x00", b"h\x01", b"G\x7f\xf0\0\0\0\0\0\0", b"X\0\0\0\0",
    b"U\x02f4", b"U\x02O8", b"C\x00", b"\x85R", b"\x86R", b"\x87R", b"tR", b"\x86b", b"\x8a\x09\0\0\0\0\0\0\0\0\x01",
)  # fmt: skip


def edited(parts: list[bytes], words: tuple[bytes, ...], rng: random.Random) -> list[bytes]:
    """The parts with some left out, repeated, moved, or words put in."""
    parts = list(parts)
    for _ in range(rng.choice((1, 1, 1, 2, 3, 5))):
        start = rng.randrange(len(parts) + 1)
        stop = min(len(parts), start + rng.choice((1, 1, 1, 2, 3, 8, 40)))
        how = rng.randrange(6)
        if how == 0:
            del parts[start:stop]
        elif how == 1:
            parts[start:start] = parts[start:stop] * rng.choice((1, 1, 2, 10))
        elif how == 2:
            moved = parts[start:stop]
            del parts[start:stop]
            at = rng.randrange(len(parts) + 1)
            parts[at:at] = moved
        elif how == 3:
            parts[start : start + 1] = [rng.choice(words)]
        else:
            parts.insert(start, rng.choice(words))
    return parts


def text(*words: str) -> Mutation:
    """Of tokens: names, numbers, white space, single characters."""
    all_words = (*(word.encode() for word in words), *(b"%d" % number for number in _NUMBERS), *_LITERALS)

    def mutate(data: bytes, rng: random.Random) -> bytes:
        parts = _TOKENS.findall(data)
        numbers = [at for at, part in enumerate(parts) if part[-1:].isdigit()]
        if numbers and rng.random() < 0.3:
            for _ in range(rng.choice((1, 1, 2))):
                parts[rng.choice(numbers)] = rng.choice((b"%d" % rng.choice(_NUMBERS), *_LITERALS))
            return b"".join(parts)
        return b"".join(edited(parts, all_words, rng))

    return mutate


def zipped_text(data: bytes, rng: random.Random) -> bytes | None:
    """Of the text in a gzip file."""
    try:
        with gzip.GzipFile(fileobj=io.BytesIO(data)) as stream:
            content = stream.read(LARGEST)
    except Exception:
        return None
    return gzip.compress(text("a", "b", "2 3", "\n")(content, rng), 1, mtime=0)


def opcodes(data: bytes) -> list[bytes]:
    """The opcodes of one or several pickles with their arguments, and what follows them."""
    parts, start = [], 0
    while start < len(data):
        places = []
        try:
            places = [start + (place or 0) for _, _, place in pickletools.genops(data[start:])]
            end = places[-1] + 1
        except Exception:
            places, end = [*places, start], len(data)
        parts += [data[a:b] for a, b in zip(places, [*places[1:], end], strict=True)]
        start = end
    return parts


def pickled(data: bytes, rng: random.Random) -> bytes:
    """Of the opcodes of a pickle, and of their arguments."""
    parts = opcodes(data)
    if parts and rng.random() < 0.5:
        for _ in range(rng.choice((1, 1, 2, 4))):
            at = rng.randrange(len(parts))
            parts[at] = _with_other_argument(parts, at, rng)
        return b"".join(parts)
    return b"".join(edited(parts, _OPCODES, rng))


def _with_other_argument(parts: list[bytes], at: int, rng: random.Random) -> bytes:
    part = parts[at]
    code, argument = part[:1], part[1:]
    known = pickletools.code2op.get(code.decode("latin1"))
    if known is None or known.arg is None or not argument:
        return part
    size, number = known.arg.n, rng.choice(_NUMBERS)
    if size > 0:
        return code + (
            (number % (1 << 8 * size)).to_bytes(size, "little") if rng.random() < 0.7 else rng.randbytes(size)
        )
    if size == pickletools.UP_TO_NEWLINE:
        lines = argument.split(b"\n")
        lines[rng.randrange(max(len(lines) - 1, 1))] = rng.choice((b"%d" % number, b"True", b"01", b"'a'", b"numpy"))
        return code + b"\n".join(lines)
    width = {pickletools.TAKEN_FROM_ARGUMENT1: 1, pickletools.TAKEN_FROM_ARGUMENT8U: 8}.get(size, 4)
    content = argument[width:]
    if b"\x80\x02\x8a\nl\xfc" in content[:14]:
        content = pickled(content, rng)
    elif rng.random() < 0.3:
        content = rng.choice([other[1 + width :] for other in parts if other[:1] == code])
    elif content and rng.random() < 0.7:
        content = _bytes_changed(content, rng)
    else:
        content = rng.choice(
            (b"", b"O8", b"<f8", b"|b1", b"U5", "\u2028".encode(), b"\xed\xa0\x80", b"../a", b"a" * 300)
        )
    return code + (len(content) % (1 << 8 * width)).to_bytes(width, "little") + content


def _bytes_changed(data: bytes, rng: random.Random) -> bytes:
    if rng.random() < 0.3:
        at = rng.randrange(len(data) + 1)
        return data[:at] + data[at + rng.randrange(9) :] + rng.randbytes(rng.randrange(9))
    changed = bytearray(data)
    for _ in range(rng.choice((1, 1, 2, 8))):
        at = rng.randrange(len(changed)) if changed else 0
        size = min(rng.choice((1, 2, 4, 8)), len(changed) - at)
        value = rng.choice(_NUMBERS) if rng.random() < 0.6 else rng.getrandbits(8 * max(size, 1))
        special = struct.pack("<f", rng.choice((math.nan, math.inf, -0.0, 1e-40, 3e38))), struct.pack("<d", 1e308)
        new = rng.choice(special)[:size] if rng.random() < 0.2 else (value % (1 << 8 * max(size, 1))).to_bytes(8, "little")[:size]  # noqa: E501 # fmt: skip
        changed[at : at + size] = new
    return bytes(changed)


def npy(data: bytes, rng: random.Random) -> bytes | None:
    """Of an npy file's header, whose length is made right, or of its numbers."""
    if not data.startswith(_MAGIC):
        return None
    start = 10 + int.from_bytes(data[8:10], "little")
    head, body = data[10:start], data[start:]
    if rng.random() < 0.4 and body:
        body = _bytes_changed(body, rng)
    else:
        head = b"".join(edited(_TOKENS.findall(head.rstrip()), (*_HEADERS, *(b"%d" % n for n in _NUMBERS)), rng))
    if rng.random() < 0.7:
        body = _fitted(head, body)
    head = head.rstrip() + b"\n"
    return _MAGIC + (len(head) % (1 << 16)).to_bytes(2, "little") + head + body


def _fitted(head: bytes, body: bytes) -> bytes:
    """As many bytes as the header says, where it says something."""
    try:
        found = ast.literal_eval(head.decode())
        size = int(math.prod(found["shape"])) * np.dtype(found["descr"]).itemsize
        return (body + bytes(size))[:size] if 0 <= size < 1 << 14 else body
    except Exception:
        return body


def archive(inner: Mutation, method: int | None = None) -> Mutation:
    """Of the members of a zip archive, their names and their order; checksums are made anew."""

    def mutate(data: bytes, rng: random.Random) -> bytes | None:
        try:
            with zipfile.ZipFile(io.BytesIO(data)) as found:
                if sum(info.file_size for info in found.infolist()) > LARGEST:
                    return None
                members = [(info.filename, found.read(info)) for info in found.infolist()]
        except Exception:
            return None
        if not members:
            return None
        for _ in range(rng.choice((1, 1, 2))):
            _change_members(members, inner, rng)
        kind = rng.choice((zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED)) if method is None else method
        stream = io.BytesIO()
        with warnings.catch_warnings(), zipfile.ZipFile(stream, "w", kind) as made:
            warnings.simplefilter("ignore")  # two of one name
            for name, content in members:
                made.writestr(zipfile.ZipInfo(name), content, kind)
        return stream.getvalue()

    return mutate


def _change_members(members: list[tuple[str, bytes]], inner: Mutation, rng: random.Random) -> None:
    at, other = rng.randrange(len(members)), rng.randrange(len(members))
    (name, content), how = members[at], rng.randrange(12)
    if how == 0 and len(members) > 1:
        del members[at]
    elif how == 1:
        members.insert(other, (name, content))
    elif how == 2:
        members[at] = members[other][0], content
    elif how == 3:
        members[at] = name, members[other][1]
    elif how == 4:
        members[at] = (
            rng.choice(("../a.npy", "a/", "/a", "a", name.upper(), name + "x", "data.pkl", "version")),
            content,
        )
    else:
        members[at] = name, inner(content, rng) or _bytes_changed(content, rng)


def checkpoint_member(data: bytes, rng: random.Random) -> bytes | None:
    """Of the pickle of a checkpoint; its other members are plain bytes."""
    return pickled(data, rng) if data.startswith(b"\x80") and data.endswith(b".") else None
