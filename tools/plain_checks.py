"""What a denoiser does where no camera is involved: clean photos, white noise, patterns, too much.

    python tools/plain_checks.py --photos DATA/clean-test/kodak8 [--model NAME_OR_FILE ...]
    python tools/plain_checks.py --tiles DATA/clean/clean-val.tar --ffdnet

Prints, for each model, dB between output and the clean picture: of 384-pixel corners of the photos
as they are and under white Gaussian noise, and of grids of saturated colours under weak noise; and
the error left of very strong noise, as a share of it (root mean square, mean over pictures).
Every picture is clipped to [0, 1] after the noise. Of tiles, the middle 128 pixels as they are, and
the middle 64 of these at twice the size, under white noise that is not clipped; --ffdnet adds
FFDNet, told the level. The tables in docs/training.md and docs/beyond-the-paper.md are of it.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import numpy.typing as npt
import torch
import torch.nn.functional as F
from PIL import Image

from aindnet import Denoiser
from aindnet.evaluation.methods.ffdnet import find_weights, load_ffdnet
from aindnet.evaluation.metrics import psnr_float
from aindnet.pretrained import load_model
from aindnet.training.photos import load_tiles

Picture = npt.NDArray[np.float32]
CORNER = 384
WHITE = (0, 2, 5, 10, 25)
STRONG = (50, 100, 150)
CELLS = (8, 16)
PATTERN_NOISE = 0.03 * 255
TILES = 48
ON_TILES = (0, 5, 10, 25)
Denoise = Callable[[Picture, float], Picture]
"""A picture and its noise level, of 255, to the denoised picture."""


def noisy(picture: Picture, level: float, random: np.random.Generator) -> Picture:
    """White noise of `level` of 255 on a picture (H, W, 3) in [0, 1]."""
    return np.clip(picture + random.normal(0, level / 255, picture.shape), 0, 1).astype(np.float32)


def read(path: Path) -> Picture:
    """The upper left corner of a photo: (at most 384, 384, 3) in [0, 1]."""
    with Image.open(path) as image:
        levels = np.asarray(image.convert("RGB"))[:CORNER, :CORNER]
    return (levels / np.float32(255)).astype(np.float32)


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
            np.mean([psnr_float(denoiser(noisy(p, level, random)).image, p) for p in photos])
        )
    for cell in CELLS:
        pattern = colours(cell)
        given = noisy(pattern, PATTERN_NOISE, np.random.default_rng(1))
        found[f"colours {cell}, dB"] = psnr_float(denoiser(given).image, pattern)
    for level in STRONG:
        random, left = np.random.default_rng(1), []
        for photo in photos:
            given = noisy(photo, level, random)
            errors = [np.square(x - photo).mean() for x in (denoiser(given).image, given)]
            left.append(np.sqrt(errors[0] / errors[1]))
        found[f"left of {level}"] = float(np.mean(left))
    return found


def crops(shard: Path) -> dict[str, list[Picture]]:
    """The first tiles of a shard: their middle, and the middle of that at twice the size."""
    middle = load_tiles([shard])[:TILES, :, 64:192, 64:192].float() / 255  # (tiles, 3, 128, 128)
    soft = F.interpolate(middle[..., 32:96, 32:96], scale_factor=2, mode="bicubic").clamp(0, 1)
    return {
        name: list(each.permute(0, 2, 3, 1).numpy())
        for name, each in (("tiles", middle), ("at twice the size", soft))
    }


def check_tiles(denoise: Denoise, pictures: dict[str, list[Picture]]) -> dict[str, float]:
    """Mean dB by kind of crop and level of white noise."""
    found = {}
    for name, each in pictures.items():
        for level in ON_TILES:
            random = np.random.default_rng(1)
            values = []
            for picture in each:
                given = picture + random.normal(0, level / 255, picture.shape).astype(np.float32)
                values.append(psnr_float(denoise(given, level), picture))
            found[f"{name}, white {level}, dB"] = float(np.mean(values))
    return found


def ffdnet() -> Denoise:
    """FFDNet for colour, told the level."""
    network = load_ffdnet(find_weights()).eval()

    def denoise(picture: Picture, level: float) -> Picture:
        batch = torch.from_numpy(picture).permute(2, 0, 1)[None]
        with torch.inference_mode():
            restored = network(batch, torch.tensor([level / 255]))
        return restored[0].permute(1, 2, 0).numpy()

    return denoise


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description="Clean photos, white noise, patterns.")
    parser.add_argument("--photos", type=Path, help="folder of clean photos")
    parser.add_argument("--tiles", type=Path, help="shard of clean tiles")
    parser.add_argument("--model", nargs="+", default=[None], help="names or files")
    parser.add_argument("--ffdnet", action="store_true", help="FFDNet on the tiles too")
    arguments = parser.parse_args()
    if not (arguments.photos or arguments.tiles):
        parser.error("give --photos, --tiles or both")
    photos: list[Picture] = []
    if arguments.photos:
        files = sorted(path for path in arguments.photos.iterdir() if path.suffix.lower() == ".png")
        if not files:
            parser.error(f"{arguments.photos}: no PNG in it")
        photos = [read(file) for file in files]
    tiles = crops(arguments.tiles) if arguments.tiles else {}
    for model in arguments.model:
        if load_model(model).network.config.image_channels != 3:
            parser.error(f"{model}: is for grey photos, and these checks are of colour ones")
    for model in arguments.model:
        denoiser = Denoiser.from_pretrained(model, device="cpu")
        print(denoiser.model_name, denoiser.model_hash[:12])
        report(check(denoiser, photos) if photos else {})
        report(check_tiles(lambda picture, _level, d=denoiser: d(picture).image, tiles))
    if arguments.ffdnet:
        print("FFDNet, told the level")
        report(check_tiles(ffdnet(), tiles))


def report(found: dict[str, float]) -> None:
    """Print every number with its name."""
    for name, value in found.items():
        print(f"  {name}: {value:.2f}")


if __name__ == "__main__":
    main()
