"""Pictures of nothing: discs of all sizes that lie on one another, as things in photos do.

Source: Lee, Mumford, Huang, "Occlusion Models for Natural Images", IJCV 2001; as training data for
restoration, Achddou, Gousseau, Ladjal, "Synthetic images as a regularity prior for image
restoration neural networks", SSVM 2021.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

DISCS = 160
SMALLEST = 1.5
"""Least radius, pixels."""
COLOURFUL = 0.25
"""How far from grey, at most."""
TEXTURED = 0.5
"""Share of the discs that are striped."""


def dead_leaves(size: int, generator: torch.Generator) -> Tensor:
    """One picture, (3, size, size) in [0, 1], sRGB-encoded, on the CPU.

    Radii have density r⁻², between the r⁻³ of photos and the few discs that a small picture has
    room for; half of the discs are striped, with a period of 2 to 12 pixels. Drawn at twice the
    size, so that edges are as soft as a lens leaves them.
    """

    def uniform(*shape: int) -> Tensor:
        return torch.rand(shape, generator=generator)

    large = 2 * size
    least, most = 2 * SMALLEST, large / 2
    radius = 1 / (1 / least + uniform(DISCS) * (1 / most - 1 / least))
    radius[-1] = 2.0 * large  # what lies below all others
    centre = large * uniform(2, DISCS)
    at = torch.arange(large) + 0.5
    y, x = at[:, None] - centre[0, :, None, None], at - centre[1, :, None, None]  # (discs, h, 1) …
    top = (y.square() + x.square() < radius[:, None, None] ** 2).int().argmax(dim=0)  # (h, w)

    colour = uniform(DISCS, 1) + COLOURFUL * (2 * uniform(DISCS, 3) - 1)
    angle, phase = torch.pi * uniform(DISCS), 2 * torch.pi * uniform(DISCS)
    wave = torch.pi / (2 + 10 * uniform(DISCS))
    contrast = 0.2 * uniform(DISCS) * (uniform(DISCS) < TEXTURED)
    along = at[:, None] * angle.sin()[top] + at * angle.cos()[top]
    stripes = contrast[top] * (wave[top] * along + phase[top]).sin()
    picture = colour[top].permute(2, 0, 1) + stripes
    return F.avg_pool2d(picture, 2).clamp(0, 1)
