"""The code that decides what a photo becomes, as a digest: what was kept of other code is not its.

Comments and docstrings count too, so that nothing has to be judged.
"""

from __future__ import annotations

import hashlib
from pathlib import Path

import aindnet.network

NETWORK = Path(aindnet.network.__file__).parent
RESTORE = Path(__file__).parent


def code_digest(*folders: Path) -> str:
    """SHA-256 of the Python files in the folders, and of their order and names."""
    digest = hashlib.sha256()
    for folder in folders:
        for path in sorted(folder.glob("*.py")):
            digest.update(f"{path.name}\n".encode())
            digest.update(path.read_bytes())
    return digest.hexdigest()


DENOISING_CODE = code_digest(NETWORK, RESTORE, RESTORE / "backends")
"""Of the network and the way through it, as they were imported."""
