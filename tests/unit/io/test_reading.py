"""Opening, limits, text, JSON, and values shown in messages."""

import json
import os
import socket
import types

import numpy as np
import pytest

from pyskl_semloss.errors import InputError
from pyskl_semloss.io import reading
from pyskl_semloss.io.reading import (
    data_size,
    memory_limit,
    open_regular,
    read_bytes,
    read_json,
    read_text,
    reason,
    shown,
    spoiled,
)


def test_the_limits():
    assert (reading.TEXT_LIMIT, reading.TABLE_LIMIT, reading.WHOLE_LIMIT) == (2**24, 2**27, 2**34)
    assert memory_limit(0) == 2**26 and memory_limit(1) == 2**26 + 32 and memory_limit(3 << 21) == 2**28


@pytest.fixture
def path(tmp_path):
    return tmp_path / "a.txt"


def refuse(read, *args, words):
    with pytest.raises(InputError, match=words) as error:
        read(*args)
    assert error.value.file == args[0]
    return error.value


def test_the_largest_file_that_a_limit_lets_pass(path):
    path.write_bytes(b"abc")
    assert read_bytes(path, 3) == b"abc" and read_bytes(path) == b"abc"
    refuse(read_bytes, path, 2, words="it has 3 bytes, more than the 2 that such a file may")
    with open_regular(path) as stream:
        assert stream.read() == b"abc"
    assert stream.closed


def test_what_is_no_file_says_what_it_is(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    os.mkfifo("pipe")
    with socket.socket(socket.AF_UNIX) as server:
        server.bind("socket")
    os.mkdir("folder")
    assert refuse(read_bytes, "folder", words="it is a folder, expected a regular file").fix is None
    assert refuse(read_bytes, "pipe", words="it is a pipe").fix == "Save its content as a file and give that."
    assert refuse(read_bytes, "/dev/zero", words="it is a device").fix
    refuse(read_bytes, "socket", words=r"the file cannot be read \(No such device or address\)")
    refuse(read_bytes, "absent", words="there is no such file")
    refuse(read_bytes, "folder/../pipe/x", words=r"the file cannot be read \(Not a directory\)")
    refuse(read_bytes, "a\0b", words=r"the file cannot be read \(embedded null byte\)")


def test_no_handle_stays_open(tmp_path):
    before = len(os.listdir("/proc/self/fd"))
    (tmp_path / "a").write_bytes(b"ab")
    for name in (tmp_path, tmp_path / "a", "/dev/zero"):
        with pytest.raises(InputError):
            read_bytes(name, 1)
    assert len(os.listdir("/proc/self/fd")) == before


def test_a_file_that_cannot_be_read_or_grows(path, monkeypatch):
    path.write_bytes(b"abcd")

    class Failing:
        def __init__(self, error):
            self.error = error

        def fileno(self):
            return os.open(path, os.O_RDONLY)

        def read(self, size):
            if self.error is None:
                return b"x" * size
            raise self.error

        def __enter__(self):
            return self

        def __exit__(self, *_):
            return False

    for error, words in (
        (OSError(5, "Input/output error"), r"cannot be read \(Input/output error\)"),
        (MemoryError(), r"cannot be read \(MemoryError\)"),
        (None, "more than the 4 bytes that it claims to have"),
    ):
        monkeypatch.setattr(os, "fdopen", lambda handle, mode, error=error: Failing(error))
        refuse(read_bytes, path, words=words)


def test_text_is_utf_8(path):
    path.write_bytes(b"\xef\xbb\xbfna\xc3\xafve\r\n")
    assert read_text(path) == "naïve\r\n"
    path.write_bytes(b"ab\xe9cd")
    refuse(read_text, path, words="expected UTF-8 text, got the byte 0xe9")
    path.write_bytes(b"a\0b")
    refuse(read_text, path, words="expected text, got a NUL character")
    refuse(read_text, path, 2, words="it has 3 bytes, more than the 2")


def test_json(path):
    value = {"a": [1, -2.5, None, True, "é"]}
    path.write_text(json.dumps(value))
    assert read_json(path) == value
    for text, words in (
        ("{", "expected JSON, but it cannot be read"),
        ("[" * 10**5, "expected JSON, but it is nested too deeply"),
        ("[NaN]", r"cannot be read \(NaN is no number of JSON\)"),
        ("-Infinity", r"-Infinity is no number of JSON"),
        ("9" * 5000, "expected JSON, but it cannot be read"),
    ):
        path.write_text(text)
        refuse(read_json, path, words=words)


@pytest.mark.parametrize(
    ("text", "first"),
    [
        ("joint 3, é, 日本, 😀", None),
        ("", None),
        # Not printable, and still of use: no-break space, zero-width joiner, soft hyphen.
        ("a\u00a0b\u200d\u00ad", None),
        ("a\nb\t", "U+000A"),
        ("\x1b[31m", "U+001B"),
        ("\x7f", "U+007F"),
        ("\ud800", "U+D800"),
        ("a\u2028", "U+2028"),
        ("\u2029", "U+2029"),
        ("\u2029\u2028", "U+2029"),
        *((chr(code), f"U+{code:04X}") for code in (0x202A, 0x202C, 0x202E, 0x2066, 0x2067, 0x2069)),
        # Marks turn the writing beside them, too.
        *((f"a{chr(code)}", f"U+{code:04X}") for code in (0x200E, 0x200F, 0x061C)),
        # XML can hold neither of the first two; none of them is a character.
        *((f"a{chr(code)}", f"U+{code:04X}") for code in (0xFFFE, 0xFFFF, 0xFDD0, 0xFDEF, 0x1FFFE, 0x10FFFF)),
        *((chr(code), None) for code in (0x2027, 0x202F, 0x2065, 0x206A)),
        *((chr(code), None) for code in (0x200B, 0x200D, 0x2010, 0x061B, 0x061D, 0xFFFD, 0xFDCF, 0xFDF0, 0x1FFFD)),
    ],
)
def test_characters_that_spoil_a_name(text, first):
    assert spoiled(text) == first


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (10**39, "1" + "0" * 39),
        (2**199 - 1, str(2**199 - 1)),
        (2**199, "a whole number of 200 bits"),
        (2**200, "a whole number of 201 bits"),
        (-(2**5000), "a whole number of 5001 bits"),
        (b"a" * 20, repr(b"a" * 20)),
        (b"a" * 21, repr(b"a" * 20) + "…"),
        (bytearray(b"ab"), "b'ab'"),
        (np.zeros((2, 3), "f4"), "an array of float32 (2, 3)"),
        (np.float32(1.5), repr(np.float32(1.5))),
        (np.str_("x" * 200), repr(np.str_("x" * 200))[:80]),
        (object(), "a object"),
        ([1, 2, 3], "[1, 2, 3]"),
        ([1, 2, 3, 4], "[1, 2, 3, ...]"),
        ((1, 2, 3, 4), "(1, 2, 3, ...)"),
        ({1, 2, 3, 4}, "{1, 2, 3, ...}"),
        (frozenset({1, 2, 3, 4}), "frozenset({1, 2, 3, ...})"),
        ({1: 2, 3: 4, 5: 6, 7: 8}, "{1: 2, 3: 4, 5: 6, ...}"),
        ([[1]], "[[1]]"),
        ([[[1]]], "[[[...]]]"),
        ("x" * 78, repr("x" * 78)),
        ("x" * 79, "'" + "x" * 37 + "..." + "x" * 38 + "'"),
        (1j, "1j"),
        (None, "None"),
    ],
)
def test_values_in_messages(value, text):
    assert shown(value) == text


