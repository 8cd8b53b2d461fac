"""What a bundled model must leave alone: smooth pictures without noise, and their colours."""

from __future__ import annotations

import numpy as np
import pytest

from aindnet import Denoiser
from aindnet.pretrained import list_models, load_model

NAMES = [card.name for card in list_models()]
MODELS = [name for name in NAMES if load_model(name).network.config.image_channels == 3]
SIZE, BLOCK, MARGIN = 192, 32, 32
Y, X = np.mgrid[:SIZE, :SIZE] / (SIZE - 1)
PICTURES = {
    "grey": [0.5 + 0 * X] * 3,
    "dark": [0.06 + 0 * X] * 3,
    "red": [0.7 + 0 * X, 0.1 + 0 * X, 0.1 + 0 * X],
    "sky": [0.3 + 0.2 * Y, 0.5 + 0.2 * Y, 0.8 + 0.15 * Y],
    "ramp": [X, X, X],
    "skin": [0.85 - 0.3 * X, 0.65 - 0.3 * X, 0.55 - 0.3 * X],
}


@pytest.mark.parametrize("picture", PICTURES)
@pytest.mark.parametrize("model", MODELS)
def test_colours_of_smooth_pictures_stay(model: str, picture: str) -> None:
    """Means of blocks agree within 0.5 of 255."""
    denoiser = Denoiser.from_pretrained(model, device="cpu", backend="torch", precision="fp32")
    image = np.stack(PICTURES[picture], axis=-1).astype(np.float32)
    image = np.round(image * 255) / np.float32(255)
    change = (denoiser(image).image - image)[MARGIN:-MARGIN, MARGIN:-MARGIN] * 255
    blocks = change.reshape(len(change) // BLOCK, BLOCK, -1, BLOCK, 3).mean(axis=(1, 3))
    assert np.abs(blocks).max() <= 0.5
