"""Targets made of label vectors: what each promises of lengths, angles and neighbours."""

import subprocess
import sys

import numpy as np
import pytest

from pyskl_semloss.errors import InputError
from pyskl_semloss.semantic.label_vectors import LabelVectors
from pyskl_semloss.semantic.targets import TARGETS, centred, orthonormal, rescaled, simplex, transform, whitened


def drawn(classes=6, dimensions=9, seed=0):
    rng = np.random.default_rng(seed)
    return rng.normal(size=(classes, dimensions)) + 2 * rng.normal(size=dimensions)


def labels_of(vectors):
    names = tuple(f"name {chr(97 + index)}" for index in range(len(vectors)))
    return LabelVectors(names, vectors, tuple(tuple(name.split()) for name in names), "x.txt", "abc", {"oov": "error"})


def cosines(vectors):
    units = vectors / np.linalg.norm(vectors, axis=1, keepdims=True)
    return units @ units.T


def test_rescaled_has_the_mean_square_and_the_directions():
    vectors = drawn()
    scaled = rescaled(vectors, 0.25)
    assert np.mean(np.square(scaled, dtype=np.float64)) == pytest.approx(0.25, rel=1e-6)
    np.testing.assert_allclose(scaled / vectors, (scaled / vectors)[0, 0], rtol=1e-5)
    assert np.mean(np.square(rescaled(vectors), dtype=np.float64)) == pytest.approx(0.0769, rel=1e-6)


def test_centred_vectors_sum_to_nothing_and_keep_their_differences():
    vectors = drawn()
    result = centred(vectors)
    np.testing.assert_allclose(result.sum(0), 0, atol=1e-12)
    np.testing.assert_allclose(result[1:] - result[:-1], vectors[1:] - vectors[:-1], atol=1e-12)


@pytest.mark.parametrize("classes", [5, 40])
def test_whitened_vectors_have_one_variance_in_every_direction(classes):
    result = whitened(drawn(classes, 9))
    np.testing.assert_allclose(result.mean(0), 0, atol=1e-12)
    values = np.linalg.eigvalsh(result.T @ result / classes)
    rank = min(classes - 1, 9)
    np.testing.assert_allclose(values[-rank:], 1, atol=1e-9)
    np.testing.assert_allclose(values[:-rank], 0, atol=1e-9)


def test_orthonormal_is_a_frame_and_the_nearest():
    vectors = drawn()
    frame = orthonormal(vectors)
    np.testing.assert_allclose(frame @ frame.T, np.eye(6), atol=1e-12)
    rng = np.random.default_rng(1)
    near = np.sum(frame * vectors)  # |E - Q|² = |E|² + C - 2 <E, Q>: the nearest frame has the largest product
    for step in (1e-3, 0.1, 1.0):
        for _ in range(50):
            turn = np.linalg.qr(np.eye(9) + step * rng.normal(size=(9, 9)))[0]
            assert np.sum((frame @ turn) * vectors) < near + 1e-9


def test_simplex_has_one_angle_the_largest():
    result = simplex(drawn())
    expected = np.where(np.eye(6, dtype=bool), 1, -1 / 5)
    np.testing.assert_allclose(result @ result.T, expected, atol=1e-12)
    np.testing.assert_allclose(cosines(whitened(drawn())), expected, atol=1e-12)  # fewer classes than dimensions


def test_neighbours_stay_nearer_to_what_they_were():
    """Of all frames the nearest one turns no class away from its own vector."""
    vectors = drawn(seed=3)
    for name in ("orthonormal", "simplex"):
        after = TARGETS[name](vectors)
        own = np.sum(after * (vectors if name == "orthonormal" else centred(vectors)), axis=1)
        assert (own > 0).all(), name


def test_a_transform_keeps_the_mean_square_and_says_what_it_was():
    labels = labels_of(drawn().astype(np.float32))
    for name in TARGETS:
        result = transform(labels, [name])
        scale = [np.mean(np.square(each.vectors, dtype=np.float64)) for each in (labels, result)]
        assert scale[1] == pytest.approx(scale[0], rel=1e-6)
        assert result.notes == {"oov": "error", "transform": [name]}
        assert (result.source, result.checksum, result.words) == (labels.source, labels.checksum, labels.words)
    assert transform(transform(labels, ["centred"]), ["simplex"]).notes["transform"] == ["centred", "simplex"]


def test_centring_and_then_a_frame_is_refused():
    """Centred vectors are dependent: they sum to nothing."""
    labels = labels_of(drawn().astype(np.float32))
    with pytest.raises(InputError, match="add up to zero after 'centred'"):
        transform(labels, ["centred", "orthonormal"])


def test_what_cannot_be_is_refused():
    labels = labels_of(drawn().astype(np.float32))
    with pytest.raises(InputError, match=r"there is no transform 'centered'; did you mean 'centred'\?.*whitened"):
        transform(labels, ["centered"])
    same = drawn()
    same[1] = same[0]
    with pytest.raises(InputError, match="6 classes span 5 dimensions.*names of different words"):
        orthonormal(same)
    with pytest.raises(InputError, match="a simplex needs 5"):
        simplex(same)
    with pytest.raises(InputError, match="12 classes span 9 dimensions"):
        orthonormal(drawn(12, 9))
    with pytest.raises(InputError, match="the vector of class 0 is the mean of all"):
        centred(np.ones((3, 4)))


def test_class_names_of_imigue_before_and_after(shared_dir):
    """The shared component of the names' vectors, and that the transforms take it away."""
    vectors = np.load(shared_dir / "data" / "glove" / "imigue_label_vectors.npy").astype(np.float64)
    off = ~np.eye(len(vectors), dtype=bool)
    assert cosines(vectors)[off].mean() == pytest.approx(0.363, abs=0.001)
    assert abs(cosines(centred(vectors))[off].mean()) < 0.05
    assert np.abs(cosines(orthonormal(vectors))[off]).max() < 1e-5


def test_the_command_transforms_and_says_so(tmp_path):
    (tmp_path / "labels.txt").write_text("arm wave\nleg kick\nhand clap\n")
    command = [sys.executable, "-m", "pyskl_semloss", "label-vectors", "--labels", "labels.txt", "--vectors", "hash:20"]
    done = subprocess.run(
        [*command, "--transform", "centred", "simplex", "--out", "v.npz"],
        cwd=tmp_path, capture_output=True, text=True, check=True,
    )  # fmt: skip
    labels = LabelVectors.load(tmp_path / "v.npz")
    assert "transformed: centred, simplex" in done.stdout and labels.notes["transform"] == ["centred", "simplex"]
    np.testing.assert_allclose(cosines(labels.vectors), np.where(np.eye(3, dtype=bool), 1, -0.5), atol=1e-6)
    done = subprocess.run(
        [*command, "--template", "a {}", "--out", "w.npz"], cwd=tmp_path, capture_output=True, text=True
    )
    assert done.returncode == 2 and "word vectors know no sentences" in done.stderr
    assert not (tmp_path / "w.npz").exists()
