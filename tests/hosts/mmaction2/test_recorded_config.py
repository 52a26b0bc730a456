"""A config that a checkpoint records: what is built of it, and all that is not."""

import contextlib
import functools
import inspect
import json
import os
import subprocess
import sys
from copy import deepcopy
from pathlib import Path

import numpy as np
import pytest
import torch

from helpers import ROOT
from helpers.tracked_configs import is_graph_config, tracked_configs
from pyskl_semloss.errors import InputError
from pyskl_semloss.semantic.label_vectors import LabelVectors
from pyskl_semloss.synthetic.recording import generate_recording

pytest.importorskip("mmaction")

import mmaction.datasets  # noqa: E402, F401
import mmaction.registry  # noqa: E402
import mmengine.registry  # noqa: E402
from mmaction.registry import MODELS, TRANSFORMS  # noqa: E402
from mmengine.config import Config  # noqa: E402
from mmengine.registry import Registry, init_default_scope  # noqa: E402

from pyskl_semloss.hosts.mmaction2.model.config_files import embed_layouts  # noqa: E402
from pyskl_semloss.hosts.mmaction2.prediction.predictor import Predictor  # noqa: E402
from pyskl_semloss.hosts.mmaction2.prediction.recorded_config import RECORDED, recorded_config  # noqa: E402
from pyskl_semloss.hosts.mmaction2.prediction.recorded_values import Part, Parts, Settings  # noqa: E402
from pyskl_semloss.hosts.mmaction2.prediction.trained_model import load_model  # noqa: E402

FOLDER = ROOT / "configs" / "mmaction2"
CONFIGS = tracked_configs("mmaction2")


def tiny():
    """The config of a model whose checkpoint has 50 kB, every part with a type of its own in it."""
    config = Config.fromfile(str(FOLDER / "synthetic" / "joint.py"))
    config.model.backbone.update(
        base_channels=2,
        conv_cfg=dict(type="Conv3d"),
        norm_cfg=dict(type="BN3d", requires_grad=True),
        act_cfg=dict(type="ReLU", inplace=True),
    )
    config.model.cls_head.update(in_channels=8, loss_cls=dict(type="CrossEntropyLoss", loss_weight=1.0))
    return config


def tiny_graph():
    """The same of a graph network."""
    config = Config.fromfile(str(FOLDER / "utd_mhad" / "stgcnpp_strongaug.py"))
    config.model.backbone.update(base_channels=2, num_stages=3)
    config.model.cls_head.update(in_channels=2, loss_cls=dict(type="CrossEntropyLoss", loss_weight=1.0))
    steps = config.train_dataloader.dataset.pipeline
    config.test_dataloader.dataset.pipeline = [*steps[:3], *config.test_dataloader.dataset.pipeline[1:]]
    return config


RECORDS = pytest.mark.parametrize("record", [tiny, tiny_graph])


def save(config, path, **meta):
    """A checkpoint of the config's model with random weights, as the host records it."""
    init_default_scope("mmaction")
    settings = deepcopy(config.model)
    if settings.cls_head.type.startswith("Semantic"):
        rng = np.random.default_rng(0)
        settings.cls_head.label_vectors = rng.normal(size=(settings.cls_head.num_classes or 7, 5)).astype(np.float32)
    torch.manual_seed(0)
    model = MODELS.build(settings)
    torch.save({"state_dict": model.state_dict(), "meta": {"cfg": config.pretty_text, **meta}}, path)
    return model


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("recorded")
    save(tiny(), folder / "good.pth", dataset_meta={"clip_frames": 50.0})
    generate_recording(1, seed=2, rest=(0.5, 1.0))[0].save(folder / "film.npz")
    return folder


def changed(folder, path, change, **meta):
    """The good checkpoint with another record, and other ``meta``."""
    content = torch.load(folder / "good.pth", weights_only=True)
    config = tiny()
    change(config)
    content["meta"].update({"cfg": config.pretty_text, **meta})
    torch.save(content, path)
    return path


# Every type and every argument ------------------------------------------------------------------------------------


