"""The denoiser: the one way from noisy rows to clean rows, for arrays and for streams."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, Self, overload

import numpy as np
import numpy.typing as npt

from aindnet.network import AINDNet
from aindnet.photo.pixels import from_rgb, to_rgb
from aindnet.restore.backends import Backend, create_backend
from aindnet.restore.backends.base import Given, TileStatistics
from aindnet.restore.ensemble import IDENTITY, TRANSFORMS, inverse_transform, transform
from aindnet.restore.mixing import mix
from aindnet.restore.statistics import BySize, Frozen, StatisticsPolicy, WholeImage
from aindnet.restore.streaming import (
    RGB,
    ArraySource,
    Band,
    RowSource,
    StripBlender,
    StripReader,
    shown,
)
from aindnet.restore.tiling import TilePlan, plan_tiles

if TYPE_CHECKING:
    from aindnet.pretrained import CameraProfile, ModelCard

Image = npt.NDArray[Any]
BackendName = Literal["auto", "torch", "openvino", "onnx"]
Device = Literal["auto", "cpu", "cuda", "mps"]
Precision = Literal["auto", "fp32", "bf16", "fp16", "int8"]

DEFAULT_TILE = 512
DEFAULT_OVERLAP = 64
DISCARDED_SHARE = 3 / 8
"""Of the overlap, on each side: the outermost pixels of a tile miss most of their surroundings."""
DEFAULT_STATISTICS: StatisticsPolicy = BySize(WholeImage(), Frozen(), limit=DEFAULT_TILE**2)


@dataclass(frozen=True)
class Restored:
    """A denoised image."""

    image: Image
    """The input's shape and dtype."""
    noise_level: RGB
    """(H, W, 3) float32: estimated standard deviation of the noise on the [0, 1] scale."""


