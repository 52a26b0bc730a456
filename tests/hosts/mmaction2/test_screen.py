"""What a real training shows with a terminal and without one, and what only its log has."""

import io
import logging
import os
import re
import struct
import subprocess
import sys

import pytest
import torch

from helpers.tiny_runs import ROOT, train_command, write_run

pytest.importorskip("mmaction")
from mmengine.config import Config  # noqa: E402

import pyskl_semloss.hosts.mmaction2  # noqa: E402, F401
from pyskl_semloss.hosts.mmaction2.prediction.trained_model import load_model  # noqa: E402
from pyskl_semloss.hosts.mmaction2.training.screen import ScreenLine, ScreenRunner, progress_text  # noqa: E402

ENVIRONMENT = {**os.environ, "OMP_NUM_THREADS": "1", "PYTHONPATH": os.pathsep.join([str(ROOT), str(ROOT / "tests")])}
DUMPED = ("Config:", "System environment", "Hooks will be executed", "Epoch(train)", "Scaling the original LR")


def finished(command, code=0):
    done = subprocess.run([str(word) for word in command], capture_output=True, text=True, env=ENVIRONMENT, timeout=600)
    assert done.returncode == code, done.stdout[-2000:] + done.stderr[-2000:]
    return done


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    """A training of three epochs, two validations and no number of classes or channels, without a terminal."""
    folder = tmp_path_factory.mktemp("plain")
    lines = (
        "train_cfg['val_interval'] = 2\nmodel['backbone']['in_channels'] = model['cls_head']['num_classes'] = None\n"
    )
    lines += "".join(f"{name}_dataloader['dataset']['num_classes'] = None\n" for name in ("train", "val", "test"))
    config = write_run(folder, steps=6, epochs=3, lines=lines)
    return config, finished(train_command(config))


def log_of(folder):
    return max(folder.glob("2*_*/*.log"))


def test_without_a_terminal_there_is_a_line_for_each_epoch(trained):
    config, done = trained
    log = log_of(config.parent / "run")
    first, *epochs, last = done.stdout.splitlines()
    assert first == f"The config, the hooks and every step are in {log}"
    assert last == f"Trained. Test it with: python tools/test.py {config} {config.parent}/run/epoch_3.pth"
    assert "\r" not in done.stdout and "\x1b" not in done.stdout and len(epochs) == 3
    written = log.read_text()
    assert all(words in written for words in DUMPED) and not any(words in done.stdout for words in DUMPED)
    best = [float(value) for value in re.findall(r"Epoch\(val\).*acc/top1: (\S+)", written)]
    assert len(best) == 2
    for number, line in enumerate(epochs, 1):
        shown = re.fullmatch(
            rf"epoch {number}/3  loss (\S+)  loss_cls (\S+)  loss_emb (\S+)(  \d+:\d\d:\d\d left)?"
            r"(?:  best acc/top1 (\S+))?",
            line,
        )
        assert shown, line
        logged = re.search(rf"Epoch\(train\) +\[{number}\]\[6/6\].*", written)[0]
        for name, value in zip(("loss", "loss_cls", "loss_emb"), shown.groups()[:3], strict=True):
            assert f"  {name}: {value}" in logged
        assert (shown[4] is None) == (number == 3)
        # The second epoch is the first that is validated.
        assert shown[5] == {1: None, 2: f"{best[0]:.4f}", 3: f"{max(best):.4f}"}[number]


def test_the_checkpoint_records_the_number_of_classes(trained):
    checkpoint = trained[0].parent / "run" / "epoch_3.pth"
    cfg = Config.fromstring(torch.load(checkpoint, weights_only=True)["meta"]["cfg"], ".py")
    assert cfg.model.cls_head.num_classes == 32
    assert all(cfg[f"{name}_dataloader"].dataset.num_classes == 32 for name in ("train", "val", "test"))
    assert load_model(checkpoint, "cpu").classes == 32


def test_a_test_shows_its_numbers_alone(trained):
    config, _ = trained
    done = finished([sys.executable, ROOT / "tools" / "test.py", config, config.parent / "run" / "epoch_3.pth"])
    assert "Top-1" in done.stdout and done.stdout.endswith(f"Scores written to {config.parent}/run/test_scores.npz\n")
    assert not any(words in done.stdout for words in (*DUMPED, "Epoch(test)", "INFO", "testing"))
    written = log_of(config.parent / "run").read_text()
    assert "Config:" in written and "Epoch(test)" in written


