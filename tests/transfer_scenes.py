"""Scenes to adapt on, made of scikit-image's sample photos."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import skimage.data
import torch

from aindnet.network import AINDNet
from aindnet.training.transfer.frames import Frame
from aindnet.training.transfer.pairs import PhotoPair
from restore_networks import small_network

PHOTOS = ("astronaut", "coffee", "chelsea", "rocket")


def scene(name: str, height: int = 192, width: int = 256) -> np.ndarray:
    photo = getattr(skimage.data, name)()
    return np.ascontiguousarray(photo[40 : 40 + height, 60 : 60 + width, :3])


def with_noise(clean: np.ndarray, sigma: float, seed: int) -> np.ndarray:
    noise = np.random.default_rng(seed).normal(0, sigma, clean.shape)
    return np.clip(np.rint(clean + noise), 0, 255).astype(np.uint8)


def tinted_network() -> AINDNet:
    """A network whose head is a little off, so that there is something to gain at once."""
    network = small_network()
    with torch.no_grad():
        bias = network.head.bias
        assert bias is not None
        bias.add_(0.04)
    return network


def pairs(sigma: float = 20.0, photos: Sequence[str] = PHOTOS) -> list[PhotoPair]:
    clean = {name: scene(name) for name in photos}
    return [
        PhotoPair(name, with_noise(image, sigma, i), image, name)
        for i, (name, image) in enumerate(clean.items())
    ]


def frames(count: int, sigma: float = 12.0, name: str = "coffee") -> list[Frame]:
    clean = scene(name)
    return [Frame(f"{i}.png", with_noise(clean, sigma, 10 + i)) for i in range(count)]
