"""The reader of every table: separators, titles, numbers and times as programs, spreadsheets and people write them."""

import pytest

from pyskl_semloss.errors import InputError
from pyskl_semloss.io.tables import is_index, read_rows, read_spreadsheet, title_key


def read(tmp_path, text, newline="\n"):
    path = tmp_path / "a.csv"
    path.write_bytes(text.replace("\n", newline).encode("utf-8"))
    table = read_spreadsheet(path)
    return table, list(table.rows)


@pytest.mark.parametrize("mark", [",", ";", "\t", "|"])
@pytest.mark.parametrize("newline", ["\n", "\r\n", "\r"])
def test_separators_and_line_ends(tmp_path, mark, newline):
    table, rows = read(tmp_path, "\ufeffa,b,c,,\n\n1, x ,\u00a03\n,,,,\n4,5\n".replace(",", mark), newline)
    assert (table.titles, table.mark) == (["a", "b", "c"], mark)
    assert rows == [(3, ["1", "x", "3"]), (5, ["4", "5"])]


def test_excel_names_the_separator_in_a_first_line(tmp_path):
    for first in ("sep=;", '"sep=;"', "SEP=;".lower() + " "):
        table, rows = read(tmp_path, f"{first}\nstart, in s;end\n1;2\n")
        assert table.titles == ["start, in s", "end"] and rows == [(3, ["1", "2"])]


def test_the_separator_is_not_looked_for_in_quotation_marks_nor_in_numbers(tmp_path):
    assert read(tmp_path, '"a,b,c";d\n"1";2\n')[1] == [(2, ["1", "2"])]
    assert read(tmp_path, "a,s;b,s;c\n1;2;3\n")[0].titles == ["a,s", "b,s", "c"]
    (tmp_path / "a.csv").write_text("\n\n1,5;2,5\n")
    assert [cells for _, cells in read_rows(tmp_path / "a.csv")[1]] == [["1,5", "2,5"]]


def test_quotation_marks(tmp_path):
    text = 'name,note\n"a, ""b""", "two\nlines"\nx,y\n'
    assert read(tmp_path, text)[1] == [(2, ['a, "b"', "two\nlines"]), (4, ["x", "y"])]
    # Characters that end a line for Python's splitlines, and for no spreadsheet.
    assert read(tmp_path, "a,b\nx\u2028y,z\x85\n")[1] == [(2, ["x\u2028y", "z"])]
    with pytest.raises(InputError, match="a.csv: the row that begins in line 2: expected CSV .unexpected end of data"):
        read(tmp_path, 'a,b\n"1,2\n3,4\n')
    with pytest.raises(InputError, match="a.csv: line 2: expected CSV"):
        read(tmp_path, 'a,b\n"1"x,2\n')


@pytest.mark.parametrize(
    ("mark", "cell", "value"),
    [
        (",", "0.5", 0.5), (",", "-1e3", -1000), (",", "0,5", 0.5), (",", "1,234", None), (",", "12,345,678", None),
        (",", "0,125", 0.125), (";", "1,234", 1.234), ("\t", "-,5", -0.5), ("|", "1,5e2", 150), (";", "1.234,5", None),
        (",", "1_000", None), (",", "", None), (",", "x", None), (",", ",", None), (";", "1,2,3", None),
    ],
)  # fmt: skip
def test_numbers(tmp_path, mark, cell, value):
    table, _ = read(tmp_path, f"a{mark}b\n")
    if value is None:
        with pytest.raises(ValueError):
            table.number(cell)
    else:
        assert table.number(cell) == value


@pytest.mark.parametrize(
    ("cell", "value"),
    [
        ("12.5", 12.5), ("1:02", 62), ("90:00", 5400), ("0:01:02.5", 62.5), ("1:02:03,250", 3723.25), ("1:2", 62),
        ("1:75", None), ("1:60:00", None), ("0:00:60", None), ("00:00:12:24", None), ("-1:00", None), ("1:", None),
        (":30", None), ("1:x", None), ("1 s", None),
    ],
)  # fmt: skip
def test_times(tmp_path, cell, value):
    table, _ = read(tmp_path, "a,b\n")
    if value is None:
        with pytest.raises(ValueError):
            table.seconds(cell)
    else:
        assert table.seconds(cell) == value


def test_columns_by_their_titles(tmp_path):
    table, _ = read(tmp_path, "Unnamed: 0, Start  Frame ,END-frame,X_l,x_L,,na\u0308me\n")
    assert table.places(["start_frame", "end_frame", "x_L", "X_l", "n\u00e4me", "y"]) == {
        "start_frame": 1, "end_frame": 2, "x_L": 4, "X_l": 3, "n\u00e4me": 6,
    }  # fmt: skip
    assert [is_index(title) for title in table.titles] == [True, False, False, False, False, True, False]
    assert title_key("Start\u00a0Frame") == "start_frame"
    for text, name in (("a,A,b\n", "b"), ("a,a\n", "c")):
        read(tmp_path, text)[0].places([name])
    for text in ("b,b\n", "B,B\n", "A,A,b\n"):
        with pytest.raises(InputError, match="a.csv: two columns are called '[ab]'"):
            read(tmp_path, text)[0].places([text[0].lower()])
    assert read(tmp_path, "A,a,b\n")[0].places(["a"]) == {"a": 1}
    problem = read(tmp_path, "starts,finish\n")[0].missing(["start", "end"])
    assert problem == "the first line names no column start, end; it names ['starts', 'finish']; did you mean 'starts'?"


@pytest.mark.parametrize(
    ("data", "words"),
    [
        (b"PK\x03\x04\x14\x00", "got a workbook .*CSV UTF-8"),
        (b"\xd0\xcf\x11\xe0\xa1\xb1", r"got a workbook \(.xls\)"),
        ("a\tb\n1\t2\n".encode("utf-16"), "got UTF-16 text. A spreadsheet saves it as CSV"),
        (b"\xfe\xff\0a", "got UTF-16 text"),
        ("a,b\n".encode("utf-16-le"), "got a NUL character. A spreadsheet"),
        (b"{\\rtf1\\ansi", "rich text"),
        (b"%PDF-1.4", "a PDF file"),
        ("Gr\u00f6\u00dfe,b\n".encode("latin-1"), "got the byte 0xf6. If it is text, save it as UTF-8. A spreadsheet"),
    ],
)
def test_what_is_no_text_is_named_with_its_remedy(tmp_path, data, words):
    (tmp_path / "a.csv").write_bytes(data)
    with pytest.raises(InputError, match=f"a.csv: expected .*{words}"):
        read_spreadsheet(tmp_path / "a.csv")


def test_an_empty_table_has_no_titles(tmp_path):
    for text in ("", "\n\n", ",,,\n", "\ufeff"):
        table, rows = read(tmp_path, text)
        assert (table.titles, rows) == ([], [])
