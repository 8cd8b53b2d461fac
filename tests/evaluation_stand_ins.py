"""Small photos, pairs folders and a stand-in for the denoiser, shared by the room's tests."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
import pyvips

SHARED_DATA = Path(__file__).parents[2] / ".." / "shared" / "data"


def smooth_photo(height=40, width=48, seed=0):
    """A colour photo of a few waves, uint8."""
    random = np.random.default_rng(seed)
    rows, columns = np.mgrid[0:height, 0:width]
    channels = [
        128
        + 50 * np.sin(rows / random.uniform(5, 12) + k)
        + 50 * np.cos(columns / random.uniform(5, 12) - k)
        for k in range(3)
    ]
    return np.clip(np.rint(np.stack(channels, axis=-1)), 0, 255).astype(np.uint8)


def with_noise(image, sigma, seed=0):
    """The image with white Gaussian noise of `sigma` 8-bit levels, uint8."""
    random = np.random.default_rng(seed)
    return np.clip(np.rint(image + random.normal(0, sigma, image.shape)), 0, 255).astype(np.uint8)


def save(path, image):
    """Write an image file; its suffix names the format."""
    path.parent.mkdir(parents=True, exist_ok=True)
    pyvips.Image.new_from_array(np.ascontiguousarray(image)).write_to_file(str(path))


@dataclass
class FakeRestored:
    image: np.ndarray
    noise_level: np.ndarray


class FakeDenoiser:
    """The interface of `restore.Denoiser`: a 3×3 mean, and a constant noise map."""

    model_name = "fake"
    model_hash = "0" * 64
    backend = "torch"
    device = "cpu"
    precision = "fp32"

    def __init__(self):
        self.calls = 0
        self.camera = None

    def __call__(self, image, *, strength=1.0, chroma_strength=None, ensemble=False):
        from scipy.ndimage import uniform_filter

        self.calls += 1
        size = (3, 3, 1)[: image.ndim]
        smoothed = uniform_filter(image, size=size, mode="nearest").astype(image.dtype)
        if ensemble:
            smoothed = (smoothed + uniform_filter(smoothed, size=size, mode="nearest")) / 2
        return FakeRestored(smoothed, np.full((*image.shape[:2], 3), 0.05, np.float32))

    def load_camera(self, path):
        self.camera = path


@pytest.fixture
def fake_denoiser(monkeypatch):
    """`Denoiser.from_pretrained` answers with the fake one, whatever it is asked for."""
    from aindnet.evaluation.methods import ours

    denoiser = FakeDenoiser()
    monkeypatch.setattr(ours, "_load_denoiser", lambda model, options: denoiser)
    return denoiser


@pytest.fixture
def pairs_folder(tmp_path):
    """A pairs folder of three photos with noise of 5, 10 and 20 levels."""
    root = tmp_path / "pairs"
    for index, sigma in enumerate((5, 10, 20)):
        clean = smooth_photo(seed=index)
        save(root / "clean" / f"photo{index}.png", clean)
        save(root / "noisy" / f"photo{index}.png", with_noise(clean, sigma, seed=index))
    return root
