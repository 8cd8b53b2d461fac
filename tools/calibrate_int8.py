"""Calibrate a model for `--precision int8` by NNCF, measure what it costs, write both to its file.

    python tools/calibrate_int8.py --model aindnet-fast --on polyu=DATA/real/polyu \
        --on renoir=DATA/real/renoir --output aindnet-fast.safetensors

Data sets are named as for `aindnet evaluate`. Every second pair, from the second on, gives a tile
to calibrate with; the others measure: float32, bf16 and int8 on OpenVINO, at the default tiles and
statistics. Without --output nothing is written. The file's SHA-256 changes with its card, and with
it what camera profiles are bound to: calibrate before a model is given out.
"""

from __future__ import annotations

import sys
import time
from dataclasses import replace
from pathlib import Path
from typing import Annotated

import cyclopts
import numpy as np
from cyclopts import Parameter

from aindnet.errors import DatasetError
from aindnet.evaluation.datasets.catalogue import open_dataset
from aindnet.evaluation.datasets.sample import Dataset, Sample
from aindnet.evaluation.metrics import psnr, to_unit
from aindnet.pretrained import LoadedModel, load_model
from aindnet.pretrained.files import save_with_int8
from aindnet.restore import Denoiser
from aindnet.restore.backends.base import Array
from aindnet.restore.backends.calibration import calibrate
from aindnet.restore.backends.int8 import Ranges

TILE = 256


def main(
    *,
    on: Annotated[list[str], Parameter(negative=())],
    model: str | None = None,
    tiles: int = 48,
    limit: int | None = None,
    output: Path | None = None,
) -> None:
    """Calibrate and measure.

    Parameters
    ----------
    on
        NAME=ROOT: a data set of pairs and its folder.
    model
        A bundled or installed model, or a weights file.
    tiles
        At most so many tiles of 256 pixels to calibrate with.
    limit
        At most so many pairs of each data set to measure on.
    output
        Model file to write, with the ranges and the loss; it may be the model's own.
    """
    loaded = load_model(model)
    if loaded.network.config.image_channels != 3:
        raise DatasetError(f"{loaded.card.name}: is for grey photos; the pairs here are of colour")
    named = [each.split("=", 1) for each in on]
    datasets = [open_dataset(name, Path(root)) for name, root in named]
    others = [sample for dataset in datasets for sample in dataset.samples[1::2]]
    if not others:
        raise DatasetError("a pair to measure on and one to calibrate with are needed at least")
    chosen = others[:: -(-len(others) // tiles)]
    ranges = calibrate(loaded.network, [_tile(sample) for sample in chosen])
    losses = {}
    for dataset in datasets:
        half = dataset.subset(every=2, limit=limit)
        losses[f"{dataset.title} (every 2nd)"] = round(_loss_db(loaded, ranges, half), 4)
    if output is not None:
        words = [f"--on {name}=ROOT" for name, _ in named]
        command = f"python tools/calibrate_int8.py --model {loaded.card.name} {' '.join(words)}"
        card = replace(loaded.card, int8_loss_db=losses, int8_command=command)
        save_with_int8(loaded.path, output, card, ranges)
        print(output, file=sys.stderr)


def _tile(sample: Sample) -> Array:
    """The middle of a noisy photo, (1, 3, 256, 256)."""
    noisy = _noisy(sample)
    if min(noisy.shape[:2]) < TILE:
        raise DatasetError(f"{sample.name}: smaller than the {TILE} pixels of a tile")
    top, left = ((side - TILE) // 2 for side in noisy.shape[:2])
    crop = noisy[top : top + TILE, left : left + TILE]
    return np.ascontiguousarray(crop.transpose(2, 0, 1)[None])


def _noisy(sample: Sample) -> Array:
    return to_unit(sample.read().noisy).astype(np.float32)


def _loss_db(loaded: LoadedModel, ranges: Ranges, dataset: Dataset) -> float:
    """Mean over the data set, dB; prints a row of each precision."""
    scores: dict[str, list[float]] = {}
    for precision in ("fp32", "bf16", "int8"):
        denoiser = Denoiser(
            loaded.network, backend="openvino", precision=precision, int8_ranges=ranges
        )
        denoiser(_noisy(dataset.samples[0]))  # compiles
        seconds, scores[precision] = 0.0, []
        for sample in dataset.samples:
            noisy, clean = _noisy(sample), sample.read().clean
            if clean is None:
                raise DatasetError(f"{dataset.name}: has no clean side to measure against")
            start = time.perf_counter()
            result = denoiser(noisy).image
            seconds += time.perf_counter() - start
            scores[precision].append(psnr(result, clean))
        losses = np.subtract(scores["fp32"], scores[precision])
        print(
            f"{dataset.title}, {precision}: {np.mean(scores[precision]):.4f} dB, "
            f"mean loss {losses.mean():.4f}, worst {losses.max():.4f}; {seconds:.1f} s"
        )
    return float(np.mean(np.subtract(scores["fp32"], scores["int8"])))


if __name__ == "__main__":
    cyclopts.run(main)
