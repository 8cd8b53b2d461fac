"""The code that decides what a photo becomes, as a digest: what was kept of other code is not its.

Comments and docstrings count too, so that nothing has to be judged.
"""

from __future__ import annotations

import hashlib
from pathlib import Path

import aindnet.network

NETWORK = Path(aindnet.network.__file__).parent
RESTORE = Path(__file__).parent
PIXELS = RESTORE.parent / "photo" / "pixels.py"
"""What every array passes through on its way to the network and back."""


def code_digest(*places: Path) -> str:
    """SHA-256 of Python files and of those in folders, and of their order and names."""
    digest = hashlib.sha256()
    for place in places:
        for path in sorted(place.glob("*.py")) if place.is_dir() else [place]:
            digest.update(f"{path.name}\n".encode())
            digest.update(path.read_bytes())
    return digest.hexdigest()


DENOISING_CODE = code_digest(NETWORK, RESTORE, RESTORE / "backends", PIXELS)
"""Of the network and the way through it, as they were imported."""
