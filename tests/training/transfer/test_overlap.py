"""Crops that share a part are found, so that nothing is judged by what was learned from."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import skimage.data
from PIL import Image

from aindnet.commands.adaptation.sources import from_pairs
from aindnet.training.transfer.overlap import overlapping
from aindnet.training.transfer.pairs import PhotoPair
from transfer_scenes import with_noise

SIDE = 160


def crop(name: str, y: int, x: int, photo: str = "astronaut", sigma: float = 1.5) -> PhotoPair:
    """A crop of a photo whose clean side has a noise of its own left, as a mean of few has."""
    whole = getattr(skimage.data, photo)()[..., :3]
    clean = with_noise(whole[y : y + SIDE, x : x + SIDE], sigma, seed=y + x)
    return PhotoPair(name, with_noise(clean, 12.0, seed=y), clean, "scene")


@pytest.mark.parametrize("beside", [(0, 90), (70, -60), (-100, 50), (8, 12)])
def test_a_shared_part_is_found(beside: tuple[int, int]) -> None:
    one = crop("one", 120, 160)
    other = crop("other", 120 + beside[0], 160 + beside[1])
    assert overlapping([one, other]) == {"other": "one"}


def test_crops_beside_each_other_and_other_photos_share_nothing() -> None:
    apart = [crop("a", 0, 0), crop("b", 0, 170), crop("c", 170, 0), crop("d", 90, 90, "coffee")]
    assert overlapping(apart) == {}


def test_the_same_place_at_another_noise_is_no_overlap() -> None:
    taken = [crop("iso100", 100, 150), crop("iso6400", 100, 150, sigma=3.0)]
    assert overlapping(taken) == {}


def test_of_two_scenes_nothing_is_compared() -> None:
    one, other = crop("one", 120, 160), crop("other", 140, 190)
    other = PhotoPair(other.name, other.noisy, other.clean, "another")
    assert overlapping([one, other]) == {}


def test_flat_crops_share_nothing() -> None:
    flat = np.full((SIDE, SIDE, 3), 90, np.uint8)
    assert overlapping([PhotoPair(name, flat, flat, "wall") for name in "ab"]) == {}


def test_a_pair_that_shows_a_part_of_another_is_left_out_with_the_reason(tmp_path: Path) -> None:
    for pair in (crop("one", 120, 160), crop("other", 150, 190), crop("third", 300, 20)):
        for side, image in (("noisy", pair.noisy), ("clean", pair.clean)):
            path = tmp_path / side / "hall" / f"{pair.name}.png"
            path.parent.mkdir(parents=True, exist_ok=True)
            Image.fromarray(image).save(path)  # type: ignore[arg-type]
    material = from_pairs([tmp_path], ["pairs"], None, check=False)
    assert [pair.name for pair in material.pairs] == ["hall/one", "hall/third"]
    assert list(material.rejected) == ["hall/other"]
    assert material.rejected["hall/other"].startswith("shows a part of what hall/one shows")
