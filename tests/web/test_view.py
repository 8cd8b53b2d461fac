"""What the page shows of a photo."""

from __future__ import annotations

import errno
import os
from pathlib import Path

import numpy as np
import pytest

from aindnet.errors import ImageWriteError
from aindnet.photo.pixels import oriented
from aindnet.web.view import NEAR_SIDE, WHOLE_SIDE, View


def filled(
    folder: Path, before: np.ndarray, noise: np.ndarray | None = None, orientation: int = 1
) -> View:
    """A view of a photo in bands of 100 rows; after is the negative."""
    height, width = before.shape[:2]
    view = View(folder, height, width, orientation)
    noise = np.full_like(before, 0.01) if noise is None else noise
    for y in range(0, height, 100):
        rows = slice(y, y + 100)
        assert not view.complete
        view.add(before[rows], 1 - before[rows], noise[rows])
    assert view.complete
    return view


def levels(height: int, width: int) -> np.ndarray:
    """A photo whose pixels are all known by their level in 8 bits."""
    y, x = np.mgrid[:height, :width]
    return np.stack([y % 256, x % 256, (y // 256 + x // 256) % 256], axis=2).astype("f4") / 255


@pytest.mark.parametrize("at_once", [True, False])
def test_a_full_disk_is_an_error_before_anything_is_mapped(
    at_once: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: object) -> int:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    if at_once:
        monkeypatch.setattr(os, "posix_fallocate", full, raising=False)
    else:
        monkeypatch.delattr(os, "posix_fallocate", raising=False)
        assert filled(tmp_path, levels(9, 9)).complete
        monkeypatch.setattr(os, "write", full)
    with pytest.raises(ImageWriteError, match="No space left on device"):
        View(tmp_path, 900, 900)


def test_a_small_photo_is_shown_pixel_by_pixel(tmp_path: Path) -> None:
    photo = levels(130, 90)
    before, after = filled(tmp_path, photo).whole()
    np.testing.assert_array_equal(before, np.rint(photo * 255))
    np.testing.assert_array_equal(after, 255 - before)


def test_a_large_photo_is_shown_smaller_and_from_near_as_it_is(tmp_path: Path) -> None:
    photo = np.repeat(levels(700, 1)[:, :, [0, 0, 0]], WHOLE_SIDE + 300, axis=1)
    view = filled(tmp_path, photo)
    before, _ = view.whole()
    assert before.shape == (350, (WHOLE_SIDE + 300) // 2, 3)
    assert abs(int(before[5, 0, 0]) - 10.5) <= 0.5
    near, _ = view.near(0.0, 0.0, 2)
    assert near.shape == (NEAR_SIDE, NEAR_SIDE, 3)
    assert near[:6, 0, 0].tolist() == [0, 0, 1, 1, 2, 2]
    nearer, _ = view.near(0.0, 0.0, 4)
    assert nearer.shape == near.shape
    assert nearer[:8, 0, 0].tolist() == [0, 0, 0, 0, 1, 1, 1, 1]
    end, _ = view.near(1.0, 1.0, 1)
    assert end[-1, 0, 0] == 699 % 256


@pytest.mark.parametrize("orientation", range(1, 9))
def test_photos_are_shown_as_their_exif_wants_them(orientation: int, tmp_path: Path) -> None:
    photo = levels(300, 500)
    noise = np.full_like(photo, 0.01)
    noise[10:90, 270:490] = 0.2
    view = filled(tmp_path, photo, noise, orientation)
    before, _ = view.whole()
    np.testing.assert_array_equal(before, oriented(np.rint(photo * 255), orientation))
    # The loudest place is found where it is shown, not where it is stored.
    across, down = view.place
    height, width = before.shape[:2]
    assert oriented(noise, orientation)[
        int(down * height), int(across * width), 0
    ] == pytest.approx(0.2)
