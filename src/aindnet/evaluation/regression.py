"""The guard against silent losses of quality: a model's numbers on the sample photos, kept in a
file.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from aindnet.errors import DatasetError
from aindnet.evaluation.datasets.sample import Dataset
from aindnet.evaluation.datasets.samples import KINDS, load_samples
from aindnet.evaluation.document import evaluation_document
from aindnet.evaluation.methods import Method, Noisy
from aindnet.evaluation.runner import evaluate
from aindnet.pretrained import load_model

PSNR_TOLERANCE = 0.02
"""Loss in dB from which on it is reported; gains and smaller losses pass."""

SSIM_TOLERANCE = 0.001
DECIMALS = 4
"""Of the numbers that are kept."""
INPUT_TOLERANCE = 0.001
"""Difference in dB of the noisy images themselves, beyond which the comparison means nothing."""

Numbers = dict[str, dict[str, float]]
"""Kind of noise → noisy_psnr, psnr, ssim."""


def samples_for(name: str) -> Dataset:
    """The sample photos that a model is for: grey ones, or under white noise alone."""
    model = load_model(name)
    # Only models of white noise were taught what is neither clipped nor rounded.
    kinds = KINDS if model.card.clipped else ("white",)
    return load_samples(kinds, grey=model.network.config.image_channels == 1)


def measure(method: Method, samples: Dataset | None = None) -> Numbers:
    """A method's numbers on the sample photos, or some of them, rounded to 4 decimals."""
    evaluation = evaluate(load_samples() if samples is None else samples, [Noisy(), method])
    if evaluation.failures:
        failure = evaluation.failures[0]
        raise DatasetError(f"{failure.image}: {failure.method}: {failure.reason}")
    document = evaluation_document(evaluation, model=None, model_hash=None, provenance={})
    noisy, own = (row["by_group"] for row in document["methods"])
    return {
        entry["group"]: {
            "noisy_psnr": round(before["psnr"], DECIMALS),
            "psnr": round(entry["psnr"], DECIMALS),
            "ssim": round(entry["ssim"], DECIMALS),
        }
        for before, entry in zip(noisy, own, strict=True)
    }


def complaints(
    measured: Numbers,
    golden: Numbers,
    *,
    psnr: float = PSNR_TOLERANCE,
    ssim: float = SSIM_TOLERANCE,
) -> Sequence[str]:
    """What is worse than the golden numbers by `psnr` (dB) or `ssim` or more, in words; empty where
    nothing is.
    """
    said = []
    for kind, expected in golden.items():
        found = measured.get(kind)
        if found is None:
            said.append(f"{kind}: not measured")
        elif abs(found["noisy_psnr"] - expected["noisy_psnr"]) > INPUT_TOLERANCE:
            said.append(
                f"{kind}: the noisy images differ ({found['noisy_psnr']:.4f} dB, golden "
                f"{expected['noisy_psnr']:.4f}): the noise changed, not the model"
            )
        else:
            said += [
                f"{kind}: {metric} {found[metric]:.4f}, golden {expected[metric]:.4f}"
                for metric, tolerance in (("psnr", psnr), ("ssim", ssim))
                if round(expected[metric] - found[metric], DECIMALS) >= tolerance
            ]
    return said


def read_golden(path: Path) -> Mapping[str, Any]:
    """The golden file: model name → sha256 and numbers; empty where there is none yet."""
    return json.loads(path.read_text(encoding="utf-8")) if path.is_file() else {}
