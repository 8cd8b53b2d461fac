"""The table behind the default of `aindnet.restore.statistics`: quality, seams, time, memory.

Real pairs are at hand as small crops; `--grid N` joins N × N of them, in the order of their
names, into one large picture, more varied than a photo of that size. Every policy denoises every
picture at two tile sizes; the difference between the two results is what tile borders can show.

    python tools/statistics_policies.py --root PAIRS [--root PAIRS …] [--model …] [--grid 4]
"""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, Any, Literal

import cyclopts
import numpy as np
from cyclopts import Parameter

from aindnet.photo import read_image
from aindnet.restore import Denoiser
from aindnet.restore.benchmark import peak_mb, psnr, reset_peak
from aindnet.restore.statistics import (
    Field,
    Frozen,
    PerTile,
    SlidingWindow,
    StatisticsPolicy,
    WholeImage,
)

Image = np.ndarray[Any, np.dtype[np.float32]]

POLICIES: dict[str, StatisticsPolicy] = {
    "tile": PerTile(),
    "whole": WholeImage(),
    "sliding 64": SlidingWindow(window=64),
    "sliding 96": SlidingWindow(window=96),
    "sliding 192": SlidingWindow(window=192),
    "frozen, 16 windows of 256": Frozen(),
    "frozen, 16 windows of 256, pooled": Frozen(pooled=True),
    "frozen, 32 windows of 192": Frozen(samples=32, window=192),
    "field, 192 every 192": Field(window=192, spacing=192),
    "field, 256 every 256": Field(),
    "field, 256 every 512": Field(spacing=512),
    "field, 384 every 384": Field(window=384, spacing=384),
}


def table(
    *,
    root: Annotated[list[Path], Parameter(negative=())],
    model: str | None = None,
    grid: int = 4,
    limit: int | None = None,
    tile: int = 768,
    other_tile: int = 512,
    backend: Literal["auto", "torch", "openvino", "onnx"] = "auto",
    policy: Annotated[list[str] | None, Parameter(negative=())] = None,
    output: Path | None = None,
) -> None:
    """Measure the policies and print a Markdown table.

    Parameters
    ----------
    root
        Pairs folders: ROOT/noisy and ROOT/clean with files of the same names.
    model
        A bundled or installed model, or a weights file.
    grid
        Join grid × grid pairs into one picture; 1 takes the pairs as they are.
    limit
        At most so many pictures of each folder.
    tile
        Tile size of the results that are scored.
    other_tile
        Tile size that the results are compared with for seams.
    backend
        What runs the network.
    policy
        Rows to measure, by name; all without it.
    output
        Also write the numbers there as JSON.
    """
    pictures = [pair for folder in root for pair in list(_pictures(folder, grid))[:limit]]
    rows = []
    for name in policy or list(POLICIES):
        options: dict[str, Any] = {"backend": backend, "statistics": POLICIES[name]}
        denoiser = Denoiser.from_pretrained(model, tile=tile, **options)
        other = Denoiser.from_pretrained(model, tile=other_tile, **options)
        rows.append({"policy": name, **_measure(denoiser, other, pictures)})
        print(json.dumps(rows[-1]), file=sys.stderr)
    megapixels = np.mean([clean.shape[0] * clean.shape[1] for _, clean in pictures]) / 1e6
    noisy = np.mean([psnr(noisy, clean) for noisy, clean in pictures])
    print(f"{len(pictures)} pictures of {megapixels:.2f} MP, noisy {noisy:.3f} dB\n")
    print("| statistics | PSNR, dB | worst difference / 255 | mean / 255 | s/MP | peak MB |")
    print("|---|---|---|---|---|---|")
    for row in rows:
        print(
            f"| {row['policy']} | {row['psnr']:.3f} | {row['worst']:.3f} | {row['mean']:.4f} "
            f"| {row['seconds_per_megapixel']:.2f} | {row['peak_mb'] or 0:.0f} |"
        )
    if output is not None:
        output.write_text(json.dumps({"noisy": noisy, "rows": rows}, indent=2))


def _pictures(root: Path, grid: int) -> Iterator[tuple[Image, Image]]:
    names = sorted(path.name for path in (root / "noisy").iterdir())
    for start in range(0, len(names) - grid**2 + 1, grid**2):
        part = names[start : start + grid**2]
        noisy, clean = (
            _joined([root / kind / n for n in part], grid) for kind in ("noisy", "clean")
        )
        yield noisy, clean


def _joined(paths: list[Path], grid: int) -> Image:
    crops = [read_image(path).astype(np.float32) / 255 for path in paths]
    height, width = (min(crop.shape[axis] for crop in crops) for axis in (0, 1))
    crops = [crop[:height, :width] for crop in crops]
    rows = [np.concatenate(crops[i * grid : (i + 1) * grid], axis=1) for i in range(grid)]
    return np.concatenate(rows, axis=0)


def _measure(
    denoiser: Denoiser, other: Denoiser, pictures: list[tuple[Image, Image]]
) -> dict[str, float | None]:
    scores, worst, mean, seconds, pixels = [], 0.0, [], 0.0, 0
    denoiser(pictures[0][0][:64, :64])
    reset_peak()
    peak = None
    for noisy, clean in pictures:
        start = time.perf_counter()
        result = denoiser(noisy).image
        seconds += time.perf_counter() - start
        pixels += noisy.shape[0] * noisy.shape[1]
        peak = peak_mb()
        difference = np.abs(result - other(noisy).image)
        worst = max(worst, float(difference.max()) * 255)
        mean.append(float(difference.mean()) * 255)
        scores.append(psnr(result, clean))
    return {
        "psnr": float(np.mean(scores)),
        "worst": worst,
        "mean": float(np.mean(mean)),
        "seconds_per_megapixel": seconds / pixels * 1e6,
        "peak_mb": peak,
    }


if __name__ == "__main__":
    cyclopts.run(table)
