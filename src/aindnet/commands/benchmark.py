"""`aindnet benchmark`: speed and memory of each backend on this machine, side by side."""

from __future__ import annotations

import gc
import importlib.util
import json
import sys
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

from cyclopts import Parameter

from aindnet.errors import AindnetError, ImageWriteError, MissingExtraError

if TYPE_CHECKING:
    from aindnet.restore.benchmark import Image, Run
    from aindnet.restore.ceilings import Ceilings

CHARTS = (".png", ".svg")
PLAIN_WIDTH = 120
"""Columns of text where nobody says how many there are."""
MOST_LOST = 0.05
"""dB below the plain network that `--remember` puts up with."""


def benchmark(
    *,
    size: int = 512,
    model: str | None = None,
    repeats: int = 3,
    peers: bool = True,
    chart: Path | None = None,
    remember: Annotated[bool, Parameter(negative=())] = False,
    as_json: Annotated[bool, Parameter(name="--json", negative=())] = False,
) -> int:
    """Time every backend and precision there is, against the plain network and classical methods.

    Parameters
    ----------
    size
        Height and width of the test image in pixels.
    model
        A bundled or installed model, or a weights file.
    repeats
        Timed calls of each; the median counts.
    peers
        Also time OpenCV's non-local means, and BM3D, where they are installed.
    chart
        Write a bar chart there, as PNG or SVG.
    remember
        Let `--backend auto`, where `--precision` is auto too, take the fastest of these on this
        machine from now on, with as many threads, whatever the model: int8 left out, until
        aindnet or a runtime is another version. The file that says so is named.
    as_json
        Print one JSON document on stdout.
    """
    from aindnet.evaluation.provenance import provenance
    from aindnet.pretrained import load_model
    from aindnet.restore.benchmark import benchmark as measure

    if size < 32 or repeats < 1:
        raise AindnetError("--size must be at least 32 pixels and --repeats at least 1")
    if chart is not None:
        _check_chart(chart)
    loaded = load_model(model)
    if remember:
        _check_remembering(loaded.network.config.resize)
    runs, ceilings, skipped = measure(
        loaded.network,
        size=size,
        repeats=repeats,
        int8_ranges=loaded.int8_ranges,
        report=lambda name: print(f"{name} …", file=sys.stderr),
    )
    naive = next(run for run in runs if run.name == "naive")
    rows: list[dict[str, Any]] = [
        asdict(run)
        | {
            "times_naive": naive.seconds / run.seconds,
            "psnr_difference": run.psnr - naive.psnr,
        }
        for run in runs
    ]
    if peers:
        rows += _peers(size, loaded.network.config.image_channels, naive, skipped)
    if as_json:
        document = {
            "model": loaded.card.name,
            "size": size,
            "runs": rows,
            "ceilings": asdict(ceilings),
            "skipped": skipped,
            "provenance": provenance(),
        }
        print(json.dumps(document, indent=2), flush=True)
    else:
        _print(rows, ceilings, skipped)
    if chart is not None:
        _draw(rows, chart)
    if remember:
        _remember(runs, naive)
    return 0


def _check_remembering(resize: str) -> None:
    from aindnet.restore.backends.measured import measured_file
    from aindnet.whole_files import require_writable_file

    if resize == "tf1":
        raise AindnetError(
            "--remember: the authors' model runs on torch alone, and other models do not: leave it "
            "out, or measure with another --model"
        )
    require_writable_file(measured_file())


def _remember(runs: list[Run], naive: Run) -> None:
    from aindnet.restore.backends.measured import Fastest, as_document, measured_file
    from aindnet.whole_files import whole_file

    as_good = [
        run
        for run in runs
        if run.name != "naive" and run.precision != "int8" and run.psnr > naive.psnr - MOST_LOST
    ]
    if not as_good:
        raise AindnetError(
            f"--remember: nothing is kept, as every backend loses more than {MOST_LOST} dB to the "
            "plain network: measure with another --model"
        )
    best = min(as_good, key=lambda run: run.seconds)
    path = measured_file()
    with whole_file(path) as partial:
        fastest = Fastest(backend=best.backend, device=best.device, precision=best.precision)
        partial.write_text(as_document(fastest), encoding="utf-8")
    print(
        f"aindnet: --backend auto takes {best.name} from now on; remove {path} to undo it",
        file=sys.stderr,
    )