def test_what_an_error_says_in_a_line():
    assert reason(OSError(2, "No such file or directory", "x")) == "No such file or directory"
    assert reason(ValueError("\n one\ntwo")) == "one"
    assert reason(KeyError()) == "KeyError"
    assert reason(ValueError("x" * 300)) == "x" * 200


def test_holes_are_no_data(tmp_path):
    path = tmp_path / "a"
    with open(path, "wb") as stream:
        stream.write(b"a" * (1 << 20))
        stream.seek(100 << 20)
        stream.write(b"b" * (1 << 20))
        stream.truncate(200 << 20)
    with open(path, "rb") as stream:
        stream.seek(5)
        assert os.fstat(stream.fileno()).st_size == 200 << 20
        assert data_size(stream.fileno()) == 2 << 20 and stream.tell() == 5
    # 64 MiB and 32 times the data are let pass: honest files hold zeros, too, which some copying turns into holes.
    for size, fine in (((64 << 20) + 32 * (2 << 20), True), ((64 << 20) + 32 * (2 << 20) + 1, False)):
        os.truncate(path, size)
        if fine:
            with open_regular(path):
                pass
        else:
            words = f"only {2 << 20} of its {size} bytes are there, the others are a hole in the file. It may be copied"
            with pytest.raises(InputError, match=words), open_regular(path):
                pass


def test_a_file_without_holes_has_all_its_bytes(tmp_path, monkeypatch):
    path = tmp_path / "a"
    path.write_bytes(bytes(1 << 20))
    with open(path, "rb") as stream:
        assert data_size(stream.fileno()) == 1 << 20
        # A file system that compresses, or counts late, says fewer blocks than there are data.
        real = os.fstat

        def fewer(handle):
            fields = {name: getattr(real(handle), name) for name in ("st_size",)}
            return types.SimpleNamespace(**fields, st_blocks=0)

        monkeypatch.setattr(os, "fstat", fewer)
        assert data_size(stream.fileno()) == 1 << 20
