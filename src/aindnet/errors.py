"""The project's own errors: what was wrong, with which file, and what to do about it."""


class AindnetError(Exception):
    """Base of every error that a user can cause and mend; its text is one line that says how."""


class ImageReadError(AindnetError):
    """A file that cannot be read as an image (missing, empty, truncated, of another kind)."""


class ImageWriteError(AindnetError):
    """An output that cannot be written (folder missing or read-only, disk full, format unknown)."""


class ImageTooLargeError(ImageReadError):
    """An image beyond the stated pixel limit; a flag lifts the limit."""


class InvalidImageError(AindnetError, ValueError):
    """An array that is no image: unsupported shape or type, empty, NaN or infinite values."""


class ModelNotFoundError(AindnetError):
    """A model name that is neither bundled nor installed, and no file."""


class InvalidModelFileError(AindnetError):
    """A weights file that is damaged, or carries no configuration, or does not fit it."""


class WrongBaseModelError(AindnetError):
    """A camera profile loaded on another base model than the one it was adapted from."""


class NoHomeError(AindnetError):
    """A file that is kept in the user's home, for a user that has none."""


class DatasetError(AindnetError):
    """A data set folder or file that is missing, incomplete or of the wrong shape."""


class RecipeError(AindnetError):
    """A training recipe with an unknown field or an impossible value."""


class TrainingDivergedError(AindnetError):
    """Training met NaN or a diverging loss; the last good checkpoint was kept."""


class AdaptationError(AindnetError):
    """Photos that a model cannot be adapted with, or an adaptation that does not help."""


class TooFewPairsError(AdaptationError):
    """Too few pairs, or too small ones, to learn from and to check on."""


class BurstError(AdaptationError):
    """A burst whose frames do not show the same thing."""


class UnusablePairsError(AdaptationError):
    """Pairs that are swapped, shifted, over-exposed or otherwise not to be learned from."""


class NoGainError(AdaptationError):
    """The adapted weights are no better than the base on photos held out: nothing is written."""


class DeviceError(AindnetError):
    """A device, backend or precision that this machine or installation does not have."""


class NotFiniteError(AindnetError):
    """A network whose output is NaN or infinite: nothing is written of it."""


class DeviceMemoryError(DeviceError):
    """The device's memory does not hold even the smallest tiles."""


class MissingExtraError(AindnetError):
    """A feature whose optional dependency is not installed."""

    def __init__(self, package: str, extra: str) -> None:
        super().__init__(f"{package} is needed for this: pip install 'aindnet[{extra}]'")
