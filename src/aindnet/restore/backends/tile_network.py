"""The network rearranged for tiles: statistics from outside, and arithmetic that need not repeat.

Exact rearrangements: the first convolutions of all AIN modules that read the same map are one
convolution, and the 1 of 1 + γ is in a bias. What instance normalization takes from the tile is
either measured inside, or given, so that the same tile always gets the same result.
"""

from __future__ import annotations

import math
from typing import Protocol, cast

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from aindnet.network import AdaptiveInstanceNorm, AINDNet, AINResBlock
from aindnet.network.adaptive_norm import EPSILON, LEAKY_SLOPE, map_at_scale
from aindnet.network.resampling import resize_bilinear

GROUPS = ("encoder1", "encoder2", "encoder3", "decoder2", "decoder1")
"""The block lists in the order they run."""


class Statistics(Protocol):
    """Where a normalization layer has its mean and variance from."""

    def affine(self, x: Tensor, first: int) -> tuple[Tensor, Tensor]:
        """Scale and shift that normalise x (B, C, H, W); its channels start at `first` of all."""


class OwnStatistics:
    """Each tile's own mean and variance, in float32, kept in the order of the layers."""

    def __init__(self) -> None:
        self.mean_and_variance: list[Tensor] = []

    def affine(self, x: Tensor, first: int) -> tuple[Tensor, Tensor]:
        """(B, C, 1, 1) each."""
        variance, mean = torch.var_mean(x.float(), dim=(2, 3), keepdim=True, correction=0)
        self.mean_and_variance.append(torch.stack([mean, variance], dim=1)[..., 0, 0])
        scale = torch.rsqrt(variance + EPSILON)
        return scale.to(x.dtype), (-mean * scale).to(x.dtype)


class GivenStatistics:
    """Scale and shift for all layers, (B, 2, channels, gh, gw): one each (gh = gw = 1), or a grid.

    A grid is interpolated by the weights `rows` (B, H, gh) and `columns` (B, W, gw), given at the
    tile's own resolution and averaged down for coarser layers.
    """

    def __init__(
        self, grid: Tensor, rows: Tensor | None = None, columns: Tensor | None = None
    ) -> None:
        self._grid = grid
        self._rows = rows
        self._columns = columns

    def affine(self, x: Tensor, first: int) -> tuple[Tensor, Tensor]:
        """(B, C, 1, 1) or (B, C, H, W) each."""
        layer = self._grid[:, :, first : first + x.shape[1]]  # (B, 2, C, gh, gw)
        if self._rows is not None and self._columns is not None:
            rows = _average_down(self._rows, x.shape[2])[:, None, None]  # (B, 1, 1, h, gh)
            columns = _average_down(self._columns, x.shape[3])[:, None, None]
            layer = rows @ layer @ columns.transpose(-1, -2)  # (B, 2, C, h, w)
        return layer[:, 0].to(x.dtype), layer[:, 1].to(x.dtype)


