import subprocess
import sys
import zipfile

import numpy as np
import pytest

from helpers import ROOT
from pyskl_semloss.errors import InputError
from pyskl_semloss.evaluation.ensemble import run_fusion
from pyskl_semloss.evaluation.fusion_config import plan_from_config
from pyskl_semloss.evaluation.fusion_plan import FusionPlan, fusion_inputs
from pyskl_semloss.evaluation.scores import Scores
from pyskl_semloss.evaluation.submission import check_submission, read_ids, submission_csv, write_submission

TOOL = ROOT / "tools" / "fuse_scores.py"


def scores(*ids):
    score = np.eye(32)[np.arange(len(ids)) * 7 % 32]
    return Scores(np.array(ids), score, np.full(len(ids), -1))


def test_one_line_per_clip_in_order_with_the_zero_based_class(tmp_path):
    path = tmp_path / "new" / "Submission.zip"
    write_submission(scores("0054_0", "0054_10", "0054_2", "0292_1", "Sample0036\u00e9"), path)
    with zipfile.ZipFile(path) as archive:
        assert archive.namelist() == ["Submission.csv"] and archive.testzip() is None
        assert archive.infolist()[0].date_time == (1980, 1, 1, 0, 0, 0)
        text = archive.read("Submission.csv").decode("utf-8")
    assert text == "0054_0,0\n0054_10,7\n0054_2,14\n0292_1,21\nSample0036\u00e9,28\n"


def test_equal_scores_give_equal_bytes(tmp_path):
    for name in ("a.zip", "b.zip"):
        write_submission(scores("a", "b"), tmp_path / name)
    assert (tmp_path / "a.zip").read_bytes() == (tmp_path / "b.zip").read_bytes()


def test_of_equal_scores_the_lower_class_is_submitted():
    tied = Scores(np.array(["a"]), np.array([[0.2, 0.4, 0.4]]), np.array([-1]))
    assert submission_csv(tied) == "a,1\n"


@pytest.mark.parametrize(
    "bad", ["a,b", 'a"b', "a'b", "a\nb", "a\rb", "a\tb", " a", "a ", "=a", "+a", "-a", "@a", "a\u2028b", "\x7f"]
)
def test_ids_that_a_table_would_misread_are_refused_and_nothing_is_written(tmp_path, bad):
    with pytest.raises(InputError, match="1 of 2 ids cannot stand in a submission"):
        write_submission(scores("fine-1=2", bad), tmp_path / "s.zip")
    assert list(tmp_path.iterdir()) == []


def test_the_name_must_say_zip(tmp_path):
    with pytest.raises(InputError, match=".zip"):
        write_submission(scores("a"), tmp_path / "s.csv")


def test_the_order_is_the_official_lists(tmp_path):
    write_submission(scores("a", "b", "c"), tmp_path / "s.zip", ids=("c", "a", "b"))
    with zipfile.ZipFile(tmp_path / "s.zip") as archive:
        assert archive.read("Submission.csv").decode() == "c,14\na,0\nb,7\n"


@pytest.mark.parametrize(
    ("ids", "message"),
    [
        (("a", "b", "x", "y"), r"\(3 for 4\); 2 missing: 'x', 'y'; 1 not in the list: 'c'\. Test the split"),
        (("a", "b"), r"\(3 for 2\); 1 not in the list: 'c'"),
        (("a", "b", "c", "d"), r"\(3 for 4\); 1 missing: 'd'"),
        (("a", "b", "c", "a"), r"\(4 for 4\); 1 more than once: 'a'"),
    ],
)
def test_other_ids_than_the_official_are_refused_by_name_and_nothing_is_written(tmp_path, ids, message):
    with pytest.raises(InputError, match=message):
        write_submission(scores("a", "b", "c"), tmp_path / "s.zip", ids)
    assert list(tmp_path.iterdir()) == []


def test_ten_missing_ids_are_named_and_the_rest_counted():
    with pytest.raises(InputError, match="12 missing: 'm00', .*'m09' and 2 more"):
        submission_csv(scores("a"), ["a", *(f"m{n:02}" for n in range(12))])


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("a,0\nb,32\n", "clip 'b': line 2: expected a class from 0 to 31, got '32'"),
        ("a,-1\nb,0\n", "line 1: expected a class from 0 to 31, got '-1'"),
        ("a,0\nb,1.0\n", "line 2: expected a class from 0 to 31, got '1.0'"),
        ("a,0\nb,\n", "line 2: expected a class"),
        ("a,0\nb\n", "line 2: expected 'id,class', got 'b'"),
        ("id,class\na,0\nb,1\n", "line 1: expected a class from 0 to 31, got 'class'"),
        ("b,1\na,0\n", "line 1: expected the id 'a', got 'b'; the order differs"),
        ("a,0\n", r"\(1 for 2\); 1 missing: 'b'"),
        ("a,0\nb,1\nb,1\n", r"\(3 for 2\); 1 more than once: 'b'"),
        ("a,0\nb,1\nc,1\n", r"\(3 for 2\); 1 not in the list: 'c'"),
        ("", r"\(0 for 2\); 2 missing: 'a', 'b'"),
    ],
)
def test_a_wrong_submission_is_refused(content, message):
    check_submission("a,0\nb,31\n", ("a", "b"), 32)
    with pytest.raises(InputError, match=message):
        check_submission(content, ("a", "b"), 32)


