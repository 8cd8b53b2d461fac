"""Photos of still scenes with the mean of many shots as truth: PolyU's crops, CC and Nam.

Published comparisons use these sets as folders of `NAME_real.EXT` with `NAME_mean.EXT`.
"""

from __future__ import annotations

import re
from functools import partial
from pathlib import Path

from aindnet.errors import DatasetError
from aindnet.evaluation.datasets.image_files import IMAGE_SUFFIXES, is_visible
from aindnet.evaluation.datasets.pairs import read_pair
from aindnet.evaluation.datasets.sample import Dataset, Sample, require_folder, require_samples

POLYU_DOWNLOAD = (
    "the folder CroppedImages of github.com/csjunxu/PolyU-Real-World-Noisy-Images-Dataset "
    "(100 pairs of 512×512 NAME_real.JPG with NAME_mean.JPG)"
)
CC_DOWNLOAD = (
    "the folder Real_ccnoise_denoised_part of github.com/csjunxu/MCWNNM-ICCV2017 "
    "(15 pairs of 512×512 NAME_real.png with NAME_mean.png)"
)
NAM_DOWNLOAD = (
    "crops of Nam's cross-channel data set (CVPR 2016) as NAME_real.EXT with NAME_mean.EXT; "
    "which crops are taken differs between papers, so say which"
)


def load_real_mean(root: Path, *, name: str, title: str, download: str, expected: int) -> Dataset:
    """Every `NAME_real` under the folder with its `NAME_mean`; the protocol tells a count that is
    not expected.
    """
    require_folder(root, download)
    files = [
        path
        for path in sorted(root.rglob("*"))
        if path.suffix.lower() in IMAGE_SUFFIXES and is_visible(path, root)
    ]
    means = {_base(path, root, "mean"): path for path in files if path.stem.endswith("_mean")}
    samples = []
    for path in files:
        if not path.stem.endswith("_real"):
            continue
        base = _base(path, root, "real")
        if base not in means:
            raise DatasetError(f"{path}: has no {path.stem.removesuffix('_real')}_mean beside it")
        read = partial(read_pair, base, path, means[base])
        samples.append(Sample(base, read, group=_scene(base)))
    found = require_samples(samples, root, f"NAME_real image; expected {download}")
    note = (
        ""
        if len(found) == expected
        else f" {len(found)} pairs here; the published set has {expected}."
    )
    return Dataset(
        name=name,
        title=title,
        samples=found,
        protocol=f"Real shot against the mean of many, as stored.{note}",
        grouping="scene",
        as_published=not note,
    )


def load_polyu_published(root: Path) -> Dataset:
    """The 100 published PolyU crops (Xu et al. 2018, arXiv 1804.02603) in their own folder."""
    folder = root / "CroppedImages" if (root / "CroppedImages").is_dir() else root
    return load_real_mean(
        folder, name="polyu", title="PolyU, published crops", download=POLYU_DOWNLOAD, expected=100
    )


def load_cc(root: Path) -> Dataset:
    """CC: the 15 crops of Nam et al. (CVPR 2016) that most tables report."""
    return load_real_mean(root, name="cc", title="CC (15 crops)", download=CC_DOWNLOAD, expected=15)


def load_nam(root: Path) -> Dataset:
    """Nam: further crops of the same photos; most papers take 60 of 512×512."""
    return load_real_mean(root, name="nam", title="Nam crops", download=NAM_DOWNLOAD, expected=60)


def _base(path: Path, root: Path, side: str) -> str:
    relative = path.relative_to(root).with_suffix("")
    return relative.as_posix().removesuffix(f"_{side}")


def _scene(base: str) -> str:
    """The name without its last running number: `d800_iso3200_2` belongs to `d800_iso3200`."""
    return re.sub(r"_+\d+$", "", base)
