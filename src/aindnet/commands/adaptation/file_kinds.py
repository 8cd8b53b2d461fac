"""What kind of files photos are: their noise is another where the camera processed it."""

from __future__ import annotations

import os
from collections.abc import Iterable, Sequence
from pathlib import Path

from aindnet.commands.batch.jobs import made_here
from aindnet.errors import ImageReadError
from aindnet.photo import SUFFIXES
from aindnet.photo.formats import HEADER_BYTES, JPEG, OTHER, file_kind, sniff

OF_LAYOUTS = {"polyu": JPEG.name, "cc": JPEG.name, "nam": JPEG.name}
"""What the photos of data sets were, whatever their crops are stored as; those of others are
developed by programs."""


def kinds_of_pairs(folders: Sequence[Path], layouts: Sequence[str]) -> list[str]:
    """The kinds of the noisy sides of folders of pairs and data sets, sorted."""
    kinds: set[str] = set()
    for folder, layout in zip(folders, layouts, strict=True):
        if layout == "pairs":
            kinds |= _kinds_in(folder / "noisy")
        else:
            kinds.add(OF_LAYOUTS.get(layout, OTHER))
    return sorted(kinds)


def kinds_of_photos(folders: Iterable[Path]) -> list[str]:
    """The kinds of all photos in folders, sorted."""
    return sorted({kind for folder in folders for kind in _kinds_in(folder)})


def _kinds_in(folder: Path) -> set[str]:
    kinds = set()
    for path in folder.rglob("*"):
        hidden = path.name.startswith(".")
        if (
            hidden
            or path.suffix.lower() not in SUFFIXES
            or not os.path.isfile(path)
            or made_here(path)
        ):
            continue
        try:
            with path.open("rb") as stream:
                kinds.add(file_kind(sniff(stream.read(HEADER_BYTES), path)))
        except (OSError, ImageReadError):
            continue  # the adaptation names what cannot be read
    return kinds
