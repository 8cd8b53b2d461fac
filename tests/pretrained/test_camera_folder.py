"""Which of a folder's profiles a photo needs, and what may be wrong with it."""

from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from aindnet.pretrained import ModelCard, load_model, save_camera_profile, save_model
from aindnet.pretrained.camera_folder import FoundProfile, choose_profile, find_profiles
from aindnet.pretrained.files import read_safetensors, write_safetensors
from restore_networks import small_network


def profile(name: str, iso: tuple[int, int] | None, *files: str) -> FoundProfile:
    return FoundProfile(Path(name), "", "SONY", "ILCE-7M3", iso, files)


@pytest.mark.parametrize(
    ("kind", "iso", "name"),
    [
        ("RAW", 400, "raw"),  # one stop away, and of its kind
        ("JPEG", 400, "jpeg"),
        ("RAW", 100, "unknown"),  # the RAW profile's ISO is too far: what may be of its kind
        ("HEIC", 800, "unknown"),
        ("", 400, "jpeg"),
    ],
)
def test_a_profile_of_the_photo_s_kind_of_file_goes_first(kind: str, iso: int, name: str) -> None:
    found = [
        profile("jpeg", (200, 800), "JPEG"),
        profile("raw", (800, 3200), "RAW"),
        profile("unknown", (100, 800)),
    ]
    chosen = choose_profile(found, "SONY", "ILCE-7M3", iso, kind=kind)
    assert chosen is not None
    assert chosen.path.name == name


def test_what_may_be_wrong_is_said() -> None:
    of_jpeg = profile("jpeg", (100, 800), "JPEG", "other")
    assert of_jpeg.cautions("JPEG") == of_jpeg.cautions("") == []
    assert of_jpeg.cautions("RAW") == [
        "learned from other files than RAW (JPEG, other), whose noise is another"
    ]
    assert profile("old", None).cautions("RAW") == ["it does not say for which ISO it is"]


def test_a_photo_without_iso_gets_a_profile_only_where_there_is_no_choice() -> None:
    low, high = profile("low", (100, 800), "JPEG"), profile("high", (1600, 6400), "JPEG")
    raw = profile("raw", (100, 6400), "RAW")
    assert choose_profile([low, high], "SONY", "ILCE-7M3", None) is None
    assert choose_profile([low, high, raw], "SONY", "ILCE-7M3", None, kind="JPEG") is None
    chosen = choose_profile([low, high, raw], "SONY", "ILCE-7M3", None, kind="RAW")
    assert chosen is not None
    assert chosen.path.name == "raw"
    assert chosen.cautions("RAW") == [
        "the photo does not say its ISO, and the profile is for 100 to 6400"
    ]
    known = choose_profile([low], "SONY", "ILCE-7M3", 400)
    assert known is not None
    assert known.cautions("JPEG") == []
    twice = [low, replace(low, path=Path("other"), base_sha256="1")]
    chosen = choose_profile(twice, "SONY", "ILCE-7M3", None, preferred_base="1")
    assert chosen is not None
    assert chosen.path.name == "other"


@pytest.mark.parametrize(
    ("odd", "word"),
    [
        ({"iso": 3200}, "its ISO range is 3200"),
        ({"iso": [1, 10**400]}, "its ISO range"),
        ({"iso": [0, 400]}, r"its ISO range is \[0, 400\]"),
        ({"iso": [800, 100]}, "its ISO range"),
        ({"iso": [100]}, "its ISO range"),
        ({"iso": ["low", "high"]}, "its ISO range"),
        ({"files": 3}, "the kinds of its files are 3"),
        ({"files": "JPEG"}, "the kinds of its files are 'JPEG'"),
    ],
)
def test_an_odd_profile_is_passed_over(tmp_path: Path, odd: dict[str, Any], word: str) -> None:
    save_model(tmp_path / "small.safetensors", small_network(), ModelCard(name="small"))
    base = load_model(tmp_path / "small.safetensors")
    for name, more in (("good", {}), ("odd", odd)):
        about = {"model": "ILCE-7M3", "iso": [100, 400]} | more
        save_camera_profile(tmp_path / "p" / f"{name}.safetensors", base.network, base, about)
    found, passed_over = find_profiles(tmp_path / "p", {base.sha256})
    assert [each.path.stem for each in found] == ["good"]
    assert list(passed_over) == ["odd.safetensors"]
    assert re.match(word, passed_over["odd.safetensors"])


@pytest.mark.parametrize("about", [100_000 * "[", "[1]", '{"make": "\\ud800"}', None])
def test_a_profile_with_a_damaged_header_is_passed_over(tmp_path: Path, about: str | None) -> None:
    save_model(tmp_path / "small.safetensors", small_network(), ModelCard(name="small"))
    base = load_model(tmp_path / "small.safetensors")
    good, odd = tmp_path / "p" / "good.safetensors", tmp_path / "p" / "odd.safetensors"
    save_camera_profile(good, base.network, base, {"model": "ILCE-7M3"})
    metadata, tensors = read_safetensors(good)
    del metadata["about"]
    write_safetensors(odd, tensors, metadata if about is None else metadata | {"about": about})
    found, passed_over = find_profiles(tmp_path / "p", {base.sha256})
    assert [each.path for each in found] == [good]
    assert re.match("what it is about is damaged|its header has no about", passed_over[odd.name])


def test_profiles_say_their_files_or_do_not(tmp_path: Path) -> None:
    save_model(tmp_path / "small.safetensors", small_network(), ModelCard(name="small"))
    base = load_model(tmp_path / "small.safetensors")
    cases: tuple[tuple[str, dict[str, Any]], ...] = (("a", {"files": ["JPEG", "RAW"]}), ("b", {}))
    for name, more in cases:
        about = {"model": "ILCE-7M3", "iso": [100, 400]} | more
        save_camera_profile(tmp_path / "p" / f"{name}.safetensors", base.network, base, about)
    found, _ = find_profiles(tmp_path / "p", {base.sha256})
    assert [each.files for each in found] == [("JPEG", "RAW"), ()]
