import json
import pickle
from collections import OrderedDict
from dataclasses import replace

import numpy as np
import pytest

from pyskl_semloss.errors import InputError
from pyskl_semloss.evaluation.scores import Scores, first_ids, read_scores

IDS = ["0054_0", "0054_1", "0067_0"]
SCORE = np.array([[0.7, 0.2, 0.1, 0.0], [0.1, 0.1, 0.1, 0.7], [0.25, 0.25, 0.25, 0.25]], dtype=np.float32)
LABEL = np.array([0, 3, -1])


def scores(**changes):
    return Scores(**{"sample_id": np.array(IDS), "score": SCORE, "label": LABEL, **changes})


@pytest.fixture
def ann_file(tmp_path):
    """Six clips out of order, three of them in the split."""
    names = ["x", "0067_0", "y", "0054_1", "z", "0054_0"]
    labels = [1, 2, 1, 3, 1, 0]
    content = {
        "split": {"train": ["x", "y", "z"], "test": IDS},
        "annotations": [{"frame_dir": n, "label": k, "total_frames": 1} for n, k in zip(names, labels, strict=True)],
    }
    path = tmp_path / "ann.pkl"
    path.write_bytes(pickle.dumps(content))
    return path


FILE_ORDER = [2, 1, 0]  # of IDS, in the annotation file


def test_saved_scores_come_back_and_equal_scores_give_equal_bytes(tmp_path):
    cosine = np.linspace(-1, 1, 12, dtype=np.float32).reshape(3, 4)
    whole = scores(semantic_cosine=cosine, semantic_distance=1 - cosine, class_names=("a", "b", "c", "d"))
    whole.save(tmp_path / "new folder" / "a.npz")
    whole.save(tmp_path / "b.npz")
    back = Scores.load(tmp_path / "b.npz")
    for name in ("sample_id", "score", "label", "semantic_cosine", "semantic_distance"):
        np.testing.assert_array_equal(getattr(back, name), getattr(whole, name))
    assert back.class_names == ("a", "b", "c", "d") and back.source == str(tmp_path / "b.npz")
    assert (tmp_path / "new folder" / "a.npz").read_bytes() == (tmp_path / "b.npz").read_bytes()
    with np.load(tmp_path / "b.npz", allow_pickle=False) as archive:
        assert archive["score"].dtype == np.float32 and archive["label"].dtype == np.int64


def test_optional_members_may_be_absent(tmp_path):
    np.savez(tmp_path / "a.npz", sample_id=IDS, score=SCORE, label=LABEL, something_else=1)
    back = read_scores(tmp_path / "a.npz")
    assert back.semantic_cosine is None and back.semantic_distance is None and back.class_names == ()


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"score": np.where(SCORE == 0.7, np.nan, SCORE)}, "clip '0054_0': field 'score': NaN or infinity in 2 of 3"),
        (
            {"score": np.where(SCORE == 0.0, 1e39, SCORE.astype(float))},
            "clip '0054_0': field 'score': NaN or infinity in 1 of 3",
        ),
        ({"score": SCORE[:2]}, r"expected numbers of shape \(3, classes\), got shape \(2, 4\)"),
        ({"score": SCORE[:, :0]}, r"got shape \(3, 0\)"),
        ({"score": SCORE[0]}, r"got shape \(4,\)"),
        ({"score": SCORE.astype(str)}, "expected numbers"),
        ({"label": np.array([0, 4, -1])}, "clip '0054_1': field 'label': expected 0 to 3, or -1 for unknown, got 4"),
        ({"label": np.array([0, -2, -1])}, "clip '0054_1'.*got -2"),
        ({"label": np.array([0.0, 1.0, 2.0])}, "expected 3 whole numbers"),
        ({"label": LABEL[:2]}, "expected 3 whole numbers"),
        ({"sample_id": np.array(["a", "b", "a"])}, "1 ids occur more than once: 'a'"),
        ({"sample_id": np.array(["a", "", "c"])}, "clip number 1 is empty"),
        ({"sample_id": np.arange(3)}, "expected a list of ids"),
        ({"sample_id": np.array(["a", 1, "c"], object)}, "expected a list of ids .* of type object"),
        ({"sample_id": np.array([b"a", b"b", b"c"])}, "expected a list of ids .* of type .S1"),
        ({"sample_id": np.array([IDS])}, r"expected a list of ids .* shape \(1, 3\)"),
        ({"sample_id": np.array(["", "b", ""])}, "1 ids occur more than once: ''"),
        ({"score": SCORE > 0.5}, "expected numbers of shape .* of type bool"),
        ({"score": SCORE.astype(complex)}, "expected numbers"),
        ({"score": SCORE[:, 0]}, r"got shape \(3,\)"),
        ({"score": SCORE[None]}, r"got shape \(1, 3, 4\)"),
        ({"label": LABEL[:, None]}, "expected 3 whole numbers"),
        ({"label": np.array([4, -2, 9])}, r"clip '0054_0'.* got 4 \(3 of 3 clips"),
        ({"semantic_cosine": SCORE[:2]}, r"expected numbers of shape \(3, 4\), got shape \(2, 4\)"),
        ({"class_names": tuple("abcde")}, "5 names for scores of 4 classes"),
        ({"sample_id": np.array([]), "score": SCORE[:0], "label": LABEL[:0]}, "at least one"),
        ({"semantic_cosine": SCORE[:, :3]}, r"field 'semantic_cosine': expected numbers of shape \(3, 4\)"),
        ({"semantic_distance": SCORE + np.inf}, "clip '0054_0': field 'semantic_distance'"),
        ({"class_names": ("a", "b")}, "2 names for scores of 4 classes"),
    ],
)
def test_wrong_content_is_refused_by_name(changes, message):
    with pytest.raises(InputError, match=message):
        scores(**changes)


