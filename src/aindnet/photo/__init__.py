"""Files ↔ arrays: reading, writing, RAW, metadata, colour encoding; streaming for huge images."""

from aindnet.photo.pixels import from_rgb, to_rgb

__all__ = ["from_rgb", "to_rgb"]
