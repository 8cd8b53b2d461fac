"""Data sets by the names that `aindnet evaluate` takes."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from types import MappingProxyType

from aindnet.errors import DatasetError
from aindnet.evaluation.datasets.pairs import load_noisy_only, load_pairs
from aindnet.evaluation.datasets.real_pairs import (
    PairFilter,
    PolyUKind,
    load_polyu,
    load_renoir_crops,
    load_sidd_sample,
)
from aindnet.evaluation.datasets.sample import Dataset


@dataclass(frozen=True)
class DatasetOptions:
    """What of a data set is taken; options that a data set does not know are ignored by it."""

    kind: PolyUKind = "crops"
    pair_filter: PairFilter = field(default_factory=PairFilter)
    match_brightness: bool = False


LOADERS: MappingProxyType[str, Callable[[Path, DatasetOptions], Dataset]] = MappingProxyType(
    {
        "pairs": lambda root, options: load_pairs(root),
        "polyu": lambda root, options: load_polyu(
            root, kind=options.kind, pair_filter=options.pair_filter
        ),
        "renoir-crops": lambda root, options: load_renoir_crops(
            root, pair_filter=options.pair_filter, match_brightness=options.match_brightness
        ),
        "sidd-sample": lambda root, options: load_sidd_sample(root),
        "noisy": lambda root, options: load_noisy_only(root),
    }
)


def open_dataset(name: str, root: Path | None, options: DatasetOptions | None = None) -> Dataset:
    """The data set of this name under `root`.

    Raises `DatasetError` for an unknown name, a missing root, or a root that does not hold the data
    set.
    """
    if name not in LOADERS:
        raise DatasetError(f"{name}: no such data set; there are {', '.join(LOADERS)}")
    if root is None:
        raise DatasetError(f"{name}: say where the data set lies with --root DIR")
    return LOADERS[name](root, options or DatasetOptions())
