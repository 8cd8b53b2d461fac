"""What real noise looks like beside the simulator's: a table, and a plot.

    python tools/measure_noise.py --data DATA --plot docs/noise.png

`--data` holds `real/polyu`, `real/renoir`, `real/sidd-sample` and `clean/clean-val.tar`. Of each
image the noise (noisy minus clean, less its mean) gives: PSNR, deviation of luma (8-bit levels),
chroma to luma, autocorrelation of luma and chroma along rows at lags 1, 2, 4 and 8, and the
correlation of the channels. The first table has the 10th, 50th and 90th percentile over the images
of a set. The second has, by brightness of the clean side, the noise's deviation over that of the
whole image, and its mean: clipping at black brightens. The third sets the luma of the noise beside
the luma of the picture, by octaves of the spectrum, for images whose PSNR is as PolyU's: what is
noise and what is texture is told by both.
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
         "C lag 1", "C lag 2", "C lag 4", "C lag 8",
         "R with G", "R with B", "G with B")  # fmt: skip
BRIGHTNESS = (0, 8, 24, 48, 80, 120, 170, 230, 256)
"""Bounds of the clean side's bins, 8-bit levels."""
LEAST_PIXELS = 1000
"""Samples of a bin, below which an image says nothing of it."""

OCTAVES = (1 / 64, 1 / 32, 1 / 16, 1 / 8, 1 / 4, 0.75)
"""Bounds of the frequency, in periods a pixel."""
LIKE_POLYU = (33.0, 38.5)
"""PSNR of the images that the third table is of."""
NOISE_OCTAVES = slice(len(NAMES), len(NAMES) + len(OCTAVES) - 1)
BOTH_OCTAVES = slice(len(NAMES), len(NAMES) + 2 * (len(OCTAVES) - 1))
LEVELS = slice(BOTH_OCTAVES.stop, BOTH_OCTAVES.stop + len(BRIGHTNESS) - 1)
MEANS = slice(LEVELS.stop, LEVELS.stop + len(BRIGHTNESS) - 1)
"""Of an image's numbers."""


def describe(noisy: Array, clean: Array) -> list[float]:
    """The numbers of one image, (H, W, 3) in 8-bit levels."""
    noise = noisy - clean
    psnr = 10 * np.log10(255**2 / max(float(np.mean(noise**2)), 1e-3))
    centred = noise - noise.mean((0, 1))
    planes = centred @ TO_YCBCR
    alike = np.corrcoef(centred.reshape(-1, 3), rowvar=False)
    deviation = planes.std((0, 1)) + 1e-9

    def lag(plane: Array, distance: int) -> float:
        product = plane[:, :-distance] * plane[:, distance:]
        return float(product.mean() / (plane.var() + 1e-9))

    luma, chroma = planes[..., 0], planes[..., 1]
    return [
        psnr, deviation[0], deviation[1] / deviation[0], deviation[2] / deviation[0],
        *(lag(luma, d) for d in (1, 2, 4)), *(lag(chroma, d) for d in (1, 2, 4, 8)),
        alike[0, 1], alike[0, 2], alike[1, 2],
    ]  # fmt: skip


def by_brightness(noisy: Array, clean: Array) -> list[float]:
    """The noise's deviation over that of the whole image, and its mean in levels, by brightness of
    the clean side: 2 × bins numbers, NaN where the image has next to nothing.
    """
    noise = noisy - clean
    whole = max(float(noise.std()), 1e-9)
    deviations, means = [], []
    for low, high in pairwise(BRIGHTNESS):
        there = noise[(clean >= low) & (clean < high)]
        enough = there.size >= LEAST_PIXELS
        deviations.append(float(there.std()) / whole if enough else np.nan)
        means.append(float(there.mean()) if enough else np.nan)
    return deviations + means


