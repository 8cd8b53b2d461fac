"""The data of the SN task: an endless stream of batches, made noisy on the device that trains."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pytorch_lightning as pl  # noqa: TID253  (this file is imported by training runs only)
import torch
from torch import Tensor
from torch.utils.data import DataLoader, IterableDataset

from aindnet.camera import CameraRecipe, simulate
from aindnet.errors import DatasetError
from aindnet.training.photos import (
    TILE,
    Tiles,
    is_photo,
    load_photos,
    load_tiles,
    random_crops,
    read_photo,
)
from aindnet.training.recipe import TrainingRecipe

REAL_CROP = 256
WHITE_LEVELS = (10, 25)
LUMA = (0.299, 0.587, 0.114)


class Batch(NamedTuple):
    """Photos of one step; a validation batch of real pairs has no true noise level."""

    noisy: Tensor
    clean: Tensor
    noise_level: Tensor | None
    source: str
    """"synthetic", "white LEVEL", or the name of the set of real pairs."""
    processed: int = 0
    """How many of them, the last, are of the recipe's `processed`."""


class _Steps(IterableDataset[int]):
    """The numbers of the steps, which batches are made by, so that a resumed run goes on."""

    def __init__(self, start: int = 0) -> None:
        self.start = start

    def __iter__(self) -> Iterator[int]:
        step = self.start
        while True:
            yield step
            step += 1


class SyntheticNoiseData(pl.LightningDataModule):
    """Clean tiles held as uint8 on the device; crops, turns and noise are made there."""

    def __init__(self, recipe: TrainingRecipe) -> None:
        super().__init__()
        self.recipe = recipe
        self.tiles = torch.empty(0, dtype=torch.uint8)
        self.validation: list[Batch] = []
        self.found = ""
        """In words, how much there is to train on."""
        self.progress = 0.0
        """Share of the budget used, kept up to date by the budget's callback."""

    def setup(self, stage: str) -> None:
        """Decode the photos and make the validation sets, once."""
        if len(self.tiles):
            return
        check_sources(self.recipe)
        photos = load_photos(self.recipe.data)
        self.tiles, held_out = photos.pixels, None
        total, number = len(self.tiles), 1 + int(photos.photos.diff().count_nonzero())
        self.found = f"{total} tiles of {TILE}×{TILE} pixels of {number} photos"
        if self.recipe.hold_out and not self.recipe.validation:
            self.tiles, held_out = without_held_out(photos, self.recipe.hold_out)
            share = len(held_out) / total
            self.found += f"; the last {len(held_out)} of them ({share:.1%}) for validation"
        held_out = _validation_tiles(self.recipe, held_out)  # once, for both
        self.validation = [
            *synthetic_validation(self.recipe, held_out),
            *white_validation(self.recipe, held_out),
            *_all_real_pairs(self.recipe.real_pairs, self.recipe.network.image_channels),
        ]

    def stage(self) -> tuple[int, int]:
        """Crop and batch of the stage that the budget is in."""
        current = [stage for stage in self.recipe.stages if stage[0] <= self.progress][-1]
        return current[1], current[2]

    def train_dataloader(self) -> DataLoader[int]:
        """Step numbers, from the trainer's global step on."""
        start = self.trainer.global_step if self.trainer is not None else 0
        return DataLoader(_Steps(start), batch_size=None)

    def val_dataloader(self) -> DataLoader[Batch]:
        """The fixed validation batches."""
        return DataLoader(self.validation, batch_size=None)  # type: ignore[arg-type]

    def transfer_batch_to_device(
        self, batch: Any, device: torch.device, dataloader_idx: int
    ) -> Any:
        """A step's number becomes its photos; validation photos are moved."""
        if isinstance(batch, int):
            return self.make(batch, device)
        level = None if batch.noise_level is None else batch.noise_level.to(device)
        return Batch(batch.noisy.to(device), batch.clean.to(device), level, batch.source)

    def seed_of(self, step: int) -> int:
        """The seed of one step on this rank."""
        rank = self.trainer.global_rank if self.trainer is not None else 0
        return ((self.recipe.seed * 1_000_003 + rank) * 100_000_007 + step) % 2**63

    def make(self, step: int, device: torch.device) -> Batch:
        """The photos of one step on this rank: the same whenever it is asked for at one progress,
        which the stages and the share of white noise follow.
        """
        if self.tiles.device != device:
            self.tiles = self.tiles.to(device)
        generator = torch.Generator(device).manual_seed(self.seed_of(step))
        crop, batch = self.stage()
        recipe, channels = self.recipe, self.recipe.network.image_channels
        processed = round(recipe.processed.share * batch)
        parts = []
        for count, kind, patterns, camera in (
            (batch - processed, recipe, recipe.patterns, recipe.camera_at(self.progress)),
            (processed, recipe.processed, 0.0, recipe.processed.camera),
        ):
            if count == 0:
                continue
            clean = random_crops(
                self.tiles,
                count,
                crop,
                generator,
                soft_content=kind.soft_content,
                soft_range=kind.soft_range,
                patterns=patterns,
                low_contrast=kind.low_contrast,
                contrast_range=kind.contrast_range,
            )
            parts.append(photographed(clean, generator, camera, channels))
        return joined(parts)._replace(processed=processed)


