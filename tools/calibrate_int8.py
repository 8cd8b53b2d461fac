"""Calibrate a model for `--precision int8` by NNCF, measure what it costs, write both to its file.

    python tools/calibrate_int8.py --model aindnet-fast --clean DATA/clean/clean-val.tar \
        --on polyu=DATA/real/polyu --on renoir=DATA/real/renoir \
        --on sidd-sample=DATA/real/sidd-sample --limit 12 --output aindnet-fast.safetensors

Data sets are named as for `aindnet evaluate`. Every second pair, from the second on, gives a tile
to calibrate with, and so do clean tiles under white noise of all levels, none among them, as real
pairs know neither the strongest noise nor photos without any. The others measure: float32, bf16 and
int8 on OpenVINO, at the default tiles and statistics. Without --output nothing is written. The
file's SHA-256 changes with its card, and with it what camera profiles are bound to: calibrate
before a model is given out, or bind them anew (`tools/rebind_profiles.py`).
"""

from __future__ import annotations

import sys
import time
from dataclasses import replace
from pathlib import Path
from typing import Annotated, Any

import cyclopts
import numpy as np
from cyclopts import Parameter

from aindnet.errors import DatasetError
from aindnet.evaluation.datasets.catalogue import open_dataset
from aindnet.evaluation.datasets.sample import Sample
from aindnet.evaluation.metrics import psnr, to_unit
from aindnet.pretrained import LoadedModel, load_model
from aindnet.pretrained.files import save_with_int8
from aindnet.restore import Denoiser
from aindnet.restore.backends.base import Array
from aindnet.restore.backends.calibration import calibrate
from aindnet.restore.backends.int8 import Ranges
from aindnet.training.photos import load_tiles

TILE = 256
TILES = 48
SHARE = 0.45
"""Of the clean tiles, to calibrate with, and to measure on; between them a photo may end."""
WHITE = (0, 2, 5, 12, 25, 50)
"""Standard deviations of 255 that clean tiles are calibrated under."""


def main(
    *,
    on: Annotated[list[str], Parameter(negative=())],
    clean: Annotated[list[Path], Parameter(negative=())],
    model: str | None = None,
    tiles: int = TILES,
    limit: int | None = None,
    output: Path | None = None,
) -> None:
    """Calibrate and measure.

    Parameters
    ----------
    on
        NAME=ROOT: a data set of pairs and its folder.
    clean
        Shards or folders of clean photos.
    model
        A bundled or installed model, or a weights file.
    tiles
        At most so many tiles of 256 pixels to calibrate with, half of them clean ones under noise.
    limit
        At most so many pairs of each data set to measure on, and so many clean tiles.
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
    half = max(tiles // 2, 1)
    chosen = others[:: -(-len(others) // half)]
    seen, unseen = _clean_tiles(clean)
    seen, unseen = evenly(seen, half), evenly(unseen, len(unseen) if limit is None else limit)
    under_noise = [_noisy_tile(p, WHITE[i % len(WHITE)], seed=i) for i, p in enumerate(seen)]
    ranges = calibrate(loaded.network, [*(_tile(sample) for sample in chosen), *under_noise])
    losses = {}
    for dataset in datasets:
        pairs = [
            (_noisy(sample), sample.read().clean)
            for sample in dataset.subset(every=2, limit=limit).samples
        ]
        losses[f"{dataset.title} (every 2nd)"] = _loss_db(loaded, ranges, dataset.title, pairs)
    for level in (0, 10, 25, 50):
        title = f"clean tiles, white noise of {level}" if level else "clean tiles"
        pairs = [
            (_noisy_tile(p, level, seed=i)[0].transpose(1, 2, 0), p) for i, p in enumerate(unseen)
        ]
        losses[title] = _loss_db(loaded, ranges, title, pairs)
    if output is not None:
        words = [f"--on {name}=ROOT" for name, _ in named]
        words += [f"--clean {path.name}" for path in clean]
        words += [] if tiles == TILES else [f"--tiles {tiles}"]
        words += [] if limit is None else [f"--limit {limit}"]
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


def _clean_tiles(sources: list[Path]) -> tuple[list[Array], list[Array]]:
    """(256, 256, 3) each, on [0, 1]: those to calibrate with, and those to measure on.

    The first and the last `SHARE` of them in their order, so that no photo with fewer than a tenth
    of all tiles has some among both.
    """
    pixels = load_tiles(sources, TILE)
    if len(pixels) < 2 * len(WHITE):
        raise DatasetError(
            f"--clean: {len(pixels)} tiles of {TILE} pixels: {2 * len(WHITE)} are needed at least"
        )
    tiles = [np.asarray(tile, np.float32).transpose(1, 2, 0) / 255 for tile in pixels]
    side = int(SHARE * len(tiles))
    return tiles[:side], tiles[-side:]


def evenly(items: list[Array], count: int) -> list[Array]:
    """At most so many of these tiles, (256, 256, 3) each, spread over all."""
    return items[:: max(-(-len(items) // max(count, 1)), 1)]


def _noisy_tile(photo: Array, level: float, *, seed: int) -> Array:
    """(1, 3, 256, 256) under clipped white noise; `level` is its deviation, of 255."""
    noise = np.random.default_rng(seed).normal(size=photo.shape) * level / 255
    noisy = np.clip(photo + noise, 0, 1).astype(np.float32)
    return np.ascontiguousarray(noisy.transpose(2, 0, 1)[None])


def _loss_db(
    loaded: LoadedModel, ranges: Ranges, title: str, pairs: list[tuple[Array, Any]]
) -> float:
    """Mean over pairs of noisy and clean, dB; prints a row of each precision."""
    scores: dict[str, list[float]] = {}
    for precision in ("fp32", "bf16", "int8"):
        denoiser = Denoiser(
            loaded.network, backend="openvino", precision=precision, int8_ranges=ranges
        )
        denoiser(pairs[0][0])  # compiles
        seconds, scores[precision] = 0.0, []
        for noisy, clean in pairs:
            if clean is None:
                raise DatasetError(f"{title}: has no clean side to measure against")
            start = time.perf_counter()
            result = denoiser(noisy).image
            seconds += time.perf_counter() - start
            scores[precision].append(psnr(result, clean))
        losses = np.subtract(scores["fp32"], scores[precision])
        print(
            f"{title}, {precision}: {np.mean(scores[precision]):.4f} dB, "
            f"mean loss {losses.mean():.4f}, worst {losses.max():.4f}; {seconds:.1f} s",
            flush=True,
        )
    return round(float(np.mean(np.subtract(scores["fp32"], scores["int8"]))), 4)


if __name__ == "__main__":
    cyclopts.run(main)
