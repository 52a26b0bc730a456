"""The command semloss: its help, its commands, the words of its messages, and options in any order."""

import itertools
import os
import re
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

import pytest

from helpers import HEAVY, ROOT
from pyskl_semloss import __version__
from pyskl_semloss.cli import predict
from pyskl_semloss.cli.commands import COMMANDS, as_typed, available_commands
from pyskl_semloss.cli.main import help_text, main
from pyskl_semloss.cli.segment_arguments import set_apart

# They say first whether MMAction2 can work.
NEEDS_HOST = {"train", "test"}


def semloss(*words, cwd, code=0):
    env = {**os.environ, "PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"}
    command = [sys.executable, "-m", "pyskl_semloss", *map(str, words)]
    done = subprocess.run(command, capture_output=True, text=True, env=env, cwd=cwd, timeout=600)
    assert done.returncode == code, done.stdout + done.stderr
    return done


def in_fresh_process(words, code):
    """What the code prints after a command has run."""
    lines = f"import sys\nfrom pyskl_semloss.cli.main import main\nsys.argv = {['semloss', *words]!r}\n"
    lines += f"try:\n    main()\nexcept SystemExit:\n    pass\n{code}"
    done = subprocess.run([sys.executable, "-c", lines], capture_output=True, text=True, cwd=ROOT, timeout=600)
    return done.stdout.splitlines()[-1]


def test_the_help_has_the_commands_below_their_groups(tmp_path):
    shown = semloss("--help", cwd=tmp_path).stdout
    assert shown == help_text(available_commands()) + "\n" and shown.startswith("usage: semloss ")
    groups = [line for line in shown.splitlines() if line[-1:] == ":"]
    assert groups == ["Data:", "Training:", "Results:", "Prediction:", "Pictures:", "Environment:"]
    training = shown.split("Training:\n")[1].split("\n\n")[0].splitlines()
    expected = [name for name, command in available_commands().items() if command.group == "Training"]
    assert [line.split()[0] for line in training] == expected and {"train", "test", "sweep"} <= set(expected)
    assert max(map(len, help_text(COMMANDS).splitlines())) <= 100
    assert semloss("--version", cwd=tmp_path).stdout == f"semloss {__version__}\n"
    nothing = semloss(cwd=tmp_path, code=2)
    assert (nothing.stdout, nothing.stderr) == ("", shown)


def test_a_command_without_its_module_is_not_there(monkeypatch):
    absent = COMMANDS["fuse"]._replace(module="no_such_module")
    monkeypatch.setitem(COMMANDS, "fuse", absent)
    assert "fuse" not in available_commands() and "fuse" not in help_text(available_commands())


@pytest.mark.parametrize(
    ("word", "meant"),
    [
        ("trian", "train"),
        ("fuse_scores", "fuse"),
        ("prepare_data.py", "prepare"),
        ("Predict", "predict"),
        ("xyzzy", ""),
    ],
)
def test_an_unknown_command_is_one_line(word, meant, capsys, monkeypatch):
    monkeypatch.setattr(sys, "argv", ["semloss", word])
    with pytest.raises(SystemExit) as end:
        main()
    meant = f": did you mean semloss {meant}?" if meant else "."
    line = f"error: there is no command {word!r}{meant} semloss --help lists the commands.\n"
    assert end.value.code == 2 and capsys.readouterr() == ("", line)


def test_the_app_without_a_model_ends_before_it_serves(capsys, monkeypatch):
    monkeypatch.setattr(sys, "argv", ["semloss", "app"])
    with pytest.raises(SystemExit) as end:
        main()
    models = "expected a joint model, a limb model or a graph network, got none"
    line = f"error: field '--joint, --limb, --graph': {models}.\n"
    assert end.value.code == 2 and capsys.readouterr() == ("", line)


