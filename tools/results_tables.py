"""The tables of `docs/results.md`: what each measures, and the commands that make it."""

from __future__ import annotations

import json
import shlex
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from aindnet.evaluation.datasets import dnd, nind, real_mean, renoir, sidd
from aindnet.evaluation.methods import PEERS, make_peer
from aindnet.evaluation.provenance import command_line
from aindnet.restore.code import DENOISING_CODE

ALL_PEERS = tuple(PEERS)


@dataclass(frozen=True)
class Places:
    """Where data, reports and figures lie."""

    data: Path
    reports: Path
    figures: Path
    limit: int | None = None
    """Photos a table, for a trial; all if None."""

    kept_scores: Path = Path("docs/scores")
    """Where the peers' scores stay with the page."""


@dataclass(frozen=True)
class Table:
    """One evaluation with its report."""

    name: str
    """Of the report's folder, and what `--only` takes."""

    dataset: str
    place: str
    """Folder under DATA; empty for a set that is built in."""

    flags: tuple[str, ...] = ()
    peers: tuple[str, ...] = ()
    ensemble: bool = False
    note: str = ""
    """What a reader must know beside the protocol; `{model}` stands for the model's name."""

    figure: str = ""
    """The figure's file; the page then shows the figure in place of a table."""

    credit: str = ""
    """Whose photos the figure shows."""

    kept: bool = True
    """Whether the figure stands in the page; one of photos for research alone lies with the report.
    """

    in_summary: bool = False
    model: str | None = None
    """The model that the table is of, where none is asked for and it is not the default."""

    @property
    def images(self) -> str:
        """The name by which peers' settings are kept: of the data set and the kind of crops."""
        kind = self.flags[self.flags.index("--kind") + 1] if "--kind" in self.flags else ""
        return f"{self.dataset}-{kind}" if kind else self.dataset

    def model_command(self, places: Places, model: str | None) -> list[str]:
        """The call of `aindnet` that makes the report: model and peers."""
        peers = [part for peer in self.peers for part in ("--peer", peer)]
        ensemble = ["--ensemble"] if self.ensemble else []
        figure = ["--figure", str(self.figure_path(places))] if self.figure else []
        output = ["--output", str(self.folder(places))]
        return [*self._start(places, model), *peers, *ensemble, *figure, *output]

    def peer_command(self, places: Places, peer: str) -> list[str]:
        """The call of `aindnet` that measures one peer alone and keeps its scores for the report.

        A process each: one method's libraries and threads must not slow the next one's timing.
        """
        scores = ["--scores", str(self.folder(places) / "scores.jsonl")]
        return [*self._start(places, "none"), "--peer", peer, *scores]

    def folder(self, places: Places) -> Path:
        """The report's folder."""
        return places.reports / self.name

    def kept_scores(self, places: Places) -> Path:
        """The file of the peers' scores that stays with the page."""
        return places.kept_scores / f"{self.name}.jsonl"

    def figure_path(self, places: Places) -> Path:
        """The figure's file."""
        return (places.figures if self.kept else self.folder(places)) / self.figure

    def report(self, places: Places) -> dict[str, Any] | None:
        """The report, if it has been made."""
        path = self.folder(places) / "report.json"
        if not path.is_file():
            return None
        document: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
        return document

    def missing_parts(self, places: Places, model: str | None, model_hash: str) -> set[str]:
        """What must be run for the report: "peers" and "model", or neither where it is as it
        should be: made by the same command and code from the same weights, peers at their present
        settings.
        """
        document = self.report(places)
        command = command_line(["aindnet", *self.model_command(places, model)])
        if document is None or _without_model(document["command"]) != _without_model(command):
            return {"peers", "model"}
        settings = {method["name"]: method["settings"] for method in document["methods"]}
        if any(
            settings.get(peer) != make_peer(peer, document["dataset"]).settings
            for peer in self.peers
        ):
            return {"peers", "model"}
        same = (
            document["command"] == command
            and document["model_hash"] == model_hash
            and document.get("code") == DENOISING_CODE
        )
        drawn = not self.figure or self.figure_path(places).is_file()
        return set() if same and drawn else {"model"}

    def _start(self, places: Places, model: str | None) -> list[str]:
        root = ["--root", str(places.data / self.place)] if self.place else []
        limit = [] if places.limit is None else ["--limit", str(places.limit)]
        chosen = ["--model", model] if model else []
        return ["evaluate", self.dataset, *root, *self.flags, *limit, *chosen]


def _without_model(command: str) -> list[str]:
    words = shlex.split(command)
    if "--model" in words:
        at = words.index("--model")
        del words[at : at + 2]
    return words


_GAUSSIAN = (
    "Run with {model}, which is for white noise; it is told no level. Peers are blind too: σ is "
    "estimated, and white noise needs no factor. NLM is left out, as its strength is no σ, and "
    "BM3D for its time"
)
_GREY = (
    "; so is FFDNet, whose weights here are of the colour network. The published FFDNet is told "
    "the level"
)