def registries():
    """All registries of the host, with the parents and children of each."""
    found, todo = {}, []
    for module in (mmaction.registry, mmengine.registry):
        todo += [one for one in vars(module).values() if isinstance(one, Registry)]
    while todo:
        one = todo.pop()
        if id(one) not in found:
            found[id(one)] = one
            todo += [*one.children.values(), *([one.parent] if one.parent is not None else [])]
    return list(found.values())


def foreign():
    """Name -> class or function of everything that a config of the host could name."""
    return {name: made for registry in registries() for name, made in registry.module_dict.items()}


def parts_of(kind, value, place):
    """(place, kind, the part of the record there) of each place where a type may stand."""
    if isinstance(kind, Parts):
        for number, one in enumerate(value):
            yield from parts_of(kind.part, one, [*place, number])
    elif isinstance(kind, Part):
        yield place, kind, value
        for name, inner in kind.types[value["type"]].items():
            if name in value:
                yield from parts_of(inner, value[name], [*place, name])
    elif isinstance(kind, Settings):
        for name, inner in kind.known.items():
            if name in value:
                yield from parts_of(inner, value[name], [*place, name])


def places(record=tiny):
    config = record().to_dict()
    return [found for key, kind in RECORDED.items() for found in parts_of(kind, config[key], [key])]


@functools.cache
def settings_of(record):
    """The record as a dict; reading the config takes longer than looking at it."""
    return record().to_dict()


def with_change(place, record=tiny, **change):
    """The record with some settings of a part changed, and the kind that reads it."""
    config = deepcopy(settings_of(record))
    part = config
    for step in place:
        part = part[step]
    part.update(change)
    return RECORDED[place[0]], config[place[0]]


@RECORDS
def test_the_places_are_all_that_there_are(record):
    """Every dict with a type in the parts that are built is looked at."""

    def types(value):
        inner = value.values() if isinstance(value, dict) else value if isinstance(value, (list, tuple)) else ()
        return int(isinstance(value, dict) and "type" in value) + sum(map(types, inner))

    config = record().to_dict()
    assert len(places(record)) == sum(types(config[key]) for key in RECORDED) == 15


@RECORDS
def test_every_foreign_type_is_refused_at_every_place(record):
    names = foreign()
    assert len(names) > 300 and {"RandomResize", "ImgAug", "CLIPTokenize", "AdamW", "SGD", "Compose"} <= names.keys()
    odd = [
        "os.system",
        "sympy.simplify",
        "mmaction.ResNet3dSlowOnly",
        "torchvision.resnet18",
        "timm.x",
        "",
        5,
        None,
        [],
    ]
    for place, kind, _ in places(record):
        for name in (*names, *odd):
            if isinstance(name, str) and name in kind.types:
                continue
            reader, value = with_change(place, record, type=name)
            with pytest.raises(InputError, match="is not built from a record, only") as error:
                reader.take(value, place[0])
            assert error.value.field == ".".join(map(str, [*place, "type"]))


@RECORDS
def test_every_foreign_argument_of_every_type_is_refused(record):
    """What any class of the host takes, and what these classes themselves take besides."""
    arguments = {"expr", "sys_path", "server_list_cfg", "file_client_args", "_delete_", "_base_", "feature_shape"}
    for made in foreign().values():
        for one in inspect.getmro(made) if inspect.isclass(made) else [made]:
            try:
                arguments |= set(inspect.signature(one.__init__ if inspect.isclass(one) else one).parameters)
            except (TypeError, ValueError):
                continue
    assert len(arguments) > 700 and {"resize_type", "backend_args", "checkpoint"} <= arguments
    tried = 0
    for place, kind, _ in places(record):
        for name, known in kind.types.items():
            part = dict(type=name)
            for argument in arguments - known.keys() - {"type"}:
                with pytest.raises(InputError, match="is no setting of"):
                    kind.take({**part, argument: 1}, ".".join(map(str, place)))
                tried += 1
    assert tried > 20_000
    for key in ("batch_sampler", "worker_init_fn", "sys_path"):
        _, value = with_change(["test_dataloader"], **{key: dict(type="Compose")})
        with pytest.raises(InputError, match=key):
            RECORDED["test_dataloader"].take(value, "test_dataloader")


