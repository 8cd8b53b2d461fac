"""`docs/results.md` from the reports of `aindnet evaluate`, and the runs that make those reports.

    python tools/write_results.py --data DATA --run                  # measure what is missing
    python tools/write_results.py --data DATA --run --part model     # a new model; peers are kept
    python tools/write_results.py --data DATA --run --only renoir    # one table, repeatable
    python tools/write_results.py --data DATA --run --only ablation  # four trainings, their table
    python tools/write_results.py --data DATA                        # only write the page again

`--data` is a folder with the sets at the places that `TABLES` names; a table whose set is not
there is left out, and said so. A report is made again when its command, the model's weights or a
peer's settings are not what they were; `--again` measures anew what would be kept. Scores are
kept image by image under `--reports`, so a killed run goes on where it stopped, and the peers'
scores outlive any model. Those on real noise, hours of computing, are kept in `docs/scores` too,
for whoever runs this next; the times of peers that were measured on another machine are left out.
A peer without settings for a set has them chosen first. `--limit 2` is for a trial; give it
`--reports` and `--output` of its own.
"""

from __future__ import annotations

import argparse
import json
import os
import shlex
import shutil
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from ablation import ablation_section
from choose_peer_settings import PACKS
from results_tables import NOT_RUN, TABLES, Places, Table

from aindnet.evaluation.methods.registry import PEERS
from aindnet.evaluation.methods.settings import chosen_settings
from aindnet.evaluation.published import PUBLISHED
from aindnet.evaluation.report.markdown import conventions, markdown_report, markdown_table
from aindnet.pretrained.files import file_sha256, find_model
from aindnet.whole_files import whole_file

TOOLS = Path(__file__).resolve().parent
ABLATION = "ablation"
ABLATION_FILE = "ablation.json"
PARTS = ("peers", "model")
THREAD_VARIABLES = (
    "OMP_NUM_THREADS",
    "OPENBLAS_NUM_THREADS",
    "MKL_NUM_THREADS",
    "OPENCV_FOR_THREADS_NUM",
)


class Runner:
    """Runs commands one after the other, prints each, and remembers which failed."""

    def __init__(self, threads: int) -> None:
        self.failed: list[str] = []
        self._environment = os.environ | dict.fromkeys(THREAD_VARIABLES, str(threads))
        if hasattr(os, "sched_setaffinity"):
            # OpenVINO and BM3D heed no variable; every library heeds the cores that it may use.
            os.sched_setaffinity(0, sorted(os.sched_getaffinity(0))[:threads])

    def aindnet(self, arguments: Sequence[str]) -> bool:
        """Run `aindnet`; whether it succeeded."""
        return self._run(["aindnet", *arguments], [sys.executable, "-m", "aindnet", *arguments])

    def tool(self, name: str, arguments: Sequence[str]) -> bool:
        """Run a tool of this folder; whether it succeeded."""
        command = [sys.executable, str(TOOLS / name), *arguments]
        return self._run(["python", f"tools/{name}", *arguments], command)

    def _run(self, shown: list[str], command: list[str]) -> bool:
        print(shlex.join(shown), flush=True)
        succeeded = subprocess.run(command, check=False, env=self._environment).returncode == 0
        if not succeeded:
            self.failed.append(shlex.join(shown))
        return succeeded


def run_tables(
    runner: Runner,
    tables: Sequence[Table],
    places: Places,
    model: str | None,
    *,
    parts: Sequence[str] = PARTS,
    again: bool = False,
) -> None:
    """Run what is missing of every table whose data are there."""
    for table in tables:
        own = model or table.model
        take_kept_scores(table, places)
        if not data_are_here(table, places):
            print(f"{table.name}: {places.data / table.place} is not here, left out")
            continue
        chosen = "peers" in parts and choose_settings(runner, table, places)
        missing = table.missing_parts(places, own, file_sha256(find_model(own)))
        if again:
            forget(table.folder(places) / "scores.jsonl", parts)
        if chosen or again:
            missing = {"peers", "model"}
        # A figure is drawn from pictures, not from scores: its peers run with the model.
        if "peers" in missing and "peers" in parts and not table.figure:
            for peer in table.peers:
                runner.aindnet(table.peer_command(places, peer))
                keep_scores(table, places)
        if missing and "model" in parts:
            runner.aindnet(table.model_command(places, own))