def _peers(size: int, channels: int, naive: Run, skipped: dict[str, str]) -> list[dict[str, Any]]:
    """Classical methods once each, at the noise level that they estimate themselves."""
    from aindnet.evaluation.methods import PeerFailedError
    from aindnet.restore.benchmark import example_image

    clean, noisy = example_image(size, channels)
    rows = []
    for name in ("nlm", "bm3d"):
        print(f"{name} …", file=sys.stderr)
        try:
            rows.append(_peer_row(name, clean, noisy, naive))
        except (MissingExtraError, PeerFailedError) as error:
            skipped[name] = str(error)
    return rows


def _peer_row(name: str, clean: Image, noisy: Image, naive: Run) -> dict[str, Any]:
    """What is measured of one, of which nothing is left for the next one's memory."""
    from aindnet.evaluation.methods import make_peer
    from aindnet.restore.benchmark import psnr, time_calls
    from aindnet.restore.memory import PeakMemory

    gc.collect()
    memory = PeakMemory()
    method = make_peer(name, "gaussian")
    first, seconds, output = time_calls(lambda image: method(image).image, noisy, 1)
    quality, megapixels = psnr(output, clean), noisy.shape[0] * noisy.shape[1] / 1e6
    return {
        "name": name,
        "backend": method.settings,
        "precision": "",
        "device": "cpu",
        "seconds": seconds,
        "first_seconds": first,
        "seconds_per_megapixel": seconds / megapixels,
        "megapixels_per_second": megapixels / seconds,
        "peak_rss_mb": memory.peak_mb(),
        "added_mb": memory.added_mb(),
        "tflops": None,
        "share_of_ceiling": None,
        "share_of_copy": None,
        "psnr": quality,
        "is_default": False,
        "times_naive": naive.seconds / seconds,
        "psnr_difference": quality - naive.psnr,
    }


def _print(rows: list[dict[str, Any]], ceilings: Ceilings, skipped: dict[str, str]) -> None:
    from rich.console import Console
    from rich.table import Table

    table = Table()
    headings = (
        "",
        "seconds",
        "s/MP",
        "× naive",
        "of conv",
        "of copy",
        "added MB",
        "PSNR",
        "− naive",
    )
    for number, heading in enumerate(headings):
        table.add_column(heading, justify="left" if number == 0 else "right", no_wrap=not number)
    for row in rows:
        shares = (row["share_of_ceiling"], row["share_of_copy"])
        memory = row["added_mb"]
        table.add_row(
            f"{row['name']} (default)" if row["is_default"] else row["name"],
            f"{row['seconds']:.3f}",
            f"{row['seconds_per_megapixel']:.2f}",
            f"{row['times_naive']:.1f}",
            *("" if share is None else f"{share:.0%}" for share in shares),
            "" if memory is None else f"{memory:.0f}",
            f"{row['psnr']:.2f}",
            f"{row['psnr_difference']:+.3f}",
        )
    # A pipe or a file has no width: all columns then.
    console = Console(width=None if sys.stdout.isatty() else PLAIN_WIDTH)
    console.print(table)
    for kind, rate in ceilings.convolution_tflops.items():
        console.print(f"convolution ceiling, {kind}: {rate:.2f} TFLOP/s")
    for device, rate in ceilings.copy_gb_per_second.items():
        console.print(f"memory copy, {device}: {rate:.1f} GB/s")
    for name, reason in skipped.items():
        console.print(f"{name}: not run ({reason})", markup=False)


def _check_chart(path: Path) -> None:
    from aindnet.whole_files import require_writable_file

    if path.suffix.lower() not in CHARTS:
        raise ImageWriteError(f"{path}: a chart is written as {' or '.join(CHARTS)}")
    require_writable_file(path)
    if importlib.util.find_spec("matplotlib") is None:
        raise MissingExtraError("matplotlib", "evaluate")


def _draw(rows: list[dict[str, Any]], path: Path) -> None:
    from matplotlib.figure import Figure

    from aindnet.whole_files import whole_file

    names = [row["name"] for row in rows]
    rates = [row["megapixels_per_second"] for row in rows]
    figure = Figure(figsize=(7, 0.4 * len(rows) + 1), layout="constrained")
    axes = figure.subplots()
    bars = axes.barh(
        names, rates, color=["#d08030" if r["is_default"] else "#5070a0" for r in rows]
    )
    axes.bar_label(bars, fmt="%.2g", padding=3)
    axes.set_xscale("log")
    axes.set_xlabel("megapixels per second (the default in orange)")
    axes.invert_yaxis()
    with whole_file(path) as partial:
        figure.savefig(partial, dpi=150)
