"""How a source file was encoded, so that the output is encoded at least as well."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Traits:
    """None or the default where the source's kind has no such property."""

    quality: int | None = None
    """JPEG: the quality whose standard tables are nowhere coarser than the source's."""
    chroma_halved: bool = False
    """JPEG: chroma at half size both ways."""
    progressive: bool = False
    """JPEG and PNG: coarse-to-fine order."""
    lossless: bool = False
    """WebP: coded without loss."""
    bits: int | None = None
    """AVIF, HEIC: bits per sample as coded."""
    compression: str = "deflate"
    """TIFF: libvips' name of the compression."""
    predictor: str = "horizontal"
    """TIFF: libvips' name of the predictor."""
    tile: tuple[int, int] | None = None
    """TIFF: width and height of the tiles; None for strips."""
    extra_unspecified: bool = False
    """TIFF: the channel beyond the colours is not said to be alpha (infrared of a scan, a mask)."""
    big: bool = False
    """TIFF: 64-bit offsets."""