class SlidingStatistics:
    """Around each pixel the box of `window` image pixels, cut at the tile's edge (after TLC).

    Box means are in float32, of cells an eighth of the window wide, and interpolated in between.
    """

    def __init__(self, window: int, tile_height: int) -> None:
        self._window = window
        self._tile_height = tile_height

    def affine(self, x: Tensor, first: int) -> tuple[Tensor, Tensor]:
        """(B, C, H, W) each."""
        size = (x.shape[2], x.shape[3])
        wanted = max(self._window * size[0] // self._tile_height // 8, 1)
        cell = math.gcd(wanted, *size)
        x32 = F.avg_pool2d(torch.cat([x.float(), x.float().square()], dim=1), cell)
        half = max(self._window * size[0] // self._tile_height // cell // 2, 1)
        half = min(half, min(x32.shape[2:]) // 2)
        box = F.avg_pool2d(x32, 2 * half + 1, 1, half, count_include_pad=False)
        mean, square = box.chunk(2, dim=1)
        scale = torch.rsqrt((square - mean.square()).clamp(min=0) + EPSILON)
        affine = resize_bilinear(torch.cat([scale, -mean * scale], dim=1), size).to(x.dtype)
        both = affine.chunk(2, dim=1)
        return both[0], both[1]


def _average_down(weights: Tensor, size: int) -> Tensor:
    """(B, n·size, g) → (B, size, g): linear interpolation at the centres of n pixels."""
    factor = weights.shape[1] // size
    return weights.reshape(weights.shape[0], size, factor, weights.shape[2]).mean(dim=2)


class BlockGroup(nn.Module):
    """Blocks of one scale that run in a row; `convs` is their AINs' first convolutions in one."""

    def __init__(self, blocks: nn.ModuleList, first_channel: int) -> None:
        super().__init__()
        self.blocks = blocks
        self.first_channel = first_channel
        norms = [
            n for b in blocks for n in (b.norm1, b.norm2) if isinstance(n, AdaptiveInstanceNorm)
        ]
        self.convs: nn.Conv2d | None = None
        if norms:
            first = norms[0].conv
            self.convs = nn.Conv2d(first.in_channels, first.out_channels * len(norms), 5, padding=2)
            self.convs.weight.data = torch.cat([norm.conv.weight.data for norm in norms])
            biases = [norm.conv.bias for norm in norms if norm.conv.bias is not None]
            self.convs.bias = nn.Parameter(torch.cat([bias.data for bias in biases]))
        for norm in norms:
            if norm.one_plus_gamma and not norm.gated and norm.gamma_beta.bias is not None:
                norm.gamma_beta.bias.data[: norm.gamma_beta.out_channels // 2] += 1


class TileNetwork(AINDNet):
    """`AINDNet` with the same weights; its blocks take their statistics from `self.statistics`."""

    def __init__(self, network: AINDNet) -> None:
        super().__init__(network.config)
        self.load_state_dict({k: v.detach().clone() for k, v in network.state_dict().items()})
        self.statistics: Statistics = OwnStatistics()
        channels = 0
        for name in GROUPS:
            blocks = cast(nn.ModuleList, getattr(self, name))
            setattr(self, name, BlockGroup(blocks, channels))
            channels += sum(2 * cast(AINResBlock, block).conv1.out_channels for block in blocks)
        self.statistic_channels = channels
        self.eval().requires_grad_(False)

    def _run(self, blocks: nn.Module, x: Tensor, map1: Tensor, scale: int) -> Tensor:
        group = cast(BlockGroup, blocks)
        stride = self.config.modulation_stride
        if stride > scale:
            size = (-(-map1.shape[-2] // stride), -(-map1.shape[-1] // stride))
        else:
            size = (x.shape[-2], x.shape[-1])
        noise_level = map_at_scale(map1, size, self.config.map_resize, self.config.resize)
        hidden: tuple[Tensor, ...] = ()
        if group.convs is not None:
            hidden = F.relu(group.convs(noise_level)).chunk(2 * len(group.blocks), dim=1)
        first = group.first_channel
        for index, block in enumerate(group.blocks):
            block = cast(AINResBlock, block)
            channels = x.shape[1]
            maps1, maps2 = hidden[2 * index : 2 * index + 2] if hidden else (None, None)
            h = self._normalise(x, block.norm1, maps1, first)
            h = self._convolve(block, block.conv1, h, noise_level)
            h = self._normalise(h, block.norm2, maps2, first + channels)
            x = x + self._convolve(block, block.conv2, h, noise_level)
            first += 2 * channels
        return x

    def _normalise(self, x: Tensor, norm: nn.Module, hidden: Tensor | None, first: int) -> Tensor:
        scale, shift = self.statistics.affine(x, first)
        normalised = torch.addcmul(shift, x, scale)
        if hidden is None or not isinstance(norm, AdaptiveInstanceNorm):
            return F.leaky_relu(normalised, LEAKY_SLOPE)
        maps = resize_bilinear(norm.gamma_beta(hidden), (x.shape[-2], x.shape[-1]))
        if norm.gated:
            return F.leaky_relu(normalised * torch.sigmoid(maps), LEAKY_SLOPE)
        gamma, beta = maps.chunk(2, dim=1)
        return F.leaky_relu(torch.addcmul(beta, normalised, gamma), LEAKY_SLOPE)

    def _convolve(
        self, block: AINResBlock, conv: nn.Conv2d, h: Tensor, noise_level: Tensor
    ) -> Tensor:
        if block.mode == "concatenate":
            size = (h.shape[-2], h.shape[-1])
            h = torch.cat([h, resize_bilinear(noise_level, size).to(h.dtype)], dim=1)
        out: Tensor = conv(h)
        return out


class Denoise(nn.Module):
    """Tiles (B, C, h, w) → (B, 2·C, h, w): the clean image, then the noise level.

    Statistics are each tile's own where none are given.
    """

    def __init__(self, network: TileNetwork) -> None:
        super().__init__()
        self.network = network

    def forward(
        self,
        tiles: Tensor,
        grid: Tensor | None = None,
        rows: Tensor | None = None,
        columns: Tensor | None = None,
    ) -> Tensor:
        """`grid`, `rows` and `columns` as in `GivenStatistics`."""
        self.network.statistics = (
            OwnStatistics() if grid is None else GivenStatistics(grid, rows, columns)
        )
        out = self.network(tiles)
        return torch.cat([out.denoised.float(), out.noise_level.float()], dim=1)


class DenoiseSliding(nn.Module):
    """As `Denoise`, with `SlidingStatistics` of a fixed window."""

    def __init__(self, network: TileNetwork, window: int) -> None:
        super().__init__()
        self.network = network
        self.window = window

    def forward(self, tiles: Tensor) -> Tensor:
        """(B, C, h, w) → (B, 2·C, h, w)."""
        self.network.statistics = SlidingStatistics(self.window, tiles.shape[2])
        out = self.network(tiles)
        return torch.cat([out.denoised.float(), out.noise_level.float()], dim=1)


class Measure(nn.Module):
    """Tiles (B, C, h, w) → mean and variance of every layer's channels, (B, 2, channels)."""

    def __init__(self, network: TileNetwork) -> None:
        super().__init__()
        self.network = network

    def forward(self, tiles: Tensor) -> Tensor:
        """Each tile is normalised by its own statistics, as in training."""
        own = OwnStatistics()
        self.network.statistics = own
        self.network(tiles)
        return torch.cat(own.mean_and_variance, dim=2)
