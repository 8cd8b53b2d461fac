"""What `--output` names: one file, or a folder."""

from __future__ import annotations

import difflib
import os
from pathlib import Path

from aindnet.errors import AindnetError
from aindnet.photo.formats import FORMATS, RAW
from aindnet.photo.paths import shown

_NEVER_WRITTEN = frozenset(
    (*RAW.suffixes, ".bmp", ".gif", ".jp2", ".ppm", ".pgm", ".pnm", ".tga", ".psd", ".exr", ".pdf")
)
"""Names of image files, not of folders."""
_WRITTEN = frozenset(suffix for each in FORMATS if each.depths for suffix in each.suffixes)


def check_place(inputs: list[Path], output: Path) -> None:
    """Raise `AindnetError` for an output that cannot hold what the inputs become."""
    name = f"--output {shown(output)}"
    if not is_named_as_file(output):
        if os.path.lexists(output) and not os.path.isdir(output):
            text = "is a file, and not named as an image; name a folder, or for one photo a file"
            raise AindnetError(f"{name}: {text} (NAME.jpg, NAME.png, …)")
    elif len(inputs) > 1:
        raise AindnetError(f"{name}: several inputs need a folder; name one")
    elif os.path.isdir(inputs[0]):
        raise AindnetError(f"{name}: the photos of a folder need a folder; name one")


def is_named_as_file(output: Path) -> bool:
    """Whether it has an image file's name, and is no folder all the same."""
    return output.suffix.lower() in _WRITTEN | _NEVER_WRITTEN and not os.path.isdir(output)


def is_mistyped(output: Path) -> bool:
    """Whether a name is a letter away from an image file's (.jpgg, .jgp), as no folder's is."""
    if os.path.isdir(output):
        return False
    suffix = output.suffix.lower().removeprefix(".")
    known = [each.removeprefix(".") for each in _WRITTEN]
    one_more_or_less = difflib.get_close_matches(suffix, known, cutoff=0.85)
    return bool(one_more_or_less) or sorted(suffix) in map(sorted, known)
