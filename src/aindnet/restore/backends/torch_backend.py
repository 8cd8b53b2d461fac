"""The network in PyTorch: on the CPU, CUDA or Apple's GPU."""

from __future__ import annotations

import threading
from collections.abc import Sequence

import torch
from torch import Tensor

from aindnet.network import AINDNet
from aindnet.restore.backends.base import Array, Given, stack
from aindnet.restore.backends.tile_network import GivenPass, OwnPass, SlidingPass, TileNetwork

DTYPES = {"fp32": torch.float32, "bf16": torch.bfloat16, "fp16": torch.float16}


class TorchBackend:
    """Channels-last, under autocast in bf16 or fp16; statistics stay in float32."""

    name = "torch"

    def __init__(self, network: AINDNet, *, device: str, precision: str, batch: int = 1) -> None:
        self.device = device
        self.precision = precision
        self.batch = batch
        self._network = TileNetwork(network).to(device).to(memory_format=torch.channels_last)  # type: ignore[call-overload]  # torch's stub lacks it
        self._lock = threading.Lock()  # a pass keeps its statistics in the network
        self._own = OwnPass(self._network)
        self._given = GivenPass(self._network)

    @torch.inference_mode()
    def run(self, tiles: Array, statistics: Sequence[Given]) -> Array:
        """See `Backend`."""
        inputs = [self._tiles(tiles), *(self._upload(each) for each in stack(statistics))]
        with self._lock, self._autocast():
            result: Tensor
            if isinstance(statistics[0], int):
                result = SlidingPass(self._network, statistics[0])(*inputs)
            elif statistics[0] == "own":
                result = self._own(*inputs)[0]
            else:
                result = self._given(*inputs)
        result[:, : tiles.shape[1]] += inputs[0]
        return result.cpu().numpy()

    @torch.inference_mode()
    def measure(self, tiles: Array) -> Array:
        """See `Backend`."""
        with self._lock, self._autocast():
            measured: Tensor = self._own(self._tiles(tiles))[1]
        return measured.cpu().numpy()

    def _autocast(self) -> torch.autocast:
        kind = torch.device(self.device).type
        return torch.autocast(kind, DTYPES[self.precision], enabled=self.precision != "fp32")

    def _tiles(self, tiles: Array) -> Tensor:
        return self._upload(tiles).contiguous(memory_format=torch.channels_last)

    def _upload(self, array: Array) -> Tensor:
        return torch.from_numpy(array).to(self.device)
