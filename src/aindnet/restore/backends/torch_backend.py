"""The network in PyTorch: on the CPU, CUDA or Apple's GPU."""

from __future__ import annotations

import copy

import torch
from torch import Tensor

from aindnet.network import AINDNet
from aindnet.restore.backends.base import Tiles

DTYPES = {"fp32": torch.float32, "bf16": torch.bfloat16, "fp16": torch.float16}


class TorchBackend:
    """Channels-last, under autocast in bf16 or fp16; statistics stay in float32."""

    name = "torch"

    def __init__(self, network: AINDNet, *, device: str, precision: str, batch: int = 1) -> None:
        self.device = device
        self.precision = precision
        self.batch = batch
        self._network = copy.deepcopy(network).eval().requires_grad_(False)
        self._network.to(device=device, memory_format=torch.channels_last)

    @torch.inference_mode()
    def run(self, tiles: Tiles) -> Tiles:
        """Denoise (B, 3, h, w) → (B, 6, h, w): the clean image, then the noise level."""
        x = torch.from_numpy(tiles).to(self.device).contiguous(memory_format=torch.channels_last)
        kind = x.device.type
        with torch.autocast(kind, DTYPES[self.precision], enabled=self.precision != "fp32"):
            out = self._network(x)
        both: Tensor = torch.cat([out.denoised.float(), out.noise_level.float()], dim=1)
        return both.cpu().numpy()
