"""PSNR on central crops of the dev pairs and of clean photos: a quick look at weights.

    python tools/crop_scores.py --data DATA aindnet-fast aindnet-medium runs/NAME/NAME.safetensors

RENOIR's and the SIDD sample's crops, every fifth of PolyU's as stored (14 at most), 256 pixels of
each; the eight Kodak photos as they are, and under white noise of three levels, in 8 bits. In one
pass of the plain network, without tiles: for comparing weights, not for tables (`aindnet
evaluate` is). PSNR as there: 8 bits, peak 255, a mean over images, dB. --set gives constants of
`aindnet.network` other values, to see what they do: --set smoothing.WEAK_LEFT=0.
"""

from __future__ import annotations

import argparse
import ast
import importlib
from pathlib import Path

import numpy as np
from few_shot import mean_psnr, middle
from PIL import Image

from aindnet.commands.adaptation.photos import read_dataset
from aindnet.pretrained import load_model
from aindnet.training.transfer.pairs import PhotoPair

PIXELS = 256
SETS = {"renoir": 1, "sidd-sample": 1, "polyu": 5}
"""Sets under DATA/real, and of every how many pairs one is taken."""
MOST = 14
LEVELS = (0, 5, 10, 25)
"""Deviation of the white noise on Kodak's photos, of 255."""


def real_crops(data: Path) -> dict[str, list[PhotoPair]]:
    """The middles of real pairs, by set."""
    found = {}
    for name, every in SETS.items():
        pairs = sorted(read_dataset(name, data / "real" / name), key=lambda pair: pair.name)
        found[name] = [middle(pair, PIXELS) for pair in pairs[::every][:MOST]]
    return found


def white_crops(folder: Path) -> dict[str, list[PhotoPair]]:
    """The middles of a folder's PNGs under seeded white noise, by level."""
    clean = [np.asarray(Image.open(path).convert("RGB")) for path in sorted(folder.glob("*.png"))]
    found = {}
    for level in LEVELS:
        random = np.random.default_rng(level)
        pairs = []
        for number, picture in enumerate(clean):
            pair = middle(PhotoPair(str(number), picture, picture, str(number)), PIXELS)
            noise = random.normal(0, level, pair.clean.shape)
            noisy = np.clip(np.rint(pair.clean + noise), 0, 255).astype(np.uint8)
            pairs.append(PhotoPair(pair.name, noisy, pair.clean, pair.scene))
        found[f"Kodak, σ = {level}"] = pairs
    return found


def set_constant(assignment: str) -> None:
    """Give a constant of a module of `aindnet.network` another value: "smoothing.WEAK_LEFT=0".

    Counts where that module reads it, not where another has imported it. Ends the program where
    there is no such constant.
    """
    where, _, value = assignment.partition("=")
    room, _, name = where.partition(".")
    try:
        module = importlib.import_module(f"aindnet.network.{room}")
        before, after = getattr(module, name), ast.literal_eval(value)
    except (ModuleNotFoundError, AttributeError, SyntaxError, ValueError) as error:
        raise SystemExit(f"--set {assignment}: give MODULE.CONSTANT=VALUE ({error})") from error
    if not name.isupper() or isinstance(before, tuple) != isinstance(after, tuple):
        raise SystemExit(f"--set {assignment}: {where} is {before!r} now, and stays of its kind")
    setattr(module, name, after)


def main() -> None:
    """Print a row for each model."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--data", type=Path, required=True, help="with real/ and clean-test/")
    parser.add_argument("model", nargs="+", help="names or files")
    parser.add_argument("--set", action="append", default=[], metavar="MODULE.CONSTANT=VALUE")
    given = parser.parse_args()
    for assignment in given.set:
        set_constant(assignment)
    sets = real_crops(given.data) | white_crops(given.data / "clean-test/kodak8")
    print(f"| | {' | '.join(f'{name} ({len(pairs)})' for name, pairs in sets.items())} |")
    print("|---" * (1 + len(sets)) + "|")
    for model in given.model:
        loaded = load_model(model)
        scores = [f"{mean_psnr(loaded.network, pairs):.2f}" for pairs in sets.values()]
        print(f"| {loaded.card.name}, {loaded.sha256[:8]} | {' | '.join(scores)} |", flush=True)


if __name__ == "__main__":
    main()
