"""NIND: the Natural Image Noise Dataset, one still scene at many ISO values.

Brummer and De Vleeschouwer, CVPR Workshops 2019; on Wikimedia Commons. Files are named
`NIND_SCENE_ISOVALUE.EXT`, in one folder or one folder a scene.
"""

from __future__ import annotations

import math
import re
from functools import partial
from pathlib import Path

from aindnet.errors import DatasetError
from aindnet.evaluation.datasets.image_files import IMAGE_SUFFIXES, is_visible
from aindnet.evaluation.datasets.pairs import read_pair
from aindnet.evaluation.datasets.sample import Dataset, Sample, require_folder, require_samples

DOWNLOAD = (
    "NIND_SCENE_ISOVALUE.png/.jpg files, from commons.wikimedia.org (Natural Image Noise Dataset); "
    "one folder, or one a scene"
)
NAME = re.compile(r"^NIND_(?P<scene>.+)_ISO(?P<iso>[^_.]+)$")
"""Of a shot: what `aindnet denoise` wrote beside one has a dot after the ISO."""


def iso_value(text: str) -> float:
    """The number an ISO label starts with (`200-2` is a second shot at 200); extended ones (`H1`)
    are infinite.

    >>> iso_value("6400"), iso_value("200-2"), iso_value("H1")
    (6400.0, 200.0, inf)
    """
    digits = re.match(r"\d+", text)
    return float(digits.group()) if digits else math.inf


def load_nind(root: Path) -> Dataset:
    """Every shot above a scene's lowest ISO against the first shot at that lowest ISO."""
    require_folder(root, DOWNLOAD)
    scenes: dict[str, list[tuple[float, str, Path]]] = {}
    for path in sorted(root.rglob("NIND_*")):
        label = NAME.match(path.stem)
        if label and path.suffix.lower() in IMAGE_SUFFIXES and is_visible(path, root):
            shots = scenes.setdefault(label["scene"], [])
            shots.append((iso_value(label["iso"]), label["iso"], path))
    samples = []
    for scene, shots in sorted(scenes.items()):
        (base_iso, _, clean), *others = sorted(shots)
        noisy = [shot for shot in others if shot[0] > base_iso]
        if not noisy:
            raise DatasetError(f"{clean}: scene {scene} has no shot of a higher ISO to denoise")
        for _, label_iso, path in noisy:
            name = f"{scene}_ISO{label_iso}"
            read = partial(read_pair, name, path, clean)
            samples.append(Sample(name, read, group=scene, photo=scene))
    return Dataset(
        name="nind",
        title="NIND",
        samples=require_samples(samples, root, f"NIND file; expected {DOWNLOAD}"),
        protocol="Each shot against the scene's first shot at its lowest ISO, whole images.",
        grouping="scene",
    )
