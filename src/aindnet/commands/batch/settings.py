"""What a run was asked to do to every photo."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Protocol

from aindnet.photo.encoding import EncodingName
from aindnet.photo.photo import DEFAULT_PIXEL_LIMIT
from aindnet.photo.pixels import RGB


class BandLike(Protocol):
    """Finished rows."""

    @property
    def rgb(self) -> RGB:
        """(rows, W, 3), the denoised picture."""

    @property
    def noise_level(self) -> RGB:
        """(rows, W, 3), the estimated standard deviation of the noise."""


class BandDenoiser(Protocol):
    """What a run needs of `restore.Denoiser`."""

    model_name: str

    @property
    def model_hash(self) -> str:
        """SHA-256 of the weights."""

    def bands(
        self,
        source: Any,
        *,
        strength: float = ...,
        chroma_strength: float | None = ...,
        ensemble: bool = ...,
    ) -> Iterator[BandLike]:
        """Finished rows of a row source, top to bottom."""


@dataclass(frozen=True)
class Settings:
    """The flags that decide what becomes of a photo."""

    strength: float = 1.0
    chroma_strength: float | None = None
    ensemble: bool = False
    noise_map: bool = False
    compare: bool = False
    overwrite: bool = False
    resume: bool = False
    encoding: EncodingName = "auto"
    half_size: bool = False
    pixel_limit: int | None = DEFAULT_PIXEL_LIMIT

    @property
    def marks(self) -> tuple[str, ...]:
        """What pictures beside a result are marked by (`Job.beside`)."""
        wanted = {"noise": self.noise_map, "compare": self.compare}
        return tuple(mark for mark, is_wanted in wanted.items() if is_wanted)

    def identity(self, denoiser: BandDenoiser, backend: dict[str, str]) -> dict[str, Any]:
        """Everything that decides the result for a given input, to be hashed."""
        return {
            "model": denoiser.model_hash,
            "strength": self.strength,
            "chroma_strength": self.chroma_strength,
            "ensemble": self.ensemble,
            "noise_map": self.noise_map,
            "compare": self.compare,
            "encoding": self.encoding,
            "half_size": self.half_size,
            **backend,
        }
