"""Every writer on a full disk: the old output is whole, the error says what and where, nothing temporary stays.

Where mounting is not permitted, the tests run once more in a namespace where it is.
"""

import json
import os
import subprocess
import sys

import numpy as np
import pytest

from helpers import ROOT
from helpers.raw_formats import imigue_clips, write_imigue_raw
from helpers.small_disk import PAGE, Disk
from pyskl_semloss.annotations import AnnotationSet, write_annotations
from pyskl_semloss.annotations.store_writer import pickle_to_store, store_to_pickle, write_store
from pyskl_semloss.datasets import IMIGUE, convert_raw
from pyskl_semloss.errors import InputError
from pyskl_semloss.evaluation.scores import Scores
from pyskl_semloss.evaluation.submission import write_submission
from pyskl_semloss.io.files import atomic_path, atomic_write, writing
from pyskl_semloss.io.results import RECORD
from pyskl_semloss.semantic.label_vectors import LabelVectors
from pyskl_semloss.skeletons import get_layout

IN_NAMESPACE = "PYSKL_SEMLOSS_TEST_IN_NAMESPACE"
WORDS = ("wave", "rub", "fold", "scratch")


def test_in_a_namespace_where_mounting_is_not_permitted(tmp_path):
    if os.environ.get(IN_NAMESPACE):
        pytest.skip("this is that namespace")
    try:
        Disk(tmp_path / "disk").unmount()
    except (PermissionError, FileNotFoundError):
        pass
    else:
        pytest.skip("mounting is permitted here")
    try:
        possible = subprocess.run(["unshare", "-rm", "true"], capture_output=True).returncode == 0
    except FileNotFoundError:
        possible = False
    if not possible:
        pytest.skip("neither mounting nor a namespace of one's own is permitted here")
    command = ["unshare", "-rm", sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", __file__]
    done = subprocess.run(command, capture_output=True, text=True, env={**os.environ, IN_NAMESPACE: "1"}, cwd=ROOT)
    assert done.returncode == 0 and " passed" in done.stdout, done.stdout[-3000:] + done.stderr[-2000:]


@pytest.fixture(scope="module")
def mounted(tmp_path_factory):
    try:
        disk = Disk(tmp_path_factory.mktemp("mount") / "disk")
    except (PermissionError, FileNotFoundError) as error:
        pytest.skip(f"a small disk cannot be mounted: {error}")
    yield disk
    disk.unmount()


@pytest.fixture
def disk(mounted):
    yield mounted
    mounted.clear()


@pytest.fixture(scope="module")
def clips():
    return imigue_clips(40, frames=30)


def scores(clips=2000):
    values = np.random.default_rng(0).dirichlet(np.ones(32), clips).astype(np.float32)
    return Scores(np.array([f"clip_{i}" for i in range(clips)]), values, np.arange(clips) % 32)


def check_refused(disk, write, path, levels=(0.0, 0.5, 1.0)):
    """What ``write(path)`` made stays whole when it cannot be made again, at whatever byte that fails."""
    write(path)
    before = disk.content()
    largest = max(len(content) for content in before.values() if content is not None)
    for leave in sorted({int(level * (largest - 1)) // PAGE * PAGE for level in levels}):
        disk.fill(leave)
        with pytest.raises(InputError) as refused:
            write(path)
        found = {name: content for name, content in disk.content().items() if ".parts" not in name}
        assert found == before, f"with {leave} of {largest} bytes left"
        message = str(refused.value)
        assert message.startswith(str(path.parent)) and refused.value.file is not None
        assert "cannot be written" in message and "the disk is full (No space left on device)" in message
        assert "Make room" in message
        assert "\n" not in message
    disk.drain()
    write(path)
    assert disk.content().keys() == before.keys()


def test_annotations_and_stores(disk, clips):
    annotations = AnnotationSet({"train": [clip.frame_dir for clip in clips]}, clips)
    check_refused(disk, lambda path: write_annotations(path, annotations), disk.folder / "a.pkl")
    disk.clear()
    check_refused(disk, lambda path: write_store(path, clips, annotations.splits), disk.folder / "store")


def test_a_pickle_becomes_a_store_and_back(disk, clips, tmp_path):
    write_annotations(tmp_path / "a.pkl", AnnotationSet({"train": [clip.frame_dir for clip in clips]}, clips))
    check_refused(disk, lambda path: pickle_to_store(tmp_path / "a.pkl", path), disk.folder / "store", levels=[0.9])
    disk.clear()
    pickle_to_store(tmp_path / "a.pkl", tmp_path / "store")
    check_refused(disk, lambda path: store_to_pickle(tmp_path / "store", path), disk.folder / "b.pkl", levels=[0.9])


@pytest.mark.parametrize("workers", [1, 2])
def test_conversion_keeps_the_parts_that_are_done(disk, clips, tmp_path, workers):
    write_imigue_raw(tmp_path, {"imigue_skeleton_train/0001": clips[:20], "imigue_skeleton_train/0002": clips[20:]})
    levels = (0.0, 0.6, 1.0) if workers == 1 else (0.0,)

    def write(path):
        convert_raw(IMIGUE, tmp_path, path, workers=workers)

    check_refused(disk, write, disk.folder / "a.pkl", levels)
    assert set(disk.content()) == {RECORD, "a.pkl", "a.json", "a.md"}


def test_scores_and_submission(disk):
    check_refused(disk, scores().save, disk.folder / "s.npz")
    disk.clear()
    many = scores(30000)
    check_refused(disk, lambda path: write_submission(many, path), disk.folder / "s.zip")


def test_label_vectors(disk):
    vectors = np.random.default_rng(0).normal(size=(4, 3000)).astype(np.float32)
    check_refused(disk, LabelVectors(WORDS, vectors, tuple((word,) for word in WORDS)).save, disk.folder / "v.npz")


def test_converted_checkpoints(disk, tmp_path):
    torch = pytest.importorskip("torch")
    from pyskl_semloss.hosts.checkpoints import convert_checkpoint

    state = {"backbone.conv1.conv.weight": torch.randn(200, 300, 1, 1, 1)}
    shapes = {"fc_cls.weight": (4, 8), "fc_cls.bias": (4,), "emb_fc.weight": (5, 8), "emb_fc.bias": (5,)}
    torch.save({"state_dict": state | {f"cls_head.{k}": torch.randn(v) for k, v in shapes.items()}}, tmp_path / "r.pth")
    np.save(tmp_path / "v.npy", np.ones((4, 5), np.float32))
    check_refused(
        disk, lambda path: convert_checkpoint(tmp_path / "r.pth", path, tmp_path / "v.npy"), disk.folder / "o.pth"
    )


def test_report(disk):
    pytest.importorskip("plotly")
    from helpers.report_page import make_material
    from pyskl_semloss.report.page import write_report

    material = make_material()
    check_refused(disk, lambda path: write_report(material, path.parent), disk.folder / "index.html")


def test_sweep_tables_and_plot(disk, tmp_path):
    from pyskl_semloss.sweep.table import write_results

    metrics = {"top1": 0.5, "mean_class": 0.5}
    for seed in range(3):
        folder = disk.folder / f"run{seed}"
        folder.mkdir()
        done = {"model": "joint", "vectors": "given", "alpha": 20.0, "seed": seed, "metrics": metrics}
        (folder / "done.json").write_text(json.dumps(done))
    check_refused(disk, lambda path: write_results(path.parent), disk.folder / "table.md", levels=(0.0, 0.3, 1.0))


@pytest.mark.parametrize("name", ["x.gif", "x.mp4"])
def test_animations(disk, clips, name):
    pytest.importorskip("PIL")
    if name.endswith("mp4"):
        pytest.importorskip("cv2")
    from pyskl_semloss.drawing.animation import draw_clip, write_animation

    frames = draw_clip(clips[0], get_layout("openpose22"), size=200)
    check_refused(disk, lambda path: write_animation(frames, path), disk.folder / name)


def test_pictures_of_skeletons(disk):
    pytest.importorskip("matplotlib")
    from pyskl_semloss.drawing.layouts import draw_layout

    check_refused(disk, lambda path: draw_layout(get_layout("openpose22"), path), disk.folder / "x.png")


def test_benchmark_tables(disk):
    pytest.importorskip("mmaction")
    import table

    header = {"long": "x" * 3 * PAGE}
    old = table.markdown
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(table, "markdown", lambda result: old.__name__ + "y" * 5 * PAGE)
        check_refused(disk, lambda path: table.write({"header": header}, path.parent), disk.folder / "benchmark.md")


def test_no_room_for_one_more_file(tmp_path, mounted):
    disk = Disk(tmp_path / "few", files=3)
    try:
        path = disk.folder / "a.txt"
        path.write_text("old")
        (disk.folder / "b").touch()
        for write in (lambda: atomic_write(path), lambda: atomic_path(path)):
            with pytest.raises(InputError, match=r"a.txt: .*the disk is full .*What was there before is untouched"):
                with write():
                    pass
        assert disk.content() == {"a.txt": b"old", "b": b""}
    finally:
        disk.unmount()


def test_a_read_only_disk(tmp_path, mounted):
    disk = Disk(tmp_path / "fixed")
    try:
        (disk.folder / "a.npz").write_bytes(b"old")
        disk.read_only()
        with pytest.raises(InputError, match=r"a.npz: .*mounted read-only \(Read-only file system\)"):
            scores().save(disk.folder / "a.npz")
        with pytest.raises(InputError, match="mounted read-only"):
            write_store(disk.folder / "new" / "store", imigue_clips(2), {})
        assert disk.content() == {"a.npz": b"old"}
    finally:
        disk.unmount()


def test_a_folder_without_permission(tmp_path):
    folder = tmp_path / "locked"
    folder.mkdir()
    (folder / "a.npz").write_bytes(b"old")
    folder.chmod(0o555)
    root = os.geteuid() == 0
    try:
        if root:
            try:
                os.seteuid(65534)
            except OSError:
                pytest.skip("there is no other user in this namespace")
        with pytest.raises(InputError, match=r"a.npz: .*you have no permission .*Change the permissions"):
            scores(3).save(folder / "a.npz")
    finally:
        if root:
            os.seteuid(0)
    assert [path.name for path in folder.iterdir()] == ["a.npz"] and (folder / "a.npz").read_bytes() == b"old"


def test_places_that_are_none(tmp_path):
    with atomic_write(tmp_path / "new" / "folders" / "x.txt", "w") as stream:
        stream.write("made")
    assert (tmp_path / "new" / "folders" / "x.txt").read_text() == "made"
    (tmp_path / "file").touch()
    for path, words in (
        (tmp_path / "file" / "x.txt", "a part of the path is a file"),
        (tmp_path / "file" / "y" / "x.txt", "a part of the path is a file"),
        (tmp_path / "new", "there is a folder of this name"),
        (tmp_path / ("x" * 300), "the name is too long"),
    ):
        with pytest.raises(InputError, match=words) as refused:
            with atomic_write(path, "w") as stream:
                stream.write("x")
        assert refused.value.file == path
    assert sorted(path.name for path in tmp_path.iterdir()) == ["file", "new"]


def test_other_errors_pass(tmp_path):
    for error in (ValueError("x"), KeyboardInterrupt(), FileNotFoundError(2, "no", "/elsewhere/data.csv")):
        with pytest.raises(type(error)) as passed, atomic_write(tmp_path / "x", "w") as stream:
            stream.write("half")
            raise error
        assert passed.value is error and not list(tmp_path.iterdir())
    with pytest.raises(InputError, match="the reader's words") as passed, writing(tmp_path / "x"):
        try:
            raise OSError(28, "full")
        except OSError:
            raise InputError("the reader's words") from None


def tool(*command):
    """Run a tool that must fail; returns its one line."""
    env = {**os.environ, "OMP_NUM_THREADS": "1", "PYTHONWARNINGS": "ignore"}
    done = subprocess.run(
        [sys.executable, *map(str, command)], capture_output=True, text=True, env=env, cwd=ROOT, timeout=600
    )
    assert done.returncode == 2, done.stdout + done.stderr
    (line,) = (line for line in done.stderr.splitlines() if line.startswith("error: "))
    assert "Traceback" not in done.stderr and done.stderr.strip().endswith(line)
    return line


def test_tools_say_it_in_one_line(disk, tmp_path, clips):
    source = tmp_path / "s.npz"
    scores(200).save(source)
    write_annotations(tmp_path / "a.pkl", AnnotationSet({"train": [clip.frame_dir for clip in clips]}, clips))
    commands = {
        "v.npz": ["tools/build_label_vectors.py", "--labels", "data/imigue_labels.txt", "--vectors", "hash", "--out"],
        "f.npz": ["tools/fuse_scores.py", source, source, "--weights", 2, 3, "--out"],
        "s.zip": ["tools/fuse_scores.py", source, source, "--weights", 2, 3, "--submission"],
        "store": ["tools/prepare_data.py", "store", tmp_path / "a.pkl"],
        "a.pkl": ["tools/prepare_data.py", "synthetic", "--clips", 40],
    }
    for name in commands.keys() - {"store"}:
        (disk.folder / name).write_bytes(b"old")
    before = disk.content()
    disk.fill()
    for name, command in commands.items():
        # What was there before is not of this program.
        line = tool(*command, disk.folder / name, *(["--overwrite"] if name in before else []))
        assert f"error: {disk.folder / name}: " in line and "the disk is full" in line
        assert ("What was there before is untouched" in line) == (name in before)
        assert disk.content() == before


def test_testing_writes_its_scores_whole_or_not_at_all(disk, tmp_path):
    pytest.importorskip("mmaction")
    import torch
    from mmaction.registry import MODELS
    from mmengine.config import Config
    from mmengine.registry import init_default_scope

    import pyskl_semloss.hosts.mmaction2  # noqa: F401
    from pyskl_semloss.synthetic.clips import generate

    init_default_scope("mmaction")

    annotations = generate(40, seed=1, subjects=8)
    ids = [clip.frame_dir for clip in annotations.clips]
    write_annotations(tmp_path / "a.pkl", AnnotationSet({"test": ids[:8]}, annotations.clips))
    rows = tuple((f"class {i}",) for i in range(32))
    LabelVectors(tuple(row[0] for row in rows), np.ones((32, 20), np.float32), rows).save(tmp_path / "v.npz")
    name = "configs/mmaction2/synthetic/joint.py"
    config = Config.fromfile(ROOT / name)
    config.model.cls_head.label_vectors = str(tmp_path / "v.npz")
    torch.save({"state_dict": MODELS.build(config.model).state_dict(), "meta": {}}, tmp_path / "m.pth")
    out, work = disk.folder / "s.npz", tmp_path / "work"
    out.write_bytes(b"old")
    options = [
        f"test_dataloader.dataset.ann_file={tmp_path / 'a.pkl'}",
        "test_dataloader.num_workers=0",
        "test_dataloader.persistent_workers=False",
        f"model.cls_head.label_vectors={tmp_path / 'v.npz'}",
    ]
    disk.fill()
    for arguments, file in ((["--work-dir", work, "--out", out], out), (["--work-dir", disk.folder / "w"], None)):
        line = tool("tools/test.py", name, tmp_path / "m.pth", *arguments, "--cfg-options", *options)
        assert f"error: {file or disk.folder / 'w'}" in line and "the disk is full" in line
    assert out.read_bytes() == b"old" and not list(disk.folder.glob("*.tmp"))
