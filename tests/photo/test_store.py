"""The work file that large pages wait in for their encoder."""

from __future__ import annotations

import mmap
from pathlib import Path

import numpy as np
import pytest

from aindnet.photo import store
from aindnet.photo.store import PixelStore


class Pages:
    """Counts how often pages are let go."""

    def __init__(self) -> None:
        self.advice: list[int] = []

    def madvise(self, advice: int) -> None:
        self.advice.append(advice)


@pytest.mark.skipif(not hasattr(mmap, "MADV_DONTNEED"), reason="a system without this advice")
def test_pages_are_let_go_of_again_and_again(tmp_path: Path) -> None:
    import pyvips

    pages = Pages()
    image = pyvips.Image.black(4000, 4000, bands=3).copy()
    store._let_go_of_pages(image, pages)  # type: ignore[arg-type]
    image.tiffsave(str(tmp_path / "page.tif"))
    assert 5 <= len(pages.advice) <= 27
    assert set(pages.advice) == {mmap.MADV_DONTNEED}


def test_rows_on_disk_come_back_as_they_were(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(store, "IN_MEMORY_BYTES", 100)
    rows = np.random.default_rng(0).integers(0, 1 << 16, (300, 700, 3), np.uint16)
    pages = PixelStore(tmp_path / "out.tif", *rows.shape, rows.dtype)
    pages.write(rows[:100])
    pages.write(rows[100:])
    assert pages.full
    image = pages.image()
    assert image.interpretation == "rgb16"
    np.testing.assert_array_equal(image.numpy(), rows)
    pages.close()
    assert list(tmp_path.iterdir()) == []