@RECORDS
def test_every_argument_that_is_built_has_a_kind_and_limits(record):
    """What passes for any dict, call, path, or number beyond all models is not handed on to be built."""
    odd = (dict(type="Compose"), [dict(type="Compose")], "sympy.simplify", "/etc/passwd", 10**30, -(10**30), 1e400)
    refused = 0
    for place, kind, part in places(record):
        for name in kind.types[part["type"]]:
            for value in odd:
                try:
                    taken = kind.take({**part, name: value}, "x")
                except InputError:
                    refused += 1
                else:
                    assert name not in taken, (place, name, value)
    assert refused > 350


@pytest.mark.parametrize(
    ("cfg", "said"),
    [
        ("import os", "expected 'name = value'"),
        ("model = __import__('os')\ntest_dataloader = dict()", "expected strings, numbers"),
        ("model = dict(type='os.system', command='touch x')\ntest_dataloader = dict()", "'os.system' is not built"),
        ("model = dict(type='subprocess')\ntest_dataloader = dict()", "'subprocess' is not built from a record"),
        ("model = dict(type='Recognizer3D', backbone=[dict(type='a.b')])\ntest_dataloader = dict()", "expected a dict"),
        ("model = dict(type=5)\ntest_dataloader = dict()", "the type 5"),
        ("model = dict()\ntest_dataloader = dict()", "the type None"),
        ("model = dict(type='PoseRecognizer3D')\ntest_dataloader = dict()", "lacks backbone and cls_head and data_"),
        ("model = dict()", "lacks test_dataloader"),
        ("", "records no config"),
    ],
)
def test_a_recorded_config_runs_and_imports_nothing(tmp_path, cfg, said, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(InputError, match=rf"^bad\.pth.*{said}.*Give the config beside the checkpoint|{said}"):
        recorded_config({"meta": {"cfg": cfg}}, "bad.pth")
    assert list(tmp_path.iterdir()) == []


def test_what_is_not_built_is_not_read(folder):
    config = tiny()
    config.custom_imports = dict(imports=["evil"])
    config.model.backbone.update(pretrained="http://x/y.pth", init_cfg=dict(type="Pretrained", checkpoint="z"))
    config.model.update(_scope_="evil", train_cfg=dict(aux=1))
    found = recorded_config({"meta": {"cfg": config.pretty_text}}, "a.pth").to_dict()
    said = json.dumps(found)
    for name in ("custom_imports", "pretrained", "init_cfg", "_scope_", "train_cfg", "label_vectors", "ann_file"):
        assert name not in said
    assert found["test_dataloader"]["dataset"]["pipeline"] == config.test_dataloader.dataset.pipeline


# Configs of ours --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", CONFIGS)
@pytest.mark.filterwarnings("ignore:skeleton layout")
def test_a_tracked_config_comes_out_of_its_checkpoint_as_it_went_in(tmp_path, name):
    config = Config.fromfile(str(FOLDER / name))
    # The templates leave both numbers open.
    if not is_graph_config(name):
        assert (config.model.backbone.in_channels is None) == name.startswith("own")
    assert (config.model.cls_head.num_classes is None) == name.startswith("own")
    built = save(config, tmp_path / "a.pth")
    config.dump(str(tmp_path / "dumped.py"))
    content = torch.load(tmp_path / "a.pth", weights_only=True)
    assert (tmp_path / "dumped.py").read_text() == content["meta"]["cfg"]
    loaded = load_model(tmp_path / "a.pth", "cpu")
    assert repr(loaded.model) == repr(built.eval() or built)
    ours, theirs = loaded.model.state_dict(), built.state_dict()
    assert list(ours) == list(theirs) and loaded.classes == (config.model.cls_head.num_classes or 7)
    assert all(ours[key].numpy().tobytes() == theirs[key].numpy().tobytes() for key in ours)
    drawn, meant = loaded.model.data_preprocessor, built.data_preprocessor
    fields = ("layout", "num_person") if is_graph_config(name) else ("layout", "sigma", "threshold", "use_score")
    assert [getattr(drawn, field) for field in fields] == [getattr(meant, field) for field in fields]
    test = config.test_dataloader
    assert loaded.pipeline == test.dataset.pipeline and loaded.batch_size == test.batch_size
    assert loaded.rules.off_image == test.dataset.get("off_image", "keep")
    assert loaded.binary_score == test.dataset.get("binary_score", False)


def test_an_own_layout_is_in_the_record_and_its_file_is_not_opened(folder, tmp_path):
    layout = dict(name="mine", joints=["a", "b", "c"], limbs=[["a", "b"], ["b", "c"]], mirror_pairs=[["a", "c"]])
    (tmp_path / "mine.json").write_text(json.dumps(layout))
    config = tiny()
    config.model.backbone.in_channels = None
    config.model.data_preprocessor.skeleton = str(tmp_path / "mine.json")
    save(config, tmp_path / "a.pth")
    with pytest.raises(InputError, match="mine.json' is named by a record and not opened. Give the config beside"):
        load_model(tmp_path / "a.pth", "cpu")
    embed_layouts(config._cfg_dict)
    save(config, tmp_path / "a.pth")
    (tmp_path / "mine.json").unlink()
    assert load_model(tmp_path / "a.pth", "cpu").layout.joints == ("a", "b", "c")


def test_names_are_the_checkpoints_own_and_a_recorded_path_is_not_followed(folder, tmp_path):
    matrix = torch.load(folder / "good.pth", weights_only=True)["state_dict"]["cls_head.semantic_branch.label_vectors"]
    names = tuple(f"gesture {number}" for number in range(32))
    LabelVectors(names, matrix.numpy(), tuple(("word",) for _ in names)).save(tmp_path / "v.npz")
    config = tiny()
    config.model.cls_head.label_vectors = str(tmp_path / "v.npz")
    config.dump(str(tmp_path / "config.py"))

    def point(one):
        one.model.cls_head.label_vectors = str(tmp_path / "v.npz")

    path = changed(folder, tmp_path / "a.pth", point)
    assert load_model(path, "cpu").class_names == ()
    assert load_model((tmp_path / "config.py", path), "cpu").class_names == names
    given = changed(folder, tmp_path / "b.pth", point, dataset_meta={"classes": list(names)})
    assert load_model(given, "cpu").class_names == names


def test_an_own_network_works_with_its_config_beside_it(folder, tmp_path):
    (tmp_path / "my_network.py").write_text(
        "from mmaction.models import ResNet3dSlowOnly\nfrom mmaction.registry import MODELS\n\n\n"
        "@MODELS.register_module(force=True)\nclass MyNetwork(ResNet3dSlowOnly):\n    pass\n"
    )
    config = tiny()
    config.model.backbone.type = "MyNetwork"
    config.custom_imports = dict(imports=["my_network"], allow_failed_imports=False)
    config.dump(str(tmp_path / "config.py"))

    def own(one):
        one.model.backbone.type = "MyNetwork"

    path = changed(folder, tmp_path / "a.pth", own)
    code = (
        "import sys\nfrom pyskl_semloss.hosts.mmaction2.prediction.predictor import Predictor\n"
        "from pyskl_semloss.errors import InputError\n"
        f"try:\n    Predictor({str(path)!r})\nexcept InputError as error:\n    print(error)\n"
        f"assert 'my_network' not in sys.modules\n"
        f"print(type(Predictor(({str(tmp_path / 'config.py')!r}, {str(path)!r})).models['joint'].model.backbone))\n"
    )
    env = {**os.environ, "PYTHONPATH": os.pathsep.join([str(ROOT), str(tmp_path)]), "OMP_NUM_THREADS": "1"}
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, env=env, timeout=600)
    assert done.returncode == 0, done.stderr
    assert "the type 'MyNetwork' is not built from a record, only ResNet3dSlowOnly. Give the config" in done.stdout
    assert "my_network.MyNetwork" in done.stdout


