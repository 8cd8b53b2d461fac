"""Methods without learning: wavelet shrinkage, non-local means, BM3D."""

from __future__ import annotations

import importlib.util
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

import numpy as np

from aindnet.errors import MissingExtraError
from aindnet.evaluation.methods.method import Denoised, FloatImage, failing_by_name
from aindnet.evaluation.methods.noise_level import NOISE_LEVEL_FILE
from aindnet.evaluation.methods.settings import PeerSettings
from aindnet.evaluation.metrics import to_uint8
from aindnet.restore.code import code_digest

CODE = code_digest(Path(__file__), NOISE_LEVEL_FILE)
"""Of these methods and of the noise level that they are told, as they were imported."""


def require(module: str, package: str) -> None:
    """Raise `MissingExtraError` for a library that is not installed, without importing it."""
    if importlib.util.find_spec(module) is None:
        raise MissingExtraError(package, "evaluate")


def library_version(*packages: str) -> str:
    """The version of the first of these packages that is installed; "?" where none is."""
    for package in packages:
        try:
            return version(package)
        except PackageNotFoundError:
            continue
    return "?"


@dataclass(frozen=True)
class NonLocalMeans:
    """OpenCV's fast non-local means on 8 bits, 7×7 patches, 21×21 search (Buades, Coll, Morel
    2011).
    """

    chosen: PeerSettings
    name: str = "nlm"
    imports_late = True

    def __post_init__(self) -> None:
        require("cv2", "opencv-python-headless")

    @property
    def settings(self) -> str:
        """The settings in words."""
        return f"OpenCV fastNlMeansDenoising, {self.chosen.describe('h')}"

    @property
    def fingerprint(self) -> str:
        """Name, settings, code and the library's version."""
        library = library_version("opencv-python-headless", "opencv-python")
        return f"{self.name}|{self.settings}|{CODE}|{library}"

    @failing_by_name
    def __call__(self, noisy: FloatImage) -> Denoised:
        """Denoise with h following the noise estimate."""
        import cv2

        strength = self.chosen.noise_level(noisy) * 255.0
        image = to_uint8(noisy)
        if image.ndim == 2:
            restored = cv2.fastNlMeansDenoising(image, None, strength, 7, 21)
        else:
            bgr = np.ascontiguousarray(image[..., ::-1])
            restored = cv2.fastNlMeansDenoisingColored(
                bgr, None, strength, strength * self.chosen.chroma, 7, 21
            )
            restored = restored[..., ::-1]
        return Denoised(np.asarray(restored, dtype=np.float32) / np.float32(255))


@dataclass(frozen=True)
class Wavelet:
    """Wavelet soft thresholds by BayesShrink in YCbCr (Chang, Yu, Vetterli 2000), from
    scikit-image.
    """

    chosen: PeerSettings
    name: str = "wavelet"
    wavelet: str = "sym4"
    most_levels: int = 5
    imports_late = True

    def __post_init__(self) -> None:
        require("pywt", "PyWavelets")

    @property
    def settings(self) -> str:
        """The settings in words."""
        levels = f"{self.wavelet}, {self.most_levels} levels"
        return f"BayesShrink, {levels}, {self.chosen.describe()}"

    @property
    def fingerprint(self) -> str:
        """Name, settings, code and the libraries' versions."""
        libraries = f"{library_version('scikit-image')}|{library_version('PyWavelets')}"
        return f"{self.name}|{self.settings}|{CODE}|{libraries}"

    @failing_by_name
    def __call__(self, noisy: FloatImage) -> Denoised:
        """Denoise with thresholds that follow the noise estimate."""
        from skimage.restoration import denoise_wavelet

        colour = noisy.ndim == 3
        restored = denoise_wavelet(
            noisy.astype(np.float64),
            sigma=self.chosen.noise_level(noisy),
            method="BayesShrink",
            mode="soft",
            wavelet=self.wavelet,
            wavelet_levels=self._levels(min(noisy.shape[:2])),
            convert2ycbcr=colour,
            channel_axis=-1 if colour else None,
            rescale_sigma=True,
        )
        return Denoised(np.asarray(restored, dtype=np.float32))

    def _levels(self, side: int) -> int:
        """As many as the image allows: noise of camera files reaches into the coarse ones."""
        import pywt

        longest = pywt.dwt_max_level(side, pywt.Wavelet(self.wavelet).dec_len)
        return max(1, min(self.most_levels, int(longest)))


@dataclass(frozen=True)
class BlockMatching:
    """BM3D and its colour form CBM3D (Dabov et al. 2007; Mäkinen et al. 2020), from the authors'
    package `bm3d`.
    """

    chosen: PeerSettings
    name: str = "bm3d"
    imports_late = True

    def __post_init__(self) -> None:
        require("bm3d", "bm3d")

    @property
    def settings(self) -> str:
        """The settings in words."""
        return f"bm3d package, white noise, {self.chosen.describe()}"

    @property
    def fingerprint(self) -> str:
        """Name, settings, code and the library's version."""
        return f"{self.name}|{self.settings}|{CODE}|{library_version('bm3d')}"

    @failing_by_name
    def __call__(self, noisy: FloatImage) -> Denoised:
        """Denoise with the noise level that the estimate gives."""
        import bm3d

        sigma = self.chosen.noise_level(noisy)
        image = noisy.astype(np.float64)
        restored = bm3d.bm3d_rgb(image, sigma) if noisy.ndim == 3 else bm3d.bm3d(image, sigma)
        return Denoised(np.asarray(restored, dtype=np.float32))