def check_sources(recipe: TrainingRecipe) -> None:
    """Raise `DatasetError` where photos are not there, or are validated on and trained on."""
    for flag, paths in (("--data", recipe.data), ("--validation", recipe.validation)):
        for path in paths:
            if not os.path.exists(path):
                raise DatasetError(f"{path}: not there; name your own photos with {flag} FOLDER")
    for path in (*recipe.validation, *recipe.real_pairs):
        for trained in recipe.data:
            inner, outer = sorted((path.resolve(), trained.resolve()), reverse=True)
            # Of a folder, shards are not read.
            if inner == outer or (inner.is_relative_to(outer) and inner.is_dir()):
                raise DatasetError(
                    f"{path}: to validate on, but its photos and those of {trained}, to train on, "
                    "are partly the same; move them apart, or hold some out (--hold-out 0.05)"
                )


def photographed(
    clean: Tensor, generator: torch.Generator, camera: CameraRecipe, channels: int
) -> Batch:
    """Clean photos (B, 3, H, W) through the camera; for one channel, their luma."""
    if channels == 1:
        clean = luma(clean)
    noisy, noise_level, clean = simulate(clean, generator, camera)
    return Batch(noisy[:, :channels], clean[:, :channels], noise_level[:, :channels], "synthetic")


def joined(parts: Sequence[Batch]) -> Batch:
    """Simulated photos of several kinds as one batch."""
    noisy = torch.cat([part.noisy for part in parts])
    clean = torch.cat([part.clean for part in parts])
    levels = [part.noise_level for part in parts if part.noise_level is not None]
    return Batch(noisy, clean, torch.cat(levels), parts[0].source)


def luma(photos: Tensor) -> Tensor:
    """(B, 3, H, W) → the same shape, every channel the luma (ITU-R BT.601)."""
    weights = photos.new_tensor(LUMA).view(1, 3, 1, 1)
    return (photos * weights).sum(dim=1, keepdim=True).expand_as(photos)


def without_held_out(photos: Tiles, share: float) -> tuple[Tensor, Tensor]:
    """The tiles but for about that share of the last ones, and those.

    Whole photos where they are half to twice the share: neighbouring tiles are alike. Raises
    `DatasetError` where nothing would be left.
    """
    tiles, total = photos.pixels, len(photos.pixels)
    wanted = max(1, round(share * total))
    first = total - wanted
    begins = photos.photos.diff().nonzero().flatten() + 1  # but for the first photo's
    if len(begins):
        nearest = int(begins[(begins - first).abs().argmin()])
        if 0.5 <= (total - nearest) / wanted <= 2:
            first = nearest
    if first <= 0:
        raise DatasetError(
            f"the photos hold {total} tiles of {TILE} pixels, too few to hold some out; "
            "give more, or name others in `validation`"
        )
    return tiles[:first], tiles[first:]


