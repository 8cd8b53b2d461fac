"""What a camera's own processing makes of its noise: smoother, coarser in colour, blotchy.

All but `edge_aware_photo` act on the noise field (noisy minus clean photo, sRGB-encoded) and leave
the picture alone: what noise reduction does to the picture itself is in the clean side of real
pairs too, and `edge_aware_photo` is that side.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

# Full-range BT.601, the YCbCr of JPEG (JFIF).
_TO_YCBCR = ((0.299, 0.587, 0.114), (-0.168736, -0.331264, 0.5), (0.5, -0.418688, -0.081312))
_TO_RGB = ((1.0, 0.0, 1.402), (1.0, -0.344136, -0.714136), (1.0, 1.772, 0.0))

POWER_WINDOW = 31
"""Pixels a side of the windows that the noise's local power is measured in."""


def mixed_variance(variance: Tensor, luma: Tensor, chroma: Tensor) -> Tensor:
    """Variances of R, G and B when luma and chroma of independent noise are scaled apart.

    `variance` (B, 3, H, W) before; `luma`, `chroma` (B,) scale the standard deviations. Luma and
    chroma are taken as uncorrelated, as they are once they were blurred apart.
    """
    to, back = (torch.tensor(m, device=variance.device) for m in (_TO_YCBCR, _TO_RGB))
    of_luma, of_chroma = back[:, :1] @ to[:1], back[:, 1:] @ to[1:]
    share = (
        luma[:, None, None].square() * of_luma.square()
        + chroma[:, None, None].square() * of_chroma.square()
    )
    return torch.einsum("bij,bjhw->bihw", share, variance)


def luma_deviation(deviation: Tensor) -> Tensor:
    """σ (B, 1, H, W) of the luma of noise whose channels are independent, of σ (B, 3, H, W)."""
    weights = torch.tensor(_TO_YCBCR[0], device=deviation.device)[:, None, None]
    return (weights * deviation).square().sum(dim=1, keepdim=True).sqrt()


def rgb_to_ycbcr(rgb: Tensor) -> Tensor:
    """(B, 3, H, W) RGB → YCbCr, chroma centred at zero."""
    return torch.einsum("ij,bjhw->bihw", torch.tensor(_TO_YCBCR, device=rgb.device), rgb)


def ycbcr_to_rgb(ycbcr: Tensor) -> Tensor:
    """The inverse of `rgb_to_ycbcr`."""
    return torch.einsum("ij,bjhw->bihw", torch.tensor(_TO_RGB, device=ycbcr.device), ycbcr)


def gaussian_blur(x: Tensor, sigma: Tensor) -> Tensor:
    """Blur (B, C, H, W) with one Gaussian per image and channel, sigma (B, C) in pixels, ≥ 0."""
    radius = max(1, int(torch.ceil(3 * sigma.max()).item()))
    radius = min(radius, x.shape[-1] - 1, x.shape[-2] - 1)
    offset = torch.arange(-radius, radius + 1, device=x.device, dtype=x.dtype)
    kernel = torch.exp(-0.5 * (offset / sigma.clamp_min(0.05).reshape(-1, 1)) ** 2)
    kernel = kernel / kernel.sum(1, keepdim=True)
    batch, channels, height, width = x.shape
    flat = x.reshape(1, batch * channels, height, width)
    padded = F.pad(flat, (radius, radius, radius, radius), mode="reflect")
    across = F.conv2d(padded, kernel[:, None, None, :], groups=batch * channels)
    blurred = F.conv2d(across, kernel[:, None, :, None], groups=batch * channels)
    return blurred.reshape(x.shape)


def smooth_noise(
    noise: Tensor,
    luma_sigma: Tensor,
    chroma_sigma: Tensor,
    sharpen: Tensor,
    luma_kept: Tensor,
    chroma_kept: Tensor,
    coarse_share: Tensor | None = None,
    coarse_sigma: Tensor | None = None,
) -> Tensor:
    """In-camera noise reduction: luma and chroma of the noise (B, 3, H, W) are blurred apart.

    `luma_sigma`, `chroma_sigma` (B,) in pixels; `sharpen` (B,) is the amount of an unsharp mask on
    luma; `luma_kept` and `chroma_kept` (B,) are the standard deviations left, as shares of what was
    there before. Noise reduction takes the fine grain and leaves the coarse: `coarse_share` (B,) is
    the deviation of luma noise blurred by `coarse_sigma` (B,) pixels that is added, by the fine's.
    """
    ycbcr = rgb_to_ycbcr(noise)
    before = _deviation(ycbcr)
    luma, chroma = ycbcr[:, :1], ycbcr[:, 1:]
    luma = gaussian_blur(luma, luma_sigma[:, None])
    sharpen_sigma = torch.full_like(luma_sigma, 1.2)
    luma = luma + sharpen[:, None, None, None] * (
        luma - gaussian_blur(luma, sharpen_sigma[:, None])
    )
    if coarse_share is not None and coarse_sigma is not None:
        coarse = gaussian_blur(ycbcr[:, :1], coarse_sigma[:, None])
        level = _deviation(luma) / _deviation(coarse).clamp_min(1e-8)
        luma = luma + (coarse_share[:, None, None, None] * level) * coarse
    chroma = gaussian_blur(chroma, chroma_sigma[:, None].expand(-1, 2))
    smoothed = torch.cat([luma, chroma], dim=1)
    kept = torch.stack([luma_kept, chroma_kept, chroma_kept], dim=1)[..., None, None]
    share = kept * before / _deviation(smoothed).clamp_min(1e-8)
    return ycbcr_to_rgb(smoothed * share)


