"""AINDNet: the whole network, top to bottom as in the paper's figure 2.

Source: Kim, Soh, Park, Cho, CVPR 2020 (arXiv 2002.11244). Where the paper and the authors' released
graph differ, the released graph is the default and the paper's reading is a field of the config.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, NamedTuple, cast, get_args

import torch.nn.functional as F
from torch import Tensor, nn

from aindnet.network.adaptive_norm import (
    AINResBlock,
    MapResize,
    Modulation,
    Normalization,
    map_at_scale,
    start_plain,
)
from aindnet.network.noise_estimator import NoiseLevelEstimator
from aindnet.network.places import (
    CELL,
    TEXTURE,
    TEXTURE_AGAIN,
    credibility,
    found_level,
    noise_share,
    softness,
    without_local_means,
)
from aindnet.network.resampling import ResizeMode, average_pool, pad_to_multiple, resize_bilinear

Padding = Literal["zeros", "replicate"]
SCALES = {"channels": 3, "encoder_blocks": 3, "decoder_blocks": 2}
KINDS = {
    "modulation": get_args(Modulation),
    "normalization": get_args(Normalization),
    "map_resize": get_args(MapResize),
    "resize": get_args(ResizeMode),
    "padding": get_args(Padding),
}


@dataclass(frozen=True)
class AINDNetConfig:
    """Every choice of the architecture; the default is the released graph (13,764,014 weights)."""

    image_channels: int = 3
    """3 for RGB, 1 for grey."""
    channels: tuple[int, int, int] = (64, 128, 256)
    """Feature channels at scales 1, 1/2 and 1/4."""
    encoder_blocks: tuple[int, int, int] = (2, 2, 5)
    """AIN ResBlocks of the encoder at each scale."""
    decoder_blocks: tuple[int, int] = (3, 2)
    """AIN ResBlocks of the decoder at scales 1/2 and 1."""
    modulation: Modulation = "ain"
    """How the noise map acts: "ain", or an ablation: "concatenate", "gated", "none"."""
    normalization: Normalization = "instance"
    """Where mean and variance come from: each image and channel (AIN), or "running": the training
    data (`RunningNorm`); or "none": features as they are, and of AIN its modulation alone."""
    modulation_channels: int = 64
    """Width of the first convolution of an AIN."""
    scale_modulation_channels: bool = False
    """True: that width times 1, 2, 4 with the scale (paper); False: the same at all (released)."""
    one_plus_gamma: bool = True
    """True: x̂·(1+γ)+β (released graph); False: x̂·γ+β (paper)."""
    modulation_stride: int = 1
    """γ and β are computed at 1/stride of the stem's size where that is coarser than the scale
    itself, and upsampled: the map is smooth, and this saves most of the modulation's arithmetic."""
    map_limit: float | None = None
    """Largest noise level ([0, 1] scale) that the modulation is given; None: any. Under statistics
    from training, γ that grows with the map has nothing to bring features back to size."""
    feature_limit: float | None = None
    """Not with "instance": deviations from the mean at which x̂ is cut off; None: none.
    Pictures of a kind that training never saw can leave all bounds without it."""
    mean_limit: float | None = None
    """Noise level ([0, 1] scale) up to which the photo's means over some 32 pixels are kept (see
    `without_local_means`): averaged over so many, weak noise is no longer seen, and what a network
    changes there is a shift of colour. None: they are the network's, as in the paper."""
    half_pass: float | None = None
    """Run the same weights once more over the result at half the size, and add what they change
    where the photo is soft: where its finest octave has up to about this share of the next one's
    power (see `softness`), and the change is no more than noise can have left (`credibility`).
    Photos at full resolution are soft, and noise that noise reduction and JPEG made coarse is
    better seen there. None: one pass, as in the paper. Not with "instance"."""
    looks: int = 1
    """2: run all of it once more over the result, turned, and add what that changes; where the
    result still looks as noisy as the photo did it was texture, and it is kept (see `noise_share`).
    The noise level is then measured on what was taken (`found_level`), not only the estimator's.
    1: as in the paper. Not with "instance"."""
    estimator_channels: int = 32
    """Width of the noise-level estimator."""
    coarse_stride: int = 8
    """σ̂ coarse at 1/8 (released graph) or 1/4 (paper) of the photo's size."""
    map_resize: MapResize = "bilinear"
    """How the map comes to a scale: "bilinear" (released graph) or "average" pooling (paper)."""
    resize: ResizeMode = "half_pixel"
    """"tf1": legacy resize and SAME pooling, to run the authors' checkpoint exactly."""
    padding: Padding = "zeros"
    """What convolutions see beyond the border: zeros (released graph), or the outermost pixel. AIN
    gives features large constants, and zeros beside them make a border that outweighs the picture
    in the instance statistics, the more so the smaller the patch."""
    unshuffle: int = 1
    """Pixel-unshuffle factor of the stem: 2 moves every scale down by two (the fast variant)."""

    def __post_init__(self) -> None:
        for name in ("channels", "encoder_blocks", "decoder_blocks"):
            # JSON and YAML know lists only.
            value, scales = tuple(getattr(self, name)), SCALES[name]
            if len(value) != scales:
                raise ValueError(f"{name} must be {scales} numbers, not {len(value)}")
            object.__setattr__(self, name, value)
        widths = (*self.channels, self.modulation_channels, self.estimator_channels)
        if min(*widths, self.modulation_stride) < 1 or self.image_channels not in (1, 3):
            raise ValueError(
                "channels and modulation_stride must be at least 1, image_channels 1 or 3"
            )
        if min(*self.encoder_blocks, *self.decoder_blocks) < 0:
            raise ValueError("encoder_blocks and decoder_blocks must be 0 or above")
        for name, kinds in KINDS.items():
            if getattr(self, name) not in kinds:
                raise ValueError(f"{name} {getattr(self, name)!r}: choose {', '.join(kinds)}")
        for name in ("map_limit", "feature_limit", "mean_limit", "half_pass"):
            limit = getattr(self, name)
            if limit is not None and not limit > 0:
                raise ValueError(f"{name} must be above 0, or None")
        if self.feature_limit is not None and self.normalization == "instance":
            raise ValueError('feature_limit is not for normalization="instance"')
        if self.looks not in (1, 2):
            raise ValueError("looks must be 1 or 2")
        if (self.half_pass is not None or self.looks > 1) and (
            self.normalization == "instance" or self.resize == "tf1"
        ):
            raise ValueError(
                'half_pass and looks=2 are not for normalization="instance" (each pass would have '
                'statistics of its own), nor for resize="tf1"'
            )
        if self.coarse_stride not in (4, 8) or self.unshuffle not in (1, 2, 4):
            raise ValueError("coarse_stride must be 4 or 8, and unshuffle 1, 2 or 4")
        if self.unshuffle > 1 and self.resize == "tf1":
            raise ValueError('resize="tf1" is for the released graph, which has no unshuffle')

    @property
    def constant_statistics(self) -> bool:
        """Whether the same mean and variance serve every image: nothing is measured on it."""
        return self.normalization != "instance"


