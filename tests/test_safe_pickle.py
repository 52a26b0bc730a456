"""The reader executes nothing and gives back what plain pickle gives; the writer's files suit every numpy."""

import os
import pickle
import pickletools
import subprocess
from collections import OrderedDict

import numpy as np
import pytest

from pyskl_semloss import safe_pickle
from pyskl_semloss.errors import InputError

PLAIN = {
    "numbers": [1, -(2**80), 1.5, 2j, True, None],
    "text": ("é", b"\xff\x00", b"", bytearray(b"xy")),
    "sets": [{1, 2}, frozenset("ab"), set()],
    "matrix": np.arange(6, dtype="<f4").reshape(2, 3),
    "columns": np.arange(6.0).reshape(2, 3).T,
    "big endian": np.arange(3, dtype=">i4"),
    "half": np.array([1.5, np.nan, np.inf], np.float16),
    "words": np.array(["a", "bcd"]),
    "empty": np.zeros((0, 3), np.int64),
    "point": np.array(3.0),
    "scalars": (np.float32(1.5), np.int64(2), np.bool_(True), np.str_("é")),
}


class Call:
    """Pickles as a call of a function, as an attack would."""

    def __init__(self, function, *arguments, state=None):
        self.call = (function, arguments) if state is None else (function, arguments, state)

    def __reduce__(self):
        return self.call


def same(a, b) -> bool:
    if isinstance(a, dict):
        return a.keys() == b.keys() and all(same(a[key], b[key]) for key in a)
    if isinstance(a, (list, tuple)):
        return type(a) is type(b) and len(a) == len(b) and all(map(same, a, b))
    if isinstance(a, (np.ndarray, np.generic)):
        return type(a) is type(b) and a.dtype == b.dtype and a.shape == b.shape and a.tobytes() == b.tobytes()
    return type(a) is type(b) and a == b


@pytest.mark.parametrize("protocol", range(pickle.HIGHEST_PROTOCOL + 1))
def test_reads_what_plain_pickle_reads(protocol):
    assert same(safe_pickle.loads(pickle.dumps(PLAIN, protocol)), PLAIN)


@pytest.mark.parametrize("core", ["numpy.core", "numpy._core"])
@pytest.mark.parametrize("protocol", [0, 3])
def test_names_of_numpy_1_and_2(core, protocol):
    data = pickle.dumps(PLAIN["matrix"], protocol).replace(b"numpy._core", b"numpy.core")
    data = data.replace(b"numpy.core", core.encode())
    assert core.encode() in data
    assert same(safe_pickle.loads(data), PLAIN["matrix"])


def test_shared_and_cyclic_containers_stay_so():
    array = np.arange(3)
    ring = [(array, array)]
    ring.append(ring)
    result = safe_pickle.loads(pickle.dumps(ring))
    assert result[1] is result and result[0][0] is result[0][1]


def test_arrays_come_back_writable():
    for protocol in (2, 4, 5):
        safe_pickle.loads(pickle.dumps(np.zeros(3), protocol))[0] = 1


@pytest.mark.parametrize(
    ("thing", "name"),
    [
        (Call(os.system, "echo attacked"), "posix.system"),
        (Call(eval, "1+1"), "builtin(s|__).eval"),
        (Call(getattr, "text", "upper"), "builtin(s|__).getattr"),
        (Call(np.fromfile, "/etc/passwd"), "fromfile"),
        (OrderedDict(a=1), "collections.OrderedDict"),
        (np.ma.masked_array([1]), "numpy.ma"),
        (np.float64, "numpy.float64"),
        (range(3), "builtin(s|__).x?range"),
    ],
)
def test_other_globals_are_refused_by_name_and_not_executed(thing, name, tmp_path, capfd):
    path = tmp_path / "bad.pkl"
    for protocol in range(pickle.HIGHEST_PROTOCOL + 1):
        path.write_bytes(pickle.dumps({"a": [thing]}, protocol))
        with pytest.raises(InputError, match=name) as error:
            safe_pickle.load(path)
        assert "bad.pkl" in str(error.value)
    assert "attacked" not in capfd.readouterr().out


def test_object_and_structured_arrays_are_refused():
    for array, word in [
        (np.array([{}, 1], object), "object array"),
        (np.zeros(2, "i4,f4"), "dtype 'V8'|structured"),
        (np.zeros(2, "M8[s]"), "dtype 'M8'"),
    ]:
        for protocol in range(pickle.HIGHEST_PROTOCOL + 1):
            with pytest.raises(InputError, match=word):
                safe_pickle.loads(pickle.dumps(array, protocol))


RECONSTRUCT = b"cnumpy.core.multiarray\n_reconstruct\n"
NDARRAY = b"cnumpy\nndarray\n"
DTYPE = b"cnumpy\ndtype\n"


