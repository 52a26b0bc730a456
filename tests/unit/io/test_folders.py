"""Folders as systems leave them: their own files are passed over by every reader; and what is near a wrong path."""

import pytest

from helpers.own_keypoint_files import body, write_images, write_mmpose, write_openpose
from helpers.raw_formats import imigue_clips, smg_clips, write_imigue_raw, write_smg_raw
from pyskl_semloss.datasets import IMIGUE, SMG, convert_raw
from pyskl_semloss.datasets.recordings import KeypointOptions, convert_recordings
from pyskl_semloss.errors import InputError
from pyskl_semloss.io.reading import is_system_file, list_folder, missing_file_error, read_bytes
from pyskl_semloss.recordings.assembly import RecordingOptions
from pyskl_semloss.recordings.keypoint_files import find_sources, guess_format, read_keypoints
from pyskl_semloss.skeletons import get_layout


def litter(folder, name=None):
    """What macOS and Windows put beside ``name`` and into every folder."""
    twin = b"\x00\x05\x16\x07\x00\x02\x00\x00Mac OS X        "
    for path in [folder, *[path for path in folder.rglob("*") if path.is_dir()]]:
        for file in [file.name for file in path.iterdir() if file.is_file()]:
            (path / f"._{file}").write_bytes(twin)
        for other in (".DS_Store", "Thumbs.db", "desktop.ini", "~$table.xlsx"):
            (path / other).write_bytes(b"\x00\x01")
    (folder / "__MACOSX" / "0001").mkdir(parents=True)
    (folder / "__MACOSX" / "0001" / "._0001_label.csv").write_bytes(twin)


def test_names_of_systems(tmp_path):
    hidden = ["._talk.json", ".DS_Store", "THUMBS.DB", "Desktop.ini", "__MACOSX", "~$labels.xlsx", "$RECYCLE.BIN"]
    shown = ["talk.json", "macosx", "thumbs.json", "~talk.npz", "_talk.csv"]
    assert [is_system_file(name) for name in hidden + shown] == [True] * len(hidden) + [False] * len(shown)
    for name in hidden + shown:
        (tmp_path / name).write_text("")
    assert list_folder(tmp_path) == sorted(shown)
    with pytest.raises(InputError, match="it is a file, expected a folder"):
        list_folder(tmp_path / "talk.json")
    with pytest.raises(InputError, match="there is no such folder. Did you mean '.*talk.json'"):
        list_folder(tmp_path / "talk.jsonn")


def test_folders_of_keypoints(tmp_path):
    values = body("openpose67", 3)
    write_openpose(tmp_path / "talk", {at: [each] for at, each in enumerate(values)})
    write_images(tmp_path / "walk", {at: [each] for at, each in enumerate(body("coco17", 3))})
    write_mmpose(tmp_path / "sit.json", [[each] for each in body("coco17", 3)])
    litter(tmp_path)
    assert guess_format(tmp_path / "talk") == "openpose" and guess_format(tmp_path / "walk") == "mmpose"
    assert [path.rsplit("/", 1)[1] for path in find_sources(tmp_path)] == ["sit.json", "talk", "walk"]
    assert read_keypoints(tmp_path / "talk").frame.tolist() == read_keypoints(tmp_path / "walk").frame.tolist()
    options = KeypointOptions(recording=RecordingOptions((1080, 1920), 25.0))
    convert_recordings([tmp_path / "talk"], tmp_path / "out", options)
    # A picture of the folder that a system makes anew is no other source.
    (tmp_path / "talk" / "Thumbs.db").write_bytes(b"another one")
    before = (tmp_path / "out" / "talk.npz").stat().st_mtime_ns
    convert_recordings([tmp_path / "talk"], tmp_path / "out", options)
    assert (tmp_path / "out" / "talk.npz").stat().st_mtime_ns == before


@pytest.mark.parametrize(
    ("raw", "write", "clips", "name"),
    [(IMIGUE, write_imigue_raw, imigue_clips, "0001"), (SMG, write_smg_raw, smg_clips, "Sample0001")],
)
def test_raw_folders(tmp_path, raw, write, clips, name):
    write(tmp_path / "src", {f"a/{name}": clips(2, frames=9)})
    litter(tmp_path / "src")
    summary = convert_raw(raw, tmp_path / "src", tmp_path / "a.pkl", strict=True)
    assert summary["clips"] == 2


def test_the_nearest_path_is_named(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "Videos").mkdir()
    (tmp_path / "Videos" / "Mu\u0308ller.json").write_text("")
    for path, words in (
        ("Videos/M\u00fcller.JSON", "there is no such file. Did you mean 'Videos/Mu\u0308ller.json'?"),
        ("videos/x.json", "there is no such file; there is no folder 'videos'. Did you mean 'Videos'?"),
        ("Videos/Mu\u0308ller.json/x", "there is no such file; 'Videos/Mu\u0308ller.json' is a file."),
        ("nothing.csv", "there is no such file."),
    ):
        assert str(missing_file_error(path)) == f"{path}: {words}"
    with pytest.raises(InputError, match="Did you mean 'Videos'"):
        read_bytes("vidoes")
    (tmp_path / "link").symlink_to("nowhere.csv")
    with pytest.raises(InputError, match="link: it is a link to 'nowhere.csv', which is not there"):
        read_bytes("link")


def test_paths_of_the_wrong_kind(tmp_path):
    folder = tmp_path / "op"
    write_openpose(folder / "talk", {0: [body("openpose67", 1)[0]]})
    (tmp_path / "arms.yaml").write_text("")
    for call, words in (
        (lambda: find_sources(tmp_path / "ops"), "there is no such file or folder. Did you mean '.*/op'"),
        (lambda: read_keypoints(tmp_path), "it is a folder, and none of a recording"),
        (lambda: find_sources(tmp_path, "openpose"), "no recording .* is in this folder. There are some in .*/op"),
        (lambda: read_keypoints(tmp_path / "arms.yaml", "openpose"), "it is a file, expected a folder"),
        (lambda: read_keypoints(folder, "mmpose"), "no .json of an image|cannot be read"),
        (lambda: get_layout(str(tmp_path / "arms")), "there is no layout .*Did you mean '.*/arms.yaml'"),
        (lambda: get_layout("OpenPose22"), "there is no layout 'OpenPose22'. Did you mean 'openpose22'"),
        (lambda: convert_raw(IMIGUE, tmp_path / "arms.yaml", tmp_path / "a.pkl"), "it is a file, expected a folder"),
        (lambda: convert_raw(IMIGUE, tmp_path / "arm", tmp_path / "a.pkl"), "there is no such folder"),
    ):
        with pytest.raises(InputError, match=words):
            call()