class AINDNetOutput(NamedTuple):
    """What a forward pass gives."""

    denoised: Tensor
    """(B, C, H, W): input + residual, not clipped."""
    noise_level: Tensor
    """(B, C, H, W): estimated standard deviation of the noise on the [0, 1] scale; with `looks` of
    2 the one measured on what was taken (`places.found_level`), which no gradient goes through."""
    noise_level_coarse: Tensor
    """(B, C, h, w): σ̂ coarse, before upsampling; the first look's."""
    noise_level_fine: Tensor
    """(B, C, H', W'): σ̂ fine, at the stem's resolution."""


class Restoration(NamedTuple):
    """What a network finds in a photo (B, C, H, W)."""

    residual: Tensor
    """(B, C, H, W), to be added to the photo."""
    noise_level: Tensor
    """(B, C, H, W), σ̂ on the [0, 1] scale."""
    noise_level_coarse: Tensor
    """(B, C, h, w), as in `AINDNetOutput`."""
    noise_level_fine: Tensor
    """(B, C, H', W'), as in `AINDNetOutput`."""


class AINDNet(nn.Module):
    """Noisy photo in, clean photo and noise map out."""

    def __init__(self, config: AINDNetConfig | None = None) -> None:
        super().__init__()
        self.config = config = config or AINDNetConfig()
        self.detach_map = False
        """Training only: True keeps the restoration's gradient out of the noise estimator."""
        c1, c2, c3 = config.channels
        e1, e2, e3 = config.encoder_blocks
        d2, d1 = config.decoder_blocks
        in_channels = config.image_channels * config.unshuffle**2

        def blocks(count: int, channels: int, scale: int) -> nn.ModuleList:
            return nn.ModuleList(
                AINResBlock(
                    channels,
                    modulation=config.modulation,
                    map_channels=config.image_channels,
                    hidden=config.modulation_channels
                    * (scale if config.scale_modulation_channels else 1),
                    one_plus_gamma=config.one_plus_gamma,
                    normalization=config.normalization,
                    feature_limit=config.feature_limit,
                )
                for _ in range(count)
            )

        first_pool = max(4 // config.unshuffle, 1)
        self.noise_estimator = NoiseLevelEstimator(
            in_channels=in_channels,
            map_channels=config.image_channels,
            hidden=config.estimator_channels,
            pools=(first_pool, config.coarse_stride // (first_pool * config.unshuffle)),
            resize=config.resize,
        )
        self.stem1 = nn.Conv2d(in_channels, c1, 3, padding=1)
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
        self.head = nn.Conv2d(c1, in_channels, 1)
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

    def forward(self, noisy: Tensor) -> AINDNetOutput:
        """Denoise (B, C, H, W), values nominally in [0, 1]; any H, W ≥ 1.

        Sizes that are no multiple of 8 (of 16 or 32 with `unshuffle`, `half_pass` or `looks`) are
        reflected up to one inside and cut again ("tf1" mode instead treats borders as the released
        graph does).
        """
        found = self.restoration(noisy)
        return AINDNetOutput(noisy + found.residual, *found[1:])

    def restoration(self, noisy: Tensor) -> Restoration:
        """What `forward` adds to the photo (B, C, H, W), and the noise level; by as many passes as
        `half_pass` and `looks` say.
        """
        height, width = noisy.shape[-2:]
        padded = noisy
        if self.config.resize != "tf1":
            padded = pad_to_multiple(noisy, self._multiple())
        residual, noise_level, *maps = self._look(padded)
        if self.config.looks > 1:
            # Turned, so that what the first look did wrong one way is not done again the same way.
            again = self._look((padded + residual).transpose(-1, -2))
            before, after = noise_level.detach(), again.noise_level.detach().transpose(-1, -2)
            full = (padded.shape[-2], padded.shape[-1])
            share = noise_share(before, after, TEXTURE)
            second = resize_bilinear(noise_share(before, after, TEXTURE_AGAIN), full)
            residual = residual + second * again.residual.transpose(-1, -2)
            residual = resize_bilinear(share, full) * residual
            noise_level = found_level(before, after, residual.detach(), share)
        return Restoration(residual[..., :height, :width], noise_level[..., :height, :width], *maps)

    def _multiple(self) -> int:
        """Pixels that a photo's sides are brought to a multiple of."""
        # Two poolings below the stem, and the estimator's coarse map, must come out even.
        multiple = 8 * self.config.unshuffle * (1 if self.config.half_pass is None else 2)
        return multiple if self.config.looks == 1 else max(multiple, CELL)

    def _look(self, padded: Tensor) -> Restoration:
        """One pass over a photo, and one at half the size over its result (`half_pass`)."""
        found = self._one_pass(padded)
        if self.config.half_pass is None:
            return found
        first = padded + found.residual
        second = self._one_pass(F.avg_pool2d(first, 2))
        full = (padded.shape[-2], padded.shape[-1])
        change = resize_bilinear(second.residual, full).float()
        share = softness(first.detach(), self.config.half_pass)
        share = share * credibility(change.detach(), found.noise_level.detach())
        return found._replace(residual=found.residual + resize_bilinear(share, full) * change)

    def _one_pass(self, padded: Tensor) -> Restoration:
        """The paper's network over a photo whose sides come out even (any in "tf1" mode)."""
        mode = self.config.resize
        x = F.pixel_unshuffle(padded, self.config.unshuffle)

        estimate = self.noise_estimator(x)
        map1 = estimate.noise_level.detach() if self.detach_map else estimate.noise_level
        size1 = (x.shape[-2], x.shape[-1])
        full = (padded.shape[-2], padded.shape[-1])
        noise_level = resize_bilinear(map1, full)
        if self.config.map_limit is not None:
            map1 = map1.clamp_max(self.config.map_limit)

        x1 = F.relu(self.stem1(x))  # (B, 64, H, W)
        x1 = self._run(self.encoder1, x1, map1, 1)
        x2 = F.relu(self.stem2(average_pool(x1, 2, mode)))  # (B, 128, H/2, W/2)
        x2 = self._run(self.encoder2, x2, map1, 2)
        x3 = F.relu(self.stem3(average_pool(x2, 2, mode)))  # (B, 256, H/4, W/4)
        x3 = self._run(self.encoder3, x3, map1, 4)
        y2 = self.skip2(x2) + self.up2(x3)[..., : x2.shape[-2], : x2.shape[-1]]
        y2 = self._run(self.decoder2, y2, map1, 2)  # (B, 128, H/2, W/2)
        y1 = self.skip1(x1) + self.up1(y2)[..., : size1[0], : size1[1]]
        y1 = self._run(self.decoder1, y1, map1, 1)  # (B, 64, H, W)
        residual = F.pixel_shuffle(self.head(y1), self.config.unshuffle)
        residual = self.with_means_kept(residual, noise_level)
        return Restoration(residual, noise_level, estimate.coarse, estimate.fine)

    def with_means_kept(self, residual: Tensor, noise_level: Tensor) -> Tensor:
        """The residual without its local means where the config keeps the photo's."""
        if self.config.mean_limit is None:
            return residual
        return without_local_means(residual, noise_level, self.config.mean_limit)

    def _run(self, blocks: nn.ModuleList, x: Tensor, map1: Tensor, scale: int) -> Tensor:
        """A scale's blocks, with the map at the size that its modulation is computed at."""
        stride = self.config.modulation_stride
        if stride > scale:
            size = (-(-map1.shape[-2] // stride), -(-map1.shape[-1] // stride))
        else:
            size = (x.shape[-2], x.shape[-1])
        noise_level = map_at_scale(map1, size, self.config.map_resize, self.config.resize)
        for block in blocks:
            x = block(x, noise_level)
        return x


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


def is_transfer_parameter(name: str) -> bool:
    """Whether transfer learning updates this parameter: AIN modules, estimator, last convolution.

    One predicate for freezing, for saving a camera profile and for loading it (paper, section 3.4):
    5,188,270 of the default network's 13,764,014 parameters.

    >>> is_transfer_parameter("encoder1.0.norm1.conv.weight")
    True
    >>> is_transfer_parameter("encoder1.0.conv1.bias")
    False
    """
    parts = name.split(".")
    if "norm" in parts or parts[-1] in ("mean", "variance"):  # a RunningNorm's averages
        return False
    return parts[0] in ("noise_estimator", "head") or "norm1" in parts or "norm2" in parts