@pytest.mark.parametrize(
    "text",
    [
        "b\na\n",
        "b\r\na",
        "\ufeffb \n a\n\n\n",
        "id,class\nb,0\na,3\n",
        "Sample_ID\nb\na\n",
        '"b",0\n"a",1\n',
        "b,a",
        "b, a\n",
        "b;a\n",
        "b\ta\n",
        "b\n\na\n",
        "ids\nb,a\n",
        "sep=;\nid;class\nb;0\na;3\n",
        "class|id\n0|b\n3|a\n",
        ",id,class\n0,b,3\n1,a,3\n",
        "0,b\n1,a\n",
    ],  # fmt: skip
)
def test_an_id_list_is_one_id_a_line_or_the_first_column(tmp_path, text):
    (tmp_path / "ids.txt").write_bytes(text.encode("utf-8"))
    assert read_ids(tmp_path / "ids.txt") == ("b", "a")


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "got no id"),
        (b"id,class\n", "got no id"),
        (b"a\n,3\n", "line 2 has no id"),
        (b"a\nb\na,1\n", "the id 'a' is on line 1 and again on line 3"),
        (b"a\n\xff\n", "expected UTF-8 text, got the byte 0xff"),
        (b'"a\n', "line 1: expected CSV .unexpected end of data"),
        (b"1,2\n3,4\n", "it has 2 numbers a line: are they ids, or an id and its class"),
        (b"PK\x03\x04", "a workbook"),
        (None, "there is no such file"),
    ],
)
def test_a_wrong_id_list_is_refused(tmp_path, content, message):
    path = tmp_path / "ids.txt"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(InputError, match=f"^{path}: .*{message}"):
        read_ids(path)


def test_the_fusion_takes_the_list_and_checks_before_it_writes_anything(tmp_path):
    given, ids = scores("a", "b", "c"), tmp_path / "ids.txt"
    given.save(tmp_path / "joint.npz")
    ids.write_text("c\nb\na\n")
    config = tmp_path / "fusion.py"
    config.write_text(
        f"parts = dict(joint=dict(scores={str(tmp_path / 'joint.npz')!r}, weight=1))\n"
        f"out = {str(tmp_path / 'o.npz')!r}\nsubmission = {str(tmp_path / 's.zip')!r}\nids = {str(ids)!r}\n"
    )
    report = run_fusion(plan_from_config(config))
    with zipfile.ZipFile(tmp_path / "s.zip") as archive:
        assert archive.read("Submission.csv").decode() == "c,14\nb,7\na,0\n"
    assert f"The submission has the 3 ids of {ids}, in their order." in report.notes
    (tmp_path / "s.zip").unlink()
    (tmp_path / "o.npz").unlink()
    ids.write_text("c\nb\na\nd\n")
    with pytest.raises(InputError, match="1 missing: 'd'"):
        run_fusion(plan_from_config(config))
    assert not (tmp_path / "s.zip").exists() and not (tmp_path / "o.npz").exists()


def test_ids_in_other_words_are_named(tmp_path):
    (tmp_path / "ids.txt").write_text("54_0.mp4\n")
    with pytest.raises(InputError, match=r"ids\.txt \(1 for 1\); 1 missing: '54_0\.mp4'; 1 not in the list: '0054_0'\. "
                       r"The list writes '54_0\.mp4' for '0054_0'"):  # fmt: skip
        submission_csv(scores("0054_0"), read_ids(tmp_path / "ids.txt"))
    (tmp_path / "ids.txt").write_text("clip\nb\n")
    assert submission_csv(scores("b", "clip"), read_ids(tmp_path / "ids.txt")) == "clip,7\nb,0\n"
    assert submission_csv(scores("b"), read_ids(tmp_path / "ids.txt")) == "b,0\n"


def test_a_list_without_a_submission_is_refused():
    with pytest.raises(InputError, match="no submission to check"):
        FusionPlan(fusion_inputs(["joint.npz", "limb.npz"]), ids="ids.txt")


def test_the_tool_refuses_in_one_line(tmp_path):
    scores("a", "b").save(tmp_path / "joint.npz")
    (tmp_path / "ids.txt").write_text("a\nb\nc\n")
    done = subprocess.run(
        [sys.executable, TOOL, "joint.npz", "--weights", "1", "--submission", "s.zip", "--ids", "ids.txt"],
        cwd=tmp_path, capture_output=True, text=True,
    )  # fmt: skip
    assert done.returncode == 2 and done.stderr.count("\n") == 1 and "1 missing: 'c'" in done.stderr
    assert not (tmp_path / "s.zip").exists()
