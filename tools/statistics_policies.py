"""The table behind the default of `aindnet.restore.statistics`: quality, seams, time, memory.

    python tools/statistics_policies.py --polyu DATA/real/polyu [--root PAIRS …] [--model …]
    python tools/statistics_policies.py --dataset renoir=DATA/real/renoir \\
        --tile 512 --other-tile 384

`--polyu` puts real photos together again from the crops of a PolyU pack, which lie side by side;
`--root` takes whole pairs, `--dataset` a set as `aindnet evaluate` reads it. Every policy denoises
every photo at two tile sizes, in a process of its own: the difference between the two results is
all that tile borders can show. The seconds are of the first size, without the compiling of its
tiles.
"""

from __future__ import annotations

import json
import sys
import time
from collections import defaultdict
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from itertools import product
from multiprocessing import get_context
from pathlib import Path
from typing import Annotated, Any, Literal

import cyclopts
import numpy as np
from cyclopts import Parameter

from aindnet.evaluation.datasets import open_dataset
from aindnet.evaluation.datasets.pairs import load_pairs
from aindnet.evaluation.datasets.real_pairs import load_polyu, read_index
from aindnet.evaluation.metrics import to_uint8
from aindnet.pretrained import load_model
from aindnet.restore import Denoiser
from aindnet.restore.benchmark import psnr
from aindnet.restore.memory import PeakMemory
from aindnet.restore.statistics import (
    Field,
    Frozen,
    PerTile,
    SlidingWindow,
    StatisticsPolicy,
    Trained,
    WholeImage,
    reach,
)
from aindnet.restore.tiling import round_up

Image = np.ndarray[Any, np.dtype[np.uint8]]
Photo = tuple[Image, Image]
"""Noisy, clean."""
CROP = 512

POLICIES: dict[str, StatisticsPolicy] = {
    "tile": PerTile(),
    "whole": WholeImage(),
    "sliding 96": SlidingWindow(window=96),
    "sliding 192": SlidingWindow(window=192),
    "frozen, 16 windows of 256": Frozen(),
    "frozen, 16 windows of 256, pooled": Frozen(pooled=True),
    "frozen, 32 windows of 192": Frozen(samples=32, window=192),
    "field, 64 every 64": Field(window=64, spacing=64),
    "field, 96 every 64": Field(window=96, spacing=64),
    "field, 96 every 96": Field(window=96, spacing=96),
    "field, 128 every 128": Field(window=128, spacing=128),
    "field, 192 every 192": Field(window=192, spacing=192),
    "field, 256 every 256": Field(),
    "field, 256 every 512": Field(spacing=512),
}


def policies_of(model: str | None) -> dict[str, StatisticsPolicy]:
    """The policies that fit a model's network: one where its statistics are constants."""
    config = load_model(model).network.config
    return {"trained": Trained(overlap=reach(config))} if config.constant_statistics else POLICIES


def table(
    *,
    polyu: Path | None = None,
    root: Annotated[list[Path] | None, Parameter(negative=())] = None,
    dataset: Annotated[list[str] | None, Parameter(negative=())] = None,
    every: int = 1,
    model: str | None = None,
    limit: int = 2,
    largest: float = 2.4,
    tile: int = 768,
    other_tile: int = 512,
    backend: Literal["auto", "torch", "openvino", "onnx"] = "auto",
    policy: Annotated[list[str] | None, Parameter(negative=())] = None,
    output: Path | None = None,
) -> None:
    """Measure the policies and print a Markdown table.

    Parameters
    ----------
    polyu
        A PolyU pack: index.csv and tars of crops.
    root
        Pairs folders: ROOT/noisy and ROOT/clean with files of the same names.
    dataset
        NAME=FOLDER, as `aindnet evaluate NAME --root FOLDER` reads it; all its images.
    every
        Of such a set only every n-th image.
    model
        A bundled or installed model, or a weights file.
    limit
        At most so many photos of each; of PolyU the largest of every camera come first.
    largest
        Megapixels of a PolyU photo at most.
    tile
        Tile size of the results that are scored.
    other_tile
        Tile size that the results are compared with for seams.
    backend
        What runs the network.
    policy
        Rows to measure, by name; all that fit the model without it.
    output
        Also write the numbers there as JSON.
    """
    photos = list(_assembled(polyu, limit, largest)) if polyu else []
    for folder in root or []:
        for sample in load_pairs(folder).samples[:limit]:
            pair = sample.read()
            photos.append((np.asarray(pair.noisy), np.asarray(pair.clean)))
    for named in dataset or []:
        name, _, folder_name = named.partition("=")
        for sample in open_dataset(name, Path(folder_name)).subset(every=every).samples:
            pair = sample.read()
            if pair.clean is not None:
                photos.append((np.asarray(pair.noisy), to_uint8(pair.clean)))
    if not photos:
        sys.exit("statistics_policies: no photos: name --polyu, --root or --dataset")
    megapixels = sum(clean.shape[0] * clean.shape[1] for _, clean in photos) / 1e6
    noisy = float(np.mean([psnr(n / np.float32(255), c / np.float32(255)) for n, c in photos]))
    print(f"{len(photos)} photos, {megapixels:.2f} MP in all; noisy {noisy:.3f} dB\n")
    print("| statistics | PSNR, dB | worst difference / 255 | mean / 255 | s/MP | peak MB |")
    print("|---|---|---|---|---|---|", flush=True)
    rows = []
    for name in policy or list(policies_of(model)):
        # Each in a new process, so that none finds another's memory or its threads warm.
        with ProcessPoolExecutor(1, mp_context=get_context("spawn")) as pool:
            task = pool.submit(_measure, name, model, backend, (tile, other_tile), photos)
            try:
                row = task.result()
            except BrokenProcessPool:
                print(f"| {name} | killed, for its memory most likely | | | | |", flush=True)
                continue
        rows.append({"policy": name, **row})
        print(
            f"| {name} | {row['psnr']:.3f} | {row['worst']:.3f} | {row['mean']:.4f} "
            f"| {row['seconds_per_megapixel']:.2f} | {row['peak_mb'] or 0:.0f} |",
            flush=True,
        )
    if output is not None:
        document = {"photos": len(photos), "megapixels": megapixels, "noisy": noisy, "rows": rows}
        output.write_text(json.dumps(document, indent=2) + "\n")


