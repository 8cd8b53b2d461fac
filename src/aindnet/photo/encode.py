"""libvips as encoder: a finished page → a file of a kind, without metadata of libvips' own making.

Metadata blocks are put around the encoded picture by the kind's own module, byte for byte; AVIF
alone takes them through libvips.
"""

from __future__ import annotations

from typing import Any

from aindnet.errors import ImageWriteError
from aindnet.photo.formats import AVIF, JPEG, PNG, TIFF, WEBP, Format
from aindnet.photo.metadata import Metadata
from aindnet.photo.traits import Traits

JPEG_QUALITY = 92
"""The lowest quality that a JPEG is written with; a source of higher quality raises it."""
OTHER_QUALITY = 95
"""JPEGs from sources of other kinds, and lossy WebP and AVIF, whose quality can't be read back."""
AVIF_DEEPEST = 12
"""Bits per sample."""
AVIF_EXIF_LIMIT = 65_527
"""Bytes of an EXIF block that libvips lays out anew; of a longer one it takes the beginning."""

# Encoders hold the whole picture for these niceties.
_MEMORY_LIMIT_PIXELS = 64_000_000
PAETH = 0x80
"""libpng's filter that suits photos."""


def save_options(
    kind: Format, traits: Traits, same_kind: bool, pixels: int, *, deep: bool = False
) -> dict[str, Any]:
    """libvips' options that make the file at least as good as the source was.

    `deep`: the samples to write are of 16 bit.
    """
    small = pixels <= _MEMORY_LIMIT_PIXELS
    if kind is JPEG:
        quality = max(traits.quality or OTHER_QUALITY, JPEG_QUALITY)
        return {
            "Q": quality,
            "subsample_mode": "on" if traits.chroma_halved else "off",
            "interlace": traits.progressive and small,
            "optimize_coding": small,
            "keep": "none",
        }
    if kind is PNG:
        return {"filter": PAETH, "interlace": traits.progressive and small, "keep": "none"}
    if kind is WEBP:
        lossless = traits.lossless and same_kind
        options: dict[str, Any] = {"Q": OTHER_QUALITY, "smart_subsample": True}
        return {**({"lossless": True, "exact": True} if lossless else options), "keep": "none"}
    if kind is AVIF:
        bits = (traits.bits or AVIF_DEEPEST) if deep else 8
        return {"Q": OTHER_QUALITY, "bitdepth": bits, "subsample_mode": "off", "effort": 4}
    if kind is TIFF:
        options = {"compression": traits.compression, "predictor": traits.predictor, "keep": "none"}
        if traits.tile is not None:
            options |= {"tile": True, "tile_width": traits.tile[0], "tile_height": traits.tile[1]}
        return options
    raise AssertionError(kind)


def save(image: Any, kind: Format, descriptor: int, options: dict[str, Any], shown: str) -> None:
    """Encode into an open file from its position on. Raises `ImageWriteError`."""
    import pyvips

    savers = {
        JPEG: "jpegsave_target",
        PNG: "pngsave_target",
        TIFF: "tiffsave_target",
        WEBP: "webpsave_target",
        AVIF: "heifsave_target",
    }
    extra = {"compression": "av1"} if kind is AVIF else {}
    try:
        target = pyvips.Target.new_to_descriptor(descriptor)
        pyvips.Operation.call(savers[kind], image, target, **options, **extra)
    except pyvips.Error as error:
        detail = " ".join(str(error.detail).split())
        raise ImageWriteError(f"{shown}: cannot be encoded or written ({detail})") from error


def with_blocks(image: Any, metadata: Metadata) -> Any:
    """The image with metadata for AVIF's encoder, which puts it in by itself."""
    import pyvips

    if metadata.iptc:
        metadata.notice("IPTC left out: AVIF has no place for it")
    image = image.copy()
    for name, block in (
        ("icc-profile-data", metadata.icc),
        ("exif-data", metadata.exif_within(AVIF_EXIF_LIMIT, "AVIF")),
        ("xmp-data", metadata.xmp),
    ):
        if block:
            image.set_type(pyvips.GValue.blob_type, name, block)
    return image


def exif_in(descriptor: int) -> bytes | None:
    """The EXIF block of an AVIF in an open file."""
    import pyvips

    image = pyvips.Image.heifload_source(pyvips.Source.new_from_descriptor(descriptor))
    return bytes(image.get("exif-data")) if image.get_typeof("exif-data") else None