# Attacks ----------------------------------------------------------------------------------------------------------


def attacks(canary):
    """Name -> a change of a config that made the host run a command, import a module, or open a file."""
    command = f"__import__('os').mkdir({str(canary)!r})"
    step = dict(type="RandomResize", scale=(1, 1), resize_type="sympy.simplify", expr=command)

    def first(inserted):
        return lambda config: config.test_dataloader.dataset.pipeline.insert(0, inserted)

    return {
        "a call that a transform makes": first(step),
        "the same, nested": first(dict(type="Compose", transforms=[dict(type="RandomApply", transforms=[step])])),
        "a folder to import from": first(
            dict(
                type="LoadImageFromFile",
                file_client_args=dict(
                    backend="memcached", server_list_cfg="a", client_cfg="b", sys_path=str(canary.parent)
                ),
            )
        ),
        "an address": first(dict(type="RawFrameDecode", io_backend="http")),
        "a normalisation": lambda config: config.model.backbone.norm_cfg.update(type="sympy.simplify", expr=command),
        "a network of another package": lambda config: config.model.backbone.update(type="torchvision.resnet18"),
        "a collate function": lambda config: config.test_dataloader.collate_fn.update(type="os.mkdir"),
        "a layout": lambda config: config.model.data_preprocessor.update(skeleton=str(canary.parent / "layout.yaml")),
    }