def test_the_file_is_named_when_it_is_a_file(tmp_path):
    np.savez(tmp_path / "bad.npz", sample_id=IDS, score=SCORE * np.nan, label=LABEL)
    with pytest.raises(InputError, match="bad.npz: clip '0054_0'"):
        read_scores(tmp_path / "bad.npz")
    np.savez(tmp_path / "less.npz", sample_id=IDS, score=SCORE)
    with pytest.raises(
        InputError, match="less.npz: expected a score file with the arrays .*label, got sample_id, score"
    ):
        read_scores(tmp_path / "less.npz")
    with pytest.raises(InputError, match="no such file.*semloss test"):
        read_scores(tmp_path / "absent.npz")
    (tmp_path / "a.yaml").write_text("[]")
    with pytest.raises(InputError, match="expected a score file"):
        read_scores(tmp_path / "a.yaml")
    with pytest.raises(InputError, match="ends in .npz"):
        scores().save(tmp_path / "a.pkl")


def test_what_is_read_is_known_by_its_ending_and_class_names_are_a_list_of_text(tmp_path, ann_file):
    for name in ("a.NPZ", "b.npz"):
        with open(tmp_path / name, "wb") as stream:
            np.savez(stream, sample_id=IDS, score=SCORE, label=LABEL, class_names=list("abcd"))
        assert read_scores(tmp_path / name).class_names == tuple("abcd")
    for name in ("a.PKL", "b.pickle"):
        (tmp_path / name).write_bytes(pickle.dumps(list(SCORE)))
        assert read_scores(tmp_path / name, ann_file, "test").source == str(tmp_path / name)
    for names, words in (
        (np.arange(4), r"expected a list of text, got shape \(4,\) of type int64"),
        (np.array([["a", "b", "c", "d"]]), r"expected a list of text, got shape \(1, 4\) of type <U1"),
        (np.array("abcd"), r"expected a list of text, got shape \(\) of type <U4"),
        (np.array([b"a", b"b", b"c", b"d"]), r"expected a list of text, got shape \(4,\) of type \|S1"),
    ):
        np.savez(tmp_path / "c.npz", sample_id=IDS, score=SCORE, label=LABEL, class_names=names)
        with pytest.raises(InputError, match=f"c.npz: field 'class_names': {words}"):
            read_scores(tmp_path / "c.npz")


