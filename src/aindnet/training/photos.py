"""Clean photos as tiles of one uint8 tensor on the device, cut and turned there."""

from __future__ import annotations

import io
import math
import os
import re
import struct
import tarfile
from collections import deque
from collections.abc import Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from typing import IO, NamedTuple

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from aindnet.errors import DatasetError

TILE = 256
DECODED_AHEAD = 16
"""Photos."""
IMAGE_SUFFIXES = {".png", ".jpg", ".jpeg", ".webp", ".avif", ".tif", ".tiff", ".bmp"}
TILE_NAME = re.compile(r"(?P<photo>[^/:]+)_\d+_\d+\.\w+$")
"""PHOTO_ROW_COLUMN.EXT: a photo that was cut into tiles already, maybe over several shards."""


class Tiles(NamedTuple):
    """Photos cut into tiles."""

    pixels: Tensor
    """uint8 (N, 3, tile, tile) RGB."""
    photos: Tensor
    """int64 (N,): the number of the photo that each is of, rising."""


def load_tiles(sources: Iterable[Path], tile: int = TILE) -> Tensor:
    """The pixels of `load_photos`: uint8 (N, 3, tile, tile) RGB."""
    return load_photos(sources, tile).pixels


def load_photos(sources: Iterable[Path], tile: int = TILE) -> Tiles:
    """All photos of folders and tar shards, cut into tiles; those of one photo lie together.

    Images of a tile's size that are called PHOTO_ROW_COLUMN are of one photo. A photo's right and
    bottom remainders narrower than a tile are left out, as are photos smaller than a tile. Raises
    `DatasetError` where a source is missing, damaged or holds no photo.
    """
    tiles: list[np.ndarray] = []
    photos: list[int] = []
    numbers: dict[str, int] = {}
    for source in sources:
        before = len(tiles)
        for name, photo in _decoded(_files(source)):
            # Copies: a part of an array would keep all of it.
            tiles.extend(part.transpose(2, 0, 1).copy() for part in _cut(photo, tile))
            part_of = TILE_NAME.search(name) if photo.shape[:2] == (tile, tile) else None
            number = numbers.setdefault(part_of["photo"] if part_of else name, len(numbers))
            photos.extend([number] * (len(tiles) - len(photos)))
        if len(tiles) == before:
            raise DatasetError(f"{source}: no photo of at least {tile}×{tile} pixels in it")
    pixels = torch.empty(len(tiles), 3, tile, tile, dtype=torch.uint8)
    rising, order = torch.tensor(photos).sort(stable=True)
    for place in order.argsort().tolist()[::-1]:  # each is let go: all are never there twice
        pixels[place] = torch.from_numpy(tiles.pop())
    return Tiles(pixels, rising)


def _decoded(files: Iterable[tuple[str, bytes]]) -> Iterator[tuple[str, np.ndarray]]:
    """Names and photos in their order, decoded by threads, few ahead of what is asked for."""
    waiting: deque[tuple[str, Future[np.ndarray]]] = deque()
    with ThreadPoolExecutor() as pool:
        for name, content in files:
            waiting.append((name, pool.submit(read_photo, io.BytesIO(content), name)))
            while len(waiting) >= DECODED_AHEAD:
                first, photo = waiting.popleft()
                yield first, photo.result()
        for first, photo in waiting:
            yield first, photo.result()


def is_photo(name: str) -> bool:
    """Whether a file of this name is taken for a photo; not hidden ones, as a Mac's `._a.jpg`."""
    path = Path(name)
    return path.suffix.lower() in IMAGE_SUFFIXES and not path.name.startswith(".")


def _files(source: Path) -> Iterator[tuple[str, bytes]]:
    """Names and contents of the image files of a folder or tar shard, in the order of names."""
    if os.path.isdir(source):
        for path in sorted(
            p for p in source.rglob("*") if is_photo(p.name) and not os.path.isdir(p)
        ):
            if not os.path.isfile(path):
                raise DatasetError(f"{path}: a broken link or no file; remove it from the folder")
            try:
                content = path.read_bytes()
            except OSError as error:
                raise DatasetError(f"{path}: cannot be read ({error.strerror})") from error
            yield str(path), content
        return
    try:
        with tarfile.open(source) as shard:
            for member in sorted(shard.getmembers(), key=lambda m: m.name):
                stream = shard.extractfile(member)
                if stream is not None and is_photo(member.name):
                    yield f"{source}:{member.name}", stream.read()
    except (OSError, tarfile.TarError) as error:
        raise DatasetError(
            f"{source}: neither a folder nor a readable tar shard ({error})"
        ) from error


def read_photo(file: Path | IO[bytes], name: str) -> np.ndarray:
    """A photo the right way up as 8-bit RGB (H, W, 3). Raises `DatasetError`, which names it."""
    from PIL import Image, ImageOps

    try:
        with Image.open(file) as image:
            upright = ImageOps.exif_transpose(image)
            if upright.mode[0] not in "IF":
                return np.asarray(upright.convert("RGB"))
            grey = np.asarray(upright)
    except (
        *(OSError, SyntaxError, ValueError, struct.error, Image.DecompressionBombError),
        *(AttributeError, TypeError),  # of entries in the metadata that are not of their type
        RuntimeError,  # of a damaged AVIF
    ) as error:
        raise DatasetError(f"{name}: not readable as a photo ({error})") from error
    # Pillow would clip what is deeper than 8 bit instead of scaling it.
    white = 1.0 if upright.mode == "F" else 65535.0
    if grey.size and not 0 <= float(grey.min()) <= float(grey.max()) <= white:
        raise DatasetError(f"{name}: neither 8 nor 16 bit, nor floats up to 1; convert it first")
    return np.repeat((grey * (255 / white)).round().astype(np.uint8)[..., np.newaxis], 3, axis=2)


