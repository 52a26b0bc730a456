"""Which checkpoint a resume finds: the latest that is whole."""

import os
import shutil
import warnings
import zipfile

import numpy as np
import pytest
import torch

pytest.importorskip("mmaction")
from mmengine.config import Config  # noqa: E402

import pyskl_semloss.hosts.mmaction2  # noqa: E402, F401
from pyskl_semloss.errors import InputError  # noqa: E402
from pyskl_semloss.hosts.mmaction2.data.seeding import hash64  # noqa: E402
from pyskl_semloss.hosts.mmaction2.training.resume import checkpoint_meta, latest_whole, prepare_start  # noqa: E402
from pyskl_semloss.io.files import atomic_write, remove_all_abandoned  # noqa: E402


@pytest.fixture(scope="module")
def finished(tmp_path_factory):
    """A folder with the checkpoints of four epochs."""
    folder = tmp_path_factory.mktemp("run")
    hub = {"log_scalars": {}, "runtime_info": {}, "resumed_keys": {}}
    for epoch in range(1, 5):
        content = {"state_dict": {"weight": torch.ones(500)}, "optimizer": {}, "message_hub": hub}
        torch.save({**content, "meta": {"epoch": epoch, "iter": 4 * epoch, "seed": 3}}, folder / f"epoch_{epoch}.pth")
    (folder / "last_checkpoint").write_text(str(folder / "epoch_4.pth"))
    return folder


@pytest.fixture
def run(finished, tmp_path):
    """A copy of it, and the config that finds them."""
    folder = tmp_path / "copy"
    shutil.copytree(finished, folder)
    return folder, Config(dict(work_dir=str(folder)))


def cut(path):
    path.write_bytes(path.read_bytes()[:-1000])


def flip(path):
    """One bit of the weights, where torch itself sees nothing."""
    content = bytearray(path.read_bytes())
    content[content.index(np.ones(500, np.float32).tobytes()) + 200] ^= 1
    path.write_bytes(content)
    assert torch.load(path, weights_only=True)["state_dict"]["weight"].shape == (500,)


def empty(path):
    path.write_bytes(b"")


def gone(path):
    path.unlink()
    path.with_name("last_checkpoint").write_text(path.name)


def foreign(path):
    torch.save({"state_dict": {}}, path)


def compressed(path):
    """What torch reads, however much it unfolds to, and our reader of checkpoints does not."""
    with zipfile.ZipFile(path) as archive:
        members = [(info.filename, archive.read(info)) for info in archive.infolist()]
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, data in members:
            archive.writestr(name, data)
    assert torch.load(path, weights_only=True)["state_dict"]["weight"].shape == (500,)


def test_the_latest_is_found_also_in_a_folder_that_was_moved(run):
    folder, config = run
    assert not (folder / "last_checkpoint").read_text().startswith(str(folder))
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert latest_whole(config) == folder / "epoch_4.pth"


@pytest.mark.parametrize("damage", [cut, flip, empty, gone, foreign, compressed])
def test_a_damaged_checkpoint_is_passed_over_with_one_warning(run, damage):
    folder, config = run
    damage(folder / "epoch_4.pth")
    cut(folder / "epoch_3.pth")
    with pytest.warns(UserWarning) as said:
        assert latest_whole(config) == folder / "epoch_2.pth"
    assert len(said) == 1
    text = str(said[0].message)
    assert "epoch_4.pth" in text and "epoch_3.pth" in text and text.endswith(f"goes on from {folder / 'epoch_2.pth'}")


def test_later_checkpoints_than_the_named_one_are_another_runs(run):
    folder, config = run
    (folder / "last_checkpoint").write_text("epoch_2.pth")
    cut(folder / "epoch_2.pth")
    with pytest.warns(UserWarning, match="epoch_2.pth is not whole"):
        assert latest_whole(config) == folder / "epoch_1.pth"


def test_where_none_is_whole_nothing_is_begun_anew(run):
    folder, config = run
    for path in folder.glob("epoch_*.pth"):
        cut(path)
    with pytest.raises(InputError, match="no checkpoint is whole.*start anew without --resume"):
        prepare_start(config, "auto")


def test_an_empty_pointer_means_the_newest(run):
    folder, config = run
    (folder / "last_checkpoint").write_text("")
    assert latest_whole(config) == folder / "epoch_4.pth"


def test_nothing_there_is_a_new_run(tmp_path):
    config = Config(dict(work_dir=str(tmp_path), load_from="weights.pth"))
    with pytest.warns(UserWarning, match="no checkpoint to resume from: a new run starts"):
        prepare_start(config, "auto")
    assert not config.resume and config.load_from == "weights.pth"