NAMES = list(attacks(Path("x")))


def test_the_attack_is_one_where_the_host_builds_it(tmp_path):
    """Otherwise the tests below would show nothing."""
    canary = tmp_path / "canary"
    config = tiny()
    attacks(canary)["a call that a transform makes"](config)
    init_default_scope("mmaction")
    pytest.importorskip("sympy")
    with contextlib.suppress(Exception):
        TRANSFORMS.build(dict(config.test_dataloader.dataset.pipeline[0]))
    assert canary.exists()


@pytest.mark.parametrize("name", NAMES)
def test_a_hostile_record_is_refused_before_anything_is_built(folder, tmp_path, name):
    canary = tmp_path / "canary"
    path = changed(folder, tmp_path / "evil.pth", attacks(canary)[name])
    assert path.stat().st_size < 60_000
    before, modules = list(sys.path), set(sys.modules)
    with pytest.raises(
        InputError, match=r"evil\.pth: field 'meta\.cfg: (model|test_dataloader).*Give the config beside"
    ):
        Predictor(path)
    assert not canary.exists() and sys.path == before and "torchvision" not in set(sys.modules) - modules


@pytest.mark.parametrize("tool", ["predict", "app", "export_onnx"])
def test_the_tools_run_nothing_of_a_record(folder, tmp_path, tool):
    if tool == "app":
        pytest.importorskip("nicegui")
    canary = tmp_path / "canary"
    path = changed(folder, tmp_path / "evil.pth", attacks(canary)["a call that a transform makes"])
    words = {
        "predict": [folder / "film.npz", "--out", tmp_path / "out"],
        "app": ["--port", "0", "--no-browser"],
        "export_onnx": [tmp_path / "out.onnx"],
    }[tool]
    kept = {name: value for name, value in os.environ.items() if name != "PYTEST_CURRENT_TEST"}
    env = {**kept, "OMP_NUM_THREADS": "1", "PYTHONWARNINGS": "ignore", "PYTHONPATH": str(ROOT)}
    command = [sys.executable, f"tools/{tool}.py", *map(str, words), "--joint", str(path)]
    done = subprocess.run(command, capture_output=True, text=True, cwd=ROOT, env=env, timeout=600)
    assert not canary.exists() and done.returncode == 2, done.stdout + done.stderr
    last = done.stderr.splitlines()[-1]
    named = path.name if tool == "app" else path
    assert last.startswith(f"error: {named}: field 'meta.cfg: test_dataloader.dataset.pipeline.0.type'"), done.stderr
    assert "Traceback" not in done.stderr and not list(tmp_path.glob("out*"))


# Numbers ----------------------------------------------------------------------------------------------------------

