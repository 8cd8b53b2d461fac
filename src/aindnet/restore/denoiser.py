"""The denoiser: the one way from noisy rows to clean rows, for arrays and for streams."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, Self, overload

import numpy as np
import numpy.typing as npt

from aindnet.errors import DeviceError
from aindnet.network import AINDNet
from aindnet.photo.pixels import from_rgb, is_grey, to_rgb
from aindnet.restore.backends import Backend, create_backend
from aindnet.restore.backends.halving import HalvingBackend
from aindnet.restore.backends.int8 import Ranges
from aindnet.restore.engine import Engine, discarded
from aindnet.restore.statistics import (
    REACH,
    BySize,
    Field,
    StatisticsPolicy,
    Trained,
    WholeImage,
    reach,
)
from aindnet.restore.streaming import (
    CLIPPED,
    RGB,
    UNCLIPPED,
    ArraySource,
    Band,
    RowSource,
)
from aindnet.restore.tiling import TilePlan, alignment_for, round_up

if TYPE_CHECKING:
    from aindnet.pretrained import CameraProfile, ModelCard

Image = npt.NDArray[Any]
BackendName = Literal["auto", "torch", "openvino", "onnx"]
Device = Literal["auto", "cpu", "cuda", "mps"]
Precision = Literal["auto", "fp32", "bf16", "fp16", "int8"]

DEFAULT_TILE = 640
"""Pixels a side where neighbours share `REACH`; in proportion where they share more. Smaller where
that fits a photo (`tiling.plan_tiles`)."""
INSTANCE_STATISTICS: StatisticsPolicy = BySize(
    WholeImage(), Field(spacing=128, window=128), limit=160**2
)
"""For networks with instance normalization: windows of the size of the patches that they are
trained on, and images no larger than those as they are (`docs/engine.md`)."""


@dataclass(frozen=True)
class Restored:
    """A denoised image."""

    image: Image
    """The input's shape and dtype."""
    noise_level: RGB
    """(H, W, 3) float32: estimated standard deviation of the noise on the [0, 1] scale."""


