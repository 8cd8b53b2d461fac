"""Choose the peers' settings on the dev part of the real pairs: the best of a grid by mean PSNR.

    python tools/choose_peer_settings.py --root DATA/real --every 4 --write
    python tools/choose_peer_settings.py --root DATA/real --dataset renoir --peer bm3d --write

prints every number of the grid, of the middle of each image (`--crop`), and each peer's best;
`--write` puts the best into `src/aindnet/evaluation/methods/settings.json`. `--root` holds the
packs `polyu` (of its full-resolution crops, `polyu-fullres`, every twelfth), `renoir` and
`sidd-sample`; those that are missing are left out, and named; `samples` is built in. A killed run
goes on where it stopped (`--scores`).
"""

from __future__ import annotations

import argparse
import json
import math
from collections.abc import Iterator
from dataclasses import replace
from functools import partial
from pathlib import Path

import numpy as np

from aindnet.errors import AindnetError
from aindnet.evaluation.datasets.catalogue import DatasetOptions, open_dataset
from aindnet.evaluation.datasets.sample import Dataset, Pair, Sample
from aindnet.evaluation.methods import settings as settings_module
from aindnet.evaluation.methods.registry import PEERS
from aindnet.evaluation.methods.settings import SETTINGS_FILE, PeerSettings
from aindnet.evaluation.runner import Journal, evaluate
from aindnet.whole_files import whole_file

BUILT_IN = "samples"
FULLRES = "polyu-fullres"
PACKS = ("polyu", FULLRES, "renoir", "sidd-sample", BUILT_IN)
PLACES = {FULLRES: "polyu"}
"""Folders that are not called as their pack is."""
FULLRES_EVERY = 12
"""Of the many full-resolution crops: those that `write_results.py` measures."""
MULTIPLIERS = {
    "wavelet": (0.5, 0.75, 1.0, 1.5, 2.0, 2.5, 3.0, 4.0, 5.0),
    "nlm": (0.4, 0.6, 0.8, 1.0, 1.3, 1.7, 2.2, 3.0, 4.0),
    "bm3d": (1.0, 1.5, 2.0, 3.0, 4.0, 5.0, 6.0, 8.0, 10.0),
    "ffdnet": (1.0, 1.5, 2.0, 2.5, 3.0, 3.5, 4.0, 5.0, 6.0),
}
CHROMA = {"nlm": (0.25, 0.5, 1.0, 2.0, 3.0, 4.0)}


def grid(peer: str) -> Iterator[PeerSettings]:
    """Every setting that is tried for a peer."""
    for multiplier in MULTIPLIERS[peer]:
        for chroma in CHROMA.get(peer, (1.0,)):
            yield PeerSettings(multiplier, chroma)


def open_pack(name: str, root: Path) -> Dataset:
    """All images of a pack of `PACKS`, which lie under `root`."""
    if name == BUILT_IN:
        return open_dataset(name, None)
    if name == FULLRES:
        return open_dataset("polyu", root / PLACES[name], DatasetOptions(kind="fullres"))
    return open_dataset(name, root / name)


def centre_crops(dataset: Dataset, size: int) -> Dataset:
    """The middle of every image: the grid need not see whole crops."""

    def read(sample: Sample) -> Pair:
        pair = sample.read()
        assert pair.clean is not None
        rows, columns = ((max(0, side - size) // 2) for side in pair.noisy.shape[:2])
        window = np.s_[rows : rows + size, columns : columns + size]
        return Pair(pair.noisy[window], pair.clean[window])

    samples = tuple(replace(sample, read=partial(read, sample)) for sample in dataset.samples)
    protocol = f"{dataset.protocol} Central {size} pixels."  # scores are kept under it
    return replace(dataset, samples=samples, protocol=protocol)


def choose(peer: str, dataset: Dataset, journal: Journal | None = None) -> PeerSettings:
    """The setting with the highest mean PSNR on the data set. `AindnetError` where none did all."""
    found = []
    for settings in grid(peer):
        evaluation = evaluate(dataset, [PEERS[peer](settings)], metrics=("psnr",), journal=journal)
        psnr = evaluation.methods[0].mean("psnr")
        tried = f"×{settings.multiplier:g} colour ×{settings.chroma:g}"
        if evaluation.failures or not math.isfinite(psnr):
            print(f"{dataset.name} {peer} {tried}: failed on some images, left out", flush=True)
            continue
        found.append((psnr, settings))
        print(f"{dataset.name} {peer} {tried}: {psnr:.3f}", flush=True)
    if not found:
        raise AindnetError(f"{dataset.name} {peer}: no setting did every image")
    best = max(found, key=lambda entry: entry[0])[1]
    if best.multiplier in (MULTIPLIERS[peer][0], MULTIPLIERS[peer][-1]):
        print(f"{dataset.name} {peer}: the best lies at the edge of the grid; widen MULTIPLIERS")
    if peer in CHROMA and best.chroma in (CHROMA[peer][0], CHROMA[peer][-1]):
        print(f"{dataset.name} {peer}: the best lies at the edge of the grid; widen CHROMA")
    return best


def keep(dataset: str, peer: str, best: PeerSettings, path: Path) -> None:
    """Put a peer's best numbers into the settings file, one line a peer."""
    stored = json.loads(path.read_text("utf-8"))
    numbers = {"multiplier": best.multiplier}
    if best.chroma != 1:
        numbers["chroma"] = best.chroma
    stored.setdefault(dataset, {})[peer] = numbers
    sets = []
    for name, peers in sorted(stored.items()):
        lines = ",\n".join(f'    "{p}": {json.dumps(n)}' for p, n in sorted(peers.items()))
        sets.append(f'  "{name}": {{\n{lines}\n  }}')
    with whole_file(path) as partial_file:
        partial_file.write_text("{\n" + ",\n".join(sets) + "\n}\n", encoding="utf-8")


def main() -> None:
    """Run the search, print the best, and keep it if asked to."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--root", type=Path, required=True)
    parser.add_argument("--every", type=int, default=4)
    parser.add_argument("--crop", type=int, default=256)
    parser.add_argument("--peer", action="append", choices=list(PEERS))
    parser.add_argument("--dataset", action="append", choices=PACKS)
    parser.add_argument("--scores", type=Path, default=Path("runs/peer-settings.jsonl"))
    parser.add_argument("--write", action="store_true")
    arguments = parser.parse_args()
    target = Path(settings_module.__file__).with_name(SETTINGS_FILE)
    for name in arguments.dataset or PACKS:
        place = arguments.root / PLACES.get(name, name)
        if name != BUILT_IN and not place.is_dir():
            print(f"{place}: not here, left out")
            continue
        dataset = open_pack(name, arguments.root)
        # The small packs are taken whole: a quarter of four pictures says nothing.
        every = arguments.every if len(dataset.samples) > 20 else 1
        every = FULLRES_EVERY if name == FULLRES else every
        dataset = centre_crops(dataset.subset(every=every), arguments.crop)
        for peer in arguments.peer or PEERS:
            best = choose(peer, dataset, Journal(arguments.scores))
            print(f"{name} {peer}: best at ×{best.multiplier:g}, colour ×{best.chroma:g}")
            if arguments.write:
                keep(name, peer, best, target)


if __name__ == "__main__":
    main()
