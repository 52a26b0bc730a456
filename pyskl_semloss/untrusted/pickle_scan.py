"""A look at a pickle's opcodes before it is read, so that a few bytes cannot claim all memory or end the process.

The stack machine is followed without making its objects: of each it is only known of how many tuples it consists, and
how much work it is to hash and compare it. Of that the keys of dicts and the members of sets may take only so much: the
hashes of numbers and tuples can be chosen, so that a dict compares each key with all others.
"""

from __future__ import annotations

import mmap
import pickletools
from typing import NamedTuple

from pyskl_semloss.io.reading import memory_limit

MOST_TUPLES = 10_000
"""Tuples within one tuple, each as often as it is named: hashing a dict's key goes through all of them, in C."""

MOST_KEYS = 10_000
"""Work of all keys of dicts and members of sets together.

A text below 1 KiB, a float and a whole number of up to 64 bits are none, others 1 for each KiB or each 64 bits; a tuple
is 1, and 1 for each item; an object that is made by a call is 1."""

_LENGTHS = {
    pickletools.TAKEN_FROM_ARGUMENT1: (1, False),
    pickletools.TAKEN_FROM_ARGUMENT4: (4, True),
    pickletools.TAKEN_FROM_ARGUMENT4U: (4, False),
    pickletools.TAKEN_FROM_ARGUMENT8U: (8, False),
}
_CODE = {op.name: ord(op.code) for op in pickletools.opcodes}


def _codes(names: str) -> frozenset[int]:
    return frozenset(_CODE[name] for name in names.split())


_ARGUMENT = {ord(op.code): op.arg.n if op.arg else 0 for op in pickletools.opcodes}
# What an opcode takes from the stack (from below the mark, where it takes all down to one) and leaves there.
_TO_MARK = {ord(op.code) for op in pickletools.opcodes if pickletools.markobject in op.stack_before}
_TAKES = {
    ord(op.code): op.stack_before.index(pickletools.markobject) if ord(op.code) in _TO_MARK else len(op.stack_before)
    for op in pickletools.opcodes
}
_LEAVES = {ord(op.code): [0] * len(op.stack_after) for op in pickletools.opcodes}
_TUPLES = {_CODE["EMPTY_TUPLE"]: 0, _CODE["TUPLE1"]: 1, _CODE["TUPLE2"]: 2, _CODE["TUPLE3"]: 3}
_GETS = _codes("GET BINGET LONG_BINGET")
_MEMO = _GETS | _codes("PUT BINPUT LONG_BINPUT MEMOIZE")
_LINES, _TWO_LINES = _codes("GET PUT"), _codes("GLOBAL INST")
_TUPLE, _MARK, _POP, _DUP, _STOP, _MEMOIZE, _SETITEM, _BUILD, _REDUCE = (
    _CODE[name] for name in ("TUPLE", "MARK", "POP", "DUP", "STOP", "MEMOIZE", "SETITEM", "BUILD", "REDUCE")
)
_CALLS = _codes("NEWOBJ NEWOBJ_EX OBJ INST")
# How far apart the keys are among the objects that are taken down to the mark.
_KEYS = dict.fromkeys(_codes("SETITEMS DICT"), 2) | dict.fromkeys(_codes("ADDITEMS FROZENSET"), 1)
_FROZENSET = _CODE["FROZENSET"]
_UNUSUAL = frozenset({*_TO_MARK, *_TUPLES, *_MEMO, *_CALLS, _REDUCE, _MARK, _POP, _DUP, _STOP, _SETITEM, _BUILD})
_BYTES = _codes("LONG1 LONG4")
_DIGITS, _LONGEST_INT = _codes("INT LONG"), 21
_STRINGS = _codes(
    "STRING BINSTRING SHORT_BINSTRING BINBYTES SHORT_BINBYTES BINBYTES8 UNICODE SHORT_BINUNICODE BINUNICODE BINUNICODE8"
)
_SIZED = _BYTES | _DIGITS | _STRINGS
_SHORT = 9
"""No argument of an opcode of fixed length is longer, and no 64-bit number in binary, with its length in one byte."""
# Of an object its work is kept, and its tuples above this many bits: both sums are taken at once.
_SHIFT = 64
_ONE_TUPLE, _TOO_MANY_TUPLES = (1 << _SHIFT) + 1, (MOST_TUPLES + 1) << _SHIFT
_FEW_ARGUMENTS = _ONE_TUPLE + 4

