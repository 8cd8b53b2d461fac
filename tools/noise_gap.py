"""Which part of real photos a model has not learned: their noise, or what they show.

    python tools/noise_gap.py --data DATA [--model NAME_OR_FILE]

PolyU's photos and noise, put together with other noise and other photos of the same strength: the
real noise of another photo, noise of the same spectrum with random phases, simulated noise of one
kind each, clean tiles. A model that has learned a kind gains on it what FFDNet does when it is told
the best level for each image; where it falls behind, its training lacks that kind. The table in
docs/noise.md is of it. `--data` holds `real/polyu` and `clean/clean-val.tar`.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import torch
from torch import Tensor

from aindnet import Denoiser
from aindnet.camera import CameraRecipe, simulate
from aindnet.evaluation.datasets import open_dataset
from aindnet.evaluation.datasets.sample import Image
from aindnet.evaluation.methods.ffdnet import find_weights, load_ffdnet
from aindnet.evaluation.runner import as_float
from aindnet.training.photos import load_tiles, random_crops

SIDE = 192
IMAGES = 16
MULTIPLIERS = (0.7, 0.85, 1.0, 1.5, 2.0, 2.5, 3.0)
QUIET = CameraRecipe(
    priors={"cameras": 0.15, "log_uniform": 0.85}, resample=0.0, smooth=0.0, blotches=0.0, jpeg=0.0,
    round_8_bit=False,
)  # fmt: skip
KINDS = {
    "as the sensor leaves it": QUIET,
    "smoothed": replace(
        QUIET, smooth=1.0, luma_sigma=(0.6, 1.0), luma_coarse=0.7, luma_coarse_share=(0.1, 0.6)
    ),
    "along edges": replace(QUIET, edge_aware=1.0),
    "along edges, then smoothed, JPEG": replace(QUIET, edge_aware=1.0, smooth=0.5, jpeg=0.5),
}


def decibels(image: Tensor, reference: Tensor) -> Tensor:
    """PSNR of each image (B, 3, H, W), not rounded: (B,)."""
    return -10 * (image.clamp(0, 1) - reference).square().mean((1, 2, 3)).log10()


def polyu(data: Path) -> tuple[Tensor, Tensor]:
    """The middle of some published crops, noisy and clean: (images, 3, 192, 192)."""
    samples = open_dataset("polyu", data / "real/polyu").samples
    pairs = [sample.read() for sample in samples[:: max(len(samples) // IMAGES, 1)][:IMAGES]]
    noisy, clean = zip(*((_middle(pair.noisy), _middle(pair.clean)) for pair in pairs), strict=True)
    return torch.stack(noisy), torch.stack(clean)


def _middle(image: Image | None) -> Tensor:
    assert image is not None
    y, x = ((size - SIDE) // 2 for size in image.shape[:2])
    return torch.from_numpy(as_float(image)[y : y + SIDE, x : x + SIDE]).permute(2, 0, 1)


def combinations(
    noisy: Tensor, clean: Tensor, tiles: Tensor
) -> Iterator[tuple[str, Tensor, Tensor]]:
    """Name, noisy and clean side, of 8-bit levels and with as much noise as the real pairs."""
    generator = torch.Generator().manual_seed(0)
    noise = noisy - clean
    power = noise.square().mean((1, 2, 3), keepdim=True)

    def on(photos: Tensor, other: Tensor) -> Tensor:
        strength = (power / other.square().mean((1, 2, 3), keepdim=True).clamp_min(1e-12)).sqrt()
        return ((photos + strength * other).clamp(0, 1) * 255).round() / 255

    yield "PolyU as it is", noisy, clean
    order = torch.randperm(len(noise), generator=generator)
    yield "its photos, noise of another", on(clean, noise[order]), clean
    spectrum = torch.fft.rfft2(noise)
    # One for all channels, so that how they go together stays as it is.
    phase = torch.fft.rfft2(torch.randn(len(noise), 1, SIDE, SIDE, generator=generator))
    phase /= phase.abs().clamp_min(1e-12)
    scrambled = torch.fft.irfft2(spectrum * phase, s=(SIDE, SIDE))
    yield "its photos, its noise's spectrum", on(clean, scrambled), clean
    for name, recipe in KINDS.items():
        simulated = simulate(clean, generator, recipe).noisy - clean
        yield f"its photos, simulated: {name}", on(clean, simulated), clean
    for factor in (1.5, 2.5, 3.5):
        other = random_crops(
            tiles, len(noise), SIDE, generator, soft_content=1.0, soft_range=(factor, factor)
        )
        yield f"tiles ×{factor}, its noise", on(other, noise), other


def main() -> None:
    """Measure and print in Markdown."""
    parser = argparse.ArgumentParser(description="What of real noise a model has not learned.")
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--model", help="a name or a weights file")
    arguments = parser.parse_args()
    denoiser = Denoiser.from_pretrained(arguments.model, device="cpu")
    ffdnet = load_ffdnet(find_weights()).eval()
    noisy, clean = polyu(arguments.data)
    tiles = load_tiles([arguments.data / "clean/clean-val.tar"])
    print(f"{denoiser.model_name} {denoiser.model_hash[:12]}, {len(noisy)} images\n")
    print("| | noisy, dB | gain | level read / true | FFDNet, best level of each |")
    print("|---|---|---|---|---|")
    for name, given, target in combinations(noisy, clean, tiles):
        results = denoiser([image.permute(1, 2, 0).numpy() for image in given])
        ours = torch.stack([torch.from_numpy(r.image).permute(2, 0, 1) for r in results])
        read = torch.tensor([float(r.noise_level.mean()) for r in results])
        sigma = (given - target).square().mean((1, 2, 3)).sqrt()
        with torch.inference_mode():
            peers = [decibels(ffdnet(given, sigma * m), target) for m in MULTIPLIERS]
        before = decibels(given, target)
        best = torch.stack(peers).amax(0)
        print(
            f"| {name} | {before.mean():.2f} | {(decibels(ours, target) - before).mean():+.2f} | "
            f"{(read / sigma).mean():.2f} | {(best - before).mean():+.2f} |",
            flush=True,
        )


if __name__ == "__main__":
    main()