BOMBS = {
    "width": ("model.backbone.base_channels", 1000, "the backbone gives 4000 channels, the head takes 8"),
    "largest width": ("model.backbone.base_channels", 65536, "the backbone gives 262144 channels"),
    "no width": ("model.backbone.base_channels", 10**12, "from 1 to 65536"),
    "negative": ("model.backbone.base_channels", -1, "from 1 to 65536, got -1"),
    "truth": ("model.backbone.base_channels", True, "from 1 to 65536, got True"),
    "kernel": ("model.backbone.conv1_kernel", (63, 63, 63), r"conv1.conv.weight is .2, 22, 1, 5, 5. in it"),
    "blocks": ("model.backbone.stage_blocks", (64, 64, 64), "it lacks"),
    "stages": ("model.backbone.num_stages", 4, "a value for each of the 4 stages, got 3"),
    "stage": ("model.backbone.out_indices", (3,), "a stage from 0 to 2, got 3"),
    "earlier stage": ("model.backbone.out_indices", (1,), "the backbone gives 4 channels, the head takes 8"),
    "channels of the head": ("model.cls_head.in_channels", 16, "the backbone gives 8 channels, the head takes 16"),
    "channels of maps": ("model.backbone.in_channels", 60000, "takes 60000 channels, the preprocessor draws 22"),
    "classes": ("model.cls_head.num_classes", 60000, "expected 60000 classes, got 32 rows"),
    "joints": ("model.data_preprocessor.skeleton.joints", None, "the preprocessor draws 1000 joints"),
    "too many joints": ("model.data_preprocessor.skeleton.joints", 5000, "at most 1024 joints, got 5000"),
    "memory": ("model.test_memory", 1e9, "above 0, up to 16384"),
    "frames": ("test_dataloader.dataset.pipeline.0.clip_len", 3_000_000_000, "from 1 to 4096"),
    "clips": ("test_dataloader.dataset.pipeline.0.num_clips", 10**6, "from 1 to 128"),
    "size": ("test_dataloader.dataset.pipeline.2.scale", (1024, 1024), "22 x 16 x 1024 x 1024 = 369098752 numbers"),
    "huge size": ("test_dataloader.dataset.pipeline.2.scale", (10**6, 32), "expected a list"),
    "factor": ("test_dataloader.dataset.pipeline.2.scale", 50.0, "expected a list"),
    "no size": ("test_dataloader.dataset.pipeline.2.scale", (-1, -1), r"expected \(w, h\)"),
    "batch": ("test_dataloader.batch_size", 10**9, "from 1 to 4096"),
    "batch of clips": ("test_dataloader.batch_size+", 4096, "batch_size . num_clips . clip_len . persons . joints"),
    "infinity": ("model.data_preprocessor.sigma", float("inf"), "expected strings, numbers|up to 100"),
}


def set_number(config, place, value):
    *path, name = place.rstrip("+").split(".")
    if name == "joints":
        joints = [f"j{number}" for number in range(value or 1000)]
        config.model.data_preprocessor.skeleton = dict(name="x", joints=joints, limbs=[(0, 1)], mirror_pairs=[])
        return
    part = config
    for step in path:
        part = part[int(step)] if step.isdigit() else part[step]
    part[name] = value
    if place.endswith("+"):
        config.test_dataloader.dataset.pipeline[0].update(clip_len=64, num_clips=128)


def test_numbers_of_a_record_are_refused_in_little_time_and_memory(folder, tmp_path):
    sources = {}
    for number, (name, (place, value, said)) in enumerate(BOMBS.items()):
        path = tmp_path / f"{number}.pth"
        changed(folder, path, lambda config, place=place, value=value: set_number(config, place, value))
        assert path.stat().st_size < 200_000
        sources[name] = [str(path), said]
    (tmp_path / "sources.json").write_text(json.dumps(sources))
    code = (
        "import json, re, resource, sys, time, warnings\nwarnings.simplefilter('ignore')\n"
        "from pyskl_semloss.errors import InputError\n"
        "from pyskl_semloss.hosts.mmaction2.prediction.trained_model import load_model\n"
        "def peak():\n    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024\n"
        f"load_model({str(folder / 'good.pth')!r}, 'cpu')\nbefore = peak()\n"
        "for name, (path, said) in json.load(open(sys.argv[1])).items():\n"
        "    start = time.process_time()\n"
        "    try:\n        load_model(path, 'cpu')\n        sys.exit(f'{name}: it was loaded')\n"
        "    except InputError as error:\n"
        "        assert re.search(said, str(error)) and str(error).count(path) == 1, (name, str(error))\n"
        "        assert '\\n' not in str(error) and 'Give the config' in str(error), (name, str(error))\n"
        "    spent = time.process_time() - start\n"
        "    assert spent < 5, (name, spent)\n    assert peak() - before < 60, (name, peak() - before)\n"
    )
    env = {**os.environ, "PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"}
    command = [sys.executable, "-c", code, str(tmp_path / "sources.json")]
    done = subprocess.run(command, capture_output=True, text=True, env=env, timeout=600)
    assert done.returncode == 0, done.stderr[-2000:]


