"""The look at a pickle's opcodes: where it ends, what its objects cost, and what it may not claim."""

import pickle
import struct

import numpy as np
import pytest

from pyskl_semloss.io.reading import memory_limit
from pyskl_semloss.untrusted.pickle_scan import MOST_TUPLES, check_extent

HONEST = [
    None,
    1,
    -(2**70),
    1.5,
    "é" * 300,
    b"ab" * 200,
    (1, 2),
    (1, 2, 3, (4, ())),
    {1: [2, {3}]},
    frozenset("a"),
    True,
]
HONEST += [np.arange(3), bytearray(b"x"), 2**40, "a", [[]] * 3, ((1,), {"a": "a"}), 1j]
STRING = struct.pack("<I", 3) + b"abc"
# Each way to tell a length, and the bytes that follow.
LENGTHS = {
    "SHORT_BINSTRING": b"U\x03abc", "SHORT_BINBYTES": b"C\x03abc", "SHORT_BINUNICODE": b"\x8c\x03abc",
    "LONG1": b"\x8a\x03abc", "BINSTRING": b"T" + STRING, "LONG4": b"\x8b" + STRING, "BINUNICODE": b"X" + STRING,
    "BINBYTES": b"B" + STRING, "BINUNICODE8": b"\x8d" + struct.pack("<Q", 3) + b"abc",
    "BINBYTES8": b"\x8e" + struct.pack("<Q", 3) + b"abc", "BYTEARRAY8": b"\x96" + struct.pack("<Q", 3) + b"abc",
    "INT": b"I12\n", "STRING": b"S'a'\n", "UNICODE": b"Va\n", "GLOBAL": b"ca\nb\n", "BININT": b"J\1\2\3\4",
    "BINFLOAT": b"G" + bytes(8), "PERSID": b"Pa\n",
}  # fmt: skip


def cost(data):
    """Bytes of memory that the opcodes are said to take."""
    extent = check_extent(data)
    assert extent.end == len(data)
    return memory_limit(len(data)) - extent.memory


def refuse(data, words, kind=ValueError):
    with pytest.raises(kind, match=words):
        check_extent(data)


@pytest.mark.parametrize("protocol", range(pickle.HIGHEST_PROTOCOL + 1))
def test_honest_pickles_end_where_they_end(protocol):
    parts = [pickle.dumps(value, protocol) for value in [*HONEST, HONEST]]
    data = b"".join(parts)
    place = 0
    for part in parts:
        alone = check_extent(part)
        assert alone.end == len(part) and 0 < alone.memory < memory_limit(len(part))
        assert check_extent(data, place) == (place + len(part), alone.memory)
        place += len(part)


@pytest.mark.parametrize("name", LENGTHS)
def test_lengths_of_arguments(name):
    data = LENGTHS[name]
    assert check_extent(data + b".").end == len(data) + 1
    for end in range(1, len(data)):
        refuse(data[:end], "ends too early|a line without an end at byte [123]")
    refuse(data, "ends too early")


def test_lengths_that_are_signed_may_not_be_negative():
    for code in b"T\x8b":
        refuse(bytes([code]) + struct.pack("<i", -1) + b".", "negative length at byte 1")
        assert check_extent(bytes([code]) + bytes(4) + b".").end == 6
    for code, width in ((b"X", 4), (b"B", 4), (b"\x8d", 8), (b"\x8e", 8), (b"\x96", 8), (b"U", 1)):
        refuse(b"N0" + code + b"\xff" * width + b".", "ends too early")


@pytest.mark.parametrize(
    ("data", "expected"),
    [
        (b"N.", 32),
        (b"K\1.", 32),
        (b").", 32),
        (b"J\1\0\0\0.", 80),
        (b"I1\n.", 80),
        (b"G" + bytes(8) + b".", 80),
        (b"Pa\n.", 80),
        *((LENGTHS[name] + b".", 112) for name in ("SHORT_BINBYTES", "BINSTRING", "BYTEARRAY8", "STRING")),
        *((LENGTHS[name] + b".", 112) for name in ("SHORT_BINUNICODE", "BINUNICODE", "UNICODE", "GLOBAL")),
        (b"].", 120),
        (b"N\x85.", 136),
        (b"(t.", 136),
        (b"}.", 272),
        (b"\x8f.", 272),
        (b"N)R.", 304),
    ],
)
def test_what_objects_cost(data, expected):
    assert cost(data) == expected


