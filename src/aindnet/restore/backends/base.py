"""What runs tiles: one small interface for every runtime."""

from __future__ import annotations

from typing import Protocol

import numpy as np
import numpy.typing as npt

Tiles = npt.NDArray[np.float32]


class Backend(Protocol):
    """A network made ready on a device."""

    name: str
    """"torch", "openvino" or "onnx"."""
    device: str
    """"cpu", "cuda:0", "mps"."""
    precision: str
    """"fp32", "bf16", "fp16" or "int8": what the convolutions compute in."""
    batch: int
    """Tiles of one shape that go through together."""

    def run(self, tiles: Tiles) -> Tiles:
        """Denoise (B, 3, h, w) → (B, 6, h, w): the clean image, then the noise level."""