@pytest.mark.parametrize("kind", ["float16", "float64", "int8", "uint16"])
def test_any_numbers_are_scores_and_any_whole_numbers_are_labels(kind):
    made = scores(score=np.array([[0, 1, 2, 3]] * 3, kind), label=np.array([0, 3, 2], "uint8"))
    assert made.score.dtype == np.float32 and made.score.tolist() == [[0, 1, 2, 3]] * 3
    assert made.label.dtype == np.int64 and made.label.tolist() == [0, 3, 2]
    assert scores(sample_id=np.array(IDS, object)).sample_id.dtype.kind == "U"


@pytest.mark.parametrize("protocol", [2, 4])
def test_pyskl_results_get_their_ids_from_the_order_of_the_annotation_file(tmp_path, ann_file, protocol):
    path = tmp_path / "result.pkl"
    path.write_bytes(pickle.dumps([SCORE[n] for n in FILE_ORDER], protocol=protocol))
    read = read_scores(path, ann_file, "test")
    assert read.sample_id.tolist() == ["0067_0", "0054_1", "0054_0"] and read.label.tolist() == [2, 3, 0]
    np.testing.assert_array_equal(read.score, SCORE[FILE_ORDER])


def test_annotations_without_splits_and_with_file_names(tmp_path):
    ann, path = tmp_path / "list.pkl", tmp_path / "result.pkl"
    ann.write_bytes(pickle.dumps([{"filename": name} for name in IDS]))
    path.write_bytes(pickle.dumps(list(SCORE)))
    read = read_scores(path, ann)
    assert read.sample_id.tolist() == IDS and read.label.tolist() == [-1, -1, -1]
    with pytest.raises(InputError, match="expected a file with splits"):
        read_scores(path, ann, "test")


@pytest.mark.parametrize(
    ("content", "split", "message"),
    [
        (list(SCORE), None, "no split was named; the file has 'train', 'test'"),
        (list(SCORE), "val", "no split 'val'; the file has 'train', 'test'"),
        (list(SCORE)[:2], "test", "it holds 2 results, but split 'test' of .* has 3 clips"),
        (SCORE, "test", r"expected a list of results, got an array of shape \(3, 4\)"),
        ([], "test", "got a list of 0"),
        ([SCORE] * 3, "test", "clip '0067_0': expected one score per class.*average_clips"),
        ([SCORE[0], SCORE[1], SCORE[2, :3]], "test", "clip '0054_0': expected one score per class"),
        ([[SCORE[0], SCORE[1]]] * 3, "test", "got a list of 2"),
        ([SCORE[0], SCORE[1], np.full(4, np.nan)], "test", "result.pkl: clip '0054_0': field 'score': NaN"),
    ],
)
def test_results_that_do_not_fit_are_refused(tmp_path, ann_file, content, split, message):
    path = tmp_path / "result.pkl"
    path.write_bytes(pickle.dumps(content))
    with pytest.raises(InputError, match=message):
        read_scores(path, ann_file, split)


def test_results_need_an_annotation_file_and_execute_nothing(tmp_path, ann_file):
    path = tmp_path / "result.pkl"
    path.write_bytes(pickle.dumps(list(SCORE)))
    with pytest.raises(InputError, match="carry no ids.*--ann-file and --split"):
        read_scores(path)
    path.write_bytes(pickle.dumps([print]))
    with pytest.raises(InputError, match="print"):
        read_scores(path, ann_file, "test")


def dump(path, order, labels, **meta):
    """A --dump file, by MMEngine's own metric from MMAction2's own samples."""
    torch = pytest.importorskip("torch")
    structures = pytest.importorskip("mmaction.structures")
    evaluator = pytest.importorskip("mmengine.evaluator")
    metric = evaluator.DumpResults(str(path))
    samples = []
    for n in order:
        sample = structures.ActionDataSample().set_pred_score(torch.from_numpy(SCORE)[n])
        # MMAction2 1.2 renamed the label's field.
        (getattr(sample, "set_gt_label", None) or sample.set_gt_labels)(int(labels[n]))
        sample.set_metainfo({"img_shape": (8, 8), **{key: value[n] for key, value in meta.items()}})
        samples.append(sample.to_dict())
    metric.process({}, samples)
    metric.compute_metrics(metric.results)