TABLES = (
    Table(
        "polyu",
        "polyu",
        "real/polyu",
        flags=("--every", "2"),
        peers=ALL_PEERS,
        ensemble=True,
        in_summary=True,
    ),
    Table(
        "polyu-fullres",
        "polyu",
        "real/polyu",
        flags=("--kind", "fullres", "--every", "12"),
        peers=ALL_PEERS,
        ensemble=True,
        in_summary=True,
    ),
    Table("renoir", "renoir", "real/renoir", peers=ALL_PEERS, ensemble=True, in_summary=True),
    Table(
        "sidd-sample",
        "sidd-sample",
        "real/sidd-sample",
        peers=ALL_PEERS,
        ensemble=True,
        in_summary=True,
    ),
    Table(
        "gaussian-grey",
        "gaussian",
        "clean-test",
        flags=("--folder", "set12", "--folder", "bsd68"),
        peers=("wavelet",),
        note=f"{_GAUSSIAN}{_GREY}.",
        model="aindnet-gaussian-grey",
    ),
    Table(
        "gaussian-colour",
        "gaussian",
        "clean-test",
        flags=(
            *("--folder", "kodak8", "--folder", "mcmaster18", "--folder", "cbsd68"),
            *("--every", "2"),
        ),
        peers=("wavelet", "ffdnet"),
        note=f"{_GAUSSIAN}.",
        model="aindnet-gaussian",
    ),
    Table(
        "estimator",
        "estimator",
        "clean-test/kodak8",
        note="Eight of the 24 Kodak photos, run with {model}; the published errors are over all "
        "24, of networks trained on this very camera.",
    ),
    Table("samples", "samples", "", peers=ALL_PEERS, ensemble=True),
    Table(
        "figure-samples",
        "samples",
        "",
        flags=("--every", "5"),
        peers=ALL_PEERS,
        figure="samples.png",
        credit="White, correlated and camera noise. Photo: NASA (public domain), scikit-image.",
    ),
    Table(
        "figure-noisy",
        "noisy",
        "noisy/rni15",
        flags=("--every", "5"),
        peers=ALL_PEERS,
        figure="noisy.png",
        kept=False,
        credit="Photos without truth: RNI15 (Lebrun, Colom, Morel, “The Noise Clinic”). They are "
        "for research, so the figure is not kept here; the command draws it.",
    ),
)


@dataclass(frozen=True)
class NotRun:
    """A data set that is not at hand, and how whoever has it runs it."""

    title: str
    why: str
    download: str
    commands: tuple[str, ...]


NOT_RUN = (
    NotRun(
        "DND, 50 photos (1,000 boxes)",
        "Given out on request; scored by its server only.",
        f"{dnd.DOWNLOAD}; send the files of `runs/dnd/bundle` to the server",
        ("aindnet evaluate dnd --root dnd_2017 --output runs/dnd",),
    ),
    NotRun(
        "SIDD validation, 1,280 blocks",
        "Not here: two files of 252 MB unpacked.",
        sidd.VALIDATION_DOWNLOAD,
        (
            "aindnet evaluate sidd --root SIDD --peer all --ensemble "
            "--metric ssim_matlab_volume --output runs/sidd",
        ),
    ),
    NotRun(
        "SIDD benchmark, 1,280 blocks",
        "The truth is not published; the old server is closed, a CSV is scored now.",
        f"{sidd.BENCHMARK_DOWNLOAD}; send `runs/sidd-benchmark/bundle/SubmitSrgb.csv`",
        ("aindnet evaluate sidd-benchmark --root SIDD --output runs/sidd-benchmark",),
    ),
    NotRun(
        "CC, 15 crops",
        "Not here.",
        real_mean.CC_DOWNLOAD,
        (
            "aindnet evaluate cc --root MCWNNM-ICCV2017/Real_ccnoise_denoised_part --peer all "
            "--ensemble --output runs/cc",
        ),
    ),
    NotRun(
        "Nam, 60 crops",
        "Not here.",
        real_mean.NAM_DOWNLOAD,
        ("aindnet evaluate nam --root Nam --peer all --ensemble --output runs/nam",),
    ),
    NotRun(
        "NIND, about 100 scenes",
        "Not here: whole photos.",
        nind.DOWNLOAD,
        ("aindnet evaluate nind --root NIND --peer ffdnet --output runs/nind",),
    ),
    NotRun(
        "PolyU, all 100 published crops",
        "62 of the 100 are here; whole scenes are kept apart.",
        real_mean.POLYU_DOWNLOAD,
        (
            "aindnet evaluate polyu --root PolyU-Real-World-Noisy-Images-Dataset --peer all "
            "--ensemble --output runs/polyu-100",
        ),
    ),
    NotRun(
        "RENOIR, about 120 scenes",
        "13 crops are here.",
        renoir.DOWNLOAD,
        ("aindnet evaluate renoir --root RENOIR --peer ffdnet --output runs/renoir-whole",),
    ),
    NotRun(
        "Estimator on all 24 Kodak photos",
        "Eight of them are here.",
        "kodim01.png to kodim24.png from r0k.us/graphics/kodak, in one folder",
        ("aindnet evaluate estimator --root kodak --output runs/estimator-24",),
    ),
)