def choose_settings(runner: Runner, table: Table, places: Places) -> bool:
    """Choose the settings of the peers that have none for the table's dev set; whether any were."""
    if table.images not in PACKS:
        return False
    known = chosen_settings()
    lacking = [peer for peer in table.peers if (peer, table.images) not in known]
    if not lacking:
        return False
    peers = [part for peer in lacking for part in ("--peer", peer)]
    root = ["--root", str(places.data / "real")]
    flags = [*root, "--dataset", table.images, *peers, "--write"]
    runner.tool("choose_peer_settings.py", flags)
    chosen_settings.cache_clear()
    return True


def take_kept_scores(table: Table, places: Places) -> None:
    """Start a table's scores from those kept in the repository, where it has none yet."""
    journal = table.folder(places) / "scores.jsonl"
    if table.kept_scores(places).is_file() and not journal.exists():
        journal.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(table.kept_scores(places), journal)


def keep_scores(table: Table, places: Places) -> None:
    """Keep what a table's peers scored so far with the page, where peers take long."""
    journal = table.folder(places) / "scores.jsonl"
    if not table.in_summary or places.limit is not None or not journal.is_file():
        return
    latest = {(line["score"]["method"], line["score"]["image"]): line for line in lines_of(journal)}
    lines = [line for (method, _), line in latest.items() if method in (*PEERS, "noisy")]
    table.kept_scores(places).parent.mkdir(parents=True, exist_ok=True)
    with whole_file(table.kept_scores(places)) as partial:
        partial.write_text("".join(json.dumps(line) + "\n" for line in lines), encoding="utf-8")


def lines_of(journal: Path) -> list[dict[str, Any]]:
    """The whole lines of kept scores; one that a kill cut off is left out."""
    lines = []
    for line in journal.read_text(encoding="utf-8").splitlines():
        try:
            lines.append(json.loads(line))
        except json.JSONDecodeError:
            continue
    return lines


def forget(journal: Path, parts: Sequence[str]) -> None:
    """Drop the kept scores of the peers, or of the model, so that they are measured anew."""
    if not journal.is_file():
        return
    kept = []
    for line in lines_of(journal):
        method = line["score"]["method"]
        part = "peers" if method in PEERS else "model"
        if method == "noisy" or part not in parts:
            kept.append(json.dumps(line))
    with whole_file(journal) as partial:
        partial.write_text("\n".join(kept), encoding="utf-8")


def results_page(places: Places) -> str:
    """The page: a summary, a section a report, the published tables, what was not run."""
    made = [(table, document) for table in TABLES if (document := table.report(places))]
    for table, document in made:
        document["command"] = public_command(document["command"], table)
    shown = [document for table, document in made if table.in_summary]
    page = [d for table, d in made if d["model"] != table.model]
    parts = [
        "# Results",
        "Every table here is made by the command under it; `python tools/write_results.py --data "
        "DATA --run` makes all but the ablation and writes this page, and `--only NAME` one (`"
        + "`, `".join(table.name for table in TABLES)
        + f"`, `{ABLATION}`). `DATA` is the folder of the data sets. {conventions()}",
        "The peers' settings are the best of a grid on the dev part of the set that a row names "
        "(`python tools/choose_peer_settings.py`): every fourth PolyU crop, all images of the "
        "smaller sets, of each the central 256 pixels. These are among the images measured, so the "
        "peers are shown at their best, and the model as it is, with nothing set for a set; "
        "constants of the default were chosen on these very images, though, one for all sets "
        "(beyond-the-paper.md names them), so its "
        "numbers here are not those of unseen photos. Times are of the machine that a table "
        "names, with what else ran on it; the peers' scores on real noise are kept, image by "
        "image, in `scores/`.",
        "## Summary",
        f"PSNR, dB; images of real noise. {models_of(page)}",
        summary_table(shown),
    ]
    for table, document in made:
        if table.figure:
            parts += [figure_section(table, document, places)]
        else:
            parts += [table_section(table, document)]
    if (record := ablation_record(places)) is not None:
        parts += [ablation_section(record)]
    if lines := not_made(places):
        parts += ["## Not run yet", *lines]
    parts += ["## Published numbers, for comparison", *published_tables()]
    parts += [not_run_section()]
    return "\n\n".join(parts) + "\n"


