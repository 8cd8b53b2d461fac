"""Adaptive instance normalization (AIN) and the residual block built on it.

Source: Kim et al., "Transfer Learning from Synthetic to Real-Noise Denoising with Adaptive Instance
Normalization", CVPR 2020, section 3.2 and the authors' released graph.
"""

from __future__ import annotations

from typing import Any, Literal, cast

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from aindnet.network.resampling import ResizeMode, average_pool, resize_bilinear

Modulation = Literal["ain", "concatenate", "gated", "none"]
Normalization = Literal["instance", "running", "none"]
MapResize = Literal["bilinear", "average"]

LEAKY_SLOPE = 0.02
EPSILON = 1e-5
RUNNING_MOMENTUM = 0.01


class InstanceNorm(nn.Module):
    """Normalise (B, C, H, W) per image and channel over H×W, with statistics in float32.

    A module without parameters, so that inference on tiles can put other statistics in its place.
    """

    def forward(self, x: Tensor) -> Tensor:
        """(B, C, H, W) → the same shape: zero mean and unit variance (biased, ε = 1e-5)."""
        if x.shape[-2:] == (1, 1):
            return torch.zeros_like(x)  # one value is its own mean; torch's refuses it
        normalised = F.instance_norm(x, eps=EPSILON)  # float32 statistics, whatever x's precision
        if x.is_contiguous(memory_format=torch.channels_last):
            return normalised.contiguous(memory_format=torch.channels_last)
        return normalised


class RunningNorm(nn.Module):
    """Normalise (B, C, H, W) by each channel's mean and variance over the training data.

    The same affine map for every image and at every place, so features keep how strong the noise
    is, a photo may be cut into tiles anywhere, and nothing has to be measured on it. In training,
    `own_batch` takes the batch's statistics instead (fast) while the running ones follow; without
    it the running ones are used as they are, as in inference. What lies further than `limit`
    deviations from the mean is cut off: constants do not bring what training never saw back to
    size, and it would grow from layer to layer.
    """

    mean: Tensor
    variance: Tensor

    def __init__(self, channels: int, limit: float | None = None) -> None:
        super().__init__()
        self.limit = limit
        self.own_batch = True
        self.seen = 0
        """Batches that the running statistics are of, while these are few; a plain mean then."""
        self.register_buffer("mean", torch.zeros(channels))
        self.register_buffer("variance", torch.ones(channels))

    def forward(self, x: Tensor) -> Tensor:
        """(B, C, H, W) → the same shape."""
        own = self.training and self.own_batch
        momentum = 0.0
        if own:
            self.seen += 1
            momentum = max(RUNNING_MOMENTUM, 1 / self.seen)
        normalised = F.batch_norm(
            x, self.mean, self.variance, training=own, momentum=momentum, eps=EPSILON
        )
        if self.limit is None:
            return normalised
        # What clamp gives, with a backward pass in one kernel: 6 % of a training step on the CPU.
        return F.hardtanh(normalised, -self.limit, self.limit)

    def constants(self) -> Tensor:
        """Mean and variance of the training data, (2, C)."""
        return torch.stack([self.mean, self.variance])

    def _load_from_state_dict(self, *state: Any, **more: Any) -> None:
        super()._load_from_state_dict(*state, **more)
        self.seen = round(1 / RUNNING_MOMENTUM)  # what is loaded is not of few


class Unnormalized(RunningNorm):
    """x as it is: constants of mean 0 and variance 1. What remains of AIN is its modulation.

    In inference x is cut off at ±`limit`, which training does not reach and need not pay for (a
    tenth of a step on a CPU).
    """

    def __init__(self, channels: int, limit: float | None = None) -> None:
        super().__init__(channels, limit)
        self.own_batch = False
        self.register_buffer("mean", torch.zeros(channels), persistent=False)
        self.register_buffer("variance", torch.full((channels,), 1 - EPSILON), persistent=False)

    def forward(self, x: Tensor) -> Tensor:
        """(B, C, H, W) → the same shape."""
        if self.limit is None or self.training:
            return x
        return F.hardtanh(x, -self.limit, self.limit)


