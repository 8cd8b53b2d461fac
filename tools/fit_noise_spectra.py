"""The spectra of real cameras' noise as a compact prior, written into the package's statistics.

    python tools/fit_noise_spectra.py --data DATA

`--data` holds `real/polyu`, `real/renoir` and `real/sidd-sample`, whose dev pairs alone are read.
What comes out is mean and covariance of 18 logarithms for each of three kinds of photos
(`aindnet.camera.spectra`), and no photo.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from aindnet.camera import statistics as statistics_module
from aindnet.camera.measured import without_plane
from aindnet.camera.processing import rgb_to_ycbcr
from aindnet.camera.spectra import EDGES, OCTAVES
from aindnet.commands.adaptation.photos import read_dataset
from aindnet.training.transfer.inspection import levels
from aindnet.training.transfer.pairs import PhotoPair
from aindnet.whole_files import whole_file

Array = npt.NDArray[np.float64]
STATISTICS = Path(statistics_module.__file__).with_name("statistics.json")
SETS = {"camera_jpeg": "polyu", "developed": "renoir", "phone": "sidd-sample"}
SOURCE = "noise of dev pairs of PolyU, RENOIR and SIDD: a mean and a covariance of each"
BLOCK = 64
FEWEST = 8
"""Blocks of a part of a photo without which it says too little."""
LEAST_NOISE = 1.0
"""Standard deviation of luma noise in levels of 255; below, rounding is much of it."""
SPREAD = 1.5
"""Factor on the covariance: other cameras than the measured ones are meant too."""


def spectrum(blocks: Tensor) -> Array:
    """Log power density (18,) of noise in luma, Cb, Cr blocks (N, 3, 64, 64), luma's variance 1."""
    noise = without_plane(blocks).double().permute(0, 2, 3, 1).numpy()
    window = np.sqrt(np.outer(np.hanning(BLOCK + 1)[:-1], np.hanning(BLOCK + 1)[:-1]))
    power = np.abs(np.fft.fft2(noise * window[None, :, :, None], axes=(1, 2))) ** 2
    power = power.mean(axis=0) / (window**2).sum()
    y, x = np.meshgrid(np.fft.fftfreq(BLOCK), np.fft.fftfreq(BLOCK), indexing="ij")
    radius = np.hypot(y, x)
    bands = [power[(radius >= low) & (radius < high)].mean(axis=0) for low, high in pairwise(EDGES)]
    density = np.stack(bands, axis=1)  # (3, 6)
    return np.log(density / power[..., 0].mean()).ravel()


def parts(pair: PhotoPair) -> Iterator[Tensor]:
    """Noise of the four quarters of a pair in blocks, in luma and colour differences, without
    blocks that hold black or white.
    """
    noisy, clean = (levels(side) for side in (pair.noisy, pair.clean))
    noise = rgb_to_ycbcr(torch.from_numpy(noisy - clean).permute(2, 0, 1)[None].float())[0]
    inside = ((noisy > 1) & (noisy < 254)).all(axis=-1)
    height, width = (side // 2 for side in noise.shape[-2:])
    for top in (0, height):
        for left in (0, width):
            blocks = [
                noise[:, y : y + BLOCK, x : x + BLOCK]
                for y in range(top, top + height - BLOCK + 1, BLOCK)
                for x in range(left, left + width - BLOCK + 1, BLOCK)
                if inside[y : y + BLOCK, x : x + BLOCK].mean() > 0.95
            ]
            if len(blocks) >= min(FEWEST, (height // BLOCK) * (width // BLOCK)):
                found = torch.stack(blocks)
                if float(found[:, 0].std()) >= LEAST_NOISE:
                    yield found


def main() -> None:
    """Measure, fit and write."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--data", type=Path, required=True)
    data: Path = parser.parse_args().data
    fitted: dict[str, Any] = {"source": SOURCE}
    for kind, name in SETS.items():
        rows = [
            spectrum(part)
            for pair in read_dataset(name, data / "real" / name)
            for part in parts(pair)
        ]
        measured = np.stack(rows)
        covariance = np.cov(measured.T)
        # Few parts say little of what goes with what.
        share = len(rows) / (len(rows) + 3 * OCTAVES)
        covariance = share * covariance + (1 - share) * np.diag(np.diag(covariance))
        covariance = SPREAD * covariance + 0.02 * np.eye(3 * OCTAVES)
        fitted[kind] = {
            "parts": len(rows),
            "mean": np.round(measured.mean(axis=0), 3).tolist(),
            "covariance": np.round(covariance, 4).tolist(),
        }
        print(kind, len(rows), np.round(measured.mean(axis=0).reshape(3, OCTAVES), 2).tolist())
    statistics = json.loads(STATISTICS.read_text("utf-8"))
    statistics["spectra"] = fitted
    text = json.dumps(statistics, separators=(",", ":"))
    with whole_file(STATISTICS) as partial:
        partial.write_text(text.replace('],"', '],\n"') + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
