"""Gesture prediction with one or several trained models, fused."""

from __future__ import annotations

import dataclasses
import functools
import itertools
import math
import os
import warnings
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
import torch

from pyskl_semloss.annotations.clip import Clip
from pyskl_semloss.annotations.dataset_clips import score_known_points
from pyskl_semloss.annotations.findings import ReadReport
from pyskl_semloss.annotations.mending import read_clip
from pyskl_semloss.errors import InputError
from pyskl_semloss.evaluation.fusion import fuse, normalise_weights
from pyskl_semloss.evaluation.fusion_plan import PAPER_WEIGHTS, paper_weights
from pyskl_semloss.evaluation.scores import Scores
from pyskl_semloss.hosts.mmaction2.data.packing import get_sample_field
from pyskl_semloss.hosts.mmaction2.model.folding import fold_batch_norm
from pyskl_semloss.hosts.mmaction2.prediction.model_agreement import (
    check_agreement,
    label_vectors_with_source,
    names_of_classes,
)
from pyskl_semloss.hosts.mmaction2.prediction.trained_model import Source, TrainedModel, build_steps, load_model
from pyskl_semloss.io.progress import ProgressCallback
from pyskl_semloss.io.reading import AnyPath
from pyskl_semloss.recordings.recording import Recording
from pyskl_semloss.segments.diagnosis import explain_no_segments
from pyskl_semloss.segments.localization import SegmentRules, background_classes, find_segments
from pyskl_semloss.segments.segment import Segmentation
from pyskl_semloss.segments.windows import ClipEntry, Timeline, WindowRules, score_windows, window_seconds
from pyskl_semloss.semantic.unseen import FurtherNames, further_vectors, with_further_names


@dataclass(frozen=True, eq=False)
class Prediction:
    """Scores of N clips.

    Attributes:
        scores: Class probabilities (N, C), of two models the fused ones; with cosines to the class names (N, C) if
            every model has the semantic branch.
        parts: Scores of each model by modality.
    """

    scores: Scores
    parts: Mapping[str, Scores]

    @property
    def class_names(self) -> tuple[str, ...]:
        """Names of the C classes."""
        return self.scores.class_names

    @property
    def probability(self) -> np.ndarray:
        """Class probabilities (N, C)."""
        return self.scores.score

    def top(self, count: int = 5) -> list[tuple[tuple[str, float], ...]]:
        """Most probable classes of each clip with their probabilities, best first."""
        return ranked(self.scores.score, self.class_names, count)

    def nearest(self, count: int = 5) -> list[tuple[tuple[str, float], ...]]:
        """Classes nearest to each clip's embedding with their cosines; empty without branch.

        A ``seen_bias`` of further names is in the probabilities, not in these cosines.
        """
        cosine = self.scores.semantic_cosine
        return [() for _ in self.scores.sample_id] if cosine is None else ranked(cosine, self.class_names, count)


def ranked(score: np.ndarray, names: Sequence[str], count: int) -> list[tuple[tuple[str, float], ...]]:
    """Highest scores of each row (N, C) with class names, best first; ties in class order."""
    order = np.argsort(-score, axis=1, kind="stable")[:, :count]
    return [tuple((names[k], float(row[k])) for k in best) for row, best in zip(score, order, strict=True)]


def scores_of(samples: Sequence[Any], class_names: tuple[str, ...], seen_bias: float = 0.0) -> Scores:
    """Scores of a batch's data samples, as :class:`ScoreMetric` keeps them, with further names if any."""
    semantic = [sample.get("pred_semantic") for sample in samples]
    columns: dict[str, Any] = {} if semantic[0] is None else {
        f"semantic_{name}": np.stack([scores.get(name).float().cpu().numpy() for scores in semantic])
        for name in ("cosine", "distance")
    }  # fmt: skip
    score = np.stack([get_sample_field(sample, "pred_score").float().cpu().numpy() for sample in samples])
    if columns and columns["semantic_cosine"].shape[1] > score.shape[1]:
        score = with_further_names(score, columns["semantic_cosine"], seen_bias)
    return Scores(
        np.array([sample.sample_id for sample in samples]),
        score,
        np.array([int(get_sample_field(sample, "gt_label").reshape(-1)[0]) for sample in samples]),
        **columns,
        class_names=class_names,
    )


def joined(batches: Sequence[Scores]) -> Scores:
    """Concatenated scores of several batches of a model."""

    def column(name: str) -> Any:
        values = [getattr(batch, name) for batch in batches]
        return None if values[0] is None else np.concatenate(values)

    names = ("sample_id", "score", "label", "semantic_cosine", "semantic_distance")
    return Scores(**{name: column(name) for name in names}, class_names=batches[0].class_names)


