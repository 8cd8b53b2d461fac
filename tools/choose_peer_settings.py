"""Choose the peers' settings on the dev part of the real pairs: the best of a grid by mean PSNR.

    python tools/choose_peer_settings.py --root DATA/real --every 4

prints every number of the grid and the lines for `CHOSEN` in
`src/aindnet/evaluation/methods/settings.py`. `--root` holds the packs `polyu`, `renoir` and
`sidd-sample`; those that are missing are left out.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from dataclasses import replace
from functools import partial
from pathlib import Path

import numpy as np

from aindnet.evaluation.datasets.catalogue import open_dataset
from aindnet.evaluation.datasets.sample import Dataset, Pair, Sample
from aindnet.evaluation.methods.registry import PEERS
from aindnet.evaluation.methods.settings import PeerSettings
from aindnet.evaluation.runner import evaluate

PACKS = {"polyu": "polyu", "renoir": "renoir", "sidd-sample": "sidd-sample"}
MULTIPLIERS = {
    "wavelet": (1.0, 1.5, 2.0, 2.5, 3.0, 4.0, 5.0),
    "nlm": (0.6, 0.8, 1.0, 1.3, 1.7, 2.2, 3.0, 4.0),
    "bm3d": (1.5, 2.0, 3.0, 4.0, 5.0, 6.0),
    "ffdnet": (1.0, 1.5, 2.0, 2.5, 3.0, 3.5, 4.0, 5.0, 6.0),
}
CHROMA = {"nlm": (0.5, 1.0, 2.0)}


def grid(peer: str) -> Iterator[PeerSettings]:
    """Every setting that is tried for a peer."""
    for multiplier in MULTIPLIERS[peer]:
        for chroma in CHROMA.get(peer, (1.0,)):
            yield PeerSettings(multiplier, chroma)


def centre_crops(dataset: Dataset, size: int) -> Dataset:
    """The middle of every image: the grid need not see whole crops."""

    def read(sample: Sample) -> Pair:
        pair = sample.read()
        assert pair.clean is not None
        rows, columns = ((max(0, side - size) // 2) for side in pair.noisy.shape[:2])
        window = np.s_[rows : rows + size, columns : columns + size]
        return Pair(pair.noisy[window], pair.clean[window])

    samples = tuple(replace(sample, read=partial(read, sample)) for sample in dataset.samples)
    return replace(dataset, samples=samples)


def choose(peer: str, dataset: Dataset) -> PeerSettings:
    """The setting with the highest mean PSNR on the data set."""
    found = []
    for settings in grid(peer):
        evaluation = evaluate(dataset, [PEERS[peer](settings)], metrics=("psnr",))
        psnr = evaluation.methods[0].mean("psnr")
        found.append((psnr, settings))
        tried = f"×{settings.multiplier:g} colour ×{settings.chroma:g}"
        print(f"{dataset.name} {peer} {tried}: {psnr:.3f}", flush=True)
    return max(found, key=lambda entry: entry[0])[1]


def main() -> None:
    """Run the search and print the lines for the table."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--root", type=Path, required=True)
    parser.add_argument("--every", type=int, default=4)
    parser.add_argument("--crop", type=int, default=256)
    parser.add_argument("--peer", action="append", choices=list(PEERS))
    parser.add_argument("--dataset", action="append", choices=list(PACKS))
    arguments = parser.parse_args()
    lines = []
    for name in arguments.dataset or PACKS:
        root = arguments.root / PACKS[name]
        if not root.is_dir():
            print(f"{root}: not here, left out")
            continue
        dataset = open_dataset(name, root)
        # The small packs are taken whole: a quarter of four pictures says nothing.
        every = arguments.every if len(dataset.samples) > 20 else 1
        dataset = centre_crops(dataset.subset(every=every), arguments.crop)
        for peer in arguments.peer or PEERS:
            best = choose(peer, dataset)
            chroma = f", {best.chroma:g}" if best.chroma != 1 else ""
            numbers = f"{best.multiplier:g}{chroma}"
            lines.append(f'("{peer}", "{name}"): PeerSettings({numbers}, chosen_on="{name}"),')
    print("\n".join(lines))


if __name__ == "__main__":
    main()