def test_a_mistake_in_the_config_is_all_that_is_shown(trained, tmp_path):
    config, _ = trained
    done = finished(train_command(config, "--work-dir", tmp_path, "--cfg-options", "model.backbone.depth=17"), code=2)
    assert done.stdout == "" and done.stderr.count("\n") == 1 and done.stderr.startswith(f"error: {config}")


def on_screen(data):
    """The rows that a terminal shows of what was written to it."""
    rows, column = [""], 0
    for part in re.split("(\r|\n|\x1b\\[K)", data):
        if part == "\n":
            rows.append("")
            column = 0
        elif part == "\r":
            column = 0
        elif part == "\x1b[K":
            rows[-1] = rows[-1][:column]
        else:
            rows[-1] = rows[-1][:column] + part + rows[-1][column + len(part) :]
            column += len(part)
    return rows


def test_on_a_terminal_one_line_is_rewritten_and_ended_by_a_signal(tmp_path):
    fcntl, pty, termios = (pytest.importorskip(name) for name in ("fcntl", "pty", "termios"))
    lines = "custom_hooks = [dict(type='ScreenProbe')]\n"
    config = write_run(tmp_path, steps=6, epochs=2, imports=["helpers.screen_probe"], lines=lines)
    ours, theirs = pty.openpty()
    fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("4H", 24, 60, 0, 0))
    process = subprocess.Popen(train_command(config), stdout=theirs, stderr=theirs, stdin=theirs, env=ENVIRONMENT)
    os.close(theirs)
    data = b""
    while True:
        try:
            part = os.read(ours, 1 << 16)
        except OSError:
            break
        if not part:
            break
        data += part
    assert process.wait(60) == 128 + 15
    text = re.sub("\x1b\\[[0-9;]*m", "", data.decode()).replace("\r\n", "\n")
    assert not any(words in text for words in DUMPED)
    states = re.findall("\r(epoch[^\r\n\x1b]*)\x1b", text)
    assert len(states) > 3 and all(len(state) < 60 for state in states)
    assert any(re.match(r"epoch 1/2  step \d/6  loss \d", state) for state in states)
    rows = [row for row in on_screen(text) if row]
    assert rows[0].startswith("The config, the hooks")
    # Nothing runs into another, and of the line its last state is left.
    assert "warning: the first warning" in rows
    assert sum(row.endswith(" - mmengine - WARNING - the second warning") for row in rows) == 1
    (left,) = [row for row in rows if row.startswith("epoch")]
    assert re.match(r"epoch 2/2  step \d/6  loss \d", left)
    assert rows[rows.index(left) + 1].startswith("stopped by SIGTERM; go on with: ") and rows[-2] == left


class Terminal(io.StringIO):
    def isatty(self):
        return True


def test_the_line_gives_way_and_shows_its_last_state_at_the_end():
    stream = Terminal()
    line = ScreenLine(stream)
    for number in range(5):
        line.show(f"step {number} of many")
    line.keep("a line\nthat stays")
    line.show("x" * 200)
    line.close()
    line.close()
    assert on_screen(stream.getvalue()) == ["a line\\nthat stays", "x" * 79, ""]
    plain = io.StringIO()
    line = ScreenLine(plain)
    line.show("step 1")
    line.close()
    assert plain.getvalue() == ""


def test_the_text_of_a_state():
    assert progress_text("epoch 1/2", {"loss": 1.0}) == "epoch 1/2  loss 1.0000"
    text = progress_text("epoch 1/2", {"a_loss": 0.12345}, 90061, ("acc/top1", 1 / 3))
    assert text == "epoch 1/2  a_loss 0.1235  1 day, 1:01:01 left  best acc/top1 0.3333"


@pytest.mark.parametrize(
    ("level", "words", "shown"),
    [
        (logging.INFO, "Epoch(train) [1][1/6]", False),
        (logging.INFO, "resumed epoch: 1, iter: 6", True),
        (logging.WARNING, "heed this", True),
        (logging.ERROR, "it fails", True),
        (logging.WARNING, '"FileClient" will be deprecated in future.', False),
    ],
)
def test_what_of_the_log_is_shown(level, words, shown):
    runner = ScreenRunner.__new__(ScreenRunner)
    runner._line = ScreenLine(io.StringIO())
    assert runner._passes(logging.LogRecord("mmengine", level, "", 1, words, (), None)) is shown
