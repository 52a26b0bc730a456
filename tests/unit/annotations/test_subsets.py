"""Long-tailed and small subsets of a split."""

import sys
from collections import Counter

import numpy as np
import pytest

from pyskl_semloss.annotations import AnnotationSet, Clip, read_annotations, write_annotations
from pyskl_semloss.annotations.subsets import few_clips, long_tailed, with_subsets
from pyskl_semloss.cli.prepare_data import main
from pyskl_semloss.errors import InputError


def labels(*sizes):
    """Ids and classes, the classes interleaved as in a real file."""
    ids = [(n, label) for label, size in enumerate(sizes) for n in range(size)]
    return {f"s{n:02d}_a{label}": label for n, label in sorted(ids)}


def annotations(*sizes):
    keypoint, score = np.full((1, 2, 3, 2), 5.0, np.float32), np.ones((1, 2, 3), np.float32)
    clips = [Clip(name, label, (10, 10), (10, 10), keypoint, score) for name, label in labels(*sizes).items()]
    clips.append(Clip("zero", 0, (10, 10), (10, 10), 0 * keypoint, 0 * score))
    clips.append(Clip("unknown", -1, (10, 10), (10, 10), keypoint, score))
    clips.append(Clip("other", 0, (10, 10), (10, 10), keypoint, score))
    ids = [clip.frame_dir for clip in clips]
    return AnnotationSet({"train": ids[:-1], "test": ids[-1:]}, clips)


def test_the_sizes_of_a_long_tail_are_those_of_the_formula():
    # 16 * 12 ** (-r / 4) for r = 0 … 4: 16, 8.60, 4.62, 2.48, 1.33.
    sizes = Counter(labels(*[16] * 5)[clip] for clip in long_tailed(labels(*[16] * 5), 12, seed=0))
    assert sorted(sizes.values(), reverse=True) == [16, 9, 5, 2, 1]
    assert len(long_tailed(labels(16, 16), 1, seed=0)) == 32, "1 : 1 keeps all"
    assert long_tailed(labels(7), 12, seed=0) == list(labels(7)), "one class keeps all of its clips"


@pytest.mark.parametrize("seed", range(20))
@pytest.mark.parametrize(("sizes", "ratio"), [([24] * 7, 12), ([3, 10, 15, 12, 1], 12), ([50] * 3, 2.5), ([1, 1], 99)])
def test_laws_of_a_long_tail(sizes, ratio, seed):
    given = labels(*sizes)
    drawn = long_tailed(given, ratio, seed)
    kept = Counter(given[clip] for clip in drawn)
    assert drawn == [clip for clip in given if clip in set(drawn)], "the order of the file, each once"
    assert set(kept) == set(range(len(sizes))), "every class keeps a clip"
    # Each rank's share is taken by one class: every size is within half a clip of its share, or the one clip.
    shares = [ratio ** (-rank / (len(sizes) - 1)) for rank in range(len(sizes))]
    for label, size in enumerate(sizes):
        assert any(kept[label] in (1, size) or abs(kept[label] - size * share) <= 0.5 for share in shares)
    if len(set(sizes)) == 1:
        assert max(kept.values()) == sizes[0] and min(kept.values()) == max(1, int(sizes[0] / ratio + 0.5))
    assert long_tailed(given, ratio, seed) == drawn
    backwards = dict(reversed(given.items()))
    assert sorted(long_tailed(backwards, ratio, seed)) == sorted(drawn), "the order of the file does not matter"


def test_the_seed_draws_classes_and_clips():
    given = labels(*[16] * 10)
    largest = {Counter(given[clip] for clip in long_tailed(given, 12, seed)).most_common(1)[0][0] for seed in range(30)}
    assert len(largest) > 5, "which class is large is drawn"
    assert len({tuple(few_clips(given, 4, seed)) for seed in range(30)}) == 30


@pytest.mark.parametrize("seed", range(5))
def test_few_clips_are_as_many_in_every_class(seed):
    given = labels(4, 9, 16)
    drawn = few_clips(given, 4, seed)
    assert Counter(given[clip] for clip in drawn) == {0: 4, 1: 4, 2: 4}
    assert drawn == [clip for clip in given if clip in set(drawn)]
    assert sorted(few_clips(dict(reversed(given.items())), 4, seed)) == sorted(drawn)


def test_what_cannot_be_drawn_is_said():
    for call, message in [
        (lambda: few_clips(labels(4, 3), 4, 0), r"1 classes have fewer than 4 clips.*class 1 has 3"),
        (lambda: few_clips(labels(4), 0, 0), "at least 1"),
        (lambda: few_clips({}, 1, 0), "no clip with a label and a point"),
        (lambda: long_tailed(labels(4), 0.5, 0), "a number from 1"),
        (lambda: long_tailed(labels(4), float("nan"), 0), "a number from 1"),
        (lambda: long_tailed(labels(4), 2, -1), "from 0"),
        (lambda: with_subsets(annotations(4), "val", [0], clips=1), "expected one of the splits"),
    ]:
        with pytest.raises(InputError) as error:
            call()
        error.match(message.replace(".*", r"[\s\S]*"))


def test_subsets_are_further_splits():
    given = annotations(8, 8)
    result = with_subsets(given, "train", [0, 3], tail=4, clips=2)
    assert list(result.splits) == [
        "train", "test", "train_tail4_seed0", "train_2clips_seed0", "train_tail4_seed3", "train_2clips_seed3",
    ]  # fmt: skip
    assert result.clips is given.clips and {name: result.splits[name] for name in given.splits} == given.splits
    drawn = {clip for name in list(result.splits)[2:] for clip in result.splits[name]}
    assert not drawn & {"zero", "unknown", "other"}
    assert len(result.splits["train_tail4_seed0"]) == 8 + 2 and len(result.splits["train_2clips_seed3"]) == 4
    with pytest.raises(InputError, match="a split 'train_2clips_seed3' already"):
        with_subsets(result, "train", [3], clips=2)


def test_the_command_writes_a_file_with_all_that_was_there(tmp_path, monkeypatch, capsys):
    given = annotations(8, 8)
    write_annotations(tmp_path / "a.pkl", given)

    def run(*arguments):
        monkeypatch.setattr(sys, "argv", ["semloss prepare", "subset", *map(str, arguments)])
        main()
        return capsys.readouterr().out

    said = run(tmp_path / "a.pkl", tmp_path / "b.pkl", "--tail", 4, "--clips", 2, "--seeds", 0, 1)
    assert "train_tail4_seed0 10, train_2clips_seed0 4" in said
    result, _ = read_annotations(tmp_path / "b.pkl", unknown_labels=True)
    assert result.splits == with_subsets(given, "train", [0, 1], tail=4, clips=2).splits
    assert all(after.same_as(before) for after, before in zip(result.clips, given.clips, strict=True))
    with pytest.raises(SystemExit):
        run(tmp_path / "a.pkl", tmp_path / "b.pkl")
    assert "Give --tail RATIO, --clips N, or both" in capsys.readouterr().err
    with pytest.raises(SystemExit):
        run(tmp_path / "a.pkl", tmp_path / "b.pkl", "--clips", 9)
    assert "a.pkl" in capsys.readouterr().err
