"""`docs/results.md` from the reports of `aindnet evaluate`, and the runs that make those reports.

    python tools/write_results.py --data DATA --reports runs/results --run   # measure, then write
    python tools/write_results.py --data DATA --reports runs/results         # only write again

`--data` is a folder with the sets at the places that `RUNS` names; one that is not there is left
out. A killed run goes on where it stopped.
"""

from __future__ import annotations

import argparse
import json
import shlex
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from aindnet.evaluation.datasets import dnd, nind, real_mean, renoir, sidd
from aindnet.evaluation.published import PUBLISHED
from aindnet.evaluation.report.markdown import conventions, markdown_report, markdown_table

PEERS = ("--peer", "wavelet", "--peer", "nlm", "--peer", "bm3d", "--peer", "ffdnet")


@dataclass(frozen=True)
class Run:
    """One evaluation: its report's folder, data set, place under `--data`, and flags."""

    name: str
    dataset: str
    place: str
    flags: tuple[str, ...] = ()

    def command(self, data: Path, reports: Path, model: str | None) -> list[str]:
        """The call of `aindnet` that makes the report."""
        root = ["--root", str(data / self.place)] if self.place else []
        chosen = ["--model", model] if model else []
        output = ["--output", str(reports / self.name)]
        return ["evaluate", self.dataset, *root, *chosen, *self.flags, *output]


RUNS = (
    Run("polyu", "polyu", "real/polyu", (*PEERS, "--ensemble")),
    Run("polyu-fullres", "polyu", "real/polyu", ("--kind", "fullres", "--every", "4", *PEERS)),
    Run("renoir", "renoir", "real/renoir", (*PEERS, "--ensemble")),
    Run("sidd-sample", "sidd-sample", "real/sidd-sample", (*PEERS, "--ensemble")),
    Run(
        "gaussian", "gaussian", "clean-test", ("--peer", "ffdnet", "--peer", "bm3d", "--every", "4")
    ),
    Run("estimator", "estimator", "clean-test/kodak8"),
    Run("samples", "samples", "", PEERS),
)

NOT_RUN: tuple[tuple[str, str, str, str], ...] = (
    (
        "DND",
        "dnd",
        "The data set is given out on request and scored by its server only.",
        dnd.DOWNLOAD,
    ),
    ("SIDD validation", "sidd", "The two files are not here.", sidd.VALIDATION_DOWNLOAD),
    (
        "SIDD benchmark",
        "sidd-benchmark",
        "The truth is not published; the old server is closed, a CSV is scored now.",
        sidd.BENCHMARK_DOWNLOAD,
    ),
    ("CC", "cc", "Not here.", real_mean.CC_DOWNLOAD),
    ("Nam", "nam", "Not here.", real_mean.NAM_DOWNLOAD),
    (
        "PolyU, all 100 crops",
        "polyu",
        "62 of the 100 are here; whole scenes are kept apart.",
        real_mean.POLYU_DOWNLOAD,
    ),
    ("RENOIR, whole", "renoir", "13 crops are here.", renoir.DOWNLOAD),
    ("NIND", "nind", "Not here.", nind.DOWNLOAD),
)


def run_missing(data: Path, reports: Path, model: str | None) -> None:
    """Run every evaluation whose data is there and whose report is not."""
    for run in RUNS:
        if run.place and not (data / run.place).is_dir():
            print(f"{run.name}: {data / run.place} is not here, left out")
            continue
        if (reports / run.name / "report.json").is_file():
            continue
        command = run.command(data, reports, model)
        print(shlex.join(["aindnet", *command]), flush=True)
        # A process each: one run's libraries and threads must not slow the next one's timing.
        subprocess.run([sys.executable, "-m", "aindnet", *command], check=True)


def results_page(reports: Path, data: Path) -> str:
    """The page: a summary, a section a report, the published tables, what was not run."""
    documents = []
    for run in RUNS:
        path = reports / run.name / "report.json"
        if path.is_file():
            document = json.loads(path.read_text(encoding="utf-8"))
            document["command"] = public_command(document["command"], data, reports)
            documents.append(document)
    parts = [
        "# Results",
        "Every table here is made by the command under it; this page is written by "
        "`python tools/write_results.py` from the JSON that the commands leave. `DATA` is the "
        f"folder of the data sets. {conventions()}",
        "The peers' settings are the best of a grid on the dev part of each set "
        "(`python tools/choose_peer_settings.py`), so the peers are shown at their best, and the "
        "model as it is, with nothing set. Times are of one machine, with what else ran on it.",
        "## Summary",
        summary_table(documents),
    ]
    parts += [
        markdown_report(document, level=2, with_conventions=False).strip() for document in documents
    ]
    parts += ["## Published numbers, for comparison", *published_tables()]
    parts += ["## What could not be run here", not_run_table()]
    return "\n\n".join(parts) + "\n"


def public_command(command: str, data: Path, reports: Path) -> str:
    """The command with the reader's folders instead of this machine's."""
    return command.replace(str(data), "DATA").replace(str(reports), "runs/results")


def summary_table(documents: Sequence[dict[str, Any]]) -> str:
    """A line a data set: noisy, the best peer, ours, and the difference."""
    lines = []
    for document in documents:
        own = document["psnr"]
        peers = [
            m
            for m in document["methods"]
            if m["name"] not in ("noisy", document["model"], f"{document['model']}*")
            and m["psnr"] is not None
        ]
        best = max(peers, key=lambda m: float(m["psnr"])) if peers else None
        lines.append(
            [
                document["title"],
                str(document["n"]),
                f"{document['noisy_psnr']:.2f}",
                f"{best['psnr']:.2f} ({best['name']})" if best else "–",
                f"**{own:.2f}**" if own is not None else "–",
                f"{own - best['psnr']:+.2f}" if best and own is not None else "–",
            ]
        )
    head = ["data set", "images", "noisy, dB", "best peer, dB", "ours, dB", "ours − best peer"]
    return markdown_table(head, lines)


def published_tables() -> list[str]:
    """The paper's tables for the sets that could not be run here."""
    tables = []
    shown = (
        ("dnd", "DND", 4),
        ("sidd-benchmark", "SIDD benchmark", 3),
        ("sidd", "SIDD validation", 3),
    )
    for dataset, title, digits in shown:
        lines = []
        for row in PUBLISHED[dataset]:
            ssim = "–" if row.ssim is None else f"{row.ssim:.{digits}f}"
            lines.append([row.name.replace("*", "\\*"), f"{row.psnr:.2f}", ssim])
        tables += [f"### {title}", markdown_table(["method", "PSNR, dB", "SSIM"], lines)]
    return tables


def not_run_table() -> str:
    """What is missing, why, and the command for whoever has the data."""
    lines = [
        [title, why, download, f"`aindnet evaluate {name} --root DIR --output REPORT`"]
        for title, name, why, download in NOT_RUN
    ]
    return markdown_table(["data set", "why not", "where it is", "command"], lines)


def main() -> None:
    """Run what is missing if asked to, then write the page."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--reports", type=Path, default=Path("runs/results"))
    parser.add_argument("--output", type=Path, default=Path("docs/results.md"))
    parser.add_argument("--model", help="default: the bundled one")
    parser.add_argument("--run", action="store_true", help="run what has no report yet")
    arguments = parser.parse_args()
    if arguments.run:
        run_missing(arguments.data, arguments.reports, arguments.model)
    page = results_page(arguments.reports, arguments.data)
    arguments.output.write_text(page, encoding="utf-8")
    print(arguments.output)


if __name__ == "__main__":
    main()