def ablation_record(places: Places) -> dict[str, Any] | None:
    """The numbers of the last ablation: of a run that is here, or those kept with the page."""
    for folder in (places.reports / ABLATION, places.kept_scores):
        if (record := folder / ABLATION_FILE).is_file():
            found: dict[str, Any] = json.loads(record.read_text(encoding="utf-8"))
            return found
    return None


def not_made(places: Places) -> list[str]:
    """Which tables have no report: those whose data are here, and those whose data are not."""
    names: dict[bool, list[str]] = {True: [], False: []}
    for table in TABLES:
        if table.report(places) is None:
            names[data_are_here(table, places)].append(f"`{table.name}`")
    if ablation_record(places) is None:
        pairs_are_here = all(data_are_here(table, places) for table in TABLES if table.in_summary)
        names[pairs_are_here].append(f"`{ABLATION}`")
    said = {True: "The data are at hand, the tables are not made", False: "The data are not here"}
    return [f"{said[here]}: {', '.join(named)}." for here, named in names.items() if named]


def data_are_here(table: Table, places: Places) -> bool:
    """Whether the table's data set is built in or has a folder under DATA."""
    return not table.place or (places.data / table.place).is_dir()


def public_command(command: str, table: Table) -> str:
    """The command with the reader's folders instead of this machine's."""
    words = shlex.split(command)
    figures = "docs/figures" if table.kept else f"runs/results/{table.name}"
    public = {
        "--root": f"DATA/{table.place}",
        "--output": f"runs/results/{table.name}",
        "--figure": f"{figures}/{table.figure}",
    }
    for at, word in enumerate(words[:-1]):
        if word == "--model":
            words[at + 1] = Path(words[at + 1]).name
        elif word in public:
            words[at + 1] = public[word]
    return shlex.join(words)


def models_of(documents: Any) -> str:
    """Which model the tables are of; tables of several models are said to be so."""
    models = {(d["model"], d["model_hash"]) for d in documents if d["model_hash"]}
    if len(models) > 1:
        return "**Not all tables are of the same weights: see the line under each.**"
    return "".join(
        f"Ours is {name}, SHA-256 `{digest[:16]}…`, where no other is named."
        for name, digest in models
    )


def table_section(table: Table, document: dict[str, Any]) -> str:
    """The report as a section, with what its reader must know."""
    section = markdown_report(document, level=2, with_conventions=False).strip()
    # What is said of the table's own model does not hold of another.
    if table.note and table.model in (None, document["model"]):
        title, _, rest = section.partition("\n\n")
        section = f"{title}\n\n{table.note.format(model=document['model'])}\n\n{rest}"
    return section


def figure_section(table: Table, document: dict[str, Any], places: Places) -> str:
    """The comparison figure with its command."""
    parts = [f"## Figure: {document['title']}"]
    if table.kept and table.figure_path(places).is_file():
        parts += [f"![{document['title']}](figures/{table.figure})"]
    model = f"{document['model']}, SHA-256 `{str(document['model_hash'])[:16]}…`"
    parts += [table.credit, f"- Command: `{document['command']}`\n- Model: {model}"]
    return "\n\n".join(parts)


