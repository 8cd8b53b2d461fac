"""The network rearranged for tiles: statistics from outside, and arithmetic that need not repeat.

Exact rearrangements: the first convolutions of all AIN modules that read the same map are one
convolution, the 1 of 1 + γ is in a bias, and statistics from training are in the filters of γ and
β. What instance normalization takes from the tile is either measured inside, or given, so that the
same tile always gets the same result.
"""

from __future__ import annotations

import copy
from typing import cast

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from aindnet.network import AdaptiveInstanceNorm, AINDNet, AINResBlock, RunningNorm
from aindnet.network.adaptive_norm import EPSILON, LEAKY_SLOPE
from aindnet.network.resampling import resize_bilinear
from aindnet.network.smoothing import Smoother
from aindnet.network.trunk import Trunk
from aindnet.restore.backends.layer_statistics import (
    GivenStatistics,
    OwnStatistics,
    SlidingStatistics,
    Statistics,
)

GROUPS = ("encoder1", "encoder2", "encoder3", "decoder2", "decoder1")
"""The block lists in the order they run."""


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
            self.convs = nn.Conv2d(
                first.in_channels,
                first.out_channels * len(norms),
                5,
                padding=2,
                padding_mode=first.padding_mode,
            )
            self.convs.weight.data = torch.cat([norm.conv.weight.data for norm in norms])
            biases = [norm.conv.bias for norm in norms if norm.conv.bias is not None]
            self.convs.bias = nn.Parameter(torch.cat([bias.data for bias in biases]))
        for norm in norms:
            if norm.one_plus_gamma and not norm.gated and norm.gamma_beta.bias is not None:
                norm.gamma_beta.bias.data[: norm.gamma_beta.out_channels // 2] += 1
            if is_folded(norm):
                fold_statistics(norm)


def is_folded(norm: nn.Module) -> bool:
    """Whether the layer's mean and variance can go into its γ and β."""
    return (
        isinstance(norm, AdaptiveInstanceNorm)
        and isinstance(norm.norm, RunningNorm)
        and not norm.gated
    )


@torch.no_grad()
def fold_statistics(norm: AdaptiveInstanceNorm) -> None:
    """x̂·g + β with x̂ = s·x + t is x·(s·g) + (β + t·g): filters that give both products.

    Where x̂ is cut off, x is, at the bounds that are kept beside the statistics.
    """
    running = cast(RunningNorm, norm.norm)
    mean, variance = running.constants()
    if running.limit is not None:
        reach = running.limit * torch.sqrt(variance + EPSILON)
        for name, bound in (("lowest", mean - reach), ("highest", mean + reach)):
            running.register_buffer(name, bound.view(1, -1, 1, 1), persistent=False)
    scale = torch.rsqrt(variance + EPSILON)
    shift = -mean * scale
    layer = norm.gamma_beta
    for values in (layer.weight.data, cast(Tensor, layer.bias).data):
        gain, beta = values.chunk(2)  # views of the layer's own
        like = (-1, *(1,) * (values.dim() - 1))
        beta += shift.view(like) * gain
        gain *= scale.view(like)


class TileTrunk(Trunk):
    """A trunk whose blocks take their statistics from outside."""

    statistics: Statistics
    runs_on_constants: bool
    statistic_channels: int

    def rearrange(self) -> None:
        """Put the rearranged blocks in the place of the trunk's."""
        self.statistics = OwnStatistics()
        channels = 0
        for name in GROUPS:
            blocks = cast(nn.ModuleList, getattr(self, name))
            setattr(self, name, BlockGroup(blocks, channels))
            channels += sum(2 * cast(AINResBlock, block).conv1.out_channels for block in blocks)
        self.statistic_channels = channels
        self.runs_on_constants = self.config.constant_statistics

    def _run(
        self, blocks: nn.Module, x: Tensor, map1: Tensor, scale: int, stem: tuple[int, int]
    ) -> Tensor:
        group = cast(BlockGroup, blocks)
        noise_level = self._map_for(x, map1, scale, stem)
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
        normalised = x
        if self.runs_on_constants:
            running = cast(
                RunningNorm, norm.norm if isinstance(norm, AdaptiveInstanceNorm) else norm
            )
            if not is_folded(norm):
                normalised = running(x)
            elif running.limit is not None:
                bounds = (cast(Tensor, getattr(running, name)) for name in ("lowest", "highest"))
                normalised = torch.clamp(x, *(bound.to(x.dtype) for bound in bounds))
        else:
            scale, shift = self.statistics.affine(x, first)
            normalised = torch.addcmul(shift, x, scale)
        if hidden is None or not isinstance(norm, AdaptiveInstanceNorm):
            return F.leaky_relu(normalised, LEAKY_SLOPE)
        maps, size = norm.gamma_beta(hidden), (x.shape[-2], x.shape[-1])
        if norm.gated:
            return F.leaky_relu(
                normalised * torch.sigmoid(resize_bilinear(maps, size)), LEAKY_SLOPE
            )
        # Apart before they are resized: the small maps are what is cut, not the large ones.
        halves = maps if isinstance(maps, tuple) else maps.chunk(2, dim=1)
        gamma, beta = (resize_bilinear(each, size) for each in halves)
        return F.leaky_relu(torch.addcmul(beta, normalised, gamma), LEAKY_SLOPE)

    def _convolve(
        self, block: AINResBlock, conv: nn.Conv2d, h: Tensor, noise_level: Tensor
    ) -> Tensor:
        if block.mode == "concatenate":
            size = (h.shape[-2], h.shape[-1])
            h = torch.cat([h, resize_bilinear(noise_level, size).to(h.dtype)], dim=1)
        out: Tensor = conv(h)
        return out


class TileSmoother(TileTrunk, Smoother):
    """`Smoother` for tiles; its statistics are constants."""

    def __init__(self, smoother: Smoother) -> None:
        super().__init__(smoother.config)
        self.load_state_dict({k: v.detach().clone() for k, v in smoother.state_dict().items()})
        self.rearrange()


class TileNetwork(TileTrunk, AINDNet):
    """`AINDNet` with the same weights, whose blocks take their statistics from outside."""

    def __init__(self, network: AINDNet) -> None:
        super().__init__(network.config)
        self.load_state_dict({k: v.detach().clone() for k, v in network.state_dict().items()})
        self.rearrange()
        if self.smoother is not None:
            self.smoother = TileSmoother(self.smoother)
            self.statistic_channels += self.smoother.statistic_channels
        self.eval().requires_grad_(False)

    def residual(self, tiles: Tensor, statistics: Statistics) -> Tensor:
        """Tiles (B, C, h, w), h and w aligned → (B, 2·C, h, w): residual, noise level.

        The residual without the tile: in bf16 their sum would be rounded to 1/512.
        """
        self.statistics = statistics
        found = self.restoration(tiles)
        return torch.cat([found.residual.float(), found.noise_level.float()], dim=1)

    def with_means_kept(self, residual: Tensor, noise_level: Tensor) -> Tensor:
        """As in `AINDNet`, in float32."""
        return super().with_means_kept(residual.float(), noise_level.float())

    def constants(self) -> Tensor:
        """Mean and variance of a network whose statistics are constants, (2, channels)."""
        norms = [m.constants() for m in self.modules() if isinstance(m, RunningNorm)]
        return torch.cat(norms, dim=1)


class GammaBeta(nn.Module):
    """The last convolution of an AIN, or one in eight bits, as two: γ's and β's."""

    def __init__(self, both: nn.Module) -> None:
        super().__init__()
        self.gamma, self.beta = (self._half(both, half) for half in (0, 1))

    @staticmethod
    def _half(both: nn.Module, half: int) -> nn.Module:
        """All that it has for each of its outputs, of one half of them."""
        layer, outputs = copy.deepcopy(both), len(cast(Tensor, both.weight))
        for values in (*layer.parameters(), *layer.buffers()):
            if values.shape[:1] == (outputs,):
                values.data = values.data.chunk(2)[half].clone()
        return layer

    def forward(self, hidden: Tensor) -> tuple[Tensor, Tensor]:
        """(B, hidden, h, w) → γ and β, (B, C, h, w) each."""
        return self.gamma(hidden), self.beta(hidden)


def split_modulation(network: TileNetwork) -> None:
    """Make γ and β two convolutions each, for graphs: runtimes copy the maps that they cut in two,
    where PyTorch reads them in place and is the faster for one convolution.
    """
    for norm in list(network.modules()):
        if isinstance(norm, AdaptiveInstanceNorm) and not norm.gated:
            norm.gamma_beta = GammaBeta(norm.gamma_beta)  # type: ignore[assignment]


class OwnPass(nn.Module):
    """Tiles (B, C, h, w), each normalised by its own statistics, as in training.

    Gives (B, 2·C, h, w), the residual to add to the tile and the noise level, and the mean and
    variance of every layer's channels, (B, 2, channels).
    """

    def __init__(self, network: TileNetwork) -> None:
        super().__init__()
        self.network = network

    def forward(self, tiles: Tensor) -> tuple[Tensor, Tensor]:
        """See the class."""
        own = OwnStatistics()
        result = self.network.residual(tiles, own)
        if self.network.runs_on_constants:
            return result, self.network.constants().expand(tiles.shape[0], -1, -1)
        return result, torch.cat(own.mean_and_variance, dim=2)


class GivenPass(nn.Module):
    """Tiles (B, C, h, w) with statistics from outside → (B, 2·C, h, w), residual, noise level."""

    def __init__(self, network: TileNetwork) -> None:
        super().__init__()
        self.network = network

    def forward(
        self,
        tiles: Tensor,
        grid: Tensor,
        rows: Tensor | None = None,
        columns: Tensor | None = None,
    ) -> Tensor:
        """`grid`, `rows` and `columns` as in `GivenStatistics`."""
        return self.network.residual(tiles, GivenStatistics(grid, rows, columns))


class SlidingPass(nn.Module):
    """As `GivenPass`, with `SlidingStatistics` of a fixed window."""

    def __init__(self, network: TileNetwork, window: int) -> None:
        super().__init__()
        self.network = network
        self.window = window

    def forward(self, tiles: Tensor) -> Tensor:
        """See `GivenPass`."""
        return self.network.residual(tiles, SlidingStatistics(self.window, tiles.shape[2]))