# Numbers in the volume of one view: 2 GB in float32.
_MOST_NUMBERS = 1 << 29


class Predictor:
    """Trained models that name the gestures in clips and recordings.

    Args:
        joint: Joint model: a checkpoint that records its config, or (config, checkpoint).
        limb: Limb model.
        graphs: Graph networks. One model is enough.
        weights: Fusion weights of joint and limb; with graph networks of every given model in this order. By default
            2 and 3 for joint and limb of iMiGUE or SMG, else equal.
        device: Device of the models; by default a GPU if there is one.
        class_names: The C names, or a file with a name in each line; by default those of the checkpoint, or of the
            label vectors that a given config names.
        fast: Compute in bfloat16, see docs/throughput.md.
        batch_size: Clips per batch; by default that of the config's test.

    Raises:
        InputError: No model is given, a checkpoint is unusable, or the models differ in classes or joints.
    """

    def __init__(
        self,
        joint: Source | None = None,
        limb: Source | None = None,
        *,
        graphs: Sequence[Source] = (),
        weights: Sequence[float] | None = None,
        device: str | torch.device | None = None,
        class_names: Sequence[str] | AnyPath | None = None,
        fast: bool = False,
        batch_size: int | None = None,
    ) -> None:
        sources = {name: source for name, source in (("joint", joint), ("limb", limb)) if source is not None}
        if not sources and not graphs:
            problem = "expected a joint model, a limb model or a graph network, got none"
            raise InputError(problem, field="joint, limb, graphs")
        self.device = torch.device(device or ("cuda" if torch.cuda.is_available() else "cpu"))
        self.models = {name: load_model(source, self.device, fast) for name, source in sources.items()}
        for model in (load_model(source, self.device) for source in graphs):
            if not model.is_graph_network:
                problem = f"it was given as a graph network, but draws {model.modality}s"
                raise InputError(problem, file=model.checkpoint, field="graphs")
            self.models[_free_name(model.modality, self.models)] = model
        check_agreement(self.models)
        first = next(iter(self.models.values()))
        self.layout, self.classes = first.layout, first.classes
        self.class_names = names_of_classes(class_names, self.models)
        named = class_names is not None or any(model.class_names for model in self.models.values())
        paper = paper_weights(list(self.models), self.class_names if named else (), self.classes)
        self.weights = _weights_of(self.models, weights, bool(graphs), paper)
        self.further: FurtherNames | None = None
        self.batch_size = first.batch_size if batch_size is None else batch_size
        if self.batch_size < 1:
            raise InputError(f"expected at least 1, got {batch_size}", field="batch_size")

    @property
    def unseen_names(self) -> tuple[str, ...]:
        """Class names that the models were not trained on."""
        return () if self.further is None else self.further.names

    def add_names(self, further: FurtherNames, label_vectors: AnyPath | None = None) -> None:
        """Add class names that the models were not trained on.

        Scores get F columns after those of the trained classes; see
        :func:`pyskl_semloss.semantic.unseen.with_further_names`.

        Args:
            further: The F names.
            label_vectors: File of the models' label vectors, if the checkpoints do not record their source.

        Raises:
            InputError: Names were added before, a model has no semantic branch, a name exists already, or the source of
                the label vectors is missing or differs.
        """
        if self.further is not None:
            raise InputError("further names were added before", field="names", fix="Give all of them at once.")
        trained = self.class_names[: self.classes]
        labels = label_vectors_with_source(self.models, trained, label_vectors)
        vectors = torch.from_numpy(further_vectors(labels, further.names, further.vectors)).to(self.device)
        for model in self.models.values():
            model.model.cls_head.semantic_branch.further_vectors = vectors
        # Cached copies of the models, which lack the vectors.
        self.__dict__.pop("_folded_networks", None)
        self.further, self.class_names = further, (*trained, *further.names)

    def predict(self, clips: Clip | Recording | Iterable[Clip | Recording], *, one_view: bool = False) -> Prediction:
        """Classify whole clips; a recording counts as a clip.

        Args:
            clips: A clip, or several with different ids. All persons of a clip share its heat maps.
            one_view: Use one view of each clip, not all views of the config's test.

        Returns:
            Scores in the order of the clips; they equal those of ``semloss test`` and, fused, of ``semloss fuse``.

        Raises:
            InputError: There is no clip, an id is repeated, or a clip has other joints.
        """
        several = [clips] if isinstance(clips, (Clip, Recording)) else list(clips)
        if not several:
            raise InputError("expected at least one clip, got none", field="clips")
        batches = list(self.score((self._entry(clip) for clip in several), one_view=one_view))
        parts = {name: joined([batch[name] for batch in batches]) for name in self.models}
        return Prediction(self._fuse_scores(parts), parts)

    def score(
        self, entries: Iterable[ClipEntry], *, one_view: bool = False, fuse_layers: bool = False
    ) -> Iterator[dict[str, Scores]]:
        """Scores of each model, batch by batch.

        A warning at the end sums up the repairs of the clips.

        Args:
            entries: Clips in the form of annotation files.
            one_view: Use one view of each clip, not all views of the config's test.
            fuse_layers: Compute about twice as fast on a CPU with batch-norm folding; scores agree up to rounding, see
                :mod:`pyskl_semloss.hosts.mmaction2.model.folding`.
        """
        networks = self._folded_networks if fuse_layers else {name: item.model for name, item in self.models.items()}
        groups, report = self._groups(one_view), ReadReport()
        entries = iter(entries)
        while batch := list(itertools.islice(entries, self.batch_size)):
            yield self._score_batch(batch, groups, networks, report)
        if report.warning:
            warnings.warn(report.warning, stacklevel=2)

    def window_rules(self, **changes: Any) -> WindowRules:
        """Window rules, with two thirds of the median training clip as length.

        The length is 2 s if no checkpoint records the median.
        """
        frames = next((model.clip_frames for model in self.models.values() if model.clip_frames), None)
        return WindowRules(**{"window": window_seconds(frames), **changes})

    def timelines(
        self,
        recording: Recording,
        windows: WindowRules | None = None,
        *,
        one_view: bool = True,
        progress: ProgressCallback | None = None,
    ) -> list[Timeline]:
        """Class probabilities over time, a timeline per person; see :meth:`segments`."""
        self.check_layout(recording)

        def score(entries: Iterable[ClipEntry]) -> Iterator[Scores]:
            return map(self._fuse_scores, self.score(entries, one_view=one_view, fuse_layers=True))

        return score_windows(recording, score, self.class_names, windows or self.window_rules(), progress)

    def segments(
        self,
        recording: Recording,
        rules: SegmentRules | None = None,
        *,
        window: float | None = None,
        stride: float | None = None,
        still: float | None = None,
        seen: float | None = None,
        together: bool = False,
        one_view: bool = True,
        progress: ProgressCallback | None = None,
    ) -> Segmentation:
        """Gestures in a recording with start, end, name and confidence.

        Windows slide over the recording. Windows without a visible or moving person are skipped, the others are scored
        as clips, and :func:`pyskl_semloss.segments.localization.find_segments` turns the scores into segments.

        Args:
            recording: Recording with the models' joints.
            rules: Rules that turn scores into segments.
            window: Length of a window in s; see :meth:`window_rules`.
            stride: Step between windows in s; by default a quarter of the window.
            still: Least movement of a scored window, in body sizes.
            seen: Least share of known points in a scored window.
            together: Draw all persons into the same maps; otherwise each person has its own windows and segments.
            one_view: Use one view of each window, not all views of the config's test.
            progress: Callback with the number of scored windows and their total.

        Raises:
            InputError: The recording has other joints, or a rule is invalid.
        """
        rules = rules or SegmentRules()
        background_classes(self.class_names, rules.background)
        given = dict(window=window, stride=stride, still=still, seen=seen, together=together)
        cut = self.window_rules(**{name: value for name, value in given.items() if value is not None})
        timelines = self.timelines(recording, cut, one_view=one_view, progress=progress)
        return self.segmentation(recording, timelines, cut, rules, one_view=one_view)

    def segmentation(
        self,
        recording: Recording,
        timelines: Sequence[Timeline],
        windows: WindowRules,
        rules: SegmentRules,
        *,
        one_view: bool = True,
    ) -> Segmentation:
        """Segments of a recording from its timelines; see :meth:`segments`.

        Args:
            recording: The recording.
            timelines: Its timelines from :meth:`timelines`.
            windows: Window rules of the timelines.
            rules: Rules that turn scores into segments.
            one_view: The setting of the timelines.
        """
        settings = {
            "models": {name: os.path.basename(model.checkpoint) for name, model in self.models.items()},
            "weights": self.weights,
            "one_view": one_view,
            **dataclasses.asdict(dataclasses.replace(windows, stride=windows.stride_seconds)),
            **dataclasses.asdict(rules),
            **({} if self.further is None else {"seen_bias": self.further.seen_bias}),
        }
        segments = tuple(segment for timeline in timelines for segment in find_segments(timeline, rules))
        why = "" if segments else explain_no_segments(timelines, windows, rules)
        return Segmentation(
            segments, self.class_names, recording.name, recording.seconds, recording.video, settings, why,
            self.unseen_names,
        )  # fmt: skip

    def _groups(self, one_view: bool) -> list[_Group]:
        """Groups of models with the same preprocessing, which runs once per group."""
        groups: list[_Group] = []
        for name, model in self.models.items():
            way = (model.steps(one_view), model.rules, model.binary_score, model.stream)
            same = next((group for group in groups if group.way == way), None)
            if same is None:
                groups.append(_Group(way, build_steps(way[0]), model, [name]))
            else:
                same.names.append(name)
        return groups

    @functools.cached_property
    def _folded_networks(self) -> dict[str, torch.nn.Module]:
        return {name: fold_batch_norm(item.model) for name, item in self.models.items()}

    @torch.inference_mode()
    def _score_batch(
        self,
        batch: Sequence[ClipEntry],
        groups: Sequence[_Group],
        networks: Mapping[str, Any],
        report: ReadReport,
    ) -> dict[str, Scores]:
        scores = {}
        for group in groups:
            data = group.model.collate([group.pack(entry, report) for entry in batch])
            for name in group.names:
                bias = 0.0 if self.further is None else self.further.seen_bias
                scores[name] = scores_of(networks[name].test_step(data), self.class_names, bias)
        return {name: scores[name] for name in self.models}

    def _entry(self, clip: Clip | Recording) -> ClipEntry:
        if isinstance(clip, Recording):
            self.check_layout(clip)
            clip = clip.clip(0, clip.frames, name=clip.name)
        if clip.label >= self.classes:
            clip = dataclasses.replace(clip, label=-1)
        return clip.to_dict()

    def check_layout(self, recording: Recording) -> None:
        """Refuse a recording whose joints differ from the models'.

        Raises:
            InputError: Names both layouts.
        """
        if recording.layout.joints != self.layout.joints:
            raise InputError(
                f"its joints are {recording.layout.name!r} ({recording.layout.num_joints}), the models take "
                f"{self.layout.name!r} ({self.layout.num_joints})",
                clip=recording.name,
                field="layout",
                fix="Bring it to the models' layout when it is read or estimated.",
            )

    def _fuse_scores(self, parts: Mapping[str, Scores]) -> Scores:
        return fuse(list(parts.values()), self.weights) if len(parts) > 1 else next(iter(parts.values()))


