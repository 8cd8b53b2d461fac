"""`aindnet evaluate`: measure a model, and its peers, on a benchmark."""

from __future__ import annotations

import json
import sys
from dataclasses import dataclass, fields, replace
from itertools import groupby
from operator import itemgetter
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING, Annotated, Any, Literal

from cyclopts import Parameter

from aindnet.errors import AindnetError
from aindnet.photo.paths import shown

if TYPE_CHECKING:
    from aindnet.evaluation.datasets import Dataset
    from aindnet.evaluation.methods import Method, OurModel
    from aindnet.evaluation.runner import Progress
    from aindnet.evaluation.scores import Evaluation

Flag = Parameter(negative=())


@Parameter(name="*")
@dataclass(frozen=True)
class Selection:
    """Which images of the data set count."""

    every: int = 1
    """Take every so-many-th photo, under every noise that the data set puts on it."""
    limit: int | None = None
    """Take at most so many photos."""
    only: str | None = None
    """Take images whose name contains this."""
    kind: Literal["crops", "fullres", "all"] = "crops"
    """Which crops of an indexed PolyU pack."""
    max_channel_bias: float | None = None
    """Leave out indexed pairs whose sides differ by more in a channel's mean (8-bit levels)."""
    low_freq_mismatch: float | None = None
    """Leave out indexed pairs whose block means differ by more (8-bit levels)."""
    shift: float | None = None
    """Leave out indexed pairs displaced by more (pixels)."""
    match_brightness: bool = True
    """RENOIR: map each clean side to its noisy side's brightness."""
    sigma: Annotated[tuple[float, ...], Flag] = (15.0, 25.0, 50.0)
    """gaussian: noise levels in 8-bit levels, repeatable."""
    folder: Annotated[tuple[str, ...], Flag] = ()
    """gaussian: take these folders of --root alone, repeatable."""


@Parameter(name="*")
@dataclass(frozen=True)
class Running:
    """What the model runs on."""

    device: Literal["auto", "cpu", "cuda", "mps"] = "auto"
    """Device of the network."""
    backend: Literal["auto", "torch", "openvino", "onnx"] = "auto"
    """Library that runs the network."""
    precision: Literal["auto", "fp32", "bf16", "fp16", "int8"] = "auto"
    """Number format of the network."""


@Parameter(name="*")
@dataclass(frozen=True)
class FigureOptions:
    """The comparison figure."""

    figure: Path | None = None
    """Write a figure of crops (PNG, PDF or SVG): whole image, noisy, peers, ours, clean."""
    figure_images: int = 3
    """How many images it shows."""
    figure_window: int = 96
    """Side of the zoomed window, pixels."""
    figure_place: Annotated[tuple[int, int] | None, Parameter(negative=())] = None
    """Row and column of the window; otherwise it is put where there is most to see."""


