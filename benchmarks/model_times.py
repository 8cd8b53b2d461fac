"""Seconds a megapixel of bundled models, in turn, in one run on the backend chosen here.

    python benchmarks/model_times.py [MODEL ...] [--side 1920]

The first call of each, which compiles, is not counted.
"""

from __future__ import annotations

import argparse
import time

import numpy as np

from aindnet import Denoiser

REPEATS = 3


def main() -> None:
    """Print the median of three calls for each model, and its share of the last one's."""
    parser = argparse.ArgumentParser(description="Seconds a megapixel of models.")
    parser.add_argument("model", nargs="*", default=["aindnet-fast", "aindnet-medium"])
    parser.add_argument("--side", type=int, default=1920, help="pixels a side of the photo")
    given = parser.parse_args()
    shape = (given.side, given.side, 3)
    photo = np.random.default_rng(0).integers(0, 256, shape, dtype=np.uint8)
    denoisers = {name: Denoiser.from_pretrained(name) for name in given.model}
    seconds: dict[str, list[float]] = {name: [] for name in denoisers}
    for repeat in range(REPEATS + 1):
        for name, denoiser in denoisers.items():
            start = time.perf_counter()
            denoiser(photo)
            if repeat:
                seconds[name].append(time.perf_counter() - start)
    medians = {name: float(np.median(each)) for name, each in seconds.items()}
    for name, median in medians.items():
        share = median / medians[given.model[-1]]
        print(f"{name}: {median / given.side**2 * 1e6:.2f} s/MP, {share:.2f} of {given.model[-1]}")


if __name__ == "__main__":
    main()