# Bytes of memory that an opcode's object takes, rounded up; the characters of a string are counted by the file's size.
_COST = dict.fromkeys(_ARGUMENT, 16)
_COST |= dict.fromkeys(_codes("BININT BININT2 INT LONG LONG1 LONG4 FLOAT BINFLOAT PERSID BINPERSID"), 64)
_COST |= dict.fromkeys(_codes("STRING BINSTRING SHORT_BINSTRING BINBYTES SHORT_BINBYTES BINBYTES8 BYTEARRAY8"), 96)
_COST |= dict.fromkeys(_codes("UNICODE SHORT_BINUNICODE BINUNICODE BINUNICODE8 GLOBAL STACK_GLOBAL"), 96)
_COST |= dict.fromkeys(_codes("TUPLE TUPLE1 TUPLE2 TUPLE3 LIST EMPTY_LIST"), 104)
_COST |= dict.fromkeys(_codes("EMPTY_DICT DICT EMPTY_SET FROZENSET REDUCE NEWOBJ NEWOBJ_EX OBJ INST BUILD"), 256)


def _work(code: int, size: int) -> int:
    """What hashing and comparing a number or text whose argument has ``size`` bytes costs."""
    if code in _STRINGS:
        return size >> 10
    return 0 if code in _DIGITS and size <= _LONGEST_INT else max(size >> 3, 1)


def _of_call(arguments: int) -> int:
    """The work of what is made of arguments: that of what is in them, but that of a number of a few plain ones."""
    return 1 if arguments <= _FEW_ARGUMENTS else arguments - _ONE_TUPLE


class Extent(NamedTuple):
    """Where a pickle ends, and the bytes of memory that are left for what its calls make."""

    end: int
    memory: int


def check_extent(data: bytes | mmap.mmap, start: int = 0, size: int | None = None) -> Extent:
    """Refuse a pickle whose opcodes reach beyond its end, or whose objects would take far more bytes than it has.

    Python's reader allocates a string of the length that the file claims before it reads it, and a memo as long as the
    largest index that the file names (64 GB for five bytes).

    Args:
        data: The pickle, or a file with several.
        start: Where it begins.
        size: Bytes of the data that take room on the disk, where there are fewer than its length.

    Raises:
        ValueError: An opcode is unknown, an argument ends beyond the data, a memo index exceeds the number of opcodes,
            the end mark is missing, tuples lie within tuples more than ``MOST_TUPLES`` times, keys are more work than
            ``MOST_KEYS``, or the objects would take more than :func:`pyskl_semloss.io.reading.memory_limit` of its
            length.
        LookupError: Something is taken from an empty stack or memo.
    """
    place, end, count, cost = start, len(data), 0, 0
    there = end if size is None else size
    most = memory_limit(min(end - start, there))
    machine = _Machine()
    stack = machine.stack
    while place < end:
        code, first = data[place], place + 1
        length = _ARGUMENT.get(code)
        if length is None:
            raise ValueError(f"unknown opcode {code} at byte {place}")
        place = first + length if length >= 0 else _after_argument(data, first, code, length)
        count += 1
        cost += _COST[code]
        if cost > most:
            raise _too_much(most)
        if code not in _UNUSUAL:
            if takes := _TAKES[code]:
                del stack[-takes:]
            stack += _LEAVES[code]
            if place - first > _SHORT and code in _SIZED:
                stack[-1] = _work(code, place - first)
        elif code == _STOP:
            most = memory_limit(min(place - start, there))
            if cost > most:
                raise _too_much(most)
            return Extent(place, most - cost)
        else:
            index = _index(code, data[first:place]) if code in _MEMO else 0
            if index > count:
                raise ValueError(f"memo index {index} beyond the opcodes, at byte {first}")
            machine.step(code, index)
    raise ValueError("it ends too early")