def summary_table(documents: Sequence[dict[str, Any]]) -> str:
    """A line a data set: noisy, every peer, ours, and the difference to the best peer; the best
    of them, by what is printed, in bold.
    """
    lines = []
    for document in documents:
        psnr = {method["name"]: method["psnr"] for method in document["methods"]}
        shown = [psnr.get(name) for name in ("noisy", *PEERS)] + [document["psnr"]]
        cells = [_decibels(value) for value in shown]
        best = _decibels(max((value for value in shown if value is not None), default=None))
        own, ensemble = document["psnr"], psnr.get(f"{document['model']}*")
        known = [psnr[peer] for peer in PEERS if psnr.get(peer) is not None]
        difference = "–" if own is None or not known else f"{own - max(known):+.2f}"
        lines.append(
            [
                document["title"],
                str(document["n"]),
                *(f"**{cell}**" if cell == best else cell for cell in cells),
                _decibels(ensemble),
                difference.replace("-", "−"),
            ]
        )
    head = ["data set", "images", "noisy", *PEERS, "ours", "ours ×8", "ours − best peer"]
    return markdown_table(head, lines)


def _decibels(value: float | None) -> str:
    return "–" if value is None else f"{value:.2f}"


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


def not_run_section() -> str:
    """What is missing, why, and the commands for whoever has the data."""
    lines = [
        [entry.title, entry.why, entry.download, "<br>".join(f"`{c}`" for c in entry.commands)]
        for entry in NOT_RUN
    ]
    return "\n\n".join(
        [
            "## What could not be run here",
            "No number of ours exists for these. Each command runs as it stands once `--root` "
            "holds the files; add `--camera PROFILE` for a camera of your own, `--every N` for a "
            "quick look. The loaders are tested on small stand-ins of exactly the real formats. "
            "[What each folder must hold](evaluation.md#data-sets).",
            markdown_table(["data set", "why not", "where it is", "command"], lines),
        ]
    )


def main() -> int:
    """Run what is missing if asked to, then write the page; 1 where a run failed."""
    available = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--reports", type=Path, default=Path("runs/results"))
    parser.add_argument("--output", type=Path, default=Path("docs/results.md"))
    parser.add_argument("--model", help="name or file; default: the bundled one")
    parser.add_argument("--run", action="store_true", help="run what is missing first")
    parser.add_argument(
        "--only", action="append", choices=[*(t.name for t in TABLES), ABLATION], metavar="TABLE"
    )
    parser.add_argument("--part", choices=PARTS, help="default: both, the peers first")
    parser.add_argument("--again", action="store_true", help="measure anew what is there")
    parser.add_argument("--threads", type=int, default=available, help="default: every core")
    parser.add_argument("--limit", type=int, help="photos a table, for a trial")
    parser.add_argument("--budget", default="25m", help="of each training of the ablation")
    given = parser.parse_args()
    page = given.output.parent
    places = Places(
        given.data, given.reports, page / "figures", given.limit, kept_scores=page / "scores"
    )
    failed: list[str] = []
    if given.run:
        runner = Runner(given.threads)
        tables = [t for t in TABLES if given.only is None or t.name in given.only]
        parts = (given.part,) if given.part else PARTS
        run_tables(runner, tables, places, given.model, parts=parts, again=given.again)
        if given.only and ABLATION in given.only:
            output = places.reports / ABLATION
            flags = ["--data", str(places.data), "--budget", given.budget, "--output", str(output)]
            flags += [] if given.limit is None else ["--limit", str(given.limit)]
            if runner.tool("ablation.py", flags) and given.limit is None:
                with whole_file(places.kept_scores / ABLATION_FILE) as partial:
                    shutil.copyfile(output / ABLATION_FILE, partial)
        failed = runner.failed
    with whole_file(given.output) as partial:
        partial.write_text(results_page(places), encoding="utf-8")
    print(given.output)
    for command in failed:
        print(f"failed: {command}", file=sys.stderr)
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
