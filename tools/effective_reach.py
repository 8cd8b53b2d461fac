"""How far the network really looks: what a tile border changes, by the distance from it.

A picture is run whole and cut in two, with the whole picture's statistics; near the cut the half
misses its surroundings. The overlap of tiles and what is discarded of it follow from this table.

    python tools/effective_reach.py PHOTO [--model …]
"""

from __future__ import annotations

from pathlib import Path

import cyclopts
import numpy as np

from aindnet.photo import read_image, to_rgb
from aindnet.pretrained import load_model
from aindnet.restore.backends import create_backend
from aindnet.restore.backends.base import TileStatistics
from aindnet.restore.windows import mean_and_deviation

DISTANCES = (0, 4, 8, 12, 16, 24, 32, 48, 64, 96, 128, 160, 192, 224)


def reach(photo: Path, *, model: str | None = None, size: int = 512) -> None:
    """Print the difference by distance, as a Markdown table.

    Parameters
    ----------
    photo
        A noisy photo, at least so large.
    model
        A bundled or installed model, or a weights file.
    size
        Height and width of the part used, a multiple of 64.
    """
    network = load_model(model).network
    if network.config.image_channels != 3:
        raise SystemExit("the reach is measured on colour photos: choose a colour model")
    backend = create_backend(network, backend="torch", device="cpu", precision="fp32")
    rgb = to_rgb(read_image(photo))[:size, :size]
    tile = np.ascontiguousarray(rgb.transpose(2, 0, 1)[None])
    given = TileStatistics(mean_and_deviation(backend.measure(tile)[0])[..., None, None])
    whole = backend.run(tile, [given])
    cut = size // 2
    half = backend.run(np.ascontiguousarray(tile[..., :cut]), [given])
    difference = np.abs(whole[..., :cut] - half)[0, :3] * 255
    print(f"mean change of the photo: {np.abs(whole[:, :3] - tile).mean() * 255:.2f} / 255\n")
    print("| pixels from the cut | worst difference / 255 | mean / 255 |\n|---|---|---|")
    for distance in DISTANCES:
        part = difference[..., cut - distance - 4 : cut - distance]
        print(f"| {distance} | {part.max():.4f} | {part.mean():.5f} |")


if __name__ == "__main__":
    cyclopts.run(reach)