class _Machine:
    """The stack and the memo of the reader, holding for each object its work and, shifted, its tuples."""

    def __init__(self) -> None:
        self.stack: list[int] = []
        self.marks: list[int] = []
        self.memo: dict[int, int] = {}
        self.work = 0

    def step(self, code: int, index: int) -> None:
        stack, marks = self.stack, self.marks
        if code == _REDUCE:
            arguments = stack.pop()
            stack[-1] = _of_call(arguments)
        elif code in _MEMO:
            if code in _GETS:
                stack.append(self.memo[index])
            else:
                self.memo[len(self.memo) if code == _MEMOIZE else index] = stack[-1]
        elif code == _MARK:
            marks.append(len(stack))
        elif code == _POP:
            # As in Python's reader, which keeps the marks beside the stack.
            (marks if marks and marks[-1] == len(stack) else stack).pop()
        elif code == _DUP:
            stack.append(stack[-1])
        elif code in _TO_MARK:
            self._gather(code, marks.pop())
        else:
            self._gather(code, len(stack) - (_TUPLES[code] if code in _TUPLES else _TAKES[code]))

    def _gather(self, code: int, start: int) -> None:
        """Put one object in the place of those from ``start`` on, or add them to the one below."""
        stack = self.stack
        items = stack[start:]
        del stack[start:]
        if code == _TUPLE or code in _TUPLES:
            work = sum(items, _ONE_TUPLE + len(items))
            stack.append(work)
            if work >= _TOO_MANY_TUPLES:
                raise ValueError(f"more than {MOST_TUPLES} tuples lie within one tuple")
        elif code in _CALLS:
            stack.append(_of_call(sum(items)))
        elif code in _KEYS:
            self._add_keys(items[:: _KEYS[code]])
            if code == _FROZENSET:
                stack.append(1 + len(items) + sum(items))
            else:
                stack += _LEAVES[code][_TAKES[code] :]
        elif code == _SETITEM or code == _BUILD:
            # The object stays what it is, a tuple of tuples, too.
            stack.append(items[0])
            self._add_keys(items[1:2] if code == _SETITEM else [])
        else:
            stack += _LEAVES[code][_TAKES[code] :]

    def _add_keys(self, keys: list[int]) -> None:
        if work := sum(keys):
            self.work += (work >> _SHIFT) + work % (1 << _SHIFT)
            if self.work > MOST_KEYS:
                raise ValueError(f"keys of it are long numbers, long texts or tuples, more than {MOST_KEYS} in all")


def _after_argument(data: bytes | mmap.mmap, first: int, code: int, size: int) -> int:
    if size == pickletools.UP_TO_NEWLINE:
        end = _after_line(data, first)
        return _after_line(data, end) if code in _TWO_LINES else end
    width, signed = _LENGTHS[size]
    length = int.from_bytes(data[first : first + width], "little", signed=signed)
    if length < 0:
        raise ValueError(f"negative length at byte {first}")
    return first + width + length


def _after_line(data: bytes | mmap.mmap, first: int) -> int:
    end = data.find(b"\n", first)
    if end < 0:
        raise ValueError(f"a line without an end at byte {first}")
    return end + 1


def _index(code: int, argument: bytes) -> int:
    if code in _LINES:
        return int(argument)
    return int.from_bytes(argument, "little")


def _too_much(most: int) -> ValueError:
    return ValueError(f"its objects would take more than {most >> 20} MiB, far more than its size explains")
