"""Metadata of JPEG XL that Brotli made smaller, as pillow-jxl-plugin writes it."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest
from PIL import Image

from aindnet.photo import jxl
from aindnet.photo.metadata import Metadata
from photo_samples import XMP, exif_block, pass_through, picture, save_pillow


def save_packed(path: Path) -> Path:
    pytest.importorskip("pillow_jxl")
    options = {"exif": exif_block(), "xmp": XMP, "compress_metadata": True}
    save_pillow(path, picture(), lossless=True, **options)
    assert path.read_bytes().count(b"brob") == 2
    return path


def test_packed_metadata_is_kept(tmp_path: Path) -> None:
    pytest.importorskip("brotli")
    source = save_packed(tmp_path / "in.jxl")
    assert pass_through(source, tmp_path / "out.jpg") == []
    with Image.open(tmp_path / "out.jpg") as new:
        assert new.getexif()[0x0110] == "Model 7"
        assert new.info["xmp"] == XMP


def test_packed_metadata_needs_brotli(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    source = save_packed(tmp_path / "in.jxl")
    monkeypatch.setitem(sys.modules, "brotli", None)
    notices = pass_through(source, tmp_path / "out.jpg")
    how = "left out: brotli is needed for this: pip install 'aindnet[formats]'"
    assert notices == [f"EXIF {how}", f"XMP {how}"]


def test_packed_metadata_is_no_bomb(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    brotli = pytest.importorskip("brotli")
    source = save_packed(tmp_path / "in.jxl")
    monkeypatch.setattr(jxl, "_MAX_UNPACKED", 100)
    notices = pass_through(source, tmp_path / "out.jpg")
    assert [notice.split(" left out")[0] for notice in notices] == ["EXIF", "XMP"]
    monkeypatch.undo()
    packed = brotli.compress(XMP)
    for damaged in (packed[:-3], bytes([0xFF] * 40), b"", packed + b"more"):
        metadata = Metadata()
        assert jxl._unpacked(damaged, "XMP", metadata) is None
        assert metadata.notices == ["XMP left out: it is damaged, or over 64 MB"]
    assert jxl._unpacked(packed, "XMP", metadata) == XMP
