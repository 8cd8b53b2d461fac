"""Files ↔ arrays: reading, writing, RAW, metadata, colour encoding; streaming for huge images."""

from aindnet.photo.arrays import read_image, write_image
from aindnet.photo.pixels import from_rgb, to_rgb

__all__ = ["from_rgb", "read_image", "to_rgb", "write_image"]
