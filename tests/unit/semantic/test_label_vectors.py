"""Label vectors as a file and as the matrix that a model takes."""

import json

import numpy as np
import pytest

from pyskl_semloss.errors import InputError
from pyskl_semloss.semantic.label_vectors import LabelVectors, build_label_vectors, load_matrix


def test_saved_label_vectors_come_back_equal_and_hold_no_pickle(tmp_path):
    labels = build_label_vectors(["Touching hat", "naïve"], "hash:5:9", aliases={"hat": "cap,head"})
    labels.save(tmp_path / "deep" / "v.npz")
    back = LabelVectors.load(tmp_path / "deep" / "v.npz")
    np.testing.assert_array_equal(back.vectors, labels.vectors)
    for name in ("class_names", "words", "source", "checksum"):
        assert getattr(back, name) == getattr(labels, name)
    assert (
        back.notes
        == labels.notes
        == {"casing": "lower", "oov": "error", "aliases": {"hat": ["cap", "head"]}} | {"skipped": []}
    )
    with np.load(tmp_path / "deep" / "v.npz", allow_pickle=False) as archive:
        assert archive["class_names"].tolist() == ["Touching hat", "naïve"]
        assert json.loads(str(archive["notes"]))["casing"] == "lower"
    first = (tmp_path / "deep" / "v.npz").read_bytes()
    labels.save(tmp_path / "deep" / "v.npz")
    assert (tmp_path / "deep" / "v.npz").read_bytes() == first


def test_label_vector_files_that_do_not_fit(tmp_path):
    good = {
        "class_names": ["a"],
        "vectors": np.ones((1, 2)),
        "words": ["a"],
        "source": "",
        "checksum": "",
        "notes": "{}",
    }
    for change, message in [
        ({"class_names": ["a", "b"]}, "expected 2 classes, got 1 rows"),
        ({"words": ["a", "b"]}, "words of 1 classes, got 2"),
        ({"notes": "{"}, "no file of label vectors"),
        ({"vectors": np.full((1, 2), np.nan)}, "NaN"),
    ]:
        np.savez(tmp_path / "v.npz", **{**good, **change})
        with pytest.raises(InputError, match=message) as caught:
            LabelVectors.load(tmp_path / "v.npz")
        assert "v.npz" in str(caught.value)
    np.savez(tmp_path / "v.npz", vectors=np.ones((1, 2)))
    with pytest.raises(InputError, match="lacks checksum, class_names"):
        LabelVectors.load(tmp_path / "v.npz")


def test_load_matrix_from_each_kind_of_source(tmp_path):
    matrix = np.arange(1.0, 7).reshape(2, 3)
    np.save(tmp_path / "v.npy", matrix)
    np.savez(tmp_path / "v.npz", vectors=matrix)
    for source in (tmp_path / "v.npy", str(tmp_path / "v.npz"), matrix, matrix.tolist(), matrix.astype(int)):
        result = load_matrix(source, num_classes=2)
        assert result.dtype == np.float32 and result.flags.c_contiguous and result.flags.writeable
        np.testing.assert_array_equal(result, matrix)
    ours = matrix.astype(np.float32)
    load_matrix(ours)[0] = 9
    assert ours[0, 0] == 1


@pytest.mark.parametrize(
    ("matrix", "message"),
    [
        (np.ones(3), r"shape \(3,\)"),
        (np.ones((2, 3, 1)), r"shape \(2, 3, 1\)"),
        (np.ones((0, 3)), r"shape \(0, 3\)"),
        (np.ones((3, 2)), "expected 2 classes, got 3 rows"),
        ([[1, np.nan], [1, 2]], "NaN, infinity or a number beyond float32 in 1 rows, the first is row 0"),
        ([[1, 2], [1, np.inf]], "the first is row 1"),
        ([[1, 2], [1, 1e39]], "the first is row 1"),
        ([[1, 2], [0, 0]], "1 rows are all zeros, the first is row 1"),
        ([["a", "b"], ["c", "d"]], "real numbers"),
        ([[1, 2j], [1, 2]], "real numbers"),
        ([[1, 2], [1]], "a matrix"),
    ],
)
def test_load_matrix_refuses(matrix, message):
    with pytest.raises(InputError, match=message):
        load_matrix(matrix, num_classes=2)


def test_load_matrix_refuses_files(tmp_path):
    (tmp_path / "names.txt").write_text("hand\n")
    np.savez(tmp_path / "other.npz", score=np.ones((2, 2)))
    np.save(tmp_path / "pickled.npy", np.array([{"a": 1}], dtype=object), allow_pickle=True)
    for name, message in [
        ("absent.npz", "no such file"),
        ("names.txt", "semloss label-vectors makes one"),
        ("other.npz", "expected a member 'vectors', got score"),
        ("pickled.npy", "cannot be read"),
        (".", "cannot be read"),
    ]:
        with pytest.raises(InputError, match=message):
            load_matrix(tmp_path / name)
