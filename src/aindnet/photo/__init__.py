"""Files ↔ arrays: reading, writing, RAW, metadata, colour encoding; streaming for huge images."""

from aindnet.photo.arrays import read_image, write_image
from aindnet.photo.formats import SUFFIXES
from aindnet.photo.output import PhotoWriter, writer
from aindnet.photo.paths import shown
from aindnet.photo.photo import DEFAULT_PIXEL_LIMIT, Page, Photo, open_photo
from aindnet.photo.pixels import from_rgb, to_rgb

__all__ = [
    "DEFAULT_PIXEL_LIMIT",
    "SUFFIXES",
    "Page",
    "Photo",
    "PhotoWriter",
    "from_rgb",
    "open_photo",
    "read_image",
    "shown",
    "to_rgb",
    "write_image",
    "writer",
]
