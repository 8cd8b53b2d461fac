"""What kind of files an adaptation learns from."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from aindnet.commands.adaptation.file_kinds import kinds_of_pairs, kinds_of_photos
from aindnet.photo import write_image


def test_kinds_are_those_of_the_noisy_sides(tmp_path: Path) -> None:
    grey = np.full((16, 16, 3), 128, np.uint8)
    for name in ("noisy/a.jpg", "noisy/scene/b.png", "noisy/b.denoised.png", "clean/c.webp"):
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        write_image(path, grey)
    (tmp_path / "noisy/d.dng").write_bytes(b"II*\0" + bytes(60))
    (tmp_path / "noisy/e.png").write_bytes((tmp_path / "noisy/a.jpg").read_bytes())
    (tmp_path / "noisy/f.jpg").write_bytes(b"no picture")
    (tmp_path / "noisy/.g.heic").write_bytes(b"\0\0\0\x18ftypheic" + bytes(52))
    assert kinds_of_pairs([tmp_path], ["pairs"]) == ["JPEG", "RAW", "other"]
    assert kinds_of_photos([tmp_path / "clean"]) == ["other"]
    assert kinds_of_pairs([tmp_path, tmp_path], ["polyu", "renoir"]) == ["JPEG", "other"]
