"""Damaged files of every kind end in the named error or a picture: no crash, hang or leftover.

Seeded. `pytest -m slow -s -k many tests/photo/test_fuzz.py --fuzz-files 20000 --fuzz-seed 12` tries
as many files as one likes; the count is printed.
"""

from __future__ import annotations

import faulthandler
import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from aindnet.errors import AindnetError
from aindnet.photo import open_photo, writer
from photo_samples import exif_block, icc_profile, picture, save_dng, save_pillow, save_tiff

KINDS = ("jpg", "png", "tif", "webp", "avif", "heic", "jxl", "dng")
QUICK_FILES = 25
HANG_SECONDS = 120
"""A file that takes longer ends the run with a traceback; its damage is in victim.KIND."""
# The encoders cost more than the damage teaches: results of these kinds are written as PNG.
SLOW_ENCODERS = ("avif", "heic", "jxl", "webp")


def seeds(folder: Path, kind: str) -> list[bytes]:
    """Whole files of a kind."""
    options = {"exif": b"Exif\0\0" + exif_block(6, thumbnail=True), "icc_profile": icc_profile()}
    if kind == "dng":
        pytest.importorskip("rawpy")
        paths = [save_dng(folder / "a.dng")]
    elif kind == "tif":
        paths = [
            save_tiff(folder / "a.tif", picture("uint16"), tile=(32, 32), compression="zlib"),
            save_tiff(folder / "b.tif", picture("float32", 4), bigtiff=True, byteorder=">"),
            save_pillow(folder / "c.tif", picture(), compression="tiff_lzw"),
        ]
    elif kind in ("heic", "jxl"):
        plugin = pytest.importorskip({"heic": "pillow_heif", "jxl": "pillow_jxl"}[kind])
        if kind == "heic":
            plugin.register_heif_opener()
        paths = [save_pillow(folder / f"a.{kind}", picture())]
    else:
        extra = {"progressive": True} if kind == "jpg" else {}
        paths = [
            save_pillow(folder / f"a.{kind}", picture(), **options),
            save_pillow(folder / f"b.{kind}", picture(channels=1), **extra),
        ]
    return [path.read_bytes() for path in paths]


def damaged(whole: list[bytes], count: int, seed: int) -> Iterator[bytes]:
    """Files with flipped bits, blanked, doubled, swapped or missing stretches, and cut ends."""
    generator = np.random.default_rng(seed)
    for number in range(count):
        data = bytearray(whole[number % len(whole)])
        place = int(generator.integers(len(data)))
        length = int(generator.integers(1, max(2, len(data) // 8)))
        way = number % 6
        if way == 0:  # a few bits, most of them near the start, where headers are
            for _ in range(int(generator.integers(1, 9))):
                at = int(len(data) * generator.random() ** 3)
                data[at] ^= 1 << int(generator.integers(8))
        elif way == 1:
            del data[place:]
        elif way == 2:
            data[place : place + length] = bytes(len(data[place : place + length]))
        elif way == 3:
            del data[place : place + length]
        elif way == 4:
            data[place:place] = data[place : place + length]
        else:  # a field of four bytes becomes huge or odd
            value = int(generator.choice([0, 0xFFFFFFFF, 0x7FFFFFFF, 0x80000000, 0xFFFF0000]))
            at = int(len(data) * generator.random() ** 2)
            data[at : at + 4] = value.to_bytes(4, "big")[: len(data[at : at + 4])]
        yield bytes(data)


def survives(path: Path, output: Path) -> bool:
    """Whether the file could be read and written; False for a named error on one line."""
    try:
        with open_photo(path, pixel_limit=1_000_000) as photo, writer(photo, output) as out:
            for page in photo.pages:
                for y in range(0, page.height, 50):
                    out.write(page.rows(y, min(y + 50, page.height)))
    except AindnetError as error:
        text = str(error)
    else:
        return True
    assert "\n" not in text
    assert path.name in text or output.name in text
    return False


def attack(folder: Path, kind: str, count: int, seed: int) -> int:
    whole = seeds(folder, kind)
    victim = folder / f"victim.{kind}"
    suffix = "png" if kind in SLOW_ENCODERS else ("tif" if kind == "dng" else kind)
    read = 0
    for data in damaged(whole, count, seed):
        victim.write_bytes(data)
        output = folder / "out" / f"result.{suffix}"
        output.parent.mkdir(exist_ok=True)
        faulthandler.dump_traceback_later(HANG_SECONDS, exit=True, file=sys.__stderr__)
        try:
            done = survives(victim, output)
        except Exception:
            (folder / f"found.{kind}").write_bytes(data)
            raise
        finally:
            faulthandler.cancel_dump_traceback_later()
        assert [path.name for path in output.parent.iterdir()] == ([output.name] if done else [])
        output.unlink(missing_ok=True)
        read += done
    return read


@pytest.mark.parametrize("kind", KINDS)
def test_damaged_files(tmp_path: Path, kind: str) -> None:
    attack(tmp_path, kind, QUICK_FILES, seed=11)


@pytest.mark.slow
@pytest.mark.parametrize("kind", KINDS)
def test_many_damaged_files(
    tmp_path: Path, kind: str, capsys: pytest.CaptureFixture[str], request: pytest.FixtureRequest
) -> None:
    count = request.config.getoption("--fuzz-files") // len(KINDS)
    read = attack(tmp_path, kind, count, seed=request.config.getoption("--fuzz-seed"))
    with capsys.disabled():
        print(f"\n{kind}: {count} damaged files tried, {read} still readable, the rest named")


@pytest.mark.parametrize("kind", KINDS)
def test_files_cut_at_every_kilobyte(tmp_path: Path, kind: str) -> None:
    whole = seeds(tmp_path, kind)[0]
    cut, output = tmp_path / f"cut.{kind}", tmp_path / "result.tif"
    for length in range(0, len(whole) - 200, 1024):
        cut.write_bytes(whole[:length])
        assert not survives(cut, output), f"{length} of {len(whole)} bytes were taken for a photo"
        assert not output.exists()
