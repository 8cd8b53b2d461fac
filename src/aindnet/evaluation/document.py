"""An evaluation as the JSON document that `aindnet evaluate --json` prints and reports are made
from.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

from aindnet.evaluation.published import published_rows
from aindnet.evaluation.scores import Evaluation, ImageScore, MethodScores, paired_difference

SCHEMA = "aindnet-evaluation-1"
NOISE_MAP_METRICS = ("noise_level_error", "noise_level_bias")
"""Measured where the true noise map is known, for methods that estimate one."""


def evaluation_document(
    evaluation: Evaluation,
    *,
    model: str | None,
    model_hash: str | None,
    provenance: dict[str, Any],
    code: str | None = None,
    ours: str | None = None,
    baseline: str = "noisy",
) -> dict[str, Any]:
    """The document: totals of our model (row `ours`), per image, every method, and what it was made
    with.

    `psnr`, `ssim`, `noisy_psnr`, `n`, `model` and `per_image` are the fixed contract. Numbers that
    are not finite (the PSNR of equal images, the SSIM of tiny ones) are null, and `notes` name the
    images. `code` is the digest of the network's and the engine's code. `failed` are images that
    count for no method, `dropped` peers that are left out.
    """
    noisy = evaluation.method(baseline)
    own = evaluation.method(ours) if ours else None
    document: dict[str, Any] = {
        "schema": SCHEMA,
        "dataset": evaluation.dataset,
        "title": evaluation.title,
        "protocol": evaluation.protocol,
        "n": len(noisy.scores),
        "model": model,
        "model_hash": model_hash,
        "code": code,
        "psnr": own.mean("psnr") if own else None,
        "ssim": own.mean("ssim") if own else None,
        "noisy_psnr": noisy.mean("psnr"),
        "noisy_ssim": noisy.mean("ssim"),
        "per_image": [
            _per_image(score, own.scores[index] if own else None)
            for index, score in enumerate(noisy.scores)
        ],
        "metrics": list(evaluation.metrics),
        "grouping": evaluation.grouping,
        "methods": [_method(row, evaluation, own) for row in evaluation.methods],
        "published": published_rows(evaluation.dataset, whole=evaluation.whole),
        "failed": [
            {"name": fail.image, "method": fail.method, "error": fail.reason}
            for fail in evaluation.failures
        ],
        "dropped": [
            {"method": fail.method, "name": fail.image, "error": fail.reason}
            for fail in evaluation.dropped
        ],
        "notes": _not_finite(evaluation),
        **provenance,
    }
    finite = _without_infinities(document)
    assert isinstance(finite, dict)
    return finite


def _per_image(noisy: ImageScore, own: ImageScore | None) -> dict[str, Any]:
    return {
        "name": noisy.image,
        "group": noisy.group,
        "psnr": own.values.get("psnr") if own else None,
        "ssim": own.values.get("ssim") if own else None,
        "noisy_psnr": noisy.values.get("psnr"),
        "noisy_ssim": noisy.values.get("ssim"),
        "noise_sigma": noisy.noise_sigma,
        "noise_level": own.noise_level if own else None,
        "seconds": own.seconds if own else None,
    }


def _method(row: MethodScores, evaluation: Evaluation, own: MethodScores | None) -> dict[str, Any]:
    extra = [name for name in NOISE_MAP_METRICS if any(name in s.values for s in row.scores)]
    entry: dict[str, Any] = {
        "name": row.name,
        "settings": row.settings,
        "seconds_per_megapixel": row.seconds_per_megapixel,
        "peak_memory_mb": row.peak_memory_mb,
        "per_image": [
            {"name": score.image, "seconds": score.seconds, **score.values} for score in row.scores
        ],
    }
    for metric in (*evaluation.metrics, *extra):
        entry[metric] = row.mean(metric)
        entry[f"{metric}_interval"] = row.interval(metric)
    if evaluation.grouping:
        entry["by_group"] = _by_group(row, (*evaluation.metrics, *extra))
    compared = own is not None and own is not row and "psnr" in evaluation.metrics
    if compared and own is not None and not all(map(math.isnan, own.values("psnr"))):
        difference = paired_difference(own, row, "psnr")
        entry["ours_minus_this"] = {
            "psnr": difference.mean,
            "interval": (difference.low, difference.high),
            "wins": difference.wins,
            "images": difference.images,
        }
    return entry


def _not_finite(evaluation: Evaluation) -> list[str]:
    """Which images keep a method's mean from being finite. Without truth there are no values, and
    no notes.
    """
    notes = []
    for row in evaluation.methods:
        for metric in evaluation.metrics:
            values = {s.image: s.values[metric] for s in row.scores if metric in s.values}
            images = [image for image, value in values.items() if not math.isfinite(value)]
            if images:
                what = "infinite" if any(map(math.isinf, values.values())) else "undefined"
                more = f" and {len(images) - 3} more" if len(images) > 3 else ""
                named = ", ".join(images[:3]) + more
                notes.append(f"{row.name}: no mean of {metric}, which is {what} on {named}")
    return notes


def _by_group(row: MethodScores, metrics: Sequence[str]) -> list[dict[str, Any]]:
    groups: dict[str, list[ImageScore]] = {}
    for score in row.scores:
        groups.setdefault(score.group, []).append(score)
    entries = []
    for group, scores in groups.items():
        part = MethodScores(row.name, row.settings, tuple(scores))
        means = {metric: part.mean(metric) for metric in metrics}
        entries.append({"group": group, "n": len(scores), **means})
    return entries


def _without_infinities(value: Any) -> Any:
    if isinstance(value, float) and not math.isfinite(value):
        return None
    if isinstance(value, dict):
        return {key: _without_infinities(entry) for key, entry in value.items()}
    if isinstance(value, list | tuple):
        return [_without_infinities(entry) for entry in value]
    return value