class AdaptiveInstanceNorm(nn.Module):
    """AIN(x, n) = x̂·(1 + γ(n)) + β(n), with x̂ the instance-normalised x and n the noise map.

    γ and β are maps: n at x's size → conv 5×5 + ReLU → one conv 3×3 to both (2·C channels).
    `normalization` "running" takes x̂ from `RunningNorm` instead; with "none" it is x.
    """

    def __init__(
        self,
        channels: int,
        *,
        map_channels: int = 3,
        hidden: int = 64,
        one_plus_gamma: bool = True,
        gated: bool = False,
        normalization: Normalization = "instance",
        feature_limit: float | None = None,
    ) -> None:
        super().__init__()
        self.one_plus_gamma = one_plus_gamma
        self.gated = gated
        self.norm = normalizer(normalization, channels, feature_limit)
        self.conv = nn.Conv2d(map_channels, hidden, 5, padding=2)
        self.gamma_beta = nn.Conv2d(hidden, channels if gated else 2 * channels, 3, padding=1)
        # Noise levels are a few hundredths: the start makes them count, and γ and β small; none at
        # all where nothing brings features back to size.
        plain = normalization == "none"
        nn.init.kaiming_normal_(self.conv.weight, nonlinearity="relu")
        nn.init.normal_(self.gamma_beta.weight, std=0.0 if plain else 0.02)
        with torch.no_grad():
            self.conv.weight.mul_(5.0 if plain else 40.0)
            cast(Tensor, self.gamma_beta.bias).zero_()

    def modulation(self, noise_level: Tensor) -> Tensor:
        """γ and β, stacked: (B, map_channels, h, w) → (B, 2·C, h, w); the gate's (B, C, h, w)."""
        maps: Tensor = self.gamma_beta(F.relu(self.conv(noise_level)))
        return maps

    def forward(self, x: Tensor, noise_level: Tensor) -> Tensor:
        """Modulate x (B, C, H, W) by the map (B, map_channels, h, w).

        A map smaller than x gives γ and β at the map's size, upsampled afterwards to x's.
        """
        size = (x.shape[-2], x.shape[-1])
        maps = self.modulation(noise_level)
        normalised: Tensor = self.norm(x)
        if self.gated:
            return normalised * torch.sigmoid(resize_bilinear(maps, size))
        gamma, beta = maps.chunk(2, dim=1)
        if self.one_plus_gamma:
            gamma = gamma + 1
        # Apart and after the 1: the small maps are what is cut and added to, not the large ones.
        return torch.addcmul(resize_bilinear(beta, size), normalised, resize_bilinear(gamma, size))


class AINResBlock(nn.Module):
    """x + conv(act(AIN(conv(act(AIN(x, n))), n))), act = LeakyReLU(0.02), convs 3×3.

    `modulation` chooses the paper's module or one of its ablations: "concatenate" (plain instance
    norm, the map joined to the conv's input), "gated" (x̂·sigmoid(g(n))), "none" (plain instance
    norm, no map).
    """

    def __init__(
        self,
        channels: int,
        *,
        modulation: Modulation = "ain",
        map_channels: int = 3,
        hidden: int = 64,
        one_plus_gamma: bool = True,
        normalization: Normalization = "instance",
        feature_limit: float | None = None,
    ) -> None:
        super().__init__()
        self.mode = modulation
        extra = map_channels if modulation == "concatenate" else 0

        def norm() -> nn.Module:
            if modulation in ("none", "concatenate"):
                return normalizer(normalization, channels, feature_limit)
            return AdaptiveInstanceNorm(
                channels,
                map_channels=map_channels,
                hidden=hidden,
                one_plus_gamma=one_plus_gamma,
                gated=modulation == "gated",
                normalization=normalization,
                feature_limit=feature_limit,
            )

        self.norm1 = norm()
        self.conv1 = nn.Conv2d(channels + extra, channels, 3, padding=1)
        self.norm2 = norm()
        self.conv2 = nn.Conv2d(channels + extra, channels, 3, padding=1)
        if normalization == "none":
            start_plain(self.conv1)
            start_plain(self.conv2, 0.1)  # a block starts near the identity

    def forward(self, x: Tensor, noise_level: Tensor) -> Tensor:
        """(B, C, H, W) and its scale's map (B, 3, h, w) → (B, C, H, W)."""
        h = self._half(x, noise_level, self.norm1, self.conv1)
        return x + self._half(h, noise_level, self.norm2, self.conv2)

    def _half(self, x: Tensor, noise_level: Tensor, norm: nn.Module, conv: nn.Module) -> Tensor:
        h = norm(x) if self.mode in ("none", "concatenate") else norm(x, noise_level)
        h = F.leaky_relu(h, LEAKY_SLOPE)
        if self.mode == "concatenate":
            size = (x.shape[-2], x.shape[-1])
            h = torch.cat([h, resize_bilinear(noise_level, size).to(h.dtype)], dim=1)
        out: Tensor = conv(h)
        return out


def start_plain(conv: nn.Conv2d, share: float = 1.0) -> None:
    """He's initialisation times `share`, for networks that keep features at size by it alone."""
    nn.init.kaiming_normal_(conv.weight, nonlinearity="relu")
    with torch.no_grad():
        conv.weight.mul_(share)
        if conv.bias is not None:
            conv.bias.zero_()


def normalizer(kind: Normalization, channels: int, limit: float | None = None) -> nn.Module:
    """The module that makes x̂ of x."""
    if kind == "none":
        return Unnormalized(channels, limit)
    return RunningNorm(channels, limit) if kind == "running" else InstanceNorm()


def map_at_scale(
    noise_level: Tensor, size: tuple[int, int], method: MapResize, mode: ResizeMode
) -> Tensor:
    """The full-size noise map (B, 3, H, W) brought down to a scale's size.

    "bilinear" as in the released graph, "average" (average pooling) as in the paper.
    """
    if method == "bilinear" or noise_level.shape[-2:] == size:
        return resize_bilinear(noise_level, size, mode)
    # Plain integers: a tracer's are tensors, which cannot be rounded.
    factor = round(int(noise_level.shape[-2]) / int(size[0]))
    return average_pool(noise_level, factor, mode)