class Denoiser:
    """Denoises images of any size with a network and a backend."""

    def __init__(
        self,
        network: AINDNet,
        *,
        name: str = "unnamed",
        sha256: str | None = None,
        card: ModelCard | None = None,
        device: Device = "auto",
        backend: BackendName = "auto",
        precision: Precision = "auto",
        tile: int | None = None,
        overlap: int | None = None,
        statistics: StatisticsPolicy | None = None,
        batch: int | None = None,
        compiled: bool = False,
        int8_ranges: Ranges | None = None,
    ) -> None:
        for option, number, least in (
            ("tile", tile, None),
            ("overlap", overlap, 0),
            ("batch", batch, 1),
        ):
            _check_whole(option, number, least)
        statistics = _policy(network, statistics)
        alignment = alignment_for(network.multiple)
        shared = round_up(statistics.overlap if overlap is None else overlap, alignment)
        smallest = 3 * max(alignment, shared)
        if tile is not None and tile < smallest:
            raise ValueError(
                f"tile {tile}: must be at least {smallest} pixels, three times the {shared} that "
                "neighbours share"
            )
        self.network = network
        self.model_name = name
        self.card = card
        self.camera: CameraProfile | None = None
        self._sha256 = sha256
        self._make_backend = partial(
            create_backend,
            backend=backend,
            device=device,
            precision=precision,
            batch=batch,
            compiled=compiled,
            int8_ranges=int8_ranges,
        )
        self._overlap = statistics.overlap if overlap is None else overlap
        self._engine = Engine(
            backend=self._backend(),
            statistics=statistics,
            tile=DEFAULT_TILE * max(shared, REACH) // REACH if tile is None else tile,
            overlap=self._overlap,
            channels=network.config.image_channels,
            visible=CLIPPED if card is None or card.clipped else UNCLIPPED,
            fitted=tile is None,
            alignment=alignment,
        )

    @classmethod
    def from_pretrained(cls, model: str | Path | None = None, **options: Any) -> Self:
        """A bundled or installed model by name, or a model file; None is the bundled default.

        Options are the constructor's: `device`, `backend`, `precision`, `tile`, `overlap`,
        `statistics`, `batch`, `compiled`. Raises `ModelNotFoundError` or `InvalidModelFileError`.
        """
        from aindnet.pretrained import load_model

        loaded = load_model(model)
        return cls(
            loaded.network,
            name=loaded.card.name,
            sha256=loaded.sha256,
            card=loaded.card,
            int8_ranges=loaded.int8_ranges,
            **options,
        )

    def load_camera(self, path: str | Path) -> None:
        """Change to a camera's profile, adapted from this very model.

        Raises `InvalidModelFileError`, `WrongBaseModelError` for another model's profile, or
        `DeviceError` in int8, whose ranges and loss are those of the model alone.
        """
        if self.precision == "int8":
            raise DeviceError(
                "int8 was measured without a camera profile: take another --precision with one"
            )
        from aindnet.pretrained import LoadedModel, ModelCard, load_camera_profile

        base = LoadedModel(
            network=self.network,
            card=self.card or ModelCard(name=self.model_name),
            path=Path(self.model_name),
            sha256=self.model_hash,
        )
        profile = load_camera_profile(Path(path))
        profile.apply_to(base)
        self.camera = profile
        self._engine = replace(self._engine, backend=self._backend())

    def _backend(self) -> Backend:
        return HalvingBackend(
            self._make_backend(self.network),
            overlap=self._overlap,
            discard=discarded(self._overlap),
            constant_statistics=self.network.config.constant_statistics,
            alignment=alignment_for(self.network.multiple),
        )

    @property
    def model_hash(self) -> str:
        """SHA-256 of the weights file; of the weights themselves where there is no file."""
        if self._sha256 is None:
            from aindnet.pretrained.files import weights_sha256

            self._sha256 = weights_sha256(self.network)
        return self._sha256

    @property
    def backend(self) -> str:
        """The backend in use: "torch", "openvino" or "onnx"."""
        return self._engine.backend.name

    @property
    def statistics(self) -> StatisticsPolicy:
        """Where normalization takes its statistics from."""
        return self._engine.statistics

    @property
    def device(self) -> str:
        """The device in use: "cpu", "cuda", "mps"."""
        return self._engine.backend.device

    @property
    def precision(self) -> str:
        """What the convolutions compute in: "fp32", "bf16", "fp16" or "int8"."""
        return self._engine.backend.precision

    def plan(self, source: RowSource) -> TilePlan:
        """How an image is cut into tiles."""
        return self._engine.plan(source)

    @overload
    def __call__(
        self,
        image: Image,
        *,
        strength: float = ...,
        chroma_strength: float | None = ...,
        ensemble: bool = ...,
    ) -> Restored: ...

    @overload
    def __call__(
        self,
        image: Sequence[Image],
        *,
        strength: float = ...,
        chroma_strength: float | None = ...,
        ensemble: bool = ...,
    ) -> list[Restored]: ...

    def __call__(
        self,
        image: Image | Sequence[Image],
        *,
        strength: float = 1.0,
        chroma_strength: float | None = None,
        ensemble: bool = False,
    ) -> Restored | list[Restored]:
        """Denoise an image, or a list of images of any sizes.

        An image is H×W, H×W×1 (grey), H×W×2 (grey, alpha), H×W×3 or H×W×4 (alpha is kept); uint8,
        uint16, or float with white at 1. `strength` 0 gives the input back, 1 the network's output;
        `chroma_strength` is the same for colour noise alone, of which grey has none. `ensemble`
        averages eight mirrored and rotated passes. Raises `InvalidImageError` for arrays of another
        kind, or `ValueError` for a strength outside [0, 1].
        """
        _check_strengths(strength, chroma_strength)
        images = _listed(image)
        sources = [ArraySource(to_rgb(each), grey=is_grey(each)) for each in images]
        clean, levels = (
            [np.empty((s.height, s.width, 3), np.float32) for s in sources] for _ in range(2)
        )
        # Tiles of one shape after the other: only these share a batch.
        order = sorted(range(len(sources)), key=lambda i: self.plan(sources[i]).tile_shape)
        for place, band in self._engine.stream(
            [sources[i] for i in order],
            strength=strength,
            chroma_strength=chroma_strength,
            ensemble=ensemble,
        ):
            rows = slice(band.y, band.y + band.rgb.shape[0])
            clean[order[place]][rows] = band.rgb
            levels[order[place]][rows] = band.noise_level
        restored = []
        for rgb, level, like in zip(clean, levels, images, strict=True):
            # float64 input does not survive the way through float32 to the last bit.
            untouched = strength == 0.0 and (not chroma_strength or is_grey(like))
            restored.append(Restored(like.copy() if untouched else from_rgb(rgb, like), level))
        return restored[0] if isinstance(image, np.ndarray) else restored

    def bands(
        self,
        source: RowSource,
        *,
        strength: float = 1.0,
        chroma_strength: float | None = None,
        ensemble: bool = False,
    ) -> Iterator[Band]:
        """Denoise an image too large for memory: bands of finished rows, top to bottom.

        Reads each row of `source` a few times; holds one row of tiles. Raises `ValueError` for a
        strength outside [0, 1].
        """
        _check_strengths(strength, chroma_strength)
        stream = self._engine.stream(
            [source], strength=strength, chroma_strength=chroma_strength, ensemble=ensemble
        )
        return (band for _, band in stream)


def _listed(image: Any) -> list[Image]:
    """The images of a list, or one that is given alone, whatever it is: it is checked later."""
    alone = isinstance(image, np.ndarray) or not isinstance(image, Iterable)
    return [image] if alone else list(image)


def _check_whole(option: str, number: object, least: int | None) -> None:
    """Raise `ValueError` unless an option is left out or a whole number, from `least` on if any."""
    whole = isinstance(number, (int, np.integer)) and (least is None or number >= least)
    if number is not None and not whole:
        bound = "" if least is None else f", at least {least}"
        raise ValueError(f"{option} {number}: must be a whole number{bound}")


def _check_strengths(strength: float, chroma_strength: float | None) -> None:
    for name, value in (("strength", strength), ("chroma_strength", chroma_strength)):
        if value is not None and not 0.0 <= value <= 1.0:  # NaN is not either
            raise ValueError(f"{name} {value:g}: must be from 0 (no change) to 1 (all of it)")


def _policy(network: AINDNet, asked: StatisticsPolicy | None) -> StatisticsPolicy:
    """The policy to use: a network either has constants for statistics, or needs the image."""
    constant = network.config.constant_statistics
    if asked is None:
        if not constant:
            return INSTANCE_STATISTICS
        return Trained(overlap=reach(network.config))
    if constant != isinstance(asked, Trained):
        raise ValueError(
            f"statistics {asked.name!r} do not fit a network with normalization "
            f"{network.config.normalization!r}; leave `statistics` out"
        )
    if isinstance(asked, Trained):
        return replace(asked, overlap=max(asked.overlap, reach(network.config)))
    return asked