def evaluate(
    dataset: str,
    *,
    root: Path | None = None,
    model: str | None = None,
    camera: Path | None = None,
    output: Path | None = None,
    scores: Path | None = None,
    peer: Annotated[tuple[str, ...], Flag] = (),
    ensemble: Annotated[bool, Flag] = False,
    metric: Annotated[tuple[str, ...], Flag] = (),
    selection: Selection = Selection(),
    running: Running = Running(),
    pictures: FigureOptions = FigureOptions(),
    json_output: Annotated[bool, Parameter(name="--json", negative=())] = False,
) -> int:
    """Measure a model on a benchmark.

    Parameters
    ----------
    dataset
        samples (built in), pairs, polyu, cc, nam, renoir, nind, sidd, sidd-training,
        sidd-sample, gaussian, estimator, noisy; dnd and sidd-benchmark write a bundle for
        their server.
    root
        The data set's folder.
    model
        A bundled or installed model, or a weights file; `none` for the peers alone. Left out, the
        default, or the one that the camera profile was adapted from.
    camera
        A camera profile to load on the model.
    output
        A folder for the report (HTML, Markdown, JSON) and bundles; a killed run goes on there.
    scores
        A file that keeps the scores, OUTPUT/scores.jsonl if not given; what is in it is not
        measured again.
    peer
        A method to compare with, repeatable: wavelet, nlm, bm3d, ffdnet (each also as
        NAME@MULTIPLIER of its noise estimate), FILE.onnx, 'command {input} {output}', or all.
    ensemble
        A second row for the model with the geometric self-ensemble of eight.
    metric
        Further readings, repeatable: psnr_float, psnr_luma, ssim_float, ssim_grey,
        ssim_matlab_grey, ssim_matlab_volume; lpips, dists, niqe … where pyiqa and its weights are.
    json_output
        Print one JSON document on stdout.
    """
    from aindnet.commands.batch.jobs import made_here
    from aindnet.evaluation.datasets import SUBMISSIONS, DatasetOptions, PairFilter, open_dataset
    from aindnet.evaluation.methods import make_peers
    from aindnet.whole_files import require_writable_folder

    _check_selection(dataset, selection)
    if model == "none" and (camera or ensemble or running != Running()):
        raise AindnetError(
            "--model none: there is no model that --camera, --ensemble, --backend, --device or "
            "--precision could be for; leave them out"
        )
    if dataset in SUBMISSIONS and (metric or scores or (peer and not pictures.figure)):
        raise AindnetError(
            f"{dataset}: only its server has the truth, so --metric, --scores and, without "
            "--figure, --peer have nothing to show; leave them out"
        )
    if output:
        require_writable_folder(output)
    bounds = PairFilter(selection.max_channel_bias, selection.low_freq_mismatch, selection.shift)
    options = DatasetOptions(
        selection.kind,
        bounds,
        selection.match_brightness,
        selection.sigma,
        selection.folder,
        skip=made_here,
    )
    whole = open_dataset(dataset, root, options)
    images = whole.subset(every=selection.every, limit=selection.limit, contains=selection.only)
    ours = None if model == "none" else _load_model(model, camera, running)
    peers = make_peers(peer, images.name, taken=_own_names(ours))
    methods = _methods(ours, peers, ensemble)
    if pictures.figure:
        _check_figure(images, pictures.figure, pictures)
    if dataset in SUBMISSIONS:
        assert root is not None
        complete = len(images.samples) == len(whole.samples)
        code = _submit(
            images,
            ours,
            root,
            output,
            complete=complete,
            ensemble=ensemble,
            json_output=json_output,
        )
        if pictures.figure and code == 0:
            _draw(images, methods, pictures.figure, pictures)
        return code
    evaluation, document = _measure(images, methods, peers, ours, metric, output, scores)
    if json_output:
        print(json.dumps(document, indent=2), flush=True)
    else:
        _print_table(document)
    images, methods = _scored(images, methods, evaluation)
    if output:
        _write_report(images, methods, evaluation, document, output)
    if pictures.figure:
        _draw(images, methods, pictures.figure, pictures)
    return 1 if evaluation.failures or evaluation.dropped else 0


_FILTERED = frozenset({"polyu", "renoir"})
_KNOWN_BY = MappingProxyType(
    {
        "kind": frozenset({"polyu"}),
        "max_channel_bias": _FILTERED,
        "low_freq_mismatch": _FILTERED,
        "shift": _FILTERED,
        "match_brightness": frozenset({"renoir"}),
        "sigma": frozenset({"gaussian"}),
        "folder": frozenset({"gaussian"}),
    }
)
"""Which data sets a field of `Selection` means something to; all, where it is not named."""


def _check_selection(dataset: str, selection: Selection) -> None:
    for each in fields(Selection):
        known = _KNOWN_BY.get(each.name)
        if known and dataset not in known and getattr(selection, each.name) != each.default:
            flag = each.name.replace("_", "-")
            raise AindnetError(f"--{flag} goes with {', '.join(sorted(known))}, not with {dataset}")


def _load_model(model: str | None, camera: Path | None, running: Running) -> OurModel:
    from aindnet.evaluation.methods import load_our_model

    return load_our_model(
        model,
        camera=camera,
        device=running.device,
        backend=running.backend,
        precision=running.precision,
    )


def _own_names(ours: OurModel | None) -> set[str]:
    """Names of rows that no peer may have."""
    from aindnet.evaluation.methods import Noisy

    own = [] if ours is None else [ours.name, ours.with_ensemble().name]
    return {Noisy().name, *own}


def _methods(ours: OurModel | None, peers: list[Method], ensemble: bool) -> list[Method]:
    from aindnet.evaluation.methods import Noisy

    methods: list[Method] = [Noisy(), *peers]
    if ours is not None:
        methods.append(ours)
        if ensemble:
            methods.append(ours.with_ensemble())
    return methods


def _measure(
    images: Dataset,
    methods: list[Method],
    peers: list[Method],
    ours: OurModel | None,
    metrics: tuple[str, ...],
    output: Path | None,
    scores: Path | None,
) -> tuple[Evaluation, dict[str, Any]]:
    from aindnet.evaluation.document import evaluation_document
    from aindnet.evaluation.provenance import provenance
    from aindnet.evaluation.runner import CONTRACT_METRICS, Journal
    from aindnet.evaluation.runner import evaluate as run

    if scores is None and output is not None:
        scores = output / "scores.jsonl"
    evaluation = run(
        images,
        methods,
        metrics=tuple(dict.fromkeys([*CONTRACT_METRICS, *metrics])),
        journal=Journal(scores) if scores else None,
        progress=_progress(),
        peers={peer.name for peer in peers},
    )
    name = ours.name if ours else None
    document = evaluation_document(
        evaluation,
        model=name,
        model_hash=str(ours.denoiser.model_hash) if ours else None,
        provenance=provenance(),
        code=_code_of(ours),
        ours=name,
    )
    for failure in evaluation.failures:
        image = shown(failure.image)
        print(f"aindnet: {image}: {failure.method}: {failure.reason}", file=sys.stderr)
    for failure in evaluation.dropped:
        image = shown(failure.image)
        print(f"aindnet: {failure.method} is left out: {image}: {failure.reason}", file=sys.stderr)
    return evaluation, document