def synthetic_validation(recipe: TrainingRecipe, held_out: Tensor | None = None) -> list[Batch]:
    """The synthetic validation set, in batches of 8: seeded, the same in every run.

    Of the given tiles, or else of the recipe's photos.
    """
    tiles = _validation_tiles(recipe, held_out)
    if tiles is None:
        return []
    generator = torch.Generator().manual_seed(20)
    batches = []
    for start in range(0, recipe.synthetic_crops, 8):
        count = min(8, recipe.synthetic_crops - start)
        clean = random_crops(
            tiles, count, 192, generator,
            soft_content=recipe.soft_content, soft_range=recipe.soft_range,
            low_contrast=recipe.low_contrast, contrast_range=recipe.contrast_range,
        )  # fmt: skip
        channels = recipe.network.image_channels
        batches.append(photographed(clean, generator, recipe.camera, channels))
    return batches


def white_validation(recipe: TrainingRecipe, held_out: Tensor | None = None) -> list[Batch]:
    """Eight of the synthetic set's crops, as they are, under white Gaussian noise of two levels.

    What a denoiser has learned of pictures shows here alone, whatever the camera is: the numbers
    compare with any other Gaussian denoiser's, and with runs of other cameras and contrasts.
    """
    tiles = _validation_tiles(recipe, held_out)
    if tiles is None or not recipe.synthetic_crops:
        return []
    clean = random_crops(
        tiles, min(8, recipe.synthetic_crops), 192, torch.Generator().manual_seed(20),
        soft_content=recipe.soft_content, soft_range=recipe.soft_range,
    )  # fmt: skip
    channels = recipe.network.image_channels
    clean = (luma(clean) if channels == 1 else clean)[:, :channels]
    batches = []
    for level in WHITE_LEVELS:
        noise = torch.randn(clean.shape, generator=torch.Generator().manual_seed(level))
        sigma = torch.full_like(clean, level / 255)
        batches.append(Batch(clean + sigma * noise, clean, sigma, f"white {level}"))
    return batches


def _validation_tiles(recipe: TrainingRecipe, held_out: Tensor | None) -> Tensor | None:
    if held_out is not None:
        return held_out
    return load_tiles(recipe.validation) if recipe.validation else None


def _all_real_pairs(folders: Sequence[Path], channels: int) -> list[Batch]:
    """Those of every folder; folders of one name are told apart by their place in the list."""
    names = [folder.resolve().name for folder in folders]
    batches = [
        batch._replace(source=name if names.count(name) == 1 else f"{name} {number}")
        for number, (folder, name) in enumerate(zip(folders, names, strict=True), start=1)
        for batch in real_pairs(folder)
    ]
    if channels == 3:
        return batches
    return [
        batch._replace(noisy=luma(batch.noisy)[:, :1], clean=luma(batch.clean)[:, :1])
        for batch in batches
    ]


def real_pairs(folder: Path, limit: int = 24) -> list[Batch]:
    """Central crops of up to `limit` evenly chosen pairs of `folder`/noisy and `folder`/clean."""
    names = sorted(
        path.name
        for path in (folder / "noisy").glob("*")
        if is_photo(path.name) and not path.is_dir()
    )
    if not names:
        raise DatasetError(f"{folder}: no pairs; it needs noisy/NAME.ext and clean/NAME.ext")
    chosen = [
        names[i] for i in np.unique(np.linspace(0, len(names) - 1, limit).round().astype(int))
    ]
    batches = []
    for name in chosen:
        noisy, clean = (_side(folder / side / name) for side in ("noisy", "clean"))
        if noisy.shape != clean.shape:
            sizes = " and ".join(
                f"{width}×{height}" for height, width, _ in (clean.shape, noisy.shape)
            )
            raise DatasetError(
                f"{folder / 'clean' / name}: not of the noisy side's size ({sizes}); both sides of "
                "a pair must show the same"
            )
        batches.append(Batch(_middle(noisy), _middle(clean), None, folder.name))
    return batches


def _side(path: Path) -> np.ndarray:
    if not path.is_file():
        raise DatasetError(f"{path}: missing; every noisy photo needs its clean one")
    return read_photo(path, str(path))


def _middle(pixels: np.ndarray) -> Tensor:
    y, x = ((length - min(length, REAL_CROP)) // 2 for length in pixels.shape[:2])
    part = pixels[y : y + REAL_CROP, x : x + REAL_CROP]
    return torch.from_numpy(part.copy()).permute(2, 0, 1)[None].float() / 255