def test_as_much_memory_as_the_length_allows():
    """Dicts, 256 bytes for one byte of the file, until 64 MiB and 32 times its length are spent."""

    def dicts(count):
        return b"(" + b"}" * count + b"t."

    most = ((64 << 20) + 32 * 3 - (16 + 104 + 16)) // (256 - 32)
    assert 0 <= check_extent(dicts(most)).memory < 256
    refuse(dicts(most + 1), "would take more than 73 MiB, far more than its size explains")
    # What follows the end gives no more, and is no reason to read on.
    refuse(dicts(most + 1) + bytes(100), "would take more than 73 MiB")
    assert check_extent(dicts(most) + bytes(100)).end == most + 3
    assert check_extent(bytes(7) + dicts(most), 7) == (most + 10, check_extent(dicts(most)).memory)
    refuse(b"}" * 3_000_000, "would take more than 155 MiB")


def test_as_many_tuples_as_are_allowed():
    assert MOST_TUPLES == 10_000
    assert check_extent(b"(" + b")" * 9_999 + b"t.").end == 10_002
    refuse(b"(" + b")" * 10_000 + b"t.", "more than 10000 tuples lie within one tuple")
    # A tuple is one more than what is in it; what is in a list does not count, as lists are no keys.
    deep = b")" + b"\x85" * 9_999
    check_extent(deep + b".")
    refuse(deep + b"\x85.", "tuples")
    check_extent(b"(" + b"N" * 20_000 + b"t.")
    check_extent(b"(" + b")" * 20_000 + b"l.")
    half = b"(" + b")" * 4_999 + b"t"
    for double in (half + half + b"\x86", half + b"2\x86", half + b"q\0h\0\x86", half + b"\x94h\0\x86"):
        refuse(double + b".", "tuples")
        check_extent(double.replace(b")", b"N", 1) + b".")
    refuse(b"N" + half + b"2\x86.", "tuples")
    third = b"(" + b")" * 3_333 + b"t"
    refuse(third * 3 + b"\x87.", "tuples")
    check_extent(third * 2 + b"N\x87.")


@pytest.mark.parametrize(
    ("data", "left"),
    [
        (b"N", 1), (b"NN", 2), (b")", 1), (b"N\x85", 1), (b"NN\x86", 1), (b"NNN\x87", 1), (b"NNNN\x87", 2),
        (b"(NNt", 1), (b"(NNl", 1), (b"(NNd", 1), (b"](Ne", 1), (b"]Na", 1), (b"}(NNu", 1), (b"}NNs", 1), (b"N2", 2),
        (b"(NN1", 0), (b"N(N0N1", 1), (b"Nq\0h\0", 2), (b"N\x94j\0\0\0\0", 2), (b"Np0\ng0\n", 2), (b"NNR", 1),
        (b"NNNR", 2), (b"(0N", 1), (b"N(N(0N1", 1),
        (b"NNb", 1), (b"NN\x81", 1), (b"NNN\x92", 1), (b"(NNo", 1), (b"(Nia\nb\n", 1), (b"NN\x93", 1), (b"NQ", 1),
        (b"\x80\x02N", 1), (b"\x95" + bytes(8) + b"N", 1), (b"\x8f(N\x90", 1), (b"(N\x91", 1),
    ],
)  # fmt: skip
def test_how_many_objects_opcodes_leave_on_the_stack(data, left):
    """As many can be popped and not one more."""
    check_extent(data + b"0" * left + b".")
    refuse(data + b"0" * (left + 1) + b".", "empty", LookupError)


def test_the_memo():
    for put, get in ((b"q%c", b"h%c"), (b"r%c\0\0\0", b"j%c\0\0\0"), (b"p%d\n", b"g%d\n")):
        check_extent(b"N" + put % 2 + get % 2 + b".")
        refuse(b"N" + put % 3 + b".", "memo index 3 beyond the opcodes, at byte 2")
        refuse(b"N" + put % 1 + get % 2 + b".", "2", LookupError)
    check_extent(b"N\x94N\x94h\1h\0.")
    refuse(b"N\x94N\x94h\2.", "2", LookupError)
    refuse(b"q\0.", "", LookupError)
    refuse(b"Np-1\ng-2\n.", "-2", LookupError)


