"""HEIC through pillow-heif (libheif with an HEVC coder, which libvips' wheel lacks)."""

from __future__ import annotations

import io
from pathlib import Path
from typing import Any

import numpy as np

from aindnet.errors import ImageReadError, ImageWriteError, MissingExtraError
from aindnet.photo import heif_boxes
from aindnet.photo.arrays import vips_image
from aindnet.photo.colour_codes import ColourCodes
from aindnet.photo.decode import Rows, apart_from_alpha, damaged
from aindnet.photo.encode import OTHER_QUALITY
from aindnet.photo.formats import HEIC
from aindnet.photo.metadata import ALPHA_APART, FURTHER_PICTURES, Metadata
from aindnet.photo.paths import shown
from aindnet.photo.photo import LazyArray, Page, Photo, check_size
from aindnet.photo.source import SourceFile
from aindnet.photo.traits import Traits

_CHANNELS = {"L": 1, "LA": 2, "RGB": 3, "RGBA": 4}
_PREMULTIPLIED = {"RGBa": "RGBA"}
_FAILURES = (ValueError, RuntimeError, OSError, EOFError, SyntaxError, MemoryError, LookupError)


# H.273's numbers. BT.601's coefficients are what readers take that do not look.
_BT2020_PRIMARIES, _BT2020, _BT601 = 9, 9, 6
_LIGHT = (
    "content_light_level",
    "mastering_display_colour_volume",
    "ambient_viewing_environment",
    "nominal_diffuse_white_luminance",
)


def _library() -> Any:
    try:
        import pillow_heif
    except ImportError as error:
        raise MissingExtraError("pillow-heif", "formats") from error
    return pillow_heif


def open_heic(source: SourceFile, limit: int | None) -> Photo:
    """The primary picture of a HEIC file. Raises `ImageReadError`, `MissingExtraError`."""
    library = _library()
    boxes = heif_boxes.read_boxes(source)
    if boxes.animated:
        raise ImageReadError(f"{shown(source.path)}: an animation, not a photo")
    try:
        file = library.open_heif(io.BytesIO(source.read_all()), convert_hdr_to_8bit=False)
        image = file[file.primary_index]
        (width, height), info = image.size, image.info
        # A monochrome picture says 400 only when opened as L.
        kind, _, deep = image.mode.partition(";")
    except _FAILURES as error:
        raise damaged(source, error) from error
    check_size(source.path, [(height, width)], limit)
    name = _PREMULTIPLIED.get(kind, kind)
    if name not in _CHANNELS:
        raise ImageReadError(f"{shown(source.path)}: HEIC of kind {image.mode}; convert it first")
    metadata = Metadata(icc=info.get("icc_profile") or None)
    metadata.set_xmp(info.get("xmp"))
    metadata.light = {key: info[key] for key in _LIGHT if info.get(key) is not None}
    if metadata.icc is None and (stated := info.get("nclx_profile")):
        codes = ColourCodes(stated["color_primaries"], stated["transfer_characteristics"])
        metadata.set_codes(codes, grey=_CHANNELS[name] <= 2)
    metadata.set_exif(info.get("exif"), turned=True)
    if len(file) > 1 or info.get("depth_images") or info.get("aux"):
        metadata.notice(FURTHER_PICTURES)
    boxes.tell(metadata)
    if kind in _PREMULTIPLIED:
        metadata.notice(ALPHA_APART)
    bits = int(info["bit_depth"])

    def load() -> Rows:
        try:
            samples: Rows = np.asarray(image)
        except _FAILURES as error:
            raise damaged(source, error) from error
        if deep:  # libheif leaves the low bits empty: white is to be white.
            samples = samples | (samples >> bits)
        if kind in _PREMULTIPLIED:
            samples = apart_from_alpha(vips_image(samples)).numpy()
        return samples

    def reader() -> LazyArray:
        return LazyArray(
            (height, width, _CHANNELS[name]), np.uint16 if deep else np.uint8, load, source
        )

    traits = Traits(bits=bits, chroma_halved=info.get("chroma") == 420)
    return Photo(source, HEIC, [Page(reader, icc=metadata.icc, traits=traits)], metadata)


def check_heic() -> None:
    """Raise `MissingExtraError` if no HEIC can be written here."""
    _library()


def encode_heic(image: Any, metadata: Metadata, traits: Traits, path: Path) -> bytes:
    """A libvips image as HEIC. Raises `ImageWriteError`, `MissingExtraError`."""
    library = _library()
    data = bytes(image.write_to_memory())
    name = {channels: name for name, channels in _CHANNELS.items()}[image.bands]
    deep = image.format == "ushort"
    if deep and traits.bits is None:
        metadata.notice("16 bit written as 12 bit: HEIC has no deeper")
    if metadata.iptc:
        metadata.notice("IPTC left out: HEIC has no place for it")
    library.options.SAVE_HDR_TO_12_BIT = traits.bits != 10
    blocks: dict[str, Any] = {"exif": metadata.exif, "xmp": metadata.xmp, **metadata.light}
    if metadata.codes is None:
        blocks["icc_profile"] = metadata.icc
    else:
        bt2020 = metadata.codes.primaries == _BT2020_PRIMARIES
        blocks |= {
            "color_primaries": metadata.codes.primaries,
            "transfer_characteristics": metadata.codes.transfer,
            "matrix_coefficients": _BT2020 if bt2020 else _BT601,
            "full_range_flag": 1,
        }
    blocks = {key: block for key, block in blocks.items() if block}
    output = io.BytesIO()
    try:
        library.encode(
            name + (";16" if deep else ""),
            (image.width, image.height),
            data,
            output,
            quality=OTHER_QUALITY,
            chroma=420 if traits.chroma_halved else 444,
            **blocks,
        )
    except _FAILURES as error:
        text = f"{shown(path)}: cannot be encoded as HEIC ({shown(str(error))}); use .tif"
        raise ImageWriteError(text) from error
    return output.getvalue()
