"""The released graph's variables with made-up weights, as the golden numbers were made with."""

from __future__ import annotations

import csv
import math
import zlib
from pathlib import Path

import numpy as np


def recipe(name: str, shape: tuple[int, ...]) -> np.ndarray:
    """The deterministic weights that the golden numbers were made with."""
    raw = np.random.PCG64(zlib.crc32(f"golden-45/{name}".encode("ascii"))).random_raw(
        math.prod(shape)
    )
    u = ((2 * (raw >> np.uint64(40)).astype(np.float64) + 1) / 2**24 - 1).reshape(shape)
    if len(shape) == 1:
        return (0.2 + 0.1 * u).astype(np.float32)
    up = name in ("AINDNet/deconv4_1", "AINDNet/deconv5_1")
    fan = shape[3] if up else shape[0] * shape[1] * shape[2]
    amplitude = 0.5 if name == "AINDNet/conv6/weights" else 1.75
    offset = 0.04 if name.startswith("fcn_avg/") else 0.0
    return ((u + offset) * (amplitude / math.sqrt(fan))).astype(np.float32)


def golden_variables(shared: Path) -> dict[str, np.ndarray]:
    """Every variable by its TF1 name, each checked against its recorded checksum."""
    made = {}
    for row in csv.DictReader((shared / "golden/variables.csv").open()):
        weights = recipe(row["name"], tuple(map(int, row["shape"].split("x"))))
        checksum = f"{zlib.crc32(weights.astype('<f4').tobytes()):08x}"
        assert checksum == row["recipe_crc32"], row["name"]
        made[row["name"]] = weights
    return made