def test_the_help_is_light_and_a_command_imports_its_own_module_alone():
    heavy = f"print([name for name in {HEAVY!r} if name in sys.modules])"
    assert in_fresh_process(["--help"], heavy) == "[]"
    modules = [f"pyskl_semloss.cli.{command.module}" for command in COMMANDS.values()]
    ours = f"print([name for name in {modules!r} if name in sys.modules])"
    assert in_fresh_process(["--help"], ours) == "[]"
    assert in_fresh_process(["train", "nothing"], ours) == "['pyskl_semloss.cli.train']"


def test_the_help_of_a_subcommand_says_what_it_does(capsys, monkeypatch):
    monkeypatch.setattr(sys, "argv", ["semloss", "configs", "copy", "--help"])
    main()
    assert "\n\nCopy a config with its bases.\n\n" in capsys.readouterr().out


@pytest.mark.parametrize("name", sorted(NEEDS_HOST))
def test_the_help_of_a_run_comes_before_the_host_is_imported(name):
    if find_spec("mmaction") is None:
        pytest.skip("needs MMAction2")
    loaded = "print([name for name in ('torch', 'mmaction') if name in sys.modules])"
    for words in (["--help"], ["nothing.py", *(["nothing.pth"] if name == "test" else [])]):
        assert in_fresh_process([name, *words], loaded) == "[]"


def test_tools_and_commands_are_the_same():
    tools = {path.stem for path in (ROOT / "tools").glob("*.py")}
    scripts = {name for name in tools if not name.startswith("benchmark")}
    assert scripts <= {command.module for command in available_commands().values()}
    for name in scripts:
        text = (ROOT / "tools" / f"{name}.py").read_text()
        assert f"from pyskl_semloss.cli.{name} import main" in text and len(text.splitlines()) < 15


def test_the_documentation_lists_them():
    rows = re.findall(r"^\| `([\w-]+)` \| `(\w+)\.py` \|", (ROOT / "docs" / "cli.md").read_text(encoding="utf-8"), re.M)
    assert all(COMMANDS[name].module == module for name, module in rows)
    scripts = {name for name, command in COMMANDS.items() if (ROOT / "tools" / f"{command.module}.py").is_file()}
    assert scripts <= {name for name, _ in rows} and len(scripts) >= 17


@pytest.mark.parametrize("name", sorted(available_commands()))
def test_a_command_shows_its_help_under_its_name(name, capsys, monkeypatch):
    if name in NEEDS_HOST and find_spec("mmaction") is None:
        pytest.skip("needs MMAction2")
    monkeypatch.setattr(sys, "argv", ["semloss", name, "--help"])
    main()
    shown = capsys.readouterr().out
    assert shown.startswith(f"usage: semloss {name} ") and "tools/" not in shown
    monkeypatch.setattr(sys, "argv", [str(ROOT / "tools" / f"{COMMANDS[name].module}.py"), "--help"])
    if not Path(sys.argv[0]).is_file():
        return
    sys.modules[f"pyskl_semloss.cli.{COMMANDS[name].module}"].main()
    shown = capsys.readouterr().out
    assert shown.startswith(f"usage: python tools/{COMMANDS[name].module}.py ")
    assert f"semloss {name}" not in shown.replace("-m pyskl_semloss", "")


def test_messages_name_what_was_typed(tmp_path):
    as_command = semloss("fuse", "nothing", "nothing", cwd=tmp_path, code=2).stderr
    assert as_command.startswith("error: nothing: ") and "written by semloss test; a path" in as_command
    tool = [sys.executable, ROOT / "tools" / "fuse_scores.py", "nothing", "nothing"]
    env = {**os.environ, "PYTHONPATH": str(ROOT)}
    as_tool = subprocess.run(tool, capture_output=True, text=True, cwd=tmp_path, env=env)
    assert (as_tool.returncode, as_tool.stderr) == (2, as_command.replace("semloss test", "python tools/test.py"))
    wrong = semloss("fuse", "--weights", "x", cwd=tmp_path, code=2).stderr
    assert wrong.splitlines()[-1].startswith("semloss fuse: error: argument --weights")


