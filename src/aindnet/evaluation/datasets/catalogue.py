"""Data sets by the names that `aindnet evaluate` takes."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from types import MappingProxyType

from aindnet.errors import DatasetError
from aindnet.evaluation.datasets.dnd import load_dnd
from aindnet.evaluation.datasets.estimator import load_estimator
from aindnet.evaluation.datasets.gaussian import SIGMAS, load_gaussian
from aindnet.evaluation.datasets.image_files import Skip, skip_nothing
from aindnet.evaluation.datasets.nind import load_nind
from aindnet.evaluation.datasets.pairs import load_noisy_only, load_pairs
from aindnet.evaluation.datasets.real_mean import load_cc, load_nam, load_polyu_published
from aindnet.evaluation.datasets.real_pairs import (
    PairFilter,
    PolyUKind,
    load_polyu,
    load_sidd_sample,
)
from aindnet.evaluation.datasets.renoir import load_renoir
from aindnet.evaluation.datasets.sample import Dataset
from aindnet.evaluation.datasets.samples import load_samples
from aindnet.evaluation.datasets.sidd import (
    load_sidd_benchmark,
    load_sidd_training,
    load_sidd_validation,
)
from aindnet.photo.paths import reason


@dataclass(frozen=True)
class DatasetOptions:
    """What of a data set is taken; options that a data set does not know are ignored by it."""

    kind: PolyUKind = "crops"
    pair_filter: PairFilter = field(default_factory=PairFilter)
    match_brightness: bool = True
    sigmas: tuple[float, ...] = SIGMAS
    folders: tuple[str, ...] = ()
    skip: Skip = skip_nothing
    """Of a user's own photos, which files are none, such as what was written beside them."""


def _polyu(root: Path, options: DatasetOptions) -> Dataset:
    if (root / "index.csv").is_file():
        return load_polyu(root, kind=options.kind, pair_filter=options.pair_filter)
    _require_index(root, options.pair_filter, kind=options.kind)
    return load_polyu_published(root)


def _renoir(root: Path, options: DatasetOptions) -> Dataset:
    if not (root / "index.csv").is_file():
        _require_index(root, options.pair_filter)
    return load_renoir(
        root, pair_filter=options.pair_filter, match_brightness=options.match_brightness
    )


def _require_index(root: Path, pair_filter: PairFilter, kind: PolyUKind = "crops") -> None:
    """Refuse what only an index can answer, for a folder as it is published."""
    asked = [*(["--kind"] if kind != "crops" else []), *pair_filter.flags()]
    if asked:
        raise DatasetError(
            f"{root}: has no index.csv, which {' and '.join(asked)} would need; leave it out"
        )


LOADERS: MappingProxyType[str, Callable[[Path, DatasetOptions], Dataset]] = MappingProxyType(
    {
        "pairs": lambda root, options: load_pairs(root, skip=options.skip),
        "polyu": _polyu,
        "cc": lambda root, options: load_cc(root),
        "nam": lambda root, options: load_nam(root),
        "renoir": _renoir,
        "nind": lambda root, options: load_nind(root),
        "sidd": lambda root, options: load_sidd_validation(root),
        "sidd-training": lambda root, options: load_sidd_training(root),
        "sidd-sample": lambda root, options: load_sidd_sample(root),
        "gaussian": lambda root, options: load_gaussian(root, options.sigmas, options.folders),
        "estimator": lambda root, options: load_estimator(root),
        "noisy": lambda root, options: load_noisy_only(root, options.skip),
        "dnd": lambda root, options: load_dnd(root),
        "sidd-benchmark": lambda root, options: load_sidd_benchmark(root),
    }
)
SUBMISSIONS = frozenset({"dnd", "sidd-benchmark"})
"""Data sets without published truth, for which a bundle for the benchmark's server is written."""


def open_dataset(name: str, root: Path | None, options: DatasetOptions | None = None) -> Dataset:
    """The data set of this name under `root`; `samples` needs none.

    Raises `DatasetError` for an unknown name, a missing root, or a root that does not hold the
    data set.
    """
    if name == "samples":
        return load_samples()
    if name not in LOADERS:
        raise DatasetError(f"{name}: no such data set; there are samples, {', '.join(LOADERS)}")
    if root is None:
        raise DatasetError(f"{name}: say where the data set lies with --root DIR")
    try:
        return LOADERS[name](root, options or DatasetOptions())
    except OSError as error:
        place = error.filename or root
        raise DatasetError(
            f"{place}: {reason(error)}; check the path and its permissions"
        ) from error