@dataclass(frozen=True)
class _Request:
    """One tile to run, and where its result goes."""

    source: int
    column: int
    transform: int
    strip: RGB
    tile: RGB
    statistics: Given
    last_of_strip: bool

    @property
    def kind(self) -> tuple[object, ...]:
        """Requests of one kind may share a batch."""
        given = self.statistics
        return self.tile.shape, given.grid.shape if isinstance(given, TileStatistics) else given


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
        statistics: StatisticsPolicy = DEFAULT_STATISTICS,
        batch: int | None = None,
    ) -> None:
        self.network = network
        self.model_name = name
        self.card = card
        self.camera: CameraProfile | None = None
        self._sha256 = sha256
        self._make_backend = partial(
            create_backend, backend=backend, device=device, precision=precision, batch=batch
        )
        self._tile = tile or DEFAULT_TILE
        self._overlap = DEFAULT_OVERLAP if overlap is None else overlap
        self.statistics = statistics
        self._backend: Backend = self._make_backend(network)

    @classmethod
    def from_pretrained(cls, model: str | Path | None = None, **options: Any) -> Self:
        """A bundled or installed model by name, or a model file; None is the bundled default.

        Options are the constructor's: `device`, `backend`, `precision`, `tile`, `overlap`,
        `statistics`, `batch`. Raises `ModelNotFoundError` or `InvalidModelFileError`.
        """
        from aindnet.pretrained import load_model

        loaded = load_model(model)
        return cls(
            loaded.network,
            name=loaded.card.name,
            sha256=loaded.sha256,
            card=loaded.card,
            **options,
        )

    def load_camera(self, path: str | Path) -> None:
        """Change to a camera's profile, adapted from this very model.

        Raises `InvalidModelFileError`, or `WrongBaseModelError` for another model's profile.
        """
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
        self._backend = self._make_backend(self.network)

    @property
    def model_hash(self) -> str:
        """SHA-256 of the weights file; of the weights themselves where there is no file."""
        if self._sha256 is None:
            digest = hashlib.sha256()
            for key, value in sorted(self.network.state_dict().items()):
                digest.update(key.encode())
                digest.update(value.detach().cpu().float().numpy().tobytes())
            self._sha256 = digest.hexdigest()
        return self._sha256

    @property
    def backend(self) -> str:
        """The backend in use: "torch", "openvino" or "onnx"."""
        return self._backend.name

    @property
    def device(self) -> str:
        """The device in use: "cpu", "cuda", "mps"."""
        return self._backend.device

    @property
    def precision(self) -> str:
        """What the convolutions compute in: "fp32", "bf16", "fp16" or "int8"."""
        return self._backend.precision

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
        `chroma_strength` is the same for colour noise alone. `ensemble` averages eight mirrored and
        rotated passes. Raises `InvalidImageError` for arrays of another kind.
        """
        images = [image] if isinstance(image, np.ndarray) else list(image)
        sources = [ArraySource(to_rgb(each)) for each in images]
        results = [np.empty((s.height, s.width, 6), np.float32) for s in sources]
        for index, band in self._stream(sources, strength, chroma_strength, ensemble):
            rows = results[index][band.y : band.y + band.rgb.shape[0]]
            rows[..., :3], rows[..., 3:] = band.rgb, band.noise_level
        # float64 input does not survive the way through float32 to the last bit.
        untouched = strength == 0.0 and not chroma_strength
        restored = [
            Restored(like.copy() if untouched else from_rgb(result[..., :3], like), result[..., 3:])
            for result, like in zip(results, images, strict=True)
        ]
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

        Reads each row of `source` a few times; holds one row of tiles.
        """
        for _, band in self._stream([source], strength, chroma_strength, ensemble):
            yield band

    def _stream(
        self,
        sources: Sequence[RowSource],
        strength: float,
        chroma_strength: float | None,
        ensemble: bool,
    ) -> Iterator[tuple[int, Band]]:
        plans = [self._plan(source) for source in sources]
        transforms = TRANSFORMS if ensemble else (IDENTITY,)
        share = np.float32(1 / len(transforms))
        blender: StripBlender | None = None
        current, y = -1, 0
        requests = self._requests(sources, transforms)
        for request, result in self._run(requests):
            if request.source != current or blender is None:
                current, y = request.source, 0
                blender = StripBlender(plans[current], channels=6)
            tile = inverse_transform(result, request.transform).transpose(1, 2, 0)
            blender.add(request.column, tile * share if ensemble else tile)
            if request.last_of_strip:
                done = blender.finish_row()
                noisy = request.strip[: done.shape[0], : done.shape[1]]
                outside = noisy - shown(noisy)
                rgb = mix(noisy, done[..., :3] + outside, strength, chroma_strength)
                yield current, Band(y, rgb, done[..., 3:])
                y += done.shape[0]

    def _plan(self, source: RowSource) -> TilePlan:
        return plan_tiles(
            source.height,
            source.width,
            tile=self._tile,
            overlap=self._overlap,
            discard=int(self._overlap * DISCARDED_SHARE),
        )

    def _requests(
        self, sources: Sequence[RowSource], transforms: Sequence[int]
    ) -> Iterator[_Request]:
        for index, source in enumerate(sources):
            plan = self._plan(source)
            reader = StripReader(source, plan)
            surveys = {
                which: self.statistics.survey(self._backend, source, plan, which)
                for which in transforms
            }
            for row, y in enumerate(plan.rows.positions):
                strip = reader.strip(row)
                visible = shown(strip)
                for column, x in enumerate(plan.columns.positions):
                    tile = visible[:, x : x + plan.columns.size].transpose(2, 0, 1)
                    for which, survey in surveys.items():
                        yield _Request(
                            source=index,
                            column=column,
                            transform=which,
                            strip=strip,
                            tile=transform(tile, which),
                            statistics=survey.for_tile(y, x, *plan.tile_shape),
                            last_of_strip=column == len(plan.columns.positions) - 1
                            and which == transforms[-1],
                        )

    def _run(self, requests: Iterable[_Request]) -> Iterator[tuple[_Request, RGB]]:
        """Results in the order of the requests, in full batches of one tile shape."""
        waiting: list[_Request] = []
        for request in requests:
            if waiting and waiting[0].kind != request.kind:
                yield from self._run_batch(waiting)
                waiting = []
            waiting.append(request)
            if len(waiting) == self._backend.batch:
                yield from self._run_batch(waiting)
                waiting = []
        if waiting:
            yield from self._run_batch(waiting)

    def _run_batch(self, requests: list[_Request]) -> Iterator[tuple[_Request, RGB]]:
        # Always a full batch: one static shape, and the same arithmetic whoever shares the batch.
        filled = requests + [requests[0]] * (self._backend.batch - len(requests))
        tiles = np.ascontiguousarray(np.stack([request.tile for request in filled]))
        statistics = [request.statistics for request in filled]
        yield from zip(requests, self._backend.run(tiles, statistics), strict=False)
