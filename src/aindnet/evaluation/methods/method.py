"""What every denoising method is to the rest of the room."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import wraps
from typing import Any, Protocol, TypeVar, cast

import numpy as np
from numpy.typing import NDArray

from aindnet.errors import AindnetError

FloatImage = NDArray[np.float32]
Call = TypeVar("Call", bound=Callable[..., "Denoised"])


class PeerFailedError(AindnetError):
    """A method that failed on an image, or gave no image of the input's size."""


@dataclass(frozen=True)
class Denoised:
    """A method's answer: the image, of the input's shape, on [0, 1]; and its noise map where it
    makes one.
    """

    image: FloatImage
    noise_level: FloatImage | None = None


class Method(Protocol):
    """A denoising method with the words that go into the tables."""

    @property
    def name(self) -> str:
        """The row's name, unique in a run."""

    @property
    def settings(self) -> str:
        """What was set and how it was chosen, in words."""

    @property
    def fingerprint(self) -> str:
        """Changes whenever the method's answer may change; scores are kept under it."""

    # Some methods say more of themselves, True where it holds: `needs_warm_up`, what loads or
    # compiles on its first call; `imports_late`, what imports its library then; `shares_memory`,
    # what uses another row's buffers.

    def __call__(self, noisy: FloatImage) -> Denoised:
        """Denoise a `(H, W)` or `(H, W, 3)` image on [0, 1], which is left as it is."""


def failing_by_name(call: Call) -> Call:
    """A peer's `__call__` of which whatever a library raises comes as `PeerFailedError`."""

    @wraps(call)
    def guarded(self: Any, noisy: FloatImage) -> Denoised:
        try:
            return call(self, noisy)
        except (AindnetError, MemoryError):
            raise
        except Exception as error:  # libraries' own exceptions share no public base
            reason = (str(error).strip().splitlines() or [type(error).__name__])[0]
            raise PeerFailedError(f"{self.name}: {reason}") from error

    return cast(Call, guarded)


def checked(method: Method, denoised: Denoised, noisy: FloatImage) -> Denoised:
    """A method's answer, or `PeerFailedError` where it is no image that could be scored."""
    if denoised.image.shape != noisy.shape:
        raise PeerFailedError(
            f"{method.name}: gave {denoised.image.shape} for an image of {noisy.shape}"
        )
    if not np.isfinite(denoised.image).all():
        raise PeerFailedError(f"{method.name}: gave NaN or infinite values")
    return denoised


@dataclass(frozen=True)
class Noisy:
    """The input itself: the row that every other is measured against."""

    name: str = "noisy"
    settings: str = "the input, untouched"
    fingerprint: str = "noisy"

    def __call__(self, noisy: FloatImage) -> Denoised:
        """The input."""
        return Denoised(noisy)