def test_dump_files_of_mmaction2(tmp_path, ann_file):
    path = tmp_path / "dump.pkl"
    dump(path, FILE_ORDER, [0, 3, 2])
    read = read_scores(path, ann_file, "test")
    assert read.sample_id.tolist() == ["0067_0", "0054_1", "0054_0"] and read.label.tolist() == [2, 3, 0]
    np.testing.assert_array_equal(read.score, SCORE[FILE_ORDER])
    with pytest.raises(InputError, match="carry no ids"):
        read_scores(path)


def test_a_dump_in_another_order_is_noticed_by_its_labels(tmp_path, ann_file):
    dump(tmp_path / "dump.pkl", [0, 1, 2], [0, 3, 2])
    with pytest.raises(InputError, match=r"clip '0067_0': the label in the results is 0, in .* it is 2 \(2 of 3 clips"):
        read_scores(tmp_path / "dump.pkl", ann_file, "test")


def test_a_dump_that_carries_ids_needs_no_annotations(tmp_path):
    dump(tmp_path / "dump.pkl", [1, 0, 2], [0, 3, 2], frame_dir=IDS)
    read = read_scores(tmp_path / "dump.pkl")
    assert read.sample_id.tolist() == ["0054_1", "0054_0", "0067_0"] and read.label.tolist() == [3, 0, 2]


def test_a_dump_that_carries_ids_may_not_contradict_the_annotations(tmp_path, ann_file):
    path = tmp_path / "dump.pkl"
    dump(path, [1, 0, 2], [0, -1, 2], frame_dir=IDS)
    assert read_scores(path, ann_file, "test").label.tolist() == [3, 0, 2]
    dump(path, [1, 0, 2], [0, 1, 2], frame_dir=IDS)
    with pytest.raises(InputError, match="clip '0054_1': the label in the results is 1, in .* it is 3"):
        read_scores(path, ann_file, "test")


@pytest.mark.parametrize("dtype", ["float32", "float64", "bfloat16"])
def test_dumps_of_newer_versions_hold_the_tensors_directly(tmp_path, ann_file, dtype):
    torch = pytest.importorskip("torch")
    # Slices of one tensor: each carries the whole storage and an offset into it.
    table = torch.from_numpy(SCORE[FILE_ORDER]).to(getattr(torch, dtype))
    content = [OrderedDict(pred_score=row, gt_label=torch.tensor([k])) for row, k in zip(table, [2, 3, 0], strict=True)]
    (tmp_path / "dump.pkl").write_bytes(pickle.dumps(content, protocol=2))
    read = read_scores(tmp_path / "dump.pkl", ann_file, "test")
    np.testing.assert_array_equal(read.score, table.float().numpy())


@pytest.mark.parametrize(
    ("result", "message"),
    [
        (
            lambda t: {"pred_score": {"rgb": t.ones(4), "pose": t.ones(4)}},
            "expected one tensor, got a dict with rgb, pose",
        ),
        (lambda t: {"pred_score": t.ones(4), "gt_label": t.tensor([1, 2])}, "expected one label, got 2"),
        (lambda t: {"gt_label": t.tensor([1])}, "field 'pred_score': result 0: expected one tensor, got NoneType"),
    ],
)
def test_dumps_of_other_tasks_are_refused(tmp_path, ann_file, result, message):
    torch = pytest.importorskip("torch")
    (tmp_path / "dump.pkl").write_bytes(pickle.dumps([result(torch)] * 3))
    with pytest.raises(InputError, match=message):
        read_scores(tmp_path / "dump.pkl", ann_file, "test")


def test_the_order_is_the_one_of_mmaction2s_own_dataset(shared_dir, tmp_path):
    datasets = pytest.importorskip("mmaction.datasets")
    ann = shared_dir / "data" / "msr_action3d" / "msr_action3d.pkl"
    own = datasets.PoseDataset(str(ann), pipeline=[], split="xsub_test", test_mode=True)
    (tmp_path / "result.pkl").write_bytes(pickle.dumps([np.full(20, 0.05, np.float32)] * len(own)))
    read = read_scores(tmp_path / "result.pkl", ann, "xsub_test")
    infos = [own.get_data_info(n) for n in range(len(own))]
    assert read.sample_id.tolist() == [info["frame_dir"] for info in infos]
    assert read.label.tolist() == [info["label"] for info in infos]


