"""Keypoints of KeypointDataset in a real memcached: shared by processes, filled again when lost, never unpickled."""

import io
import multiprocessing
import os
import pickle
import shutil
import socket
import subprocess
import time

import numpy as np
import pytest

from pyskl_semloss.annotations import AnnotationSet, Clip, write_annotations
from pyskl_semloss.errors import InputError

try:
    from helpers.pyskl_clips import ARRAYS, STEPS, Evil, assert_same_clips, build, loader_of, overwrite, write_small
except ImportError:
    pytest.importorskip("pyskl")
    raise


@pytest.fixture
def small(tmp_path):
    return write_small(tmp_path)


@pytest.fixture(scope="module")
def program():
    """Start memcached on a free port; call it again to start it anew on the same one."""
    pytest.importorskip("pymemcache")
    if shutil.which("memcached") is None:
        pytest.skip("needs the program memcached")
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    user = ["-u", "root"] if os.geteuid() == 0 else []
    running = []

    def stop():
        while running:
            process = running.pop()
            process.kill()
            process.wait()

    def start():
        stop()
        running.append(subprocess.Popen(["memcached", "-l", "127.0.0.1", "-p", str(port), "-U", "0", *user]))
        for _ in range(100):
            try:
                socket.create_connection(("127.0.0.1", port), timeout=1).close()
                return ("localhost", port)
            except OSError:
                time.sleep(0.05)
        raise RuntimeError("memcached does not start")

    start.stop = stop
    start()
    yield start
    stop()


@pytest.fixture
def server(program):
    """Address of a memcached that holds nothing."""
    return program()


def client(server):
    from pymemcache.client.base import Client

    return Client(server, default_noreply=False)


def cached(path, server, **options):
    return build(path, memcached=True, mc_cfg=server, **options)


def fill(data):
    """Make memcached hold its clips; the second access waits until it does, the first does not."""
    data[0], data[1]


def count(server):
    return client(server).stats()[b"curr_items"]


def test_the_first_access_fills_memcached_and_others_read_from_it(small, server):
    plain, first, second = build(small), cached(small, server), cached(small, server)
    assert count(server) == 0
    assert not any(key in info for info in first.video_infos for key in ARRAYS)
    fill(first)
    assert count(server) == 6
    small.unlink()
    assert_same_clips(second, plain)
    # As a worker that is spawned gets it, after the parent has used its connection.
    assert_same_clips(pickle.loads(pickle.dumps(first)), plain)
    assert_same_clips(first, plain)


def test_arrays_from_memcached_can_be_written_into(small, server):
    data = cached(small, server, pipeline=[overwrite])
    data[0], data[0]
    data.pipeline = build(small).pipeline
    assert_same_clips(data, build(small))


def test_what_memcached_lost_is_read_again(small, server, program):
    plain, data = build(small), cached(small, server)
    assert_same_clips(data, plain)
    client(server).flush_all()
    assert_same_clips(data, plain)
    client(server).delete(data.cache._key("c3"))
    assert_same_clips(data, plain)
    assert program() == server and count(server) == 0  # and a connection that broke is made anew
    assert_same_clips(data, plain)
    assert count(server) == 6


def test_a_file_that_was_changed_is_not_mixed_in(small, server):
    data, clip = cached(small, server), build(small)[1]
    moved = Clip("c1", 0, (100, 120), (100, 120), clip["keypoint"] + 1, clip["keypoint_score"])
    write_annotations(small, AnnotationSet({}, [moved]))
    with pytest.raises(InputError, match="small.pkl: clip 'c1': the file has changed since"):
        data[1]
    assert count(server) == 0


def test_a_clip_too_large_for_memcached_is_read_from_the_file(tmp_path, server):
    rng = np.random.default_rng(0)
    clips = [
        Clip(name, 0, (100, 100), (100, 100), rng.uniform(1, 99, (1, frames, 17, 2)).astype(np.float32),
             np.ones((1, frames, 17), np.float32))
        for name, frames in (("a", 9), ("large", 9000), ("b", 9))
    ]  # fmt: skip
    write_annotations(tmp_path / "l.pkl", AnnotationSet({}, clips))
    assert_same_clips(cached(tmp_path / "l.pkl", server), build(tmp_path / "l.pkl"))
    assert count(server) == 2