def _free_name(name: str, models: Mapping[str, TrainedModel]) -> str:
    """Name of a model that no other has: "stgcn bone", "stgcn bone 2", …."""
    numbered = (f"{name} {number}" for number in itertools.count(2))
    return next(free for free in itertools.chain([name], numbered) if free not in models)


def _weights_of(
    models: Mapping[str, TrainedModel],
    weights: Sequence[float] | None,
    graphs: bool,
    default: Sequence[float] | None,
) -> list[float]:
    """A weight for each model, in their order; of joint and limb alone two, even where one of them is missing."""
    if weights is None:
        return [float(weight) for weight in default or [1.0] * len(models)]
    names = list(models) if graphs else list(PAPER_WEIGHTS)
    if len(weights) != len(names):
        raise InputError(f"expected {len(names)}, of {', '.join(names)}, got {len(weights)}", field="weights")
    given = [float(weight) for name, weight in zip(names, weights, strict=True) if name in models]
    normalise_weights(given, len(given))
    return given


class _Group(NamedTuple):
    """Models with the same preprocessing of clips."""

    way: tuple[Any, ...]
    steps: list[Callable[[dict[str, Any]], Any]]
    model: TrainedModel
    names: list[str]

    def pack(self, entry: ClipEntry, report: ReadReport) -> Any:
        """Model input of a clip, checked and repaired as in the models' data set."""
        results = read_clip(entry, self.model.rules, report).to_dict()
        if self.model.binary_score:
            score_known_points(results)
        results |= {"skeleton": self.model.layout, "stream": self.model.stream}
        for step in self.steps:
            results = step(results)
        self._check_size(results, entry)
        return results

    def _check_size(self, packed: Mapping[str, Any], entry: ClipEntry) -> None:
        """Refuse a volume above the limit: with keep_ratio an untrusted image size sets the maps' size."""
        if self.model.is_graph_network:
            return
        size = len(self.model.model.data_preprocessor.channels), packed["inputs"]["keypoint"].shape[2]
        size += packed["data_samples"].img_shape
        if math.prod(size) > _MOST_NUMBERS:
            raise InputError(
                f"its heat maps have {' x '.join(map(str, size))} numbers, more than {_MOST_NUMBERS}",
                clip=entry["frame_dir"],
                field="img_shape",
                fix="Give a config whose ResizeKeypoints has scale=(width, height) and keep_ratio=False.",
            )
