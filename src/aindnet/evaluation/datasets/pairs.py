"""Folders of pairs: `DIR/noisy/NAME.ext` with `DIR/clean/NAME.ext`, or `SCENE/NAME.ext` in both;
and folders of noisy photos alone.
"""

from __future__ import annotations

from functools import partial
from pathlib import Path

from aindnet.errors import DatasetError
from aindnet.evaluation.datasets.image_files import (
    Skip,
    image_files_under,
    read_file,
    skip_nothing,
)
from aindnet.evaluation.datasets.sample import (
    Dataset,
    Pair,
    Sample,
    check_pair,
    require_folder,
    require_samples,
)
from aindnet.photo.paths import shown


def load_pairs(
    root: Path,
    *,
    name: str = "pairs",
    title: str | None = None,
    protocol: str = "",
    skip: Skip = skip_nothing,
) -> Dataset:
    """A pairs folder; extensions may differ between the sides, names may not.

    Images in a folder of both sides are of one scene, others are each a scene. One without a
    partner is a sample that cannot be read. Raises `DatasetError` where a side is missing or holds
    no image, or where no image has a partner.
    """
    layout = "a pairs folder: noisy/NAME.ext with clean/NAME.ext"
    require_folder(root, layout)
    noisy = image_files_under(require_folder(root / "noisy", layout), skip)
    clean = image_files_under(require_folder(root / "clean", layout), skip)
    lonely = {each: root / "clean" / each for each in noisy if each not in clean}
    lonely |= {each: root / "noisy" / each for each in clean if each not in noisy}
    if lonely and not noisy.keys() & clean.keys():
        first = min(lonely)
        raise DatasetError(f"{_missing(lonely[first])} ({len(lonely)} such, and no pair)")
    names = [*noisy, *(each for each in clean if each not in noisy)]
    nested = any("/" in each for each in names)
    samples = [
        Sample(
            each,
            partial(_refuse, lonely[each])
            if each in lonely
            else partial(read_pair, each, noisy[each], clean[each]),
            group=each.split("/")[0] if nested else "",
        )
        for each in names
    ]
    return Dataset(
        name=name,
        title=title or f"Pairs in {shown(root.resolve().name)}",
        samples=require_samples(samples, root / "noisy", "image"),
        protocol=protocol or "Noisy and clean files as they are.",
        grouping="scene" if nested else "",
    )


def _missing(path: Path) -> str:
    return f"{path}: missing, while the other side has it"


def _refuse(path: Path) -> Pair:
    raise DatasetError(_missing(path))


def load_noisy_only(root: Path, skip: Skip = skip_nothing) -> Dataset:
    """Every image of a folder, and of folders in it, as a noisy one without its clean side: for
    looking at, and for no-reference measures.
    """
    files = image_files_under(require_folder(root, "a folder of noisy photos"), skip)
    samples = [Sample(name, partial(read_noisy, path)) for name, path in files.items()]
    return Dataset(
        name="noisy",
        title=f"Noisy photos in {shown(root.resolve().name)}",
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
