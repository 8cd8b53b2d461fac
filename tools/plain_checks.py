"""What a denoiser does where no camera is involved: clean photos, white noise, patterns, too much.

    python tools/plain_checks.py --photos DATA/clean-test/kodak8 [--model NAME_OR_FILE ...]

Prints, for each model, dB between output and the clean picture: of 384-pixel corners of the photos
as they are and under white Gaussian noise, and of grids of saturated colours under weak noise; and
the error left of very strong noise, as a share of the noise (root mean square, mean over pictures).
Every picture is clipped to [0, 1] after the noise. The tables in docs/training.md are of it.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import numpy.typing as npt
import torch
import torch.nn.functional as F
from PIL import Image

from aindnet import Denoiser

Picture = npt.NDArray[np.float32]
CORNER = 384
WHITE = (0, 2, 5, 10, 25)
STRONG = (50, 100, 150)
CELLS = (8, 16)
PATTERN_NOISE = 0.03 * 255


def noisy(picture: Picture, level: float, random: np.random.Generator) -> Picture:
    """White noise of `level` of 255 on a picture (H, W, 3) in [0, 1]."""
    return np.clip(picture + random.normal(0, level / 255, picture.shape), 0, 1).astype(np.float32)


def read(path: Path) -> Picture:
    """The upper left corner of a photo: (at most 384, 384, 3) in [0, 1]."""
    with Image.open(path) as image:
        levels = np.asarray(image.convert("RGB"))[:CORNER, :CORNER]
    return (levels / np.float32(255)).astype(np.float32)


def psnr(image: Picture, reference: Picture) -> float:
    """In dB, of values clipped to [0, 1], not rounded."""
    return float(-10 * np.log10(np.square(np.clip(image, 0, 1) - reference).mean()))


def colours(cell: int) -> Picture:
    """Random colours, one a cell, joined smoothly: (128, 128, 3)."""
    side = 128 // cell + 1
    grid = torch.rand(1, 3, side, side, generator=torch.Generator().manual_seed(1))
    smooth = F.interpolate(grid, (128, 128), mode="bicubic").clamp(0, 1)[0]
    return smooth.permute(1, 2, 0).numpy()


def check(denoiser: Denoiser, photos: Sequence[Picture]) -> dict[str, float]:
    """Every number by name."""
    found = {}
    for level in WHITE:
        random = np.random.default_rng(1)
        found[f"white {level}, dB"] = float(
            np.mean([psnr(denoiser(noisy(p, level, random)).image, p) for p in photos])
        )
    for cell in CELLS:
        pattern = colours(cell)
        given = noisy(pattern, PATTERN_NOISE, np.random.default_rng(1))
        found[f"colours {cell}, dB"] = psnr(denoiser(given).image, pattern)
    for level in STRONG:
        random, left = np.random.default_rng(1), []
        for photo in photos:
            given = noisy(photo, level, random)
            errors = [np.square(x - photo).mean() for x in (denoiser(given).image, given)]
            left.append(np.sqrt(errors[0] / errors[1]))
        found[f"left of {level}"] = float(np.mean(left))
    return found


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description="Clean photos, white noise, patterns.")
    parser.add_argument("--photos", type=Path, required=True, help="folder of clean photos")
    parser.add_argument("--model", nargs="+", default=[None], help="names or files")
    arguments = parser.parse_args()
    files = sorted(path for path in arguments.photos.iterdir() if path.suffix.lower() == ".png")
    if not files:
        parser.error(f"{arguments.photos}: no PNG in it")
    photos = [read(file) for file in files]
    for model in arguments.model:
        denoiser = Denoiser.from_pretrained(model, device="cpu")
        print(denoiser.model_name, denoiser.model_hash[:12], f"{len(photos)} photos")
        for name, value in check(denoiser, photos).items():
            print(f"  {name}: {value:.2f}")


if __name__ == "__main__":
    main()