def octaves(noisy: Array, clean: Array) -> list[float]:
    """Luma of the noise and of the picture by octaves, deviations in 8-bit levels: ten numbers."""
    side = min(*noisy.shape[:2], 256)
    window = np.hanning(side)[:, None] * np.hanning(side)
    frequency = np.hypot(np.fft.fftfreq(side)[:, None], np.fft.rfftfreq(side))
    # Half of the spectrum is there; its first column, and an even side's last, are their own half.
    doubled = np.where(2 * np.arange(side // 2 + 1) % side == 0, 1.0, 2.0)
    numbers = []
    for image in (noisy - clean, clean):
        luma = (image[:side, :side] @ TO_YCBCR)[..., 0]
        power = np.abs(np.fft.rfft2((luma - luma.mean()) * window)) ** 2
        power *= doubled / (side**2 * np.square(window).sum())
        numbers += [
            float(np.sqrt(power[(frequency >= low) & (frequency < high)].sum()))
            for low, high in pairwise(OCTAVES)
        ]
    return numbers


def numbers_of(noisy: Array, clean: Array) -> list[float]:
    """All of an image: `NAMES`, the octaves, and by brightness."""
    return describe(noisy, clean) + octaves(noisy, clean) + by_brightness(noisy, clean)


def real(data: Path) -> Iterator[tuple[str, Array]]:
    """Each real set's numbers, (images, numbers)."""
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
            rows.append(numbers_of(*levels))
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
            rows.append(numbers_of(noisy, behind))
    table = np.array(rows)
    return table[table[:, 0] < 45]


def median(rows: Array) -> Array:
    """Over the images that have the number; NaN where fewer than three have it."""
    counted = np.isfinite(rows).sum(axis=0)
    filled = np.where(counted >= 3, rows, 0.0)
    return np.where(counted >= 3, np.nanmedian(filled, axis=0), np.nan)


def plot(measured: dict[str, Array], path: Path) -> None:
    """Every number's spread over the sets, one panel a number; then curves of the medians: the
    noise by brightness, and its spectrum.
    """
    import matplotlib.pyplot as plt

    figure, axes = plt.subplots(4, 4, figsize=(13, 10.5), layout="constrained")
    for k, (name, axis) in enumerate(zip(NAMES, axes.flat, strict=False)):
        axis.boxplot(
            [rows[:, k] for rows in measured.values()],
            orientation="horizontal", whis=(10, 90), showfliers=False,
            tick_labels=list(measured) if k % 4 == 0 else [""] * len(measured),
        )  # fmt: skip
        axis.set_title(name)
        axis.invert_yaxis()
    brightness, spectrum = axes.flat[len(NAMES) : len(NAMES) + 2]
    middles = [(low + high) / 2 for low, high in pairwise(BRIGHTNESS)]
    for (name, rows), marker in zip(measured.items(), "ovs^Dx", strict=True):
        brightness.plot(middles, median(rows[:, LEVELS]), marker=marker, markersize=4, label=name)
        power = median(rows[:, NOISE_OCTAVES]) ** 2
        spectrum.plot(OCTAVES[:-1], power / power.sum(), marker=marker, markersize=4)
    brightness.set(title="σ by brightness, of all", ylim=(0, None))
    spectrum.set(xscale="log", title="luma's power by octave")
    spectrum.minorticks_off()
    spectrum.set_xticks(OCTAVES[:-1], [f"1/{1 / f:.0f}" for f in OCTAVES[:-1]])
    spectrum.legend(*brightness.get_legend_handles_labels(), fontsize=7)
    figure.suptitle(
        "Noise of real photos and of the simulator (box: quartiles, line: 10–90 %; curves: medians)"
    )
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
    bins = [f"{low}–{high - 1}" for low, high in pairwise(BRIGHTNESS)]
    print(f"\n| median, by brightness of the clean side | {' | '.join(bins)} |")
    print(f"|{'---|' * (len(bins) + 1)}")
    for name, rows in measured.items():
        pairs = zip(median(rows[:, LEVELS]), median(rows[:, MEANS]), strict=True)
        cells = [f"{s:.2f} ({m:+.1f})" if np.isfinite(s) else "" for s, m in pairs]
        print(f"| {name}: σ (mean) | {' | '.join(cells)} |")
    periods = [f"{1 / high:.0f} to {1 / low:.0f}" for low, high in pairwise(OCTAVES[:-1])]
    titles = [f"{which}, {each}" for which in ("noise", "picture") for each in (*periods, "finer")]
    print(f"\n| median, by period in pixels | images | {' | '.join(titles)} |")
    print(f"|{'---|' * (len(titles) + 2)}")
    for name, rows in measured.items():
        alike = rows[(rows[:, 0] >= LIKE_POLYU[0]) & (rows[:, 0] < LIKE_POLYU[1])]
        if len(alike):
            cells = " | ".join(f"{m:.2f}" for m in np.median(alike[:, BOTH_OCTAVES], axis=0))
            print(f"| {name} | {len(alike)} | {cells} |")
    if arguments.plot:
        plot(measured, arguments.plot)


if __name__ == "__main__":
    main()