def _cut(photo: np.ndarray, tile: int) -> Iterator[np.ndarray]:
    height, width = photo.shape[:2]
    for y in range(0, height - tile + 1, tile):
        for x in range(0, width - tile + 1, tile):
            yield photo[y : y + tile, x : x + tile]


def random_crops(
    tiles: Tensor,
    batch: int,
    crop: int,
    generator: torch.Generator,
    *,
    soft_content: float = 0.0,
    soft_range: tuple[float, float] = (1.0, 2.2),
    patterns: float = 0.0,
    low_contrast: float = 0.0,
    contrast_range: tuple[float, float] = (0.25, 1.0),
) -> Tensor:
    """`batch` random crops of uint8 tiles (N, 3, T, T): float32 (batch, 3, crop, crop) in [0, 1].

    Each is one of the eight flips and rotations. With probability `soft_content` it is a smaller
    crop upsampled by a factor of `soft_range`: photos at full resolution are softer, pixel for
    pixel, than photos that were reduced. With probability `low_contrast` it is drawn towards its
    mean colour, by a factor that is log-uniform in `contrast_range`. With probability `patterns` it
    is `colour_patches`.
    """
    device, size = generator.device, tiles.shape[-1]
    draws = torch.rand(batch, 6, generator=generator, device=device).tolist()
    crops = []
    for picture, at_y, at_x, turn, soft, factor in draws:
        side = crop
        if soft < soft_content:
            side = round(crop / (soft_range[0] + (soft_range[1] - soft_range[0]) * factor))
        side = min(side, size)
        y, x = int(at_y * (size - side + 1)), int(at_x * (size - side + 1))
        part = tiles[int(picture * len(tiles)), :, y : y + side, x : x + side].float() / 255
        if side != crop:
            part = F.interpolate(part[None], (crop, crop), mode="bicubic", antialias=True)[0].clamp(
                0, 1
            )
        eighth = int(turn * 8)
        part = torch.rot90(part, eighth % 4, dims=(1, 2))
        crops.append(part.flip(2) if eighth >= 4 else part)
    photos = torch.stack(crops)
    if low_contrast:
        happens, where = torch.rand(2, batch, 1, 1, 1, generator=generator, device=device)
        low, high = (math.log(bound) for bound in contrast_range)
        factor = (low + (high - low) * where).exp()
        mean = photos.mean(dim=(2, 3), keepdim=True)
        photos = torch.where(happens < low_contrast, mean.lerp(photos, factor), photos)
    if patterns:
        drawn = torch.rand(batch, generator=generator, device=device) < patterns
        if int(drawn.sum()):
            photos[drawn] = colour_patches(int(drawn.sum()), crop, generator)
    return photos


def colour_patches(batch: int, crop: int, generator: torch.Generator) -> Tensor:
    """Turned grids of colours: float32 (batch, 3, crop, crop).

    A third flat with sharp edges, a third softened by a pixel, a third running into one another,
    which coarse colour noise is easily taken for. Cells of 6 to 48 pixels, log-uniform; colours
    anywhere in the cube, drawn together to their mean by a random contrast.
    """
    device = generator.device

    def uniform(*shape: int) -> Tensor:
        return torch.rand(batch, *shape, generator=generator, device=device)

    cells = crop // 6 + 2
    cell = 6 * 8 ** uniform(1, 1, 1)
    angle, shift = uniform(1, 1, 1) * (torch.pi / 2), uniform(2, 1, 1) * cells
    colours = uniform(3, cells, cells)
    contrast = 0.3 + 0.7 * uniform(1, 1, 1)
    colours = colours.mean(dim=(2, 3), keepdim=True).lerp(colours, contrast)
    y, x = torch.meshgrid(*(torch.arange(crop, device=device),) * 2, indexing="ij")
    down = (x * angle.sin() + y * angle.cos()) / cell + shift[:, :1]
    across = (x * angle.cos() - y * angle.sin()) / cell + shift[:, 1:]
    row, column = (place.floor().long() % cells for place in (down, across))
    index = (row * cells + column).flatten(1)[:, None].expand(-1, 3, -1)
    sharp = colours.flatten(2).gather(2, index).reshape(batch, 3, crop, crop)
    soft = F.avg_pool2d(F.pad(sharp, (1, 1, 1, 1), mode="replicate"), 3, stride=1)
    # The grid goes on by mirroring here, where the others repeat it.
    places = torch.stack([across, down], dim=-1).squeeze(1) * (2 / cells) - 1
    running = F.grid_sample(
        colours, places, mode="bicubic", padding_mode="reflection", align_corners=False
    ).clamp(0, 1)
    kind = uniform(1, 1, 1)
    return torch.where(kind < 1 / 3, sharp, torch.where(kind < 2 / 3, soft, running))