def edge_aware_noise(
    noise: Tensor,
    clean: Tensor,
    radius: tuple[int, int],
    luma_strength: Tensor,
    chroma_strength: Tensor,
    kept: Tensor,
) -> Tensor:
    """What noise reduction that follows the picture's edges leaves of the noise (B, 3, H, W).

    A guided filter whose guide is the noisy luma itself smooths flat parts far and edges hardly, so
    what is left is coarse, uneven, and stronger where there is detail. `radius` in pixels, of luma
    and chroma; `luma_strength`, `chroma_strength` (B,): detail up to so many deviations of the
    noise counts as noise; `kept` (B,): the standard deviation left, as a share of that before. The
    mean over noise of both signs is subtracted, for it is in real pairs' clean sides.

    Source: He, Sun, Tang, "Guided image filtering", TPAMI 2013.
    """
    difference, photo = rgb_to_ycbcr(noise), rgb_to_ycbcr(clean)
    power = difference[:, :1].square().mean(dim=(2, 3), keepdim=True).clamp_min(1e-8)
    luma_epsilon, chroma_epsilon = (
        strength[:, None, None, None].square() * power
        for strength in (luma_strength, chroma_strength)
    )

    def reduced(sign: float) -> Tensor:
        noisy = photo + sign * difference
        guide = noisy[:, :1]
        luma = guided_filter(guide, guide, radius[0], luma_epsilon)
        return torch.cat([luma, guided_filter(guide, noisy[:, 1:], radius[1], chroma_epsilon)], 1)

    left = ycbcr_to_rgb((reduced(1.0) - reduced(-1.0)) / 2)
    before, after = (x.square().mean(dim=(1, 2, 3), keepdim=True).sqrt() for x in (noise, left))
    return left * kept[:, None, None, None] * before / after.clamp_min(1e-8)


def edge_aware_photo(
    clean: Tensor,
    noise: Tensor,
    radius: tuple[int, int],
    luma_strength: Tensor,
    chroma_strength: Tensor,
) -> Tensor:
    """What the filter of `edge_aware_noise` makes of the photo: the mean over all noise, nearly.

    Cameras take texture that is weaker than the noise away with it. The slopes of the guided filter
    are those of a noisy guide: the photo's variances and covariances, plus the power of the luma of
    `noise` (B, 3, H, W) around the place, as independent of the photo. In [0, 1].
    """
    photo = rgb_to_ycbcr(clean)
    luma_noise = rgb_to_ycbcr(noise)[:, :1]
    power = luma_noise.square().mean(dim=(2, 3), keepdim=True).clamp_min(1e-8)
    near = local_power(luma_noise, POWER_WINDOW)
    guide = photo[:, :1]
    luma_epsilon, chroma_epsilon = (
        strength[:, None, None, None].square() * power
        for strength in (luma_strength, chroma_strength)
    )
    luma = guided_filter(guide, guide, radius[0], luma_epsilon, noise_power=near, same=True)
    chroma = guided_filter(guide, photo[:, 1:], radius[1], chroma_epsilon, noise_power=near)
    return ycbcr_to_rgb(torch.cat([luma, chroma], dim=1)).clamp(0, 1)


def guided_filter(
    guide: Tensor,
    image: Tensor,
    radius: int,
    epsilon: Tensor,
    *,
    noise_power: Tensor | float = 0.0,
    same: bool = False,
) -> Tensor:
    """He et al., algorithm 1: (B, 1, H, W) guides (B, C, H, W); boxes of 2·radius + 1 pixels.

    `noise_power` is noise in the guide that it is filtered without; with `same`, in the image too.
    """
    radius = min(radius, image.shape[-1] - 1, image.shape[-2] - 1)

    def mean(x: Tensor) -> Tensor:
        return box_mean(x, radius)

    guide_mean, image_mean = mean(guide), mean(image)
    covariance = mean(guide * image) - guide_mean * image_mean
    variance = mean(guide * guide) - guide_mean * guide_mean + noise_power
    if same:
        covariance = variance
    slope = covariance / (variance + epsilon)
    return mean(slope) * guide + mean(image_mean - slope * guide_mean)


def local_power(field: Tensor, window: int) -> Tensor:
    """Mean square of (B, C, H, W) over channels and windows of that many pixels: (B, 1, H, W)."""
    radius = min(window // 2, min(field.shape[-2:]) - 1)
    return box_mean(field.square().mean(dim=1, keepdim=True), radius)


def box_mean(x: Tensor, radius: int) -> Tensor:
    """Mean over boxes of 2·radius + 1 pixels: (B, C, H, W) → the same shape, borders reflected."""
    side = 2 * radius + 1
    padded = F.pad(x, (radius, radius, radius, radius), mode="reflect")
    return F.avg_pool2d(F.avg_pool2d(padded, (1, side), 1), (side, 1), 1)


def chroma_gain(noise: Tensor, gain: Tensor) -> Tensor:
    """Scale the chroma of the noise (B, 3, H, W) by `gain` (B,): colour matrix and saturation."""
    ycbcr = rgb_to_ycbcr(noise)
    scale = torch.stack([torch.ones_like(gain), gain, gain], dim=1)
    return ycbcr_to_rgb(ycbcr * scale[..., None, None])


def low_frequency_field(
    size: tuple[int, int], batch: int, cell: float, generator: torch.Generator
) -> Tensor:
    """Blotches: a smooth random field (B, 3, H, W) of unit variance, features of `cell` pixels."""
    device = generator.device
    height, width = (max(2, round(side / cell) + 1) for side in size)
    coarse = torch.randn(batch, 3, height, width, generator=generator, device=device)
    field = F.interpolate(coarse, size=size, mode="bicubic", align_corners=False)
    return field / _deviation(field).clamp_min(1e-8)


def _deviation(x: Tensor) -> Tensor:
    return x.square().mean(dim=(2, 3), keepdim=True).sqrt()
