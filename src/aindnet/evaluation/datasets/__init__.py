"""The field's data sets, each read in the file format in which it is published."""

from aindnet.evaluation.datasets.pairs import load_noisy_only, load_pairs
from aindnet.evaluation.datasets.real_pairs import (
    PairFilter,
    load_polyu,
    load_renoir_crops,
    load_sidd_sample,
)
from aindnet.evaluation.datasets.sample import Dataset, Pair, Sample

__all__ = [
    "Dataset",
    "Pair",
    "PairFilter",
    "Sample",
    "load_noisy_only",
    "load_pairs",
    "load_polyu",
    "load_renoir_crops",
    "load_sidd_sample",
]
