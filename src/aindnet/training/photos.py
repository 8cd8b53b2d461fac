"""Clean photos as tiles of one uint8 tensor on the device, cut and turned there."""

from __future__ import annotations

import io
import tarfile
from collections.abc import Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from aindnet.errors import DatasetError

TILE = 256
IMAGE_SUFFIXES = {".png", ".jpg", ".jpeg", ".webp", ".avif", ".tif", ".tiff", ".bmp"}


def load_tiles(sources: Iterable[Path], tile: int = TILE) -> Tensor:
    """All photos of folders and tar shards, cut into tiles: uint8 (N, 3, tile, tile) RGB.

    A photo's right and bottom remainders narrower than a tile are left out, as are photos smaller
    than a tile. Raises `DatasetError` where a source is missing, damaged or holds no photo.
    """
    tiles: list[np.ndarray] = []
    for source in sources:
        before = len(tiles)
        with ThreadPoolExecutor() as pool:
            for photo in pool.map(_decode, _files(source)):
                tiles.extend(_cut(photo, tile))
        if len(tiles) == before:
            raise DatasetError(f"{source}: no photo of at least {tile}×{tile} pixels in it")
    return torch.from_numpy(np.stack(tiles)).permute(0, 3, 1, 2).contiguous()


def _files(source: Path) -> Iterator[tuple[str, bytes]]:
    """Names and contents of the image files of a folder or tar shard, in the order of names."""
    if source.is_dir():
        for path in sorted(p for p in source.rglob("*") if p.suffix.lower() in IMAGE_SUFFIXES):
            yield str(path), path.read_bytes()
        return
    try:
        with tarfile.open(source) as shard:
            for member in sorted(shard.getmembers(), key=lambda m: m.name):
                stream = shard.extractfile(member)
                if stream is not None and Path(member.name).suffix.lower() in IMAGE_SUFFIXES:
                    yield f"{source}:{member.name}", stream.read()
    except (OSError, tarfile.TarError) as error:
        raise DatasetError(
            f"{source}: neither a folder nor a readable tar shard ({error})"
        ) from error


def _decode(file: tuple[str, bytes]) -> np.ndarray:
    from PIL import Image, ImageOps, UnidentifiedImageError

    name, content = file
    try:
        with Image.open(io.BytesIO(content)) as image:
            return np.asarray(ImageOps.exif_transpose(image).convert("RGB"))
    except (OSError, UnidentifiedImageError) as error:
        raise DatasetError(f"{name}: not readable as a photo ({error})") from error


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
) -> Tensor:
    """`batch` random crops of uint8 tiles (N, 3, T, T): float32 (batch, 3, crop, crop) in [0, 1].

    Each is one of the eight flips and rotations. With probability `soft_content` it is a smaller
    crop upsampled by a factor of `soft_range`: photos at full resolution are softer, pixel for
    pixel, than photos that were reduced. With probability `patterns` it is `colour_patches`.
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
    if patterns:
        drawn = torch.rand(batch, generator=generator, device=device) < patterns
        if int(drawn.sum()):
            photos[drawn] = colour_patches(int(drawn.sum()), crop, generator)
    return photos


def colour_patches(batch: int, crop: int, generator: torch.Generator) -> Tensor:
    """Turned grids of flat colours, half of them softened: float32 (batch, 3, crop, crop).

    Cells of 6 to 48 pixels, log-uniform; colours anywhere in the cube, drawn together to their mean
    by a random contrast.
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
    row = ((x * angle.sin() + y * angle.cos()) / cell + shift[:, :1]).floor().long() % cells
    column = ((x * angle.cos() - y * angle.sin()) / cell + shift[:, 1:]).floor().long() % cells
    index = (row * cells + column).flatten(1)[:, None].expand(-1, 3, -1)
    sharp = colours.flatten(2).gather(2, index).reshape(batch, 3, crop, crop)
    soft = F.avg_pool2d(F.pad(sharp, (1, 1, 1, 1), mode="replicate"), 3, stride=1)
    return torch.where(uniform(1, 1, 1) < 0.5, sharp, soft)
