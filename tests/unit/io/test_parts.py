"""Cached parts: whole, of the same key, or none."""

import numpy as np
import pytest

from pyskl_semloss.io.parts import read_part, write_part


def test_a_part_counts_under_its_keys_alone(tmp_path):
    path, points = tmp_path / "new" / "part.npz", np.arange(6.0).reshape(3, 2)
    assert read_part(path, ["key"]) is None
    write_part(path, "key", {"points": points})
    arrays = read_part(path, ["other", "key"])
    assert list(arrays) == ["points"]
    np.testing.assert_array_equal(arrays["points"], points)
    assert read_part(path, ["other"]) is None and path.exists()


@pytest.mark.parametrize("damage", [lambda data: data[:-40], lambda data: b"PK\x03\x04", lambda data: b""])
def test_a_damaged_part_is_none_and_is_replaced(tmp_path, damage):
    path = tmp_path / "part.npz"
    write_part(path, "key", {"points": np.ones(100)})
    path.write_bytes(damage(path.read_bytes()))
    assert read_part(path, ["key"]) is None
    write_part(path, "key", {"points": np.zeros(2)})
    assert read_part(path, ["key"])["points"].tolist() == [0, 0]
