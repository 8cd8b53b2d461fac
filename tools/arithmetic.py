"""Parameters and arithmetic of the network's variants: `python tools/arithmetic.py`."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import torch
from torch.utils.flop_counter import FlopCounterMode

from aindnet.network import AINDNet, AINDNetConfig
from aindnet.training import load_recipe

SIDE = 256
FAST = load_recipe(Path(__file__).parents[1] / "recipes/fast.yaml").network
MEDIUM = load_recipe(Path(__file__).parents[1] / "recipes/medium.yaml").network
FIRST = replace(MEDIUM, smoothing=False, colour_pass=False)
TWICE = replace(FIRST, looks=2)
FULL = AINDNetConfig()
VARIANTS = {
    "full": FULL,
    "full, no modulation": replace(FULL, modulation="none"),
    "full, modulation at 1/2": replace(FULL, modulation_stride=2),
    "full, modulation at 1/4": replace(FULL, modulation_stride=4),
    "full, modulation at 1/8": replace(FULL, modulation_stride=8),
    "full, unshuffle 2": replace(FULL, unshuffle=2),
    "fast (recipes/fast.yaml)": FAST,
    "medium (recipes/medium.yaml)": MEDIUM,
    "the first look of it": FIRST,
    "that, and the smoother": replace(MEDIUM, colour_pass=False),
    "the first look, and all of it again": TWICE,
}


def kiloflops_per_pixel(config: AINDNetConfig) -> float:
    """Multiplications and additions of one forward pass, in thousands per photo pixel."""
    with torch.device("meta"):
        network = AINDNet(config)
        photo = torch.empty(1, config.image_channels, SIDE, SIDE)
    with FlopCounterMode(display=False) as counter, torch.inference_mode():
        network(photo)
    return float(counter.get_total_flops()) / SIDE**2 / 1000


def main() -> None:
    """Print the table."""
    full = kiloflops_per_pixel(FULL)
    print("| variant | parameters | kFLOP a pixel | share of full |\n|---|---|---|---|")
    for name, config in VARIANTS.items():
        with torch.device("meta"):
            parameters = sum(p.numel() for p in AINDNet(config).parameters())
        cost = kiloflops_per_pixel(config)
        print(f"| {name} | {parameters:,} | {cost:,.0f} | {cost / full:.3f} |")


if __name__ == "__main__":
    main()
