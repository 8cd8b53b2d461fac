"""aindnet: denoising of real photographs with adaptive instance normalization.

>>> from aindnet import Denoiser
>>> denoiser = Denoiser.from_pretrained()    # the bundled default, offline
>>> result = denoiser(image)                 # doctest: +SKIP
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from aindnet.network import AINDNetConfig
    from aindnet.pretrained import AINDNet
    from aindnet.restore import Denoiser, Restored

__version__ = "0.1.0"
__all__ = ["AINDNet", "AINDNetConfig", "Denoiser", "Restored", "__version__"]

_HOME = {
    "AINDNet": "aindnet.pretrained",
    "AINDNetConfig": "aindnet.network",
    "Denoiser": "aindnet.restore",
    "Restored": "aindnet.restore",
}


def __getattr__(name: str) -> Any:
    """Load a public name on first use: `import aindnet` imports neither torch nor its friends."""
    if name in _HOME:
        return getattr(importlib.import_module(_HOME[name]), name)
    raise AttributeError(f"module 'aindnet' has no attribute {name!r}")
