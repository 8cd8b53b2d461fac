"""One reader a kind of file: header → pages, metadata, and how it was encoded."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

from aindnet.errors import ImageReadError
from aindnet.photo import heif_boxes, jpeg, png, tiff, webp
from aindnet.photo.decode import RowReader, apart_from_alpha, damaged, open_tiff_page, open_vips
from aindnet.photo.formats import AVIF, HEIC, JPEG, JXL, PNG, RAW, TIFF, WEBP
from aindnet.photo.heic import open_heic
from aindnet.photo.jxl import open_jxl
from aindnet.photo.metadata import ALPHA_APART, Metadata
from aindnet.photo.paths import shown
from aindnet.photo.photo import Page, Photo, check_size
from aindnet.photo.raw import open_raw
from aindnet.photo.source import SourceFile
from aindnet.photo.tiff import Directory
from aindnet.photo.tiff_pages import (
    check_frames,
    drop_xmp_thumbnails,
    is_mask,
    page_traits,
    read_directories,
    tiff_metadata,
)
from aindnet.photo.traits import Traits

_COLOURS = ("b-w", "grey16", "srgb", "rgb16", "scrgb", "rgb")


def open_source(source: SourceFile, limit: int | None, *, half_size: bool) -> Photo:
    """The photo in an open file. Raises `ImageReadError` and its kin."""
    if source.format is JPEG:
        return _open_jpeg(source, limit)
    if source.format is PNG:
        return _open_png(source, limit)
    if source.format is TIFF:
        return _open_tiff(source, limit, half_size=half_size)
    if source.format is WEBP:
        return _open_webp(source, limit)
    if source.format is AVIF:
        return _open_avif(source, limit)
    if source.format is HEIC:
        return open_heic(source, limit)
    if source.format is JXL:
        return open_jxl(source, limit)
    if source.format is RAW:
        return open_raw(source, limit, half_size=half_size)
    raise AssertionError(source.format)


def _open_jpeg(source: SourceFile, limit: int | None) -> Photo:
    header = jpeg.read_header(source)
    metadata = jpeg.read_metadata(header)
    if not header.several:
        metadata.trailer = jpeg.find_trailer(source, header)
    traits = Traits(
        quality=header.quality,
        chroma_halved=header.chroma_halved,
        progressive=header.progressive,
    )
    return _by_vips(source, limit, metadata, traits)


def _open_png(source: SourceFile, limit: int | None) -> Photo:
    header = png.read_header(source)
    image = open_vips(source)
    metadata = png.read_metadata(header, _field(image, "icc-profile-data"))
    codes, grey = png.colour_codes(header), header.colour_type in png.GREY
    metadata.set_codes(codes, grey=grey)
    if metadata.icc is None and codes is None:
        metadata.icc = png.profile_of_gamma(header, grey=grey)
    if header.palette:
        metadata.notice("palette written out as RGB")
    elif header.bit_depth < 8:
        metadata.notice(f"{header.bit_depth} bit written as 8 bit")
    return _by_vips(source, limit, metadata, Traits(progressive=header.interlaced))


def _open_webp(source: SourceFile, limit: int | None) -> Photo:
    chunks = webp.read_chunks(source.read_all(), str(source.path))
    traits = Traits(lossless=webp.is_lossless(chunks))
    return _by_vips(source, limit, webp.read_metadata(chunks), traits)


def _open_avif(source: SourceFile, limit: int | None) -> Photo:
    boxes = heif_boxes.read_boxes(source)
    if boxes.animated:
        raise ImageReadError(f"{shown(source.path)}: an animation, not a photo")
    image = open_vips(source)
    if _field(image, "n-pages") not in (None, 1):
        raise ImageReadError(f"{shown(source.path)}: several pictures in one AVIF; split it first")
    metadata = Metadata(icc=_field(image, "icc-profile-data"))
    metadata.set_xmp(_field(image, "xmp-data"))
    metadata.set_exif(_field(image, "exif-data"), turned=True)
    if metadata.icc is None:
        metadata.set_codes(boxes.codes, grey=boxes.monochrome)
    boxes.tell(metadata)
    premultiplied = boxes.premultiplied and image.hasalpha()
    if premultiplied:
        metadata.notice(ALPHA_APART)

    def opened() -> Any:
        again = open_vips(source)
        return apart_from_alpha(again) if premultiplied else again

    traits = Traits(bits=_field(image, "bits-per-sample"))
    return _by_vips(source, limit, metadata, traits, opened, grey=boxes.monochrome)


def _open_tiff(source: SourceFile, limit: int | None, *, half_size: bool) -> Photo:
    found = read_directories(source)
    if tiff.DNG_VERSION in found.pages[0].tags:
        return open_raw(source, limit, half_size=half_size)
    check_frames(found, source)
    pictures = [page for page in found.pages if not is_mask(page)]
    if not pictures:
        raise ImageReadError(f"{shown(source.path)}: a mask of another picture, not a photo")
    sizes = [(page.number(tiff.HEIGHT, 0), page.number(tiff.WIDTH, 0)) for page in pictures]
    check_size(source.path, sizes, limit)
    metadata = tiff_metadata(pictures[0])
    if len(pictures) < len(found.pages):
        metadata.notice("pages that are masks of others left out")
    pages = []
    for directory in pictures[1:]:  # of the first its metadata are made
        drop_xmp_thumbnails(directory, metadata)
    for directory in pictures:
        traits = page_traits(directory, found, source, metadata)
        page = _tiff_page(source, directory, metadata)
        if page.dtype.kind != "f" and traits.predictor == "float":  # floats that became integers
            traits = replace(traits, predictor="horizontal")
        page.directory, page.traits = directory, traits
        pages.append(page)
    metadata.icc = pages[0].icc
    return Photo(source, TIFF, pages, metadata)


def _by_vips(
    source: SourceFile,
    limit: int | None,
    metadata: Metadata,
    traits: Traits,
    opened: Callable[[], Any] | None = None,
    *,
    grey: bool = False,
) -> Photo:
    opened = opened or (lambda: open_vips(source))
    image = opened()
    check_size(source.path, [(image.height, image.width)], limit)
    page = (
        _grey_page(source, opened, metadata.icc)
        if grey
        else _vips_page(source, opened, metadata.icc, metadata)
    )
    page.traits = traits
    if page.icc != metadata.icc and source.format is JPEG:
        metadata.verbatim = jpeg.with_profile(metadata.verbatim, page.icc)
    metadata.icc = page.icc
    return Photo(source, source.format, [page], metadata)


def _grey_page(source: SourceFile, opened: Callable[[], Any], icc: bytes | None) -> Page:
    """A page whose three colours are one."""

    def single() -> Any:
        image = opened()
        return image[0].bandjoin(image[3]) if image.bands == 4 else image[0]

    return Page(lambda: RowReader(single, source), icc=icc)


def _tiff_page(source: SourceFile, directory: Directory, metadata: Metadata) -> Page:
    bits = directory.number(tiff.BITS, 1)
    if directory.number(tiff.PHOTOMETRIC, tiff.BLACK_IS_ZERO) == tiff.LAB and bits in (8, 16):
        metadata.notice("Lab converted to sRGB")
        plain = bits == 8 and directory.number(tiff.SAMPLES, 1) == 3
        return _srgb_page(source, lambda: _srgb_from_lab(source, directory.place, plain=plain))
    icc = directory.blob(tiff.ICC)
    return _vips_page(source, lambda: open_tiff_page(source, directory), icc, metadata)


def _vips_page(
    source: SourceFile, opened: Callable[[], Any], icc: bytes | None, metadata: Metadata
) -> Page:
    """A page that libvips decodes; other colour kinds than grey and RGB are converted to sRGB."""
    image = opened()
    kind = image.interpretation
    # Float grey and RGB have other names in libvips; one to four bands are then what they seem.
    if kind in _COLOURS or (image.format == "float" and kind == "multiband"):
        if image.bands > 4:
            raise ImageReadError(
                f"{shown(source.path)}: {image.bands} channels; split off what is not colour first"
            )
        return Page(lambda: RowReader(opened, source), icc=icc)
    if kind == "multiband":
        raise ImageReadError(
            f"{shown(source.path)}: its colours are of a kind that is not read; "
            "convert it to RGB first"
        )
    metadata.notice(f"{'CMYK' if kind == 'cmyk' else kind} converted to sRGB")

    def converted() -> Any:
        again = opened()
        if kind == "cmyk":
            return _srgb_from_cmyk(again)
        return again.colourspace("srgb" if again.format == "uchar" else "rgb16")

    return _srgb_page(source, converted)


def _srgb_page(source: SourceFile, converted: Callable[[], Any]) -> Page:
    """A page of samples that were converted to sRGB."""
    import pyvips

    def checked() -> Any:
        try:
            return converted()
        except pyvips.Error as error:
            raise damaged(source, error) from error

    return Page(lambda: RowReader(checked, source), icc=bytes(pyvips.Image.profile_load("srgb")))


def _srgb_from_cmyk(image: Any) -> Any:
    """CMYK through its own profile, or a common one, to sRGB of the same depth."""
    way = {"embedded": True, "input_profile": "cmyk"}
    if image.format != "ushort":
        return image.icc_transform("srgb", depth=8, **way)
    colours = image.extract_band(0, n=4).icc_transform("srgb", depth=16, **way)
    # With the colours, libvips would take a 16-bit alpha for one of 8 bit.
    extra = image.bands - 4
    return colours.bandjoin(image.extract_band(4, n=extra)) if extra else colours


def _srgb_from_lab(source: SourceFile, place: int, *, plain: bool) -> Any:
    """CIELAB, whose white is D50's, to sRGB: `plain` samples to 8 bit, all others to 16 bit."""
    way = {"output_profile": "srgb", "intent": "relative"}
    if plain:  # three channels of 8 bit, which libvips reads as no more than that
        image = open_vips(source, place, {tiff.PHOTOMETRIC: tiff.RGB})
        hues = image.extract_band(1, n=2).copy(format="char")
        lab = (image[0] * (100 / 255)).bandjoin(hues).copy(interpretation="lab")
        return lab.icc_export(depth=8, **way)
    image = open_vips(source, place)
    colours, extra = image.extract_band(0, n=3).icc_export(depth=16, **way), image.bands - 3
    if not extra:
        return colours
    return colours.bandjoin(image.extract_band(3, n=extra).copy(format="ushort"))


def _field(image: Any, name: str) -> Any:
    return image.get(name) if image.get_typeof(name) != 0 else None
