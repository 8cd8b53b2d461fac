"""Published numbers that stand beside ours, with their source; none of them was computed here.

Where a row says nothing else, from Kim, Soh, Park, Cho, CVPR 2020 (arXiv 2002.11244), tables 2 to
6, which quote the other methods' papers and the benchmarks' boards. A star is the geometric
self-ensemble of eight.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from types import MappingProxyType
from typing import Any

PAPER = "Kim et al., CVPR 2020"
CHECKPOINT = "the authors' uploaded TensorFlow checkpoint"
LATER = "their own papers"
OF_THE_WHOLE = ", whole set"


@dataclass(frozen=True)
class PublishedRow:
    """One method's published numbers on one data set or group of it."""

    name: str
    psnr: float | None = None
    ssim: float | None = None
    group: str = ""
    noise_level_error: float | None = None
    source: str = PAPER


def _rows(table: Mapping[str, tuple[float, float]]) -> tuple[PublishedRow, ...]:
    return tuple(PublishedRow(name, psnr, ssim) for name, (psnr, ssim) in table.items())


_DND = (
    *_rows(
        {
            "AINDNet S": (39.53, 0.9561),
            "AINDNet R": (39.16, 0.9515),
            "AINDNet RT": (39.21, 0.9505),
            "AINDNet TF": (39.37, 0.9505),
            "AINDNet S*": (39.77, 0.9590),
            "AINDNet R*": (39.34, 0.9524),
            "AINDNet RT*": (39.34, 0.9522),
            "AINDNet TF*": (39.52, 0.9522),
            "RIDNet": (39.23, 0.9526),
            "CBDNet (all)": (38.06, 0.9421),
            "TWSC": (37.94, 0.9403),
            "BM3D": (34.51, 0.8507),
            "FFDNet": (34.40, 0.8474),
            "CDnCNN-B": (32.43, 0.7900),
        }
    ),
    PublishedRow("AINDNet, authors' checkpoint", 39.46, source=CHECKPOINT),
    PublishedRow("ablation: IN, map concatenated (S)", 38.53),
    PublishedRow("ablation: gated ResBlock (S)", 39.19),
)
_SIDD_BENCHMARK = (
    *_rows(
        {
            "AINDNet S": (35.66, 0.903),
            "AINDNet R": (38.73, 0.950),
            "AINDNet RT": (39.04, 0.955),
            "AINDNet TF": (38.95, 0.952),
            "AINDNet S*": (35.87, 0.905),
            "AINDNet R*": (38.84, 0.951),
            "AINDNet RT*": (39.15, 0.955),
            "AINDNet TF*": (39.08, 0.953),
            "CBDNet (all)": (33.28, 0.868),
            "BM3D": (25.65, 0.685),
            "CDnCNN-B": (23.66, 0.583),
        }
    ),
    PublishedRow("AINDNet, authors' checkpoint", 39.01, source=CHECKPOINT),
)
_PAIRS = (1, 2, 4, 8, 16, 32, 64, 320)
_FEW_PAIRS: Mapping[str, tuple[float, ...]] = MappingProxyType(
    {
        "R": (30.36, 32.19, 36.94, 37.70, 38.14, 38.66, 38.70, 38.81),
        "RT": (36.23, 37.16, 38.02, 38.40, 38.63, 38.82, 39.00, 39.01),
        "TF": (36.19, 37.14, 37.93, 38.27, 38.52, 38.75, 38.83, 38.90),
    }
)
_SIDD_VALIDATION = (
    PublishedRow("AINDNet S (no real pairs)", 35.21),
    *(
        PublishedRow(f"AINDNet {which} ({pairs} real pair{'s' if pairs > 1 else ''})", psnr)
        for which, values in _FEW_PAIRS.items()
        for pairs, psnr in zip(_PAIRS, values, strict=True)
    ),
    PublishedRow("AINDNet, authors' checkpoint", 38.96, source=CHECKPOINT),
    PublishedRow("MIRNet", 39.72, source=LATER),
    PublishedRow("Restormer", 40.02, source=LATER),
    PublishedRow("NAFNet", 40.30, source=LATER),
    PublishedRow("ablation: IN, map concatenated (S)", 34.74),
    PublishedRow("ablation: gated ResBlock (S)", 34.93),
    PublishedRow("ablation: AIN (S)", 35.19),
)
_GAUSSIAN_TABLE: Mapping[str, tuple[float, ...]] = MappingProxyType(
    {
        "AINDNet": (32.92, 30.61, 27.51, 31.69, 29.26, 26.32),
        "RIDNet": (32.91, 30.60, 27.43, 31.81, 29.34, 26.40),
        "FFDNet": (32.75, 30.43, 27.32, 31.63, 29.19, 26.29),
        "DnCNN": (32.68, 30.36, 27.21, 31.61, 29.16, 26.23),
    }
)
_GAUSSIAN_GROUPS = tuple(
    f"{folder} σ={sigma}" for folder in ("set12", "bsd68") for sigma in (15, 25, 50)
)
_GAUSSIAN = tuple(
    PublishedRow(name, psnr, group=group)
    for name, values in _GAUSSIAN_TABLE.items()
    for group, psnr in zip(_GAUSSIAN_GROUPS, values, strict=True)
)
_ESTIMATOR = (
    PublishedRow("AINDNet (Kodak24)", noise_level_error=0.018),
    PublishedRow("plain FCN (Kodak24)", noise_level_error=0.064),
)

PUBLISHED: Mapping[str, tuple[PublishedRow, ...]] = MappingProxyType(
    {
        "dnd": _DND,
        "sidd-benchmark": _SIDD_BENCHMARK,
        "sidd": _SIDD_VALIDATION,
        "gaussian": _GAUSSIAN,
        "estimator": _ESTIMATOR,
    }
)


def published_rows(dataset: str, *, whole: bool = True) -> list[dict[str, Any]]:
    """The rows of one data set as they go into its document; beside a part of the set, not `whole`,
    they say that they are of all of it.
    """
    rows = [asdict(row) for row in PUBLISHED.get(dataset, ())]
    for row in rows if not whole else ():
        row["name"] += OF_THE_WHOLE
    return rows
