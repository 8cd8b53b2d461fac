"""Clean photos with seeded white Gaussian noise: the field's oldest benchmark.

As in the papers' tables, the noise is added to the 8-bit image on the float scale and neither
clipped nor rounded. Each image and σ has its own seed, taken from their names, so that any subset
gives the same numbers.
"""

from __future__ import annotations

import hashlib
import math
from collections.abc import Iterator, Mapping, Sequence
from functools import partial
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from aindnet.errors import DatasetError
from aindnet.evaluation.datasets.image_files import image_files, is_visible, read_file
from aindnet.evaluation.datasets.sample import (
    Dataset,
    Image,
    Pair,
    Sample,
    require_folder,
    require_samples,
)
from aindnet.evaluation.metrics import to_unit

PUBLISHED = {"set12": 12, "bsd68": 68}
"""How many grey images the folders' sets have that published numbers are of."""

SIGMAS = (15.0, 25.0, 50.0)
"""Of the paper's table, in 8-bit levels."""

DOWNLOAD = (
    "a folder of clean images, or of such folders (set12, bsd68, cbsd68, kodak …); Set12 and BSD68 "
    "come with github.com/cszn/DnCNN (testsets), CBSD68 with "
    "github.com/clausmichele/CBSD68-dataset, Kodak from r0k.us/graphics/kodak"
)


def add_gaussian_noise(clean: Image, sigma: float, seed: int) -> NDArray[np.float32]:
    """The image on [0, 1] plus noise of `sigma` 8-bit levels; float32, not clipped, not rounded."""
    random = np.random.default_rng(seed)
    noisy = to_unit(clean) + random.normal(0.0, sigma / 255.0, clean.shape)
    return noisy.astype(np.float32)


def seed_of(name: str, sigma: float) -> int:
    """A seed that depends on the image's name and σ only."""
    text = f"{name} {sigma:g}".encode(errors="surrogateescape")  # of a name that is not UTF-8, too
    digest = hashlib.sha256(text).digest()
    return int.from_bytes(digest[:8], "little")


def load_gaussian(
    root: Path, sigmas: Sequence[float] = SIGMAS, only: Sequence[str] = ()
) -> Dataset:
    """Every image of the folder, or of its folders, at every σ; groups are `folder σ=25`.

    `only` names the folders of `root` that are taken. Grey and colour sets are never one table:
    `DatasetError` where the folders' first images are of both.
    """
    require_folder(root, DOWNLOAD)
    if not all(0 < sigma < math.inf for sigma in sigmas):
        raise DatasetError("--sigma takes numbers above 0, in 8-bit levels")
    names = [f"{sigma:g}" for sigma in sigmas]
    if twice := [name for name in names if names.count(name) > 1]:
        raise DatasetError(f"--sigma {twice[0]} is given twice; each noise level counts once")
    if len(set(only)) < len(only):
        raise DatasetError("--folder names a folder twice; each counts once")
    if only:
        folders = [_folder(root, name) for name in only]
    else:
        inside = (path for path in root.iterdir() if path.is_dir() and is_visible(path, root))
        folders = [root, *sorted(inside)]
    files = {folder: image_files(folder) for folder in folders}
    _require_one_kind(files)
    samples = []
    note = "".join(_parts(files))
    for folder, images in files.items():
        for sigma in sigmas:
            for stem, path in images.items():
                photo = f"{folder.resolve().name}/{stem}"
                read = partial(_read_with_noise, path, sigma, seed_of(stem, sigma))
                group = f"{folder.resolve().name} σ={sigma:g}"
                samples.append(Sample(f"{photo} σ={sigma:g}", read, group=group, photo=photo))
    return Dataset(
        name="gaussian",
        title=f"White Gaussian noise: {', '.join(only)}" if only else "White Gaussian noise",
        samples=require_samples(samples, root, f"image; expected {DOWNLOAD}"),
        protocol="Seeded noise added to the 8-bit image, neither clipped nor rounded (a model "
        "that was taught clipped photos is shown it clipped); "
        f"σ = {', '.join(f'{sigma:g}' for sigma in sigmas)} of 255.{note}",
        grouping="noise setting",
        as_published=not note,
    )


def _parts(files: Mapping[Path, Mapping[str, Path]]) -> Iterator[str]:
    """A sentence of each folder that is named like a published set and is not that set."""
    for folder, images in files.items():
        name = folder.resolve().name
        expected = PUBLISHED.get(name.casefold())
        if expected is None or not images:
            continue
        if len(images) != expected:
            yield f" {name}: {len(images)} images here; the published set has {expected}."
        elif read_file(next(iter(images.values()))).ndim != 2:
            yield f" {name}: colour images here; the published set is grey."


def _require_one_kind(files: Mapping[Path, Mapping[str, Path]]) -> None:
    kinds: dict[bool, list[str]] = {True: [], False: []}
    for folder, images in files.items():
        if images:
            kinds[read_file(next(iter(images.values()))).ndim == 2].append(folder.name)
    if all(kinds.values()):
        grey, colour = (", ".join(kinds[which]) for which in (True, False))
        raise DatasetError(
            f"grey ({grey}) and colour ({colour}) images are no one table; choose by --folder"
        )


def _folder(root: Path, name: str) -> Path:
    """A folder of `root` by its name, however it is capitalised: Set12 or set12."""
    if (root / name).is_dir():
        return root / name
    alike = [p for p in root.iterdir() if p.is_dir() and p.name.casefold() == name.casefold()]
    return alike[0] if len(alike) == 1 else require_folder(root / name, DOWNLOAD)


def _read_with_noise(path: Path, sigma: float, seed: int) -> Pair:
    clean = read_file(path)
    return Pair(add_gaussian_noise(clean, sigma, seed), clean)