def test_first_ids_and_replacing_stay_checked():
    assert first_ids(["a", "b"]) == "'a', 'b'" and first_ids("abcdef") == "'a', 'b', 'c' and 3 more"
    with pytest.raises(InputError):
        replace(scores(), label=np.array([9, 9, 9]))


LOGITS = [[2.5, -1.0, 0.0, 3], [0.5, 0.25, -7, 1e-3], [1, 2, 3, 4]]


def written(path, content):
    path.write_text(content if isinstance(content, str) else json.dumps(content), encoding="utf-8")
    return path


def test_mmns_prediction_is_in_the_order_of_its_label_file(tmp_path):
    """A list of rows of logits, and a pickled list of dicts: as MMN's test.py and its feeder have them."""
    labels = tmp_path / "test_label.pkl"
    entries = zip(IDS, (0, 3, 2), strict=True)
    labels.write_bytes(pickle.dumps([{"file_name": name, "length": 40, "label": label} for name, label in entries]))
    read = read_scores(written(tmp_path / "prediction.json", LOGITS), labels)
    assert read.sample_id.tolist() == IDS and read.label.tolist() == [0, 3, 2]
    np.testing.assert_array_equal(read.score, np.array(LOGITS, np.float32))
    with pytest.raises(InputError, match="prediction.json: the results in it carry no ids.*--ann-file"):
        read_scores(tmp_path / "prediction.json")
    with pytest.raises(InputError, match="it holds 2 results, but .*test_label.pkl has 3 clips"):
        read_scores(written(tmp_path / "prediction.json", LOGITS[:2]), labels)


@pytest.mark.parametrize(
    ("text", "labels"),
    [
        ("id,label\n0054_0,0\n0054_1,3\n0067_0,\n", [0, 3, -1]),
        ("0054_0 0\n0054_1 3\n0067_0 2\n", [0, 3, 2]),
        ("0054_0\n0054_1\n0067_0\n", [-1, -1, -1]),
        ("clip;class\n0054_0;0\n0054_1;-1\n0067_0;2\n", [0, -1, 2]),
    ],
)
def test_lists_are_in_the_order_of_a_label_file_in_text(tmp_path, ann_file, text, labels):
    read = read_scores(written(tmp_path / "p.json", LOGITS), written(tmp_path / "labels.csv", text))
    assert read.sample_id.tolist() == IDS and read.label.tolist() == labels
    from_toolbox = read_scores(tmp_path / "p.json", ann_file, "test")
    assert from_toolbox.sample_id.tolist() == [IDS[n] for n in FILE_ORDER]
    with pytest.raises(InputError, match="labels.csv: expected a file with splits, but a list has none"):
        read_scores(tmp_path / "p.json", tmp_path / "labels.csv", "test")


def test_a_dict_of_lists_has_its_ids_and_gets_labels(tmp_path, ann_file):
    path = written(tmp_path / "p.json", dict(zip(IDS, LOGITS, strict=True)))
    assert read_scores(path).label.tolist() == [-1, -1, -1]
    read = read_scores(path, ann_file, "test")
    assert read.sample_id.tolist() == IDS and read.label.tolist() == [0, 3, 2]


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ([], "expected a list of results, got a list of 0"),
        ({}, "expected a list of results, got a dict with"),
        ("[[1, NaN]]", "NaN is no number of JSON"),
        ('{"a": [1, 2], "b": [1, 2], "a": [2, 1]}', "'a' is in it twice"),
        ([[1, 2], [3]] + [[1, 2]], "clip '0054_1': expected one score per class, as in the first clip"),
        ([[1, True], [1, 2], [1, 2]], "clip '0054_0': expected a list of numbers"),
        ([[1, "2"], [1, 2], [1, 2]], "clip '0054_0': expected a list of numbers"),
        ([1, 2, 3], "clip '0054_0': expected a list of numbers, one a class, got int"),
        ([[1, 10**400], [1, 2], [1, 2]], "clip '0054_0': a score is too large"),
        ({"a": [1, 2], "b": 3}, "clip 'b': expected a list of numbers"),
        ({"a": [1], "b": [3]}, "clip 'a': field 'score': expected a score for each of two classes or more, got 1"),
    ],
)
def test_wrong_lists_are_refused(tmp_path, content, message):
    labels = written(tmp_path / "labels.txt", "\n".join(IDS))
    with pytest.raises(InputError, match=f"p.json: .*{message}"):
        read_scores(written(tmp_path / "p.json", content), labels)


