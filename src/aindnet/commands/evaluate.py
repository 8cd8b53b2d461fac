"""`aindnet evaluate`: measure a model, and its peers, on a benchmark."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

from cyclopts import Parameter

from aindnet.errors import AindnetError

if TYPE_CHECKING:
    from aindnet.evaluation.runner import Progress


def evaluate(
    dataset: str,
    *,
    root: Path | None = None,
    model: str | None = None,
    camera: Path | None = None,
    output: Path | None = None,
    peer: Annotated[list[str] | None, Parameter(negative=())] = None,
    ensemble: bool = False,
    metric: Annotated[list[str] | None, Parameter(negative=())] = None,
    kind: Literal["crops", "fullres", "all"] = "crops",
    max_channel_bias: float | None = None,
    low_freq_mismatch: float | None = None,
    shift: float | None = None,
    match_brightness: bool = False,
    every: int = 1,
    limit: int | None = None,
    only: str | None = None,
    device: str = "auto",
    backend: str = "auto",
    precision: str = "auto",
    json_output: Annotated[bool, Parameter(name="--json", negative=())] = False,
) -> int:
    """Measure a model on a benchmark.

    Parameters
    ----------
    dataset
        pairs, polyu, renoir, sidd-sample, noisy.
    root
        The data set's folder.
    model
        A bundled or installed model, or a weights file; `none` for the peers alone.
    camera
        A camera profile to load on the model.
    output
        A folder for the report; scores are kept there as they come, and a killed run goes on where
        it stopped.
    peer
        A method to compare with, repeatable: wavelet, nlm, bm3d, ffdnet (each optionally
        @MULTIPLIER), FILE.onnx, 'command {input} {output}', or all.
    ensemble
        A second row for the model with the geometric self-ensemble of eight.
    metric
        Further readings beside psnr and ssim, repeatable: psnr_float, psnr_luma, ssim_float,
        ssim_grey, ssim_matlab_grey, ssim_matlab_volume.
    kind
        Which PolyU crops.
    max_channel_bias
        Leave out indexed pairs whose sides differ by more in a channel's mean (8-bit levels).
    low_freq_mismatch
        Leave out indexed pairs whose block means differ by more (8-bit levels).
    shift
        Leave out indexed pairs displaced by more (pixels).
    match_brightness
        RENOIR: map the clean side to the noisy side's brightness.
    every
        Take every so-many-th image.
    limit
        Take at most so many images.
    only
        Take images whose name contains this.
    device
        auto, cpu, cuda or mps.
    backend
        auto, torch, openvino or onnx.
    precision
        auto, fp32, bf16, fp16 or int8.
    json_output
        Print one JSON document on stdout.
    """
    from aindnet.evaluation.datasets.catalogue import DatasetOptions, open_dataset
    from aindnet.evaluation.datasets.real_pairs import PairFilter
    from aindnet.evaluation.document import evaluation_document
    from aindnet.evaluation.methods import Method, Noisy, load_our_model, make_peers
    from aindnet.evaluation.metrics import METRICS
    from aindnet.evaluation.provenance import provenance
    from aindnet.evaluation.runner import CONTRACT_METRICS, Journal
    from aindnet.evaluation.runner import evaluate as run

    metrics = list(dict.fromkeys([*CONTRACT_METRICS, *(metric or [])]))
    unknown = [name for name in metrics if name not in METRICS]
    if unknown:
        raise AindnetError(f"--metric {unknown[0]}: not known; there are {', '.join(METRICS)}")
    options = DatasetOptions(
        kind, PairFilter(max_channel_bias, low_freq_mismatch, shift), match_brightness
    )
    images = open_dataset(dataset, root, options).subset(every=every, limit=limit, contains=only)
    methods: list[Method] = [Noisy(), *make_peers(peer or [], images.name)]
    our_name, model_hash = None, None
    if model != "none":
        ours = load_our_model(
            model, camera=camera, device=device, backend=backend, precision=precision
        )
        our_name, model_hash = ours.name, str(ours.denoiser.model_hash)
        methods.append(ours)
        if ensemble:
            methods.append(ours.with_ensemble())
    evaluation = run(
        images,
        methods,
        metrics=metrics,
        journal=Journal(output / "scores.jsonl") if output else None,
        progress=_progress(),
    )
    document = evaluation_document(
        evaluation, model=our_name, model_hash=model_hash, provenance=provenance(), ours=our_name
    )
    for failure in evaluation.failures:
        print(f"aindnet: {failure.image}: {failure.method}: {failure.reason}", file=sys.stderr)
    if json_output:
        print(json.dumps(document, indent=2))
    else:
        _print_table(document)
    return 1 if evaluation.failures else 0


def _progress() -> Progress | None:
    def show(done: int, total: int, name: str) -> None:
        end = "\n" if done == total else ""
        print(f"\r{done}/{total} {name:<40.40}", end=end, file=sys.stderr, flush=True)

    return show if sys.stderr.isatty() else None


def _print_table(document: dict[str, object]) -> None:
    from rich.console import Console
    from rich.table import Table

    table = Table(title=f"{document['title']}, {document['n']} images")
    metrics = document["metrics"]
    assert isinstance(metrics, list)
    for column in ("method", *metrics, "s/MP", "MB"):
        table.add_column(column, justify="left" if column == "method" else "right")
    methods = document["methods"]
    assert isinstance(methods, list)
    for row in methods:
        values = [f"{row[metric]:.{2 if metric.startswith('psnr') else 4}f}" for metric in metrics]
        memory = row["peak_memory_mb"]
        table.add_row(
            row["name"],
            *values,
            f"{row['seconds_per_megapixel']:.2f}",
            "" if memory is None else f"{memory:.0f}",
        )
    Console().print(table)
