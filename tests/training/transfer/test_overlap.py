"""Crops that share a part are found, so that nothing is judged by what was learned from."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import skimage.data
from PIL import Image

from aindnet.commands.adaptation.sources import Material, Shot, from_bursts, from_pairs
from aindnet.training.transfer.held_out import places_of
from aindnet.training.transfer.overlap import Overlaps, overlapping
from aindnet.training.transfer.pairs import SCENES_TO_HOLD_OUT_WHOLE, PhotoPair, divide
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
    assert overlapping([one, other]) == Overlaps({"other": "one"}, [])


def test_crops_beside_each_other_and_other_photos_share_nothing() -> None:
    apart = [crop("a", 0, 0), crop("b", 0, 170), crop("c", 170, 0), crop("d", 90, 90, "coffee")]
    assert overlapping(apart) == Overlaps()


def test_the_same_place_at_another_noise_is_no_overlap() -> None:
    taken = [crop("iso100", 100, 150), crop("iso6400", 100, 150, sigma=3.0)]
    assert overlapping(taken) == Overlaps({}, [["iso100", "iso6400"]])


def test_a_larger_crop_from_the_same_corner_shows_another_strip() -> None:
    one = crop("one", 100, 150)
    larger, cut = skimage.data.astronaut()[100:330, 150:400], np.asarray(one.clean)[:-4]
    for name, clean, expected in (
        ("larger", larger, Overlaps({"larger": "one"}, [])),
        ("cut", cut, Overlaps({}, [["one", "cut"]])),  # as frames are that moved
    ):
        assert overlapping([one, PhotoPair(name, clean, clean, name)]) == expected


def test_flat_crops_share_nothing() -> None:
    flat = np.full((SIDE, SIDE, 3), 90, np.uint8)
    assert overlapping([PhotoPair(name, flat, flat, "wall") for name in "ab"]) == Overlaps()


def write(folder: Path, pairs: Sequence[PhotoPair]) -> None:
    for pair in pairs:
        for side, image in (("noisy", pair.noisy), ("clean", pair.clean)):
            path = folder / side / f"{pair.name}.png"
            path.parent.mkdir(parents=True, exist_ok=True)
            Image.fromarray(image).save(path)  # type: ignore[arg-type]


def test_a_pair_that_shows_a_part_of_another_is_left_out_with_the_reason(tmp_path: Path) -> None:
    places = {"hall/one": (120, 160), "hall/100/other": (150, 190), "hall/third": (300, 20)}
    write(tmp_path, [crop(name, *place) for name, place in places.items()])
    material = from_pairs([tmp_path], ["pairs"], None, check=False)
    material.leave_out_overlaps()
    assert material.scenes == 1
    assert [pair.name for pair in material.pairs] == ["hall/100/other", "hall/third"]
    assert list(material.rejected) == ["hall/one"]
    assert material.rejected["hall/one"].startswith("shows a part of what hall/100/other shows")


def test_photos_without_scene_folders_are_all_compared(tmp_path: Path) -> None:
    places = {"a": (120, 160), "b": (150, 190), "c": (160, 120), "d": (340, 20)}
    folders = tmp_path / "first", tmp_path / "second"
    for folder, names in zip(folders, ("ab", "cd"), strict=True):
        write(folder, [crop(name, *places[name]) for name in names])
    material = from_pairs(folders, ["pairs"] * 2, None, check=False)
    material.leave_out_overlaps()
    assert [pair.name for pair in material.pairs] == ["1 first: a", "2 second: d"]


def test_folders_of_two_scenes_are_not_compared(tmp_path: Path) -> None:
    write(tmp_path, [crop("hall/one", 120, 160), crop("wall/other", 150, 190)])
    material = from_pairs([tmp_path], ["pairs"], None, check=False)
    material.leave_out_overlaps()
    assert len(material.pairs) == 2


def test_where_whole_scenes_are_held_out_those_that_are_one_photo_are_compared_alone() -> None:
    flat = np.full((SIDE, SIDE, 3), 90, np.uint8)
    others = [PhotoPair(str(i), flat, flat, str(i)) for i in range(SCENES_TO_HOLD_OUT_WHOLE)]
    one, other = crop("one", 120, 160), crop("other", 150, 190)
    left = []
    for scene in ("", "hall"):
        pairs = [*others, *(replace(each, scene=scene or each.name) for each in (one, other))]
        material = Material("pairs", pairs)
        material.unplaced = {each.name: Shot(each.name, scene) for each in (one, other)}
        material.leave_out_overlaps()
        left.append(list(material.rejected))
    assert left == [["other"], []]


@pytest.mark.parametrize("folders", [("hall/1", "hall/2"), ("first", "second")])
def test_of_bursts_that_show_a_part_of_another_one_is_left(
    tmp_path: Path, folders: tuple[str, str]
) -> None:
    """As where the tripod was turned a little between the two."""
    photo = skimage.data.astronaut()
    for number, folder in enumerate(folders):
        (tmp_path / folder).mkdir(parents=True)
        seen = photo[120 : 120 + SIDE, 100 + 60 * number : 260 + 60 * number]
        for frame in range(4):
            image = with_noise(seen, 8.0, seed=10 * number + frame)
            Image.fromarray(image).save(tmp_path / folder / f"{frame}.png")
    material = from_bursts([tmp_path])
    assert len(material.pairs) == 8
    material.leave_out_overlaps()
    assert [pair.name for pair in material.pairs] == [f"{folders[0]}/{i}.png" for i in range(4)]
    assert list(material.rejected) == [folders[1]]


PLACES = ((0, 0), (0, 170), (0, 340), (170, 0), (340, 200))


def test_photos_of_one_scene_do_not_stand_for_other_scenes(tmp_path: Path) -> None:
    """Five scenes at four ISOs, as bright as exposures differ, each photo without a folder."""
    for number, place in enumerate(PLACES):
        for iso in range(4):
            pair = crop(f"{number}-{iso}", *place, sigma=0.5 + iso / 2)
            clean = np.asarray(pair.clean) * (1 - 0.05 * iso)
            noisy = with_noise(clean, 8.0 + 2 * iso, seed=4 * number + iso)
            write(tmp_path, [replace(pair, noisy=noisy, clean=clean.astype(np.uint8))])
    material = from_pairs([tmp_path], ["pairs"], None, check=False)
    assert material.scenes == len(material.pairs) == SCENES_TO_HOLD_OUT_WHOLE
    material.leave_out_overlaps()
    assert len(material.pairs) == SCENES_TO_HOLD_OUT_WHOLE
    assert material.scenes == len(PLACES)
    assert material.notes[0] == "4 photos show the same (0-0 … 0-3): taken as one scene"
    assert len(material.notes) == len(PLACES)
    division = divide(material.pairs, crop=32, seed=0)
    assert not division.by_scene
    for scene in {pair.scene for pair in material.pairs}:
        judged = [region for region in division.judging if region.pair.scene == scene]
        assert len(set(places_of(judged, by_scene=False))) == len({(r.y, r.x) for r in judged})


def test_bursts_of_one_scene_at_several_isos_are_one_scene(tmp_path: Path) -> None:
    for number, folder in enumerate(("iso800", "iso3200")):
        (tmp_path / folder).mkdir()
        for frame in range(4):
            seen = skimage.data.astronaut()[120 : 120 + SIDE, 100 : 100 + SIDE]
            image = with_noise(seen, 5.0 + 5 * number, seed=10 * number + frame)
            Image.fromarray(image).save(tmp_path / folder / f"{frame}.png")
    material = from_bursts([tmp_path])
    assert material.scenes == 2
    material.leave_out_overlaps()
    assert len(material.pairs) == 8
    assert material.scenes == 1
    assert material.notes == ["2 bursts show the same (iso3200 … iso800): taken as one scene"]