@pytest.mark.parametrize(
    ("text", "names", "labels"),
    [
        ("id,score_0,score_1\na,0.75,0.25\nb,0.5,0.5\n", (), [-1, -1]),
        ("a,0.75,0.25\nb,0.5,0.5\n", (), [-1, -1]),
        ("clip;1;2;label\na;0,75;0,25;1\nb;0,5;0,5;\n", (), [1, -1]),
        (",id,label,wave,clap\n0,a,0,0.75,0.25\n1,b,1,0.5,0.5\n", ("wave", "clap"), [0, 1]),
        (",0,1\na,0.75,0.25\nb,0.5,0.5\n", (), [-1, -1]),
        ("wave,clap 2,clip\n.75,.25,a\n5e-1,0.5,b\n", ("wave", "clap 2"), [-1, -1]),
    ],
)
def test_tables_of_scores(tmp_path, text, names, labels):
    read = read_scores(written(tmp_path / "s.csv", text))
    assert read.sample_id.tolist() == ["a", "b"] and read.label.tolist() == labels
    assert read.score.tolist() == [[0.75, 0.25], [0.5, 0.5]] and read.class_names == names


def test_a_table_without_titles_whose_first_scores_are_0_and_1_loses_no_clip(tmp_path):
    read = read_scores(written(tmp_path / "s.csv", "a,0,1\nb,1,0\n"))
    assert read.sample_id.tolist() == ["a", "b"] and read.score.tolist() == [[0, 1], [1, 0]]


def test_a_table_gets_labels_of_the_annotations_and_may_not_contradict_them(tmp_path, ann_file):
    text = "id,label,0,1,2,3\n0054_0,,1,2,3,4\n0054_1,3,1,2,3,4\nother,2,1,2,3,4\n"
    assert read_scores(written(tmp_path / "s.csv", text), ann_file, "test").label.tolist() == [0, 3, 2]
    with pytest.raises(InputError, match="s.csv: clip '0054_1': the label in the results is 2, in .* it is 3"):
        read_scores(written(tmp_path / "s.csv", text.replace("_1,3", "_1,2")), ann_file, "test")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "expected an id and a score"),
        ("a\nb\n", "expected an id and a score"),
        ("id,label\na,1\n", "got none"),
        ("id,wave,clap\n", "got none"),
        ("id,wave,clap\na,1\n", "line 2: expected 3 cells, got 2"),
        ("id,wave,clap\na,1,x\n", "field 'clap': line 2: expected a number, got 'x'"),
        ("a,31\nb,4\n", "expected an id and a score for each class in each row, got one score"),
        ("id,gt,score_0,score_1\na,1,0.5,0.5\n", "some scores are numbered by their titles, but .'gt'. not"),
        ("id,frames,0,1\na,40,0.5,0.5\n", "but .'frames'. not"),
        ("id,wave,clap,label\na,1,1,1.5\n", "line 2: expected a class, a whole number from 0, got '1.5'"),
        ("id,2,1\na,1,1\n", "does not count up from 0 or 1"),
        ("vid,action_pred_1,action_pred_2,body_pred_1\na.mp4,3,4,1\n", "does not count up from 0 or 1"),
        ("id,wave,clap\na,1,nan\n", "clip 'a': field 'score': NaN"),
        ("id,wave,clap\na,1,2\na,1,2\n", "occur more than once: 'a'"),
    ],
)
def test_wrong_tables_are_refused(tmp_path, text, message):
    with pytest.raises(InputError, match=f"s.csv.*{message}"):
        read_scores(written(tmp_path / "s.csv", text))
