"""Every method over every image of a data set, one image at a time, picking up where a killed run
stopped.
"""

from __future__ import annotations

import hashlib
import json
import math
import time
from collections.abc import Callable, Collection, Iterable, Sequence
from dataclasses import asdict, replace
from pathlib import Path

import numpy as np

from aindnet.errors import AindnetError, DatasetError, ImageWriteError
from aindnet.evaluation.datasets.sample import Dataset, Image, Pair, Sample
from aindnet.evaluation.methods.method import Denoised, FloatImage, Method, checked
from aindnet.evaluation.metrics import to_uint8
from aindnet.evaluation.perceptual import code_of_metrics, find_metric, needs_clean
from aindnet.evaluation.provenance import machine_name
from aindnet.evaluation.scores import Evaluation, Failure, ImageScore, MethodScores
from aindnet.restore.memory import PeakMemory
from aindnet.whole_files import require_writable_file

WARM_UP_SIDE = 1024
IMPORT_SIDE = 64
"""Pixels of what a method is run on to have its library imported, which is no denoising."""
JOURNAL_START = '{"key":'
"""What every line of kept scores begins with."""

CONTRACT_METRICS = ("psnr", "ssim")
Progress = Callable[[int, int, str], None]


class Journal:
    """Scores kept as JSON lines, one as soon as it is known, so that a killed run loses one image
    at most.

    A score counts again only for the same data set, image and its content, metrics and their
    code, and method fingerprint; the time of one that was measured on another machine does not.
    A last line cut off by a kill is ignored. Raises `DatasetError` for a file of another kind,
    which is left as it is.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._known: dict[str, ImageScore] = {}
        require_writable_file(path)
        if path.exists():
            for line in self._lines():
                try:
                    entry = json.loads(line)
                    self._known[entry["key"]] = ImageScore(**entry["score"])
                except (json.JSONDecodeError, KeyError, TypeError):
                    continue

    def _lines(self) -> list[str]:
        try:
            lines = self.path.read_text(encoding="utf-8").splitlines()
        except (OSError, UnicodeDecodeError) as error:
            raise DatasetError(f"{self.path}: no file of kept scores; name another") from error
        first = next((line for line in lines if line), JOURNAL_START)
        if first[: len(JOURNAL_START)] != JOURNAL_START[: len(first)]:
            raise DatasetError(f"{self.path}: no file of kept scores; name another")
        return lines

    def find(self, key: str) -> ImageScore | None:
        """The score kept under this key."""
        return self._known.get(key)

    def keep(self, key: str, score: ImageScore) -> None:
        """Append a score; the system has it when this returns, whatever becomes of the process."""
        self._known[key] = score
        line = json.dumps({"key": key, "score": asdict(score)})
        try:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            started = self.path.exists()
            with self.path.open("a", encoding="utf-8") as stream:
                # A line that a kill cut off must not swallow the next one.
                stream.write(("\n" if started else "") + line)
        except OSError as error:
            raise ImageWriteError(f"{self.path}: cannot be written ({error.strerror})") from error


def evaluate(
    dataset: Dataset,
    methods: Sequence[Method],
    *,
    metrics: Sequence[str] = CONTRACT_METRICS,
    journal: Journal | None = None,
    progress: Progress | None = None,
    peers: Collection[str] = (),
) -> Evaluation:
    """Score every method on every image.

    All rows are over the same images. An image that cannot be read, or that a method fails on, is
    left out of every mean and named in `failures`. A method that `peers` names is left out itself,
    from its first failure on, and named in `dropped`. Errors that are no `AindnetError` or
    `MemoryError` pass through. Raises `AindnetError` for two methods of one name, or for a metric
    that would need the truth which the data set lacks.
    """
    _check(dataset, methods, metrics)
    kept = list(methods)
    rows: list[dict[str, ImageScore]] = []
    failures: list[Failure] = []
    dropped: list[Failure] = []
    warm: set[str] = set()
    for index, sample in enumerate(dataset.samples):
        if progress:
            progress(index, len(dataset.samples), sample.name)
        try:
            pair = sample.read()
        except (AindnetError, MemoryError) as error:
            failures.append(_failure(sample, "reading", error))
            continue
        row: dict[str, ImageScore] = {}
        # Peers last: an image that counts for none must not cost one its row.
        for method in sorted(kept, key=lambda method: method.name in peers):
            try:
                row[method.name] = _score(dataset, sample, pair, method, metrics, journal, warm)
            except (AindnetError, MemoryError) as error:
                if method.name not in peers:
                    failures.append(_failure(sample, method.name, error))
                    break
                dropped.append(_failure(sample, method.name, error))
                kept.remove(method)
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
            MethodScores(method.name, method.settings, tuple(row[method.name] for row in rows))
            for method in kept
        ),
        failures=tuple(failures),
        dropped=tuple(dropped),
        grouping=dataset.grouping,
        whole=dataset.as_published and not dataset.selection and not failures,
    )


def _check(dataset: Dataset, methods: Sequence[Method], metrics: Sequence[str]) -> None:
    names = [method.name for method in methods]
    if twice := [name for name in names if names.count(name) > 1]:
        raise AindnetError(f"two methods are named {twice[0]}: rename one's file or model")
    for metric in metrics:
        found = find_metric(metric)
        if not dataset.has_truth and metric not in CONTRACT_METRICS and needs_clean(found):
            raise AindnetError(
                f"--metric {metric} compares with a clean side, which {dataset.name} does not "
                "have; take one without reference, such as niqe"
            )


def _failure(sample: Sample, method: str, error: Exception) -> Failure:
    return Failure(sample.name, method, str(error) or type(error).__name__)


def _score(
    dataset: Dataset,
    sample: Sample,
    pair: Pair,
    method: Method,
    metrics: Sequence[str],
    journal: Journal | None,
    warm: set[str],
) -> ImageScore:
    key = ""
    # Crops of one scene are no more independent than those of one photo.
    photo = sample.photo or (sample.group if dataset.grouping == "scene" else "")
    if journal:
        parts = (dataset.name, sample.name, content_hash(pair), str(sample.window))
        measured = f"{','.join(metrics)}|{code_of_metrics(metrics)}"
        key = short_hash("|".join([*parts, measured, method.fingerprint]))
        known = journal.find(key)
        if known is not None:
            known = replace(known, method=method.name, group=sample.group, photo=photo)
            if known.machine == machine_name():
                return known
            return replace(known, seconds=math.nan, peak_memory_mb=None)
    if method.name not in warm and getattr(method, "imports_late", False):
        method(as_float(pair.noisy[:IMPORT_SIDE, :IMPORT_SIDE]))
    memory = PeakMemory()
    if method.name not in warm:
        warm_up(method, pair)
        warm.add(method.name)
    score = replace(score_image(method, pair, sample, metrics, memory), photo=photo)
    if journal:
        journal.keep(key, score)
    return score


def short_hash(text: str) -> str:
    """A hash of a text, for lines of files; names that are not UTF-8 may be in it."""
    encoded = text.encode(errors="surrogateescape")
    return hashlib.blake2b(encoded, digest_size=16).hexdigest()


def content_hash(pair: Pair) -> str:
    """A hash of what a pair holds, so that a replaced image is measured again."""
    digest = hashlib.blake2b(digest_size=16)
    for image in (pair.noisy, pair.clean, pair.noise_level):
        if image is not None:
            digest.update(f"{image.dtype.str}{image.shape}".encode())
            digest.update(np.ascontiguousarray(image).tobytes())
        digest.update(b"|")
    return digest.hexdigest()


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
    if getattr(method, "shares_memory", False):
        added = None
    checked(method, denoised, noisy)
    restored, seen = denoised.image, pair.noisy
    if sample.window is not None:
        restored, seen = restored[sample.window], seen[sample.window]
    wanted = {metric: find_metric(metric) for metric in metrics}
    sigma = None
    if pair.clean is None:
        alone = {name: found for name, found in wanted.items() if not needs_clean(found)}
        values = {name: found(restored, restored) for name, found in alone.items()}
    else:
        values = {name: found(restored, pair.clean) for name, found in wanted.items()}
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
        machine=machine_name(),
    )


def run_method(method: Method, sample: Sample) -> tuple[Pair, Denoised]:
    """One image through one method, for pictures."""
    pair = sample.read()
    noisy = as_float(pair.noisy)
    return pair, checked(method, method(noisy), noisy)


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