def test_a_resumed_run_keeps_its_seed(run):
    folder, config = run
    config.randomness = dict(seed=0, deterministic=True)
    prepare_start(config, "auto")
    assert config.resume and config.load_from == str(folder / "epoch_4.pth")
    assert config.randomness == dict(seed=3, deterministic=True)
    prepare_start(config, "auto", seed=3)
    with pytest.raises(InputError, match="of a run with seed 3, not 4"):
        prepare_start(config, "auto", seed=4)


def test_a_named_checkpoint_must_be_whole_and_is_then_the_latest(run):
    folder, config = run
    prepare_start(config, str(folder / "epoch_2.pth"))
    assert config.load_from == str(folder / "epoch_2.pth") and latest_whole(config) == folder / "epoch_2.pth"
    cut(folder / "epoch_3.pth")
    with pytest.raises(InputError, match="epoch_3.pth: it is cut short"):
        prepare_start(config, str(folder / "epoch_3.pth"))
    with pytest.raises(InputError, match="epoch_9.pth: there is no such file"):
        prepare_start(config, str(folder / "epoch_9.pth"))


def test_a_new_run_over_an_earlier_one_is_never_resumed_as_the_earlier(run):
    folder, config = run
    with pytest.warns(UserWarning, match=f"to continue the earlier one, give --resume {folder / 'epoch_4.pth'}"):
        prepare_start(config, None)
    assert latest_whole(config) is None and (folder / "epoch_4.pth").exists()


def test_checkpoints_in_another_folder_are_found_and_cleared(run, tmp_path):
    folder, config = run
    elsewhere = tmp_path / "elsewhere" / folder.name
    shutil.copytree(folder, elsewhere)
    for path in folder.glob("epoch_*.pth"):
        path.unlink()
    torn = elsewhere / ".epoch_5.pth.abcdefgh.tmp"
    torn.touch()
    config.default_hooks = dict(checkpoint=dict(out_dir=str(tmp_path / "elsewhere")))
    prepare_start(config, "auto")
    assert config.load_from == str(elsewhere / "epoch_4.pth") and not torn.exists()


def test_only_half_written_files_are_removed(tmp_path):
    kept = [tmp_path / name for name in ("notes.tmp", ".hidden", ".x.tmp", "epoch_1.pth")]
    for path in kept:
        path.touch()
    process = os.fork()
    if not process:
        with atomic_write(tmp_path / "epoch_1.pth") as stream:
            stream.write(b"half")
            os._exit(9)
    os.waitpid(process, 0)
    # One that is being written, by a test that goes on beside the training, stays.
    with atomic_write(tmp_path / "test_scores.npz") as stream:
        stream.write(b"half")
        assert [path.name[:13] for path in remove_all_abandoned(tmp_path)] == [".epoch_1.pth."]
    assert sorted(tmp_path.iterdir()) == sorted([*kept, tmp_path / "test_scores.npz"])


@pytest.mark.parametrize("text", ["x" * 5000, "a\0b", "\x1b[2Jevil.pth", "../../epoch_9.pth\nx", "\udcff"])
def test_a_pointer_may_hold_anything(run, text):
    folder, config = run
    (folder / "last_checkpoint").write_bytes(text.encode(errors="surrogateescape"))
    with warnings.catch_warnings(record=True) as said:
        warnings.simplefilter("always")
        try:
            assert latest_whole(config) == folder / "epoch_4.pth"
        except InputError as error:
            assert "no checkpoint is whole" in str(error) and str(error).isprintable()
    assert all(str(one.message).isprintable() for one in said)


def test_a_log_history_calls_no_function_that_a_file_names(run):
    folder, _ = run
    from mmengine.logging import HistoryBuffer

    content = torch.load(folder / "epoch_4.pth", weights_only=True)
    content["message_hub"]["log_scalars"]["train/loss"] = HistoryBuffer([1.0], [1])
    known = dict(HistoryBuffer._statistics_methods)
    HistoryBuffer._statistics_methods["mean"] = HistoryBuffer.max
    torch.save(content, folder / "epoch_4.pth")
    HistoryBuffer._statistics_methods.update(known)
    assert checkpoint_meta(folder / "epoch_4.pth")["epoch"] == 4
    assert HistoryBuffer._statistics_methods == known


def test_the_mixer_is_splitmix64():
    # The first outputs of the reference implementation from the states 0 and 1234567.
    assert hash64(0) == 0xE220A8397B1DCDAF and hash64(1234567) == 6457827717110365317
    assert len({hash64(a, b) for a in range(100) for b in range(100)}) == 10000
    flips = [bin(hash64(7, 5, number) ^ hash64(7, 5, number + 1)).count("1") for number in range(1000)]
    assert 31 < np.mean(flips) < 33
