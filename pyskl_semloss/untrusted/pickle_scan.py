"""Check of a pickle's opcodes for memory, depth and hash collisions.

The stack machine is simulated without its objects. Of each object only two numbers are known: the tuples in it, and the
work of hashing and comparing it. The work of all dict keys and set members is limited: hashes of numbers and tuples can
be chosen, so that a dict compares each key with all others.
"""

from __future__ import annotations

import mmap
import pickletools
from typing import NamedTuple

from pyskl_semloss.io.reading import memory_limit

MOST_TUPLES = 10_000
"""Largest number of tuples in a tuple, with repetitions: hashing visits all of them, recursively in C."""

MOST_KEYS = 10_000
"""Largest work of all dict keys and set members together.

Work of a text: 1 per full KiB. Work of a whole number above 64 bits: 1 per 64 bits. Work of a tuple: 1 + number of its
items + their work. Work of an object from a call: 1. Others: 0."""

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
# Number of objects that an opcode pops (below the mark, if it pops down to a mark) and pushes.
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
# Distance between keys among the objects above the mark.
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
"""Bytes of the longest argument of fixed length, and of a binary 64-bit number with its length byte."""
# An object is represented by work + (tuples << _SHIFT), so that one addition sums both.
_SHIFT = 64
_ONE_TUPLE, _TOO_MANY_TUPLES = (1 << _SHIFT) + 1, (MOST_TUPLES + 1) << _SHIFT
_FEW_ARGUMENTS = _ONE_TUPLE + 4

# Bytes of memory of an opcode's object, rounded up, without the characters of strings, which the file size limits.
_COST = dict.fromkeys(_ARGUMENT, 16)
_COST |= dict.fromkeys(_codes("BININT BININT2 INT LONG LONG1 LONG4 FLOAT BINFLOAT PERSID BINPERSID"), 64)
_COST |= dict.fromkeys(_codes("STRING BINSTRING SHORT_BINSTRING BINBYTES SHORT_BINBYTES BINBYTES8 BYTEARRAY8"), 96)
_COST |= dict.fromkeys(_codes("UNICODE SHORT_BINUNICODE BINUNICODE BINUNICODE8 GLOBAL STACK_GLOBAL"), 96)
_COST |= dict.fromkeys(_codes("TUPLE TUPLE1 TUPLE2 TUPLE3 LIST EMPTY_LIST"), 104)
_COST |= dict.fromkeys(_codes("EMPTY_DICT DICT EMPTY_SET FROZENSET REDUCE NEWOBJ NEWOBJ_EX OBJ INST BUILD"), 256)


def _work(code: int, size: int) -> int:
    """Work of hashing and comparing a number or text with an argument of ``size`` bytes."""
    if code in _STRINGS:
        return size >> 10
    return 0 if code in _DIGITS and size <= _LONGEST_INT else max(size >> 3, 1)


def _of_call(arguments: int) -> int:
    """Work of the result of a call: that of its arguments, or 1 for a few plain arguments."""
    return 1 if arguments <= _FEW_ARGUMENTS else arguments - _ONE_TUPLE


class Extent(NamedTuple):
    """End of a pickle, and bytes of memory left for its calls."""

    end: int
    memory: int


def check_extent(data: bytes | mmap.mmap, start: int = 0, size: int | None = None) -> Extent:
    """Refuse a pickle that reads beyond its end or takes too much memory.

    Python's unpickler allocates strings by their declared length before it reads them, and a memo by its largest index
    (64 GB for five bytes).

    Args:
        data: Pickle, or file with several pickles.
        start: Start of the pickle.
        size: Size in bytes without holes, if the file has holes.

    Raises:
        ValueError: An opcode is unknown, an argument ends beyond the data, a memo index exceeds the number of opcodes,
            the STOP opcode is missing, a tuple has more than ``MOST_TUPLES`` tuples in it, the work of keys exceeds
            ``MOST_KEYS``, or the objects take more memory than :func:`pyskl_semloss.io.reading.memory_limit` allows.
        LookupError: An opcode pops from an empty stack or memo.
    """
    position, end, count, cost = start, len(data), 0, 0
    size = end if size is None else size
    limit = memory_limit(min(end - start, size))
    machine = _Machine()
    stack = machine.stack
    while position < end:
        code, first = data[position], position + 1
        length = _ARGUMENT.get(code)
        if length is None:
            raise ValueError(f"unknown opcode {code} at byte {position}")
        position = first + length if length >= 0 else _after_argument(data, first, code, length)
        count += 1
        cost += _COST[code]
        if cost > limit:
            raise _memory_error(limit)
        if code not in _UNUSUAL:
            if takes := _TAKES[code]:
                del stack[-takes:]
            stack += _LEAVES[code]
            if position - first > _SHORT and code in _SIZED:
                stack[-1] = _work(code, position - first)
        elif code == _STOP:
            limit = memory_limit(min(position - start, size))
            if cost > limit:
                raise _memory_error(limit)
            return Extent(position, limit - cost)
        else:
            index = _index(code, data[first:position]) if code in _MEMO else 0
            if index > count:
                raise ValueError(f"memo index {index} beyond the opcodes, at byte {first}")
            machine.step(code, index)
    raise ValueError("it ends too early")


class _Machine:
    """Stack and memo of the unpickler, with work + (tuples << _SHIFT) for each object."""

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
            # As in Python's unpickler, which keeps marks apart from the stack.
            (marks if marks and marks[-1] == len(stack) else stack).pop()
        elif code == _DUP:
            stack.append(stack[-1])
        elif code in _TO_MARK:
            self._gather(code, marks.pop())
        else:
            self._gather(code, len(stack) - (_TUPLES[code] if code in _TUPLES else _TAKES[code]))

    def _gather(self, code: int, start: int) -> None:
        """Replace the objects from ``start`` on by one object, or add them to the one below."""
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
            # The object below keeps its tuples and work.
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


def _memory_error(limit: int) -> ValueError:
    return ValueError(f"its objects would take more than {limit >> 20} MiB, far more than its size explains")
