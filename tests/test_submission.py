import zipfile

import numpy as np
import pytest

from pyskl_semloss.errors import InputError
from pyskl_semloss.evaluation.scores import Scores
from pyskl_semloss.evaluation.submission import submission_csv, write_submission


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