def hostile():
    """Bytes that are no keypoints, by what they are."""
    arrays = {"a list of numbers": np.zeros(3, np.float32), "points alone": np.zeros((1, 2, 17, 2), np.float32)}
    found = {"a pickle": pickle.dumps(Evil()), "nothing": b"", "text": b"no array", "a broken zip": b"PK\x03\x04no"}
    header = b"\x93NUMPY\x01\x00v\x00"
    huge = b"{'descr': '<f4', 'fortran_order': False, 'shape': (9999999999999,), }"
    found |= {"a huge array": header + huge.ljust(117) + b"\n", "a broken header": header + b"(((".ljust(117) + b"\n"}
    for name, array in {**arrays, "objects": np.array([[[[Evil()]]]], object)}.items():
        stream = io.BytesIO()
        np.save(stream, array, allow_pickle=True)
        found[name] = stream.getvalue()
    stream = io.BytesIO()
    np.savez(stream, keypoint=np.zeros((1, 2, 17, 3), np.float32))
    return {**found, "an archive": stream.getvalue()}


@pytest.mark.parametrize("kind", sorted(hostile()))
def test_whatever_else_memcached_holds_is_refused_and_not_run(small, server, kind, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    data = cached(small, server)
    fill(data)
    client(server).set(data.cache._key("c0"), hostile()[kind])
    with pytest.raises(InputError, match="clip 'c0': field 'mc_cfg': memcached holds no keypoints there"):
        data[0]
    assert not (tmp_path / "evil_was_here").exists()
    data[1]


def test_data_sets_of_other_rules_or_files_do_not_mix(small, server, tmp_path):
    other = tmp_path / "other" / "small.pkl"
    other.parent.mkdir()
    clip = build(small)[0]
    moved = Clip("c0", 0, (100, 120), (100, 120), clip["keypoint"] + 1, clip["keypoint_score"])
    write_annotations(other, AnnotationSet({}, [moved]))
    kinds = [dict(), dict(off_image="drop"), dict(binary_score=True), dict(off_image="drop", binary_score=True)]
    pairs = [(cached(small, server, **kind), build(small, **kind)) for kind in kinds]
    pairs.append((cached(other, server), build(other)))
    for _ in range(2):
        for with_cache, without in pairs:
            assert_same_clips(with_cache, without)
    assert count(server) == 4 * 6 + 1
    # What a split leaves out has no part in it.
    assert_same_clips(cached(small, server, split="some"), build(small, split="some"))
    assert count(server) == 4 * 6 + 1


def test_no_memcached_is_said_with_its_address(small, server, program):
    data = cached(small, server)
    program.stop()
    with pytest.raises(
        InputError, match=rf"'mc_cfg': memcached at localhost:{server[1]} fails.*memcached -p {server[1]}"
    ):
        data[0]


@pytest.mark.parametrize("persistent", [False, True])
def test_workers_read_from_the_file_and_from_memcached(small, server, persistent):
    plain, data = build(small, pipeline=STEPS), cached(small, server, pipeline=STEPS)
    expected = [batch["imgs"].numpy() for batch in loader_of(plain, shuffle=False)]
    data[0]  # opens a connection of the parent's, which no worker may use
    for one in (plain, data):
        loader = loader_of(one, workers=2, shuffle=False, persistent_workers=persistent)
        for _ in range(2):
            batches = [batch["imgs"].numpy() for batch in loader]
            assert len(batches) == 3 and batches[0].shape == (2, 1, 17, 12, 100, 120)
            for mine, theirs in zip(batches, expected, strict=True):
                np.testing.assert_array_equal(mine, theirs)
        np.testing.assert_array_equal(data[0]["imgs"].numpy(), expected[0][0])  # the parent's connection is whole


def test_a_forked_worker_opens_a_connection_of_its_own(small, server):
    data, statistics = cached(small, server), client(server)
    fill(data)
    before = statistics.stats()[b"total_connections"]
    worker = multiprocessing.get_context("fork").Process(target=fill, args=(data,))
    worker.start()
    worker.join(60)
    assert worker.exitcode == 0
    fill(data)
    assert statistics.stats()[b"total_connections"] == before + 1


def test_a_clip_that_memcached_will_not_take_is_served_with_one_warning(tmp_path, server):
    layout_joints, frames = 17, 6000  # 1.2 MB, above memcached's usual limit of 1 MB for an item
    keypoint = np.random.default_rng(0).uniform(1, 99, (1, frames, layout_joints, 2)).astype(np.float32)
    clip = Clip("long", 0, (100, 100), (100, 100), keypoint, np.ones(keypoint.shape[:3], np.float32))
    write_annotations(tmp_path / "long.pkl", AnnotationSet({"train": ["long"]}, [clip]))
    data = cached(tmp_path / "long.pkl", server)
    with pytest.warns(UserWarning, match=r"long.pkl.*'long'.*larger items") as caught:
        for _ in range(3):
            np.testing.assert_array_equal(data[0]["keypoint"], keypoint)
    assert len([one for one in caught if "memcached" in str(one.message)]) == 1