@pytest.mark.parametrize(
    ("notes", "said"),
    [
        ({"clip_frames": 3e9}, "clip_frames': expected a number of frames from 1 to 500000, got 3000000000.0"),
        ({"clip_frames": float("nan")}, "got nan"),
        ({"clip_frames": float("inf")}, "got inf"),
        ({"clip_frames": "50"}, "got '50'"),
        ({"clip_frames": True}, "got True"),
        ({"clip_frames": 0}, "got 0"),
        ({"clip_frames": -3.5}, "got -3.5"),
        ({"classes": ["a", "b"]}, r"classes': expected the names of its 32 classes, got \['a', 'b'\] \(2\)"),
        ({"classes": list(range(32))}, "expected the names of its 32 classes"),
        ({"classes": {"a": 1}}, "expected the names of its 32 classes, got {'a': 1}"),
        ({"classes": "a" * 32}, "expected the names of its 32 classes"),
        ([1], r"meta.dataset_meta': expected a dict, got \[1\]"),
    ],
)
def test_what_a_checkpoint_says_about_its_training_is_checked(folder, tmp_path, notes, said):
    path = changed(folder, tmp_path / "a.pth", lambda config: None, dataset_meta=notes)
    with pytest.raises(InputError, match=said) as error:
        load_model(path, "cpu")
    assert error.value.file == str(path)


def test_a_head_of_another_width_is_said_for_a_given_config_too(folder, tmp_path):
    config = tiny()
    config.model.backbone.base_channels = 4
    config.dump(str(tmp_path / "config.py"))
    with pytest.raises(InputError, match="gives 16 channels, the head takes 8. Set it to 16, or change"):
        load_model((tmp_path / "config.py", folder / "good.pth"), "cpu")
    config.model.type = "Recognizer3D"
    config.model.pop("fast")
    config.dump(str(tmp_path / "config.py"))
    with pytest.raises(InputError, match="gives 16 channels, the head takes 8"):
        load_model((tmp_path / "config.py", folder / "good.pth"), "cpu")


def test_maps_of_a_recording_may_not_fill_the_memory(folder, tmp_path):
    """A crop that keeps the ratio of its image is as long as the file says that the image is."""

    def ratio(config):
        config.test_dataloader.dataset.pipeline[2].update(scale=(-1, 512), keep_ratio=True)

    predictor = Predictor(changed(folder, tmp_path / "a.pth", ratio))
    recording = generate_recording(1, seed=2)[0].clip(0, 30)
    wide = type(recording)("wide", -1, (10, 10**6), (10, 10**6), recording.keypoint * 0, recording.keypoint_score)
    with pytest.raises(InputError, match="clip 'wide': field 'img_shape': its heat maps have 22 x 16 x 512 x 51200000"):
        predictor.predict(wide)


def test_a_recorded_layouts_mistakes_are_printed_without_commands_to_the_terminal(folder, tmp_path):
    def odd(config):
        config.model.data_preprocessor.skeleton = dict(
            name="odd", joints=[f"j{number}" for number in range(22)], limbs=[(0, 1), (2, 3)], mirror_pairs=[(0, 2)],
            mistakes="a\x1b[2Jb\nwarning: c",
        )  # fmt: skip

    with pytest.warns(UserWarning, match=r"'odd' is wrong on purpose: a\\x1b\[2Jb\\nwarning: c$"):
        load_model(changed(folder, tmp_path / "a.pth", odd), "cpu")
