"""The network in PyTorch: on the CPU, CUDA or Apple's GPU."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from aindnet.network import AINDNet
from aindnet.restore.backends.base import Array, Given, stack
from aindnet.restore.backends.tile_network import Denoise, DenoiseSliding, Measure, TileNetwork

DTYPES = {"fp32": torch.float32, "bf16": torch.bfloat16, "fp16": torch.float16}


class TorchBackend:
    """Channels-last, under autocast in bf16 or fp16; statistics stay in float32."""

    name = "torch"

    def __init__(self, network: AINDNet, *, device: str, precision: str, batch: int = 1) -> None:
        self.device = device
        self.precision = precision
        self.batch = batch
        self._network = TileNetwork(network).to(device).to(memory_format=torch.channels_last)  # type: ignore[call-overload]  # torch's stub lacks it
        self._denoise = Denoise(self._network)
        self._measure = Measure(self._network)

    @torch.inference_mode()
    def run(self, tiles: Array, statistics: Sequence[Given]) -> Array:
        """Denoise (B, 3, h, w) → (B, 6, h, w): the clean image, then the noise level."""
        inputs = [self._upload(each) for each in stack(statistics)]
        window = statistics[0]
        run = DenoiseSliding(self._network, window) if isinstance(window, int) else self._denoise
        with self._autocast():
            out: Tensor = run(self._tiles(tiles), *inputs)
        return out.cpu().numpy()

    @torch.inference_mode()
    def measure(self, tiles: Array) -> Array:
        """Mean and variance that each tile's own normalization uses: (B, 3, h, w) → (B, 2, C)."""
        with self._autocast():
            out: Tensor = self._measure(self._tiles(tiles))
        return out.cpu().numpy()

    def _autocast(self) -> torch.autocast:
        kind = torch.device(self.device).type
        return torch.autocast(kind, DTYPES[self.precision], enabled=self.precision != "fp32")

    def _tiles(self, tiles: Array) -> Tensor:
        return self._upload(tiles).contiguous(memory_format=torch.channels_last)

    def _upload(self, array: Array) -> Tensor:
        return torch.from_numpy(array).to(self.device)
