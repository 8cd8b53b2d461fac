"""Folders of pairs: `DIR/noisy/NAME.ext` with `DIR/clean/NAME.ext`; and folders of noisy photos
alone.
"""

from __future__ import annotations

from functools import partial
from pathlib import Path

from aindnet.errors import DatasetError
from aindnet.evaluation.datasets.image_files import image_files, read_file
from aindnet.evaluation.datasets.sample import (
    Dataset,
    Pair,
    Sample,
    check_pair,
    require_folder,
    require_samples,
)


def load_pairs(
    root: Path, *, name: str = "pairs", title: str | None = None, protocol: str = ""
) -> Dataset:
    """A pairs folder; extensions may differ between the sides, names may not.

    Raises `DatasetError` where a folder is missing, holds no image, or an image has no partner.
    """
    layout = "a pairs folder: noisy/NAME.ext with clean/NAME.ext"
    require_folder(root, layout)
    noisy = image_files(require_folder(root / "noisy", layout))
    clean = image_files(require_folder(root / "clean", layout))
    lonely = sorted(noisy.keys() ^ clean.keys())
    if lonely:
        side = "clean" if lonely[0] in noisy else "noisy"
        raise DatasetError(
            f"{root / side / lonely[0]}: missing, while the other side has it ({len(lonely)} such)"
        )
    samples = [Sample(stem, partial(read_pair, stem, noisy[stem], clean[stem])) for stem in noisy]
    return Dataset(
        name=name,
        title=title or f"Pairs in {root.resolve().name}",
        samples=require_samples(samples, root / "noisy", "image"),
        protocol=protocol or "Noisy and clean files as they are.",
    )


def load_noisy_only(root: Path) -> Dataset:
    """Every image of a folder as a noisy one without its clean side: for looking at, and for
    no-reference measures.
    """
    files = image_files(require_folder(root, "a folder of noisy photos"))
    samples = [Sample(stem, partial(read_noisy, path)) for stem, path in files.items()]
    return Dataset(
        name="noisy",
        title=f"Noisy photos in {root.resolve().name}",
        samples=require_samples(samples, root, "image"),
        protocol="No clean side: nothing is measured against a reference.",
        has_truth=False,
    )


def read_pair(name: str, noisy: Path, clean: Path) -> Pair:
    """Both files of a pair, which must be of one shape."""
    return check_pair(name, read_file(noisy), read_file(clean))


def read_noisy(path: Path) -> Pair:
    """A noisy file alone."""
    return Pair(read_file(path), None)
