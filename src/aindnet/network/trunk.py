"""The denoiser's trunk: encoder, decoder and head, every block modulated by a map.

Source: Kim et al., CVPR 2020, figure 2, and the authors' released graph.
"""

from __future__ import annotations

from typing import cast

import torch.nn.functional as F
from torch import Tensor, nn

from aindnet.network.adaptive_norm import AINResBlock, map_at_scale, start_plain
from aindnet.network.config import AINDNetConfig
from aindnet.network.resampling import average_pool


class Trunk(nn.Module):
    """Features at three scales, from a stem-size input and a map to the head's channels."""

    def __init__(
        self,
        config: AINDNetConfig,
        *,
        image_channels: int,
        map_channels: int,
        modulation_channels: int,
    ) -> None:
        """`image_channels` a pixel that it sees; `map_channels` of the map that modulates it."""
        super().__init__()
        self.config = config
        c1, c2, c3 = config.channels
        e1, e2, e3 = config.encoder_blocks
        d2, d1 = config.decoder_blocks

        def blocks(count: int, channels: int, scale: int) -> nn.ModuleList:
            return nn.ModuleList(
                AINResBlock(
                    channels,
                    modulation=config.modulation,
                    map_channels=map_channels,
                    hidden=modulation_channels * (scale if config.scale_modulation_channels else 1),
                    one_plus_gamma=config.one_plus_gamma,
                    normalization=config.normalization,
                    feature_limit=config.feature_limit,
                )
                for _ in range(count)
            )

        self.stem1 = nn.Conv2d(image_channels * config.unshuffle**2, c1, 3, padding=1)
        self.encoder1 = blocks(e1, c1, 1)
        self.stem2 = nn.Conv2d(c1, c2, 3, padding=1)
        self.encoder2 = blocks(e2, c2, 2)
        self.stem3 = nn.Conv2d(c2, c3, 3, padding=1)
        self.encoder3 = blocks(e3, c3, 4)
        self.up2 = nn.ConvTranspose2d(c3, c2, 2, stride=2, bias=False)
        self.skip2 = ResBlock(c2)
        self.decoder2 = blocks(d2, c2, 2)
        self.up1 = nn.ConvTranspose2d(c2, c1, 2, stride=2, bias=False)
        self.skip1 = ResBlock(c1)
        self.decoder1 = blocks(d1, c1, 1)
        self.head = nn.Conv2d(c1, config.image_channels * config.unshuffle**2, 1)
        for layer in self.modules():
            if isinstance(layer, nn.Conv2d):
                layer.padding_mode = config.padding
        if config.normalization == "none":
            for plain in (self.stem1, self.stem2, self.stem3):
                start_plain(plain)
            for block in (self.skip2, self.skip1):
                start_plain(block.conv1)
                start_plain(block.conv2, 0.1)
        nn.init.zeros_(self.head.weight)  # training starts from the photo as it is
        nn.init.zeros_(cast(Tensor, self.head.bias))

    def residual_under(self, x: Tensor, map1: Tensor) -> Tensor:
        """The residual of an unshuffled photo (B, image_channels·u², H, W) under the map
        (B, map_channels, h, w), (B, C, H·u, W·u).
        """
        mode = self.config.resize
        size1 = (x.shape[-2], x.shape[-1])
        x1 = F.relu(self.stem1(x))  # (B, 64, H, W)
        x1 = self._run(self.encoder1, x1, map1, 1, size1)
        x2 = F.relu(self.stem2(average_pool(x1, 2, mode)))  # (B, 128, H/2, W/2)
        x2 = self._run(self.encoder2, x2, map1, 2, size1)
        x3 = F.relu(self.stem3(average_pool(x2, 2, mode)))  # (B, 256, H/4, W/4)
        x3 = self._run(self.encoder3, x3, map1, 4, size1)
        y2 = self.skip2(x2) + self.up2(x3)[..., : x2.shape[-2], : x2.shape[-1]]
        y2 = self._run(self.decoder2, y2, map1, 2, size1)  # (B, 128, H/2, W/2)
        y1 = self.skip1(x1) + self.up1(y2)[..., : size1[0], : size1[1]]
        y1 = self._run(self.decoder1, y1, map1, 1, size1)  # (B, 64, H, W)
        return F.pixel_shuffle(self.head(y1), self.config.unshuffle)

    def _run(
        self, blocks: nn.ModuleList, x: Tensor, map1: Tensor, scale: int, stem: tuple[int, int]
    ) -> Tensor:
        """A scale's blocks, with the map at the size that its modulation is computed at."""
        noise_level = self._map_for(x, map1, scale, stem)
        for block in blocks:
            x = block(x, noise_level)
        return x

    def _map_for(self, x: Tensor, map1: Tensor, scale: int, stem: tuple[int, int]) -> Tensor:
        """The map at the size that the modulation of a scale, whose features x are, is made at."""
        stride = self.config.modulation_stride
        size = (x.shape[-2], x.shape[-1])
        if stride > scale:
            size = ((stem[0] + stride - 1) // stride, (stem[1] + stride - 1) // stride)
        return map_at_scale(map1, size, self.config.map_resize, self.config.resize)


class ResBlock(nn.Module):
    """The plain residual block that a skip connection passes through: x + conv(ReLU(conv(x)))."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(channels, channels, 3, padding=1)
        self.conv2 = nn.Conv2d(channels, channels, 3, padding=1)

    def forward(self, x: Tensor) -> Tensor:
        """(B, C, H, W) → (B, C, H, W)."""
        out: Tensor = x + self.conv2(F.relu(self.conv1(x)))
        return out