@pytest.mark.parametrize(
    ("forged", "word"),
    [
        # A class of its own for the array.
        (RECONSTRUCT + b"(cbuiltins\nset\n(I0\ntC\x01btR.", "class of its own"),
        # Fewer data than the shape says; a terabyte from a hundred bytes; a negative size.
        (RECONSTRUCT + b"(" + NDARRAY + b"(I0\ntC\x01btR(I1\n(I9\nt" + DTYPE + b"(Vf4\ntRI00\nC\x04abcdtb.", "4 bytes"),
        (NDARRAY + b"((I1000000000000\ntVf8\nC\x00tR.", "0 bytes"),
        (NDARRAY + b"((I-1\nI-4\ntVf4\nC\x10" + b"a" * 16 + b"tR.", "malformed"),
        # A dtype whose state says that its bytes are objects, or that it is larger than it is.
        (DTYPE + b"(VV8\ntR.", "dtype 'V8'"),
        (DTYPE + b"(Vf8\ntR(I3\nV<\nN(Va\ntNI8\nI8\nI63\ntb.", "structured"),
        # Left without its data; a bare function; a function whose attributes are set.
        (RECONSTRUCT + b"(" + NDARRAY + b"(I0\ntC\x01btR.", "without data"),
        (DTYPE + b"(Vf8\ntR.", "bare DType"),
        (NDARRAY + b".", "bare Maker"),
        (NDARRAY + b"(N}V_make\nI1\nstb.", "attributes of a function"),
        # The memory bombs that a name of its own would make.
        (b"cbuiltins\nbytearray\n(I1000000000000\ntR.", "no bytes"),
        (b"\x80\x04\x8e" + b"\xff" * 5 + b"\0\0\0.", "ends too early"),
        (b"\x80\x02]r\xff\xff\xff\x7f.", "memo index"),
        (b"(lp2147483647\n.", "memo index"),
        (b"\x80\x02\x8a\x04....garbage", "damaged"),
    ],
)
def test_forged_arrays_are_refused(forged, word):
    with pytest.raises(InputError, match=word):
        safe_pickle.loads(forged)


def test_every_truncation_and_many_damages_are_input_errors(tmp_path):
    data = pickle.dumps(PLAIN, 4)
    for end in range(len(data)):
        with pytest.raises(InputError, match="damaged"):
            safe_pickle.loads(data[:end])
    rng = np.random.default_rng(0)
    for _ in range(2000):
        damaged = bytearray(data)
        for place in rng.integers(0, len(data), 3):
            damaged[place] = rng.integers(256)
        try:
            safe_pickle.loads(bytes(damaged))
        except InputError:
            pass
    for path in (tmp_path / "absent.pkl", tmp_path):
        with pytest.raises(InputError, match=str(path)):
            safe_pickle.load(path)


def test_extra_globals_are_accepted():
    table = {("collections", "OrderedDict"): OrderedDict}
    value = OrderedDict(a=np.arange(2))
    assert same(dict(safe_pickle.loads(pickle.dumps(value), table)), {"a": np.arange(2)})


def test_written_files_are_plain_and_independent_of_numpy_version(tmp_path):
    path = tmp_path / "deep" / "x.pkl"
    safe_pickle.dump(PLAIN, path)
    written = {key: value for key, value in PLAIN.items() if key != "scalars"}
    plain = pickle.loads(path.read_bytes())
    assert plain.pop("scalars") == (1.5, 2, True, "é") and same(plain, written)
    result = safe_pickle.load(path)
    assert result.pop("scalars") == (1.5, 2, True, "é") and same(result, written)
    assert plain["matrix"].flags.writeable and plain["point"].flags.writeable
    opcodes = list(pickletools.genops(path.read_bytes()))
    assert opcodes[0][1] == 4
    strings = {argument for _, argument, _ in opcodes if isinstance(argument, str)}
    assert {"numpy", "ndarray"} <= strings and not any(text.startswith(("numpy.", "_")) for text in strings)


def test_dump_refuses_what_load_would_refuse_and_keeps_the_old_file(tmp_path):
    path = tmp_path / "x.pkl"
    safe_pickle.dump([1], path)
    for thing in (Call(os.system, "true"), np.array([None]), np.float64, print, OrderedDict(), range(2), object()):
        with pytest.raises(InputError, match="only plain containers and arrays"):
            safe_pickle.dump({"a": [thing]}, path)
    with pytest.raises(InputError, match="cannot be written"):
        safe_pickle.dump([2], path / "below a file.pkl")
    assert safe_pickle.load(path) == [1] and os.listdir(tmp_path) == ["x.pkl"]


@pytest.mark.skipif(
    "OTHER_NUMPY_PYTHON" not in os.environ, reason="OTHER_NUMPY_PYTHON names no Python with another numpy"
)
def test_other_numpy_reads_and_is_read(tmp_path):
    """Run with OTHER_NUMPY_PYTHON=/path/to/python of an environment with numpy 1.x."""
    safe_pickle.dump({"a": PLAIN["matrix"]}, tmp_path / "here.pkl")
    script = (
        "import numpy, pickle; a = pickle.load(open('here.pkl', 'rb'))['a']; a += 1;"
        "pickle.dump({'a': a, 'version': numpy.__version__}, open('there.pkl', 'wb'))"
    )
    subprocess.run([os.environ["OTHER_NUMPY_PYTHON"], "-c", script], cwd=tmp_path, check=True)
    result = safe_pickle.load(tmp_path / "there.pkl")
    assert result["version"] != np.__version__ and same(result["a"], PLAIN["matrix"] + 1)
