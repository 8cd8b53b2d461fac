"""What real noise looks like beside the simulator's: a table, and a plot.

    python tools/measure_noise.py --data DATA --plot docs/noise.png

`--data` holds `real/polyu`, `real/renoir`, `real/sidd-sample` and `clean/clean-val.tar`. Of each
image the noise (noisy minus clean, less its mean) gives: PSNR, deviation of luma (8-bit levels),
chroma to luma, and autocorrelation of luma and chroma along rows at lags 1, 2, 4 and 8. The first
table has the 10th, 50th and 90th percentile over the images of a set. The second sets the luma of
the noise beside the luma of the picture, by octaves of the spectrum, for images whose PSNR is as
PolyU's: what is noise and what is texture is told by both.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path

import numpy as np
import numpy.typing as npt
import torch

from aindnet.camera import CameraRecipe, simulate
from aindnet.evaluation.datasets import DatasetOptions, open_dataset
from aindnet.training import TrainingRecipe, load_recipe
from aindnet.training.photos import load_tiles, random_crops

Array = npt.NDArray[np.float64]
RECIPE = Path(__file__).parents[1] / "recipes/fast.yaml"
TO_YCBCR = np.array(
    [[0.299, 0.587, 0.114], [-0.168736, -0.331264, 0.5], [0.5, -0.418688, -0.081312]]
).T
NAMES = ("PSNR", "luma σ", "Cb/Y", "Cr/Y", "Y lag 1", "Y lag 2", "Y lag 4",
         "C lag 1", "C lag 2", "C lag 4", "C lag 8")  # fmt: skip


OCTAVES = (1 / 64, 1 / 32, 1 / 16, 1 / 8, 1 / 4, 0.75)
"""Bounds of the frequency, in periods a pixel."""
LIKE_POLYU = (33.0, 38.5)
"""PSNR of the images that the second table is of."""


def describe(noisy: Array, clean: Array) -> list[float]:
    """The numbers of one image, (H, W, 3) in 8-bit levels."""
    noise = noisy - clean
    psnr = 10 * np.log10(255**2 / max(float(np.mean(noise**2)), 1e-3))
    planes = (noise - noise.mean((0, 1))) @ TO_YCBCR
    deviation = planes.std((0, 1)) + 1e-9

    def lag(plane: Array, distance: int) -> float:
        product = plane[:, :-distance] * plane[:, distance:]
        return float(product.mean() / (plane.var() + 1e-9))

    luma, chroma = planes[..., 0], planes[..., 1]
    return [
        psnr, deviation[0], deviation[1] / deviation[0], deviation[2] / deviation[0],
        *(lag(luma, d) for d in (1, 2, 4)), *(lag(chroma, d) for d in (1, 2, 4, 8)),
    ]  # fmt: skip


def octaves(noisy: Array, clean: Array) -> list[float]:
    """Luma of the noise and of the picture by octaves, deviations in 8-bit levels: ten numbers."""
    side = min(*noisy.shape[:2], 256)
    window = np.hanning(side)[:, None] * np.hanning(side)
    frequency = np.hypot(np.fft.fftfreq(side)[:, None], np.fft.rfftfreq(side))
    numbers = []
    for image in (noisy - clean, clean):
        luma = (image[:side, :side] @ TO_YCBCR)[..., 0]
        power = np.abs(np.fft.rfft2((luma - luma.mean()) * window)) ** 2
        power *= 2 / (side**2 * np.square(window).sum())
        numbers += [
            float(np.sqrt(power[(frequency >= low) & (frequency < high)].sum()))
            for low, high in pairwise(OCTAVES)
        ]
    return numbers


def real(data: Path) -> Iterator[tuple[str, Array]]:
    """Each real set's numbers, (images, numbers and octaves)."""
    for name, dataset, kind in (
        ("PolyU, published crops", "polyu", "crops"),
        ("PolyU, full resolution", "polyu", "fullres"),
        ("RENOIR", "renoir", "crops"),
        ("SIDD sample", "sidd-sample", "crops"),
    ):
        images = open_dataset(
            dataset, data / "real" / dataset, DatasetOptions(kind=kind, match_brightness=False)
        )
        rows = []
        for sample in images.subset(every=4 if kind == "fullres" else 1).samples:
            pair = sample.read()
            assert pair.clean is not None
            levels = pair.noisy.astype(float), pair.clean.astype(float)
            rows.append(describe(*levels) + octaves(*levels))
        yield name, np.array(rows)