def _code_of(ours: OurModel | None) -> str | None:
    if ours is None:
        return None
    from aindnet.restore.code import DENOISING_CODE

    return DENOISING_CODE


def _scored(
    images: Dataset, methods: list[Method], evaluation: Evaluation
) -> tuple[Dataset, list[Method]]:
    """The images and methods that have scores, for pictures of them."""
    from aindnet.evaluation.runner import image_names

    names = set(image_names(evaluation))
    rows = {row.name for row in evaluation.methods}
    samples = tuple(sample for sample in images.samples if sample.name in names)
    return replace(images, samples=samples), [each for each in methods if each.name in rows]


def _write_report(
    images: Dataset,
    methods: list[Method],
    evaluation: Evaluation,
    document: dict[str, Any],
    output: Path,
) -> None:
    from aindnet.evaluation.report import make_showcases, write_report
    from aindnet.evaluation.report.tables import subject

    shown = []
    if len(methods) > 1:
        name = subject(document)["name"]
        method = next(each for each in methods if each.name == name)
        shown = make_showcases(images, method, evaluation)
    for path in write_report(document, shown, output):
        print(path, file=sys.stderr)


def _check_figure(images: Dataset, path: Path, options: FigureOptions) -> None:
    from aindnet.evaluation.figure import check_figure

    check_figure(
        images,
        path,
        images=options.figure_images,
        window=options.figure_window,
        place=options.figure_place,
    )


def _draw(images: Dataset, methods: list[Method], path: Path, options: FigureOptions) -> None:
    from aindnet.evaluation.figure import write_figure

    if not images.samples:
        print(f"aindnet: {path}: no image was scored, so no figure is drawn", file=sys.stderr)
        return
    write_figure(
        images,
        methods,
        path,
        images=options.figure_images,
        window=options.figure_window,
        place=options.figure_place,
    )


def _submit(
    images: Dataset,
    ours: OurModel | None,
    root: Path,
    output: Path | None,
    *,
    complete: bool,
    ensemble: bool,
    json_output: bool,
) -> int:
    from aindnet.evaluation.submission import submit

    if ours is None or output is None:
        raise AindnetError(f"{images.name}: a bundle needs a model and --output DIR to write it to")
    method = ours.with_ensemble() if ensemble else ours
    document = submit(images, method, root, output, complete=complete, progress=_progress())
    for error, parts in groupby(document["failed"], key=itemgetter("error")):
        names = [part["name"] for part in parts]  # of one photo, mostly
        named = names[0] if len(names) == 1 else f"{names[0]} to {names[-1]}"
        print(f"aindnet: {named}: {error}", file=sys.stderr)
    if json_output:
        print(json.dumps(document, indent=2))
    elif document["bundle"]:
        print(shown(document["bundle"]))
    else:
        why = "parts failed" if document["failed"] else "a subset was denoised"
        print(f"{images.name}: {why}, so no bundle is written")
    return 1 if document["failed"] else 0


def _progress() -> Progress | None:
    def show(done: int, total: int, name: str) -> None:
        end = "\n" if done == total else ""
        print(f"\r{done}/{total} {shown(name):<40.40}", end=end, file=sys.stderr, flush=True)

    return show if sys.stderr.isatty() else None


def _print_table(document: dict[str, Any]) -> None:
    from rich.console import Console
    from rich.markup import escape
    from rich.table import Table

    from aindnet.evaluation.report.tables import heading, main_rows, table_metrics

    table = Table(title=escape(f"{document['title']}, {document['n']} images"))
    metrics = table_metrics(document)
    for column in ("method", *(heading(metric) for metric in metrics), "ours − this", "s/MP", "MB"):
        table.add_column(column, justify="left" if column == "method" else "right", no_wrap=True)
    for row in main_rows(document):
        style = {"ours": "bold", "published": "dim"}.get(row.kind)
        name = escape(shown(row.name))
        table.add_row(name, *row.values, row.difference, row.seconds, row.memory, style=style)
    console = Console()
    whole = console.options.update_width(sys.maxsize)
    console.width = max(console.width, console.measure(table, options=whole).maximum)
    console.print(table)
