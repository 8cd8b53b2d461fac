"""The choices of the architecture.

Source: Kim et al., CVPR 2020. Where the paper and the authors' released graph differ, the released
graph is the default and the paper's reading is a field.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any, Literal, get_args

from aindnet.network.adaptive_norm import MapResize, Modulation, Normalization
from aindnet.network.resampling import ResizeMode

Padding = Literal["zeros", "replicate"]
SCALES = {"channels": 3, "encoder_blocks": 3, "decoder_blocks": 2}
KINDS = {
    "modulation": get_args(Modulation),
    "normalization": get_args(Normalization),
    "map_resize": get_args(MapResize),
    "resize": get_args(ResizeMode),
    "padding": get_args(Padding),
}
WITHOUT_WEIGHTS: dict[str, Any] = {
    "map_limit": None,
    "feature_limit": None,
    "mean_limit": None,
    "half_pass": None,
    "looks": 1,
    "colour_pass": False,
}
"""Limits and passes, which have no weights, at their defaults."""


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
    smoothing: bool = False
    """A second network, with weights of its own, takes from the first one's result what white noise
    of the found level would hide, and white noise from the photo itself (`network.smoothing`);
    texture is kept, and the noise level measured, as with `looks`, in place of which this is. Not
    with "instance"."""
    colour_pass: bool = False
    """Run the smoother once more, over the result at a quarter of the size, and take from it what
    that changes of colour, brightness untouched (`network.colour`): colour noise is coarse where
    cameras have smoothed it. With `smoothing` alone, and of colour photos."""
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
        if (self.half_pass is not None or self.looks > 1 or self.smoothing) and (
            self.normalization == "instance" or self.resize == "tf1"
        ):
            raise ValueError(
                'half_pass, looks=2 and smoothing are not for normalization="instance" (each pass '
                'would have statistics of its own), nor for resize="tf1"'
            )
        if self.looks > 1 and self.smoothing:
            raise ValueError("smoothing is in place of a second look: looks must be 1")
        if self.colour_pass and not (self.smoothing and self.image_channels == 3):
            raise ValueError("colour_pass is with smoothing, and for colour photos")
        if self.coarse_stride not in (4, 8) or self.unshuffle not in (1, 2, 4):
            raise ValueError("coarse_stride must be 4 or 8, and unshuffle 1, 2 or 4")
        if self.unshuffle > 1 and self.resize == "tf1":
            raise ValueError('resize="tf1" is for the released graph, which has no unshuffle')

    def has_weights_of(self, other: AINDNetConfig) -> bool:
        """Whether a network of `other` has the same weights: limits and passes have none."""
        return replace(self, **WITHOUT_WEIGHTS) == replace(other, **WITHOUT_WEIGHTS)

    @property
    def constant_statistics(self) -> bool:
        """Whether the same mean and variance serve every image: nothing is measured on it."""
        return self.normalization != "instance"
