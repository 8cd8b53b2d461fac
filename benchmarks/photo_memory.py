"""Peak memory of `aindnet denoise` on a large 16-bit TIFF, the model included.

    python benchmarks/photo_memory.py 12 100 300 [--model NAME] [--stand-in] [--folder DIR]

makes each file (streamed, so that this costs no memory either), denoises it in a process of its own
and prints that process's peak resident memory. `--stand-in` takes a denoiser that only shifts every
sample: it shows the bound of reading and writing without waiting for a network.
"""

from __future__ import annotations

import argparse
import json
import math
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import pyvips

STAND_IN = """
import sys
import numpy as np
from aindnet.commands import denoise
from aindnet.restore import Band

class StandIn:
    model_name, model_hash = "stand-in", "0" * 64
    backend, device, precision = "none", "cpu", "fp32"

    def bands(self, source, **options):
        for y in range(0, source.height, 448):
            start = max(0, y - 64)
            rows = source.rows(start, min(y + 512, source.height))[y - start :][:448]
            yield Band(y, rows + np.float32(0.001), np.full_like(rows, 0.01))

denoise._load = lambda *_: StandIn()
from aindnet.commands.app import main
main(sys.argv[1:])
"""


def make_photo(path: Path, megapixels: float) -> tuple[int, int]:
    """Write a noisy 16-bit colour TIFF with 3:2 sides; its width and height."""
    height = round(math.sqrt(megapixels * 1e6 / 1.5))
    width = round(megapixels * 1e6 / height)
    planes = [
        pyvips.Image.gaussnoise(1000, 1000, mean=30_000, sigma=1500, seed=seed).copy_memory()
        for seed in (1, 2, 3)
    ]
    tile = planes[0].bandjoin(planes[1:]).cast("ushort").copy(interpretation="rgb16").copy_memory()
    image = tile.replicate(width // 1000 + 1, height // 1000 + 1).crop(0, 0, width, height)
    image.tiffsave(str(path), compression="none", bigtiff=True)
    return width, height


def measure(source: Path, output: Path, arguments: argparse.Namespace) -> dict[str, object]:
    """Denoise one file in a process of its own."""
    program = ["-c", STAND_IN] if arguments.stand_in else ["-m", "aindnet"]
    command = [sys.executable, *program, "denoise", str(source), "--output", str(output), "--json"]
    if arguments.model:
        command += ["--model", arguments.model]
    started = time.perf_counter()
    process = subprocess.Popen(command, stdout=subprocess.PIPE)
    assert process.stdout is not None
    document = json.loads(process.stdout.read())
    _, status, usage = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    (result,) = document["results"]
    if result["status"] != "done":
        raise SystemExit(result["error"])
    unit = 1 << 20 if sys.platform == "darwin" else 1 << 10
    return {
        "seconds": round(time.perf_counter() - started, 1),
        "peak_rss_mb": round(usage.ru_maxrss / unit),
        "model": document["model"],
    }


def main() -> None:
    parser = argparse.ArgumentParser(description="peak memory on large photos")
    parser.add_argument("megapixels", nargs="+", type=float)
    parser.add_argument("--model")
    parser.add_argument("--stand-in", action="store_true")
    parser.add_argument("--folder", type=Path, help="where the files go while measuring")
    arguments = parser.parse_args()
    print("| megapixels | size | peak memory (MB) | seconds | model |")
    print("| --- | --- | --- | --- | --- |")
    for megapixels in arguments.megapixels:
        with tempfile.TemporaryDirectory(dir=arguments.folder) as folder:
            source, output = Path(folder) / "photo.tif", Path(folder) / "clean.tif"
            width, height = make_photo(source, megapixels)
            found = measure(source, output, arguments)
        print(
            f"| {megapixels:g} | {width}×{height} | {found['peak_rss_mb']} | {found['seconds']} | "
            f"{found['model']} |",
            flush=True,
        )


if __name__ == "__main__":
    main()
