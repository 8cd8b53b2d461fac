"""The field's data sets, each read in the file format in which it is published."""

from aindnet.evaluation.datasets.catalogue import (
    LOADERS,
    SUBMISSIONS,
    DatasetOptions,
    open_dataset,
)
from aindnet.evaluation.datasets.real_pairs import PairFilter
from aindnet.evaluation.datasets.sample import Dataset, Pair, Sample

__all__ = [
    "LOADERS",
    "SUBMISSIONS",
    "Dataset",
    "DatasetOptions",
    "Pair",
    "PairFilter",
    "Sample",
    "open_dataset",
]