def _assembled(pack: Path, limit: int, largest: float) -> Iterator[Photo]:
    """The largest rectangles without a gap that the full-resolution crops of a scene cover."""
    samples = {sample.name: sample for sample in load_polyu(pack, kind="fullres").samples}
    scenes: dict[str, dict[tuple[int, int], str]] = defaultdict(dict)
    for row in read_index(pack / "index.csv", {"name", "scene", "kind", "y", "x"}):
        if row["kind"] == "full-res-crop":
            scenes[row["scene"]][int(row["y"]), int(row["x"])] = row["name"]
    cameras: dict[str, list[list[list[str]]]] = defaultdict(list)
    for scene, crops in sorted(scenes.items()):
        cameras[scene.split("_")[0]].append(_rectangle(crops, largest))
    ranked = [
        (rank, -sum(map(len, names)), camera, names)
        for camera, found in sorted(cameras.items())
        for rank, names in enumerate(sorted(found, key=lambda names: -sum(map(len, names))))
    ]
    for _, _, _, names in sorted(ranked, key=lambda each: each[:3])[:limit]:
        pairs = [[samples[name].read() for name in row] for row in names]
        yield (
            np.concatenate([np.concatenate([p.noisy for p in row], axis=1) for row in pairs]),
            np.concatenate([np.concatenate([p.clean for p in row], axis=1) for row in pairs]),  # type: ignore[arg-type]
        )


def _rectangle(crops: dict[tuple[int, int], str], largest: float) -> list[list[str]]:
    """Names, row by row, of the largest rectangle of adjacent crops up to so many megapixels."""
    best: list[list[str]] = []
    sizes = range(1, int(largest * 1e6 / CROP**2) + 1)
    for (top, left), height, width in product(sorted(crops), sizes, sizes):
        if not sum(map(len, best)) < height * width <= sizes[-1]:
            continue
        names = [
            [crops.get((top + CROP * i, left + CROP * j)) for j in range(width)]
            for i in range(height)
        ]
        whole = [[name for name in row if name is not None] for row in names]
        if whole == names:
            best = whole
    return best


def _measure(
    name: str, model: str | None, backend: str, tiles: tuple[int, int], photos: list[Photo]
) -> dict[str, Any]:
    policy = policies_of(model)[name]
    options = {"backend": backend, "statistics": policy}
    # Windows that slide need neighbours that share more; then both tiles are larger by as much.
    more = max(0, 3 * round_up(policy.overlap) - min(tiles))
    tiles = tiles[0] + more, tiles[1] + more
    denoiser, other = (Denoiser.from_pretrained(model, tile=tile, **options) for tile in tiles)
    # Two tiles and their survey, for what is compiled once.
    denoiser(photos[0][0][: tiles[0], : tiles[0] + 32])
    results, seconds, pixels = [], 0.0, 0
    memory = PeakMemory()
    for noisy, _ in photos:
        unit = noisy.astype(np.float32) / 255
        start = time.perf_counter()
        results.append(denoiser(unit).image)
        seconds += time.perf_counter() - start
        pixels += noisy.shape[0] * noisy.shape[1]
    peak = memory.peak_mb()
    scores, worst, mean = [], 0.0, []
    for result, (noisy, clean) in zip(results, photos, strict=True):
        difference = np.abs(result - other(noisy.astype(np.float32) / 255).image)
        worst = max(worst, float(difference.max()) * 255)
        mean.append(float(difference.mean()) * 255)
        scores.append(psnr(result, clean.astype(np.float32) / 255))
    return {
        "psnr": float(np.mean(scores)),
        "worst": worst,
        "mean": float(np.mean(mean)),
        "seconds_per_megapixel": seconds / pixels * 1e6,
        "peak_mb": peak,
    }


if __name__ == "__main__":
    cyclopts.run(table)
