"""The images a reader should see: where the method gains most and where it gains least."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from aindnet.evaluation.datasets.sample import Dataset, Sample
from aindnet.evaluation.methods.method import Method
from aindnet.evaluation.report.pictures import colour_map, data_uri, squared_error, telling_window
from aindnet.evaluation.runner import run_method
from aindnet.evaluation.scores import Evaluation

WINDOW = 224
CHOSEN_OF_EACH_KIND = 3


@dataclass(frozen=True)
class Showcase:
    """One crop: noisy, denoised, and where they are known clean and noise map, as data URIs."""

    name: str
    kind: str
    """Why it is shown: largest gain, smallest gain, or a photo without truth."""

    method: str
    place: str
    """Where in the image the crop lies."""

    noisy: str
    denoised: str
    clean: str | None
    noise_map: str | None
    highest_noise: float | None
    """What the map's brightest colour stands for, in 8-bit levels."""

    noisy_psnr: float | None = None
    psnr: float | None = None


def make_showcases(
    dataset: Dataset,
    method: Method,
    evaluation: Evaluation,
    *,
    each: int = CHOSEN_OF_EACH_KIND,
) -> list[Showcase]:
    """Crops of the images with the largest and the smallest gain in PSNR, or of the first few
    photos.

    Each crop is the image's window where the method gains most, or least. The images are denoised
    once more for it.
    """
    samples = {sample.name: sample for sample in dataset.samples}
    shown = []
    for name, kind in choose_images(evaluation, method.name, each):
        shown.append(_showcase(samples[name], kind, method, evaluation))
    return shown


def choose_images(evaluation: Evaluation, method: str, each: int) -> list[tuple[str, str]]:
    """Names with the reason for which they are shown."""
    rows = evaluation.method(method).scores
    noisy = evaluation.method("noisy").values("psnr")
    gain = evaluation.method(method).values("psnr") - noisy
    if not np.isfinite(gain).any():
        return [(score.image, "no truth known") for score in rows[: 2 * each]]
    order = [int(index) for index in np.argsort(gain) if math.isfinite(gain[index])]
    count = min(each, (len(order) + 1) // 2)
    worst, best = order[:count], order[::-1][: min(count, len(order) - count)]
    return [(rows[i].image, "largest gain") for i in best] + [
        (rows[i].image, "smallest gain") for i in worst
    ]


def _showcase(sample: Sample, kind: str, method: Method, evaluation: Evaluation) -> Showcase:
    pair, denoised = run_method(method, sample)
    noisy, restored = pair.noisy, denoised.image
    if pair.clean is not None:
        gain = squared_error(noisy, pair.clean) - squared_error(restored, pair.clean)
    else:
        gain = squared_error(noisy, restored)
    window = telling_window(gain, WINDOW, worst=kind == "smallest gain")
    noise_map, highest = None, None
    if denoised.noise_level is not None:
        level = denoised.noise_level.mean(axis=-1) if denoised.noise_level.ndim == 3 else None
        level = denoised.noise_level if level is None else level
        highest = float(np.quantile(level, 0.995))
        noise_map = data_uri(colour_map(level[window], highest))
    values = {row: _psnr_of(evaluation, row, sample.name) for row in ("noisy", method.name)}
    rows, columns = window
    return Showcase(
        name=sample.name,
        kind=kind,
        method=method.name,
        place=f"rows {rows.start}–{rows.stop}, columns {columns.start}–{columns.stop}",
        noisy=data_uri(noisy[window]),
        denoised=data_uri(restored[window]),
        clean=None if pair.clean is None else data_uri(pair.clean[window]),
        noise_map=noise_map,
        highest_noise=None if highest is None else highest * 255,
        noisy_psnr=values["noisy"],
        psnr=values[method.name],
    )


def _psnr_of(evaluation: Evaluation, method: str, image: str) -> float | None:
    scores: Sequence[float] = [
        score.values["psnr"]
        for score in evaluation.method(method).scores
        if score.image == image and "psnr" in score.values
    ]
    return scores[0] if scores else None