def test_what_is_no_pickle():
    refuse(b"", "ends too early")
    refuse(b"N", "ends too early")
    refuse(b"NN\xff.", "unknown opcode 255 at byte 2")
    refuse(b"t.", "empty", LookupError)


def number(value):
    """The opcode of a long number."""
    data = value.to_bytes((value.bit_length() + 8) // 8, "little", signed=True)
    return b"\x8a" + bytes([len(data)]) + data if len(data) < 256 else b"\x8b" + struct.pack("<i", len(data)) + data


PRIME = (1 << 61) - 1
"""Whole numbers that differ by multiples of it have one hash."""
TOO_MANY = "keys of it are long numbers, long texts or tuples, more than 10000 in all"


def keyed(key, times):
    """A dict with a key from the memo, ``times`` times."""
    return key + b"q\x00(" + b"}h\x00Ns" * times + b"t."


@pytest.mark.parametrize(
    ("key", "work"),
    [
        (b"K\1", 0), (b"J\xff\xff\xff\xff", 0), (b"G" + bytes(8), 0), (b"N", 0), (b"\x88", 0),
        (number(2**63 - 1), 0), (number(2**64 - 1), 1), (number(-(2**64)), 1), (number(2 ** (8 * 1000)), 125),
        (b"I12345\n", 0), (b"L18446744073709551615L\n", 2), (b"I-9223372036854775808\n", 0),
        (b"L" + b"9" * 798 + b"L\n", 100), (b"X" + struct.pack("<I", 1000) + b"a" * 1000, 0),
        (b"X" + struct.pack("<I", 5 << 10) + b"a" * (5 << 10), 5), (b"V" + b"a" * 4096 + b"\n", 4),
        (b")", 2), (b"N\x85", 3), (b"N)\x86", 6), (b"(K\1K\2K\3K\4t", 6), (b"(K\1K\2\x91", 3),
        (b"cbuiltins\ncomplex\n(K\1K\2tR", 1), (b"cm\nn\n(tR", 1), (b"cm\nn\n()tR", 3), (b"cm\nn\n((NNNNttR", 7),
        (b"cm\nn\n(NNNNtR", 1), (b"cm\nn\n(NNNNNtR", 5),
        (b"cm\nn\n)\x81", 1), (b"(cm\nn\no", 1), (b"(im\nn\n", 1), (b"N\x85Nb", 3),
    ],
    ids=ascii,
)  # fmt: skip
def test_what_keys_cost(key, work):
    """So much that a dict with them may be there as often as the limit allows, and not once more."""
    most = 10_000 // work if work else 20_000
    check_extent(keyed(key, most))
    if work:
        refuse(keyed(key, most + 1), TOO_MANY)


@pytest.mark.parametrize("collect", [b"}(%su.", b"(%sd.", b"\x8f(%s\x90.", b"(%s\x91."])
def test_many_keys_of_one_hash_are_refused(collect):
    each = b"N" if collect[-2:] in (b"u.", b"d.") else b""
    for count, fine in ((5_000, True), (5_001, False)):
        data = collect % b"".join(number(PRIME << 64 | at) + each for at in range(count))
        if fine:
            assert check_extent(data).end == len(data)
        else:
            refuse(data, TOO_MANY)


def test_an_empty_state_does_not_hide_tuples():
    """Python's reader lets None pass as the state of anything."""
    refuse(b")" + b"\x85Nb" * 10_000 + b".", "tuples lie within one tuple")
    check_extent(b")" + b"\x85Nb" * 9_999 + b".")


def test_a_large_tuple_is_counted_with_all_its_items():
    row = b"(" + b"N" * 5_000 + b"tq\0"
    check_extent(row + b"}h\0Ns.")
    refuse(row + b"}h\0h\0\x86Ns.", TOO_MANY)


def test_holes_of_a_file_give_no_memory():
    dicts = b"(" + b"}" * 400_000 + b"t."
    data = b"X" + struct.pack("<I", 1 << 20) + bytes(1 << 20) + b"0" + dicts
    check_extent(data)
    with pytest.raises(ValueError, match="would take more than 76 MiB"):
        check_extent(data, size=len(dicts))
