"""Every method over every image of a data set, one image at a time, picking up where a killed run
stopped.
"""

from __future__ import annotations

import json
import math
import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import asdict
from pathlib import Path

import numpy as np

from aindnet.errors import AindnetError
from aindnet.evaluation.datasets.sample import Dataset, Image, Pair, Sample
from aindnet.evaluation.memory import PeakMemory
from aindnet.evaluation.methods.method import Denoised, FloatImage, Method
from aindnet.evaluation.metrics import to_uint8
from aindnet.evaluation.perceptual import find_metric
from aindnet.evaluation.scores import Evaluation, Failure, ImageScore, MethodScores

WARM_UP_SIDE = 1024
CONTRACT_METRICS = ("psnr", "ssim")
Progress = Callable[[int, int, str], None]


class Journal:
    """Scores kept as JSON lines, one as soon as it is known, so that a killed run loses one image
    at most.

    A score counts again only for the same data set, image, metrics and method fingerprint. A last
    line cut off by a kill is ignored.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._known: dict[str, ImageScore] = {}
        if path.is_file():
            for line in path.read_text(encoding="utf-8").splitlines():
                try:
                    entry = json.loads(line)
                    self._known[entry["key"]] = ImageScore(**entry["score"])
                except (json.JSONDecodeError, KeyError, TypeError):
                    continue

    def find(self, key: str) -> ImageScore | None:
        """The score kept under this key."""
        return self._known.get(key)

    def keep(self, key: str, score: ImageScore) -> None:
        """Append a score; it is on disk when this returns."""
        self._known[key] = score
        self.path.parent.mkdir(parents=True, exist_ok=True)
        started = self.path.exists()
        with self.path.open("a", encoding="utf-8") as stream:
            # A line that a kill cut off must not swallow the next one.
            stream.write(
                ("\n" if started else "") + json.dumps({"key": key, "score": asdict(score)})
            )


def evaluate(
    dataset: Dataset,
    methods: Sequence[Method],
    *,
    metrics: Sequence[str] = CONTRACT_METRICS,
    journal: Journal | None = None,
    progress: Progress | None = None,
) -> Evaluation:
    """Score every method on every image.

    An image that a method fails on is left out of every method's mean, so that all rows are over
    the same images, and is named in `failures`. Raises nothing for such an image; errors that are
    no `AindnetError` or `MemoryError` pass through.
    """
    for metric in metrics:
        find_metric(metric)
    rows: list[list[ImageScore]] = []
    failures: list[Failure] = []
    warm: set[str] = set()
    for index, sample in enumerate(dataset.samples):
        if progress:
            progress(index, len(dataset.samples), sample.name)
        row, failure = _score_sample(dataset, sample, methods, metrics, journal, warm)
        if failure:
            failures.append(failure)
        else:
            rows.append(row)
    if progress:
        progress(len(dataset.samples), len(dataset.samples), "")
    return Evaluation(
        dataset=dataset.name,
        title=dataset.title,
        protocol=f"{dataset.protocol} {dataset.selection}".strip(),
        metrics=tuple(metrics),
        methods=tuple(
            MethodScores(method.name, method.settings, tuple(row[column] for row in rows))
            for column, method in enumerate(methods)
        ),
        failures=tuple(failures),
        grouping=dataset.grouping,
    )


def _score_sample(
    dataset: Dataset,
    sample: Sample,
    methods: Sequence[Method],
    metrics: Sequence[str],
    journal: Journal | None,
    warm: set[str],
) -> tuple[list[ImageScore], Failure | None]:
    pair: Pair | None = None
    row = []
    for method in methods:
        key = "|".join(
            [
                dataset.source,
                dataset.protocol,
                sample.name,
                ",".join(metrics),
                method.fingerprint,
            ]
        )
        score = journal.find(key) if journal else None
        if score is None:
            try:
                pair = pair or sample.read()
                memory = PeakMemory()
                if method.name not in warm:
                    warm_up(method, pair)
                    warm.add(method.name)
                score = score_image(method, pair, sample, metrics, memory)
            except (AindnetError, MemoryError) as error:
                return [], Failure(sample.name, method.name, str(error) or type(error).__name__)
            if journal:
                journal.keep(key, score)
        row.append(score)
    return row, None


def warm_up(method: Method, pair: Pair) -> None:
    """Run once a method that loads or compiles on its first call, so that no score times that."""
    if getattr(method, "needs_warm_up", False):
        method(as_float(pair.noisy[:WARM_UP_SIDE, :WARM_UP_SIDE]))


def score_image(
    method: Method, pair: Pair, sample: Sample, metrics: Sequence[str], memory: PeakMemory
) -> ImageScore:
    """Run one method on one pair and measure it; the time is the method's alone.

    `memory` watches since before the call, or since before the warm-up: buffers that a library
    keeps are its memory too.
    """
    noisy = as_float(pair.noisy)
    start = time.perf_counter()
    denoised = method(noisy)
    seconds = time.perf_counter() - start
    own_peak: float | None = getattr(method, "peak_memory_mb", None)
    added = memory.added_mb() if own_peak is None else own_peak
    restored, seen = denoised.image, pair.noisy
    if sample.window is not None:
        restored, seen = restored[sample.window], seen[sample.window]
    values: dict[str, float] = {}
    sigma = None
    if pair.clean is not None:
        values = {metric: find_metric(metric)(restored, pair.clean) for metric in metrics}
        difference = to_uint8(seen).astype(np.float64) - to_uint8(pair.clean)
        sigma = math.sqrt(float(np.mean(np.square(difference))))
    if pair.noise_level is not None and denoised.noise_level is not None:
        error = denoised.noise_level.astype(np.float64) - pair.noise_level.astype(np.float64)
        values |= {
            "noise_level_error": float(np.abs(error).mean()),
            "noise_level_bias": float(error.mean()),
        }
    return ImageScore(
        method=method.name,
        image=sample.name,
        group=sample.group,
        values=values,
        seconds=seconds,
        megapixels=noisy.shape[0] * noisy.shape[1] / 1e6,
        peak_memory_mb=added,
        noise_level=None if denoised.noise_level is None else float(np.mean(denoised.noise_level)),
        noise_sigma=sigma,
    )


def run_method(method: Method, sample: Sample) -> tuple[Pair, Denoised]:
    """One image through one method, for pictures."""
    pair = sample.read()
    return pair, method(as_float(pair.noisy))


def as_float(image: Image) -> FloatImage:
    """An image as float32 on [0, 1]; floating-point images are not clipped, as noise may leave the
    range.
    """
    if image.dtype == np.uint8:
        return image.astype(np.float32) / np.float32(255)
    if image.dtype == np.uint16:
        return image.astype(np.float32) / np.float32(65535)
    return image.astype(np.float32)


def image_names(evaluation: Evaluation) -> Iterable[str]:
    """The images that every method was scored on."""
    return (score.image for score in evaluation.methods[0].scores) if evaluation.methods else ()