@pytest.mark.parametrize(
    ("text", "from_tools"),
    [
        ("semloss test writes it.", "python tools/test.py writes it."),
        ("with semloss train.", "with python tools/train.py."),
        (
            "(semloss compare-segments, semloss compare)",
            "(python tools/compare_segments.py, python tools/compare_scores.py)",
        ),
        ("semloss prepare keypoints OUT", "python tools/prepare_data.py keypoints OUT"),
        ("python -m pyskl_semloss train", None),
        ("/data/semloss test/a.npz", None),
        ("semloss test.npz, semloss tests, semloss train-set, semloss --help, semloss nothing", None),
    ],
)
def test_commands_in_texts(text, from_tools, monkeypatch):
    for program in ("/env/bin/semloss", "semloss train", str(ROOT / "pyskl_semloss" / "__main__.py"), "", "tools"):
        monkeypatch.setattr(sys, "argv", [program])
        assert as_typed(text) == text
    for folder, program in ((ROOT, "tools/report.py"), (ROOT / "tools", "report.py"), ("/", f"{ROOT}/tools/report.py")):
        monkeypatch.chdir(folder)
        monkeypatch.setattr(sys, "argv", [program])
        assert as_typed(text) == (from_tools or text)


def test_a_command_without_a_script_keeps_its_name(tmp_path, monkeypatch):
    (tmp_path / "tools").mkdir()
    (tmp_path / "tools" / "train.py").write_text("")
    monkeypatch.setattr(sys, "argv", [str(tmp_path / "tools" / "train.py")])
    assert as_typed("semloss train, semloss configs") == "python tools/train.py, semloss configs"


def arguments(monkeypatch, *words):
    monkeypatch.setattr(sys, "argv", ["semloss predict", *words])
    return predict.parse_args()


def test_predict_takes_inputs_and_options_in_any_order(monkeypatch):
    parts = ["--joint c.py j.pth", "--limb l.PT", "--format csv eaf", "a.npz", "b c.d/film.mp4", "--device cpu --fast"]
    parts = [[part] if " c.d" in part else part.split() for part in parts]
    for order in itertools.permutations(parts):
        found = arguments(monkeypatch, *itertools.chain(*order))
        assert (found.joint, found.limb, found.format) == (["c.py", "j.pth"], ["l.PT"], ["csv", "eaf"])
        expected = [part[0] for part in order if len(part) == 1]
        assert sorted(found.inputs) == sorted(expected) and (found.device, found.fast) == ("cpu", True)


def test_predict_takes_each_value_for_what_it_is(monkeypatch, tmp_path, capsys):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "talk.npz").touch()
    (tmp_path / "wave").touch()
    found = arguments(monkeypatch, "--background", "wave", "no. 2", "absent.npz", "talk.npz", "--joint", "no_ending")
    assert found.background == ["wave", "no. 2", "absent.npz"]
    assert found.inputs == ["talk.npz"] and found.joint == ["no_ending"]
    found = arguments(monkeypatch, "--joint", "j.pth", "--", "-a.npz", "j2.pth")
    assert found.inputs == ["-a.npz", "j2.pth"] and found.joint == ["j.pth"]
    found = arguments(monkeypatch, "--joint", "j.pth", "b.npz", "--", "-a.npz")
    assert found.inputs == ["b.npz", "-a.npz"] and found.joint == ["j.pth"]
    for words, problem in (
        (["--joint", "in.npz"], "the following arguments are required: INPUT"),
        (["a.npz", "--format", "cvs"], "argument --format: invalid choice: 'cvs'"),
    ):
        with pytest.raises(SystemExit):
            arguments(monkeypatch, *words)
        assert problem in capsys.readouterr().err


def test_positional_arguments_are_set_apart_in_their_order():
    ends_in_x = {"--joint": lambda word: word.endswith("x")}
    for words, positional, rest in (
        ("--joint ax bx c dx", "bx dx", "--joint ax c"),
        ("1x --joint a --fast 2x", "", "1x --joint a --fast 2x"),
        ("--joint a x --joint b y x", "x x", "--joint a --joint b y"),
        ("--joint -q x", "", "--joint -q x"),
    ):
        assert set_apart(words.split(), ends_in_x) == (positional.split(), rest.split())