def simulated(
    tiles: torch.Tensor, recipe: CameraRecipe, content: TrainingRecipe, count: int = 160
) -> Array:
    """The numbers of simulated crops whose noise can be seen (PSNR below 45 dB); the crops are as
    soft and as flat as those that `content` trains on.
    """
    generator = torch.Generator().manual_seed(11)
    rows = []
    for _ in range(count // 8):
        clean = random_crops(
            tiles, 8, 256, generator,
            soft_content=content.soft_content, soft_range=content.soft_range,
            low_contrast=content.low_contrast, contrast_range=content.contrast_range,
        )  # fmt: skip
        seen = simulate(clean, generator, recipe)
        for a, b in zip(seen.noisy, seen.clean, strict=True):
            noisy, behind = (x.permute(1, 2, 0).double().numpy() * 255 for x in (a, b))
            rows.append(describe(noisy, behind) + octaves(noisy, behind))
    table = np.array(rows)
    return table[table[:, 0] < 45]


def plot(measured: dict[str, Array], path: Path) -> None:
    """Every number's spread over the sets, one panel a number."""
    import matplotlib.pyplot as plt

    figure, axes = plt.subplots(3, 4, figsize=(13, 8), layout="constrained")
    for k, (name, axis) in enumerate(zip(NAMES, axes.flat, strict=False)):
        axis.boxplot(
            [rows[:, k] for rows in measured.values()],
            orientation="horizontal", whis=(10, 90), showfliers=False,
            tick_labels=list(measured) if k % 4 == 0 else [""] * len(measured),
        )  # fmt: skip
        axis.set_title(name)
        axis.invert_yaxis()
    axes.flat[-1].set_axis_off()
    figure.suptitle("Noise of real photos and of the simulator (box: quartiles, line: 10–90 %)")
    figure.savefig(path, dpi=90)


def main() -> None:
    """Measure, print, plot."""
    parser = argparse.ArgumentParser(description="Measure real and simulated noise.")
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--plot", type=Path)
    arguments = parser.parse_args()
    measured = dict(real(arguments.data))
    tiles = load_tiles([arguments.data / "clean/clean-val.tar"])
    fast = load_recipe(RECIPE)
    measured["simulator, fast recipe"] = simulated(tiles, fast.camera, fast)
    measured["simulator, paper's camera"] = simulated(tiles, CameraRecipe.paper(), fast)
    print(f"| set | images | {' | '.join(NAMES)} |\n|{'---|' * (len(NAMES) + 2)}")
    for name, rows in measured.items():
        low, middle, high = np.percentile(rows[:, : len(NAMES)], (10, 50, 90), axis=0)
        cells = " | ".join(
            f"{m:.2f} ({a:.2f} … {b:.2f})" for a, m, b in zip(low, middle, high, strict=True)
        )
        print(f"| {name} | {len(rows)} | {cells} |")
    periods = [f"{1 / high:.0f} to {1 / low:.0f}" for low, high in pairwise(OCTAVES[:-1])]
    titles = [f"{which}, {each}" for which in ("noise", "picture") for each in (*periods, "finer")]
    print(f"\n| median, by period in pixels | images | {' | '.join(titles)} |")
    print(f"|{'---|' * (len(titles) + 2)}")
    for name, rows in measured.items():
        alike = rows[(rows[:, 0] >= LIKE_POLYU[0]) & (rows[:, 0] < LIKE_POLYU[1])]
        if len(alike):
            cells = " | ".join(f"{m:.2f}" for m in np.median(alike[:, len(NAMES) :], axis=0))
            print(f"| {name} | {len(alike)} | {cells} |")
    if arguments.plot:
        plot(measured, arguments.plot)


if __name__ == "__main__":
    main()
