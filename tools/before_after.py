"""A sheet of the sample photos at 200 %: noisy, what each model makes of it, clean.

    python tools/before_after.py runs/before.safetensors aindnet-fast aindnet-medium \
        --output docs/figures/before-after.png

The photos are scikit-image's, under the noise of `aindnet evaluate samples`; of each kind of noise
the first `--photos`. A window is where the clean photo has most to see.
"""

from __future__ import annotations

from pathlib import Path

import cyclopts
import numpy as np
import numpy.typing as npt
from PIL import Image, ImageDraw
from scipy.ndimage import uniform_filter

from aindnet import Denoiser
from aindnet.evaluation.datasets.samples import load_samples
from aindnet.evaluation.metrics import psnr, to_unit
from aindnet.whole_files import whole_file

WINDOW = 96
SCALE = 2
HEADING = 14
"""Pixels of text above each row."""

Array = npt.NDArray[np.floating]


def most_to_see(photo: Array) -> tuple[slice, slice]:
    """Rows and columns of the window of a photo (H, W, 3) whose brightness varies most."""
    grey = photo.mean(axis=2)
    variance = uniform_filter(grey**2, WINDOW) - uniform_filter(grey, WINDOW) ** 2
    half = WINDOW // 2
    inner = variance[half : -half + 1, half : -half + 1]
    top, left = np.unravel_index(int(inner.argmax()), inner.shape)
    return slice(int(top), int(top) + WINDOW), slice(int(left), int(left) + WINDOW)


def enlarged(part: Array) -> Image.Image:
    """A window (96, 96, 3) on [0, 1] at 200 %, every pixel four."""
    image = Image.fromarray(np.rint(np.clip(part, 0, 1) * 255).astype(np.uint8))
    side = WINDOW * SCALE
    return image.resize((side, side), Image.Resampling.NEAREST)


def main(*models: str, output: Path, photos: int = 2) -> None:
    """Draw the sheet, and print the PSNR of each whole photo.

    Parameters
    ----------
    models
        Bundled models or model files, one column each.
    output
        The sheet, a PNG.
    photos
        Of each kind of noise.
    """
    denoisers = [Denoiser.from_pretrained(model) for model in models]
    samples = load_samples().samples
    groups = dict.fromkeys(sample.group for sample in samples)
    chosen = [s for group in groups for s in [s for s in samples if s.group == group][:photos]]
    side = WINDOW * SCALE
    sheet = Image.new("RGB", (side * (len(models) + 2), (side + HEADING) * len(chosen)), "white")
    draw = ImageDraw.Draw(sheet)
    for row, sample in enumerate(chosen):
        pair = sample.read()
        noisy, clean = to_unit(pair.noisy).astype(np.float32), to_unit(pair.clean)
        names = ["noisy", *(Path(model).stem for model in models), "clean"]
        images = [noisy, *(denoiser(noisy).image for denoiser in denoisers), clean]
        window = most_to_see(clean)
        top = row * (side + HEADING)
        for column, (name, image) in enumerate(zip(names, images, strict=True)):
            text = name if name == "clean" else f"{name}, {psnr(image, clean):.2f} dB"
            print(f"{sample.name}: {text}")
            draw.text((column * side + 2, top + 1), text, "black")
            sheet.paste(enlarged(image[window]), (column * side, top + HEADING))
    with whole_file(output) as partial:
        sheet.save(partial)


if __name__ == "__main__":
    cyclopts.run(main)
