"""A benchmark's noisy images through a method to the bundle that its server takes."""

from __future__ import annotations

import hashlib
import json
import shutil
import time
from pathlib import Path
from typing import Any

from aindnet.errors import DatasetError, ImageWriteError
from aindnet.evaluation.datasets.dnd import read_boxes
from aindnet.evaluation.datasets.sample import Dataset
from aindnet.evaluation.methods.method import Method
from aindnet.evaluation.provenance import provenance
from aindnet.evaluation.published import published_rows
from aindnet.evaluation.runner import Progress, as_float
from aindnet.evaluation.submission.dnd import bundle_dnd, check_dnd, denoise_dnd
from aindnet.evaluation.submission.sidd import bundle_sidd, check_sidd, denoise_sidd
from aindnet.evaluation.whole_files import whole_file


def submit(
    dataset: Dataset,
    method: Method,
    root: Path,
    output: Path,
    *,
    complete: bool = True,
    progress: Progress | None = None,
) -> dict[str, Any]:
    """Denoise what is not yet denoised under `output`, then write the bundle if the set is
    `complete` and nothing failed.

    Denoised images lie in a folder of their own for each method, so that a run resumes only its
    own; an earlier run's bundle is removed before. Returns the document that is also written as
    `submission.json`, published rows and what failed included. Raises `DatasetError` for a complete
    set that is not the benchmark's size.
    """
    digest = hashlib.sha256(method.fingerprint.encode()).hexdigest()[:12]
    parts, bundle = output / f"denoised-{digest}", output / "bundle"
    if dataset.name == "dnd":
        boxes = read_boxes(root)
        if complete:
            check_dnd(boxes)
        _remove_old_bundle(output)
        failed = denoise_dnd(dataset, method, parts, progress)
    else:
        if complete:
            check_sidd(dataset)
        _remove_old_bundle(output)
        failed = denoise_sidd(dataset, method, parts, progress)
    bundled = complete and not failed
    if bundled and dataset.name == "dnd":
        bundle_dnd(boxes, parts, bundle)
    elif bundled:
        images = len({sample.group for sample in dataset.samples})
        bundle_sidd(
            parts,
            bundle,
            shape=(
                images,
                len(dataset.samples) // images,
                dataset.samples[0].read().noisy.shape[0],
            ),
            seconds_per_megapixel=seconds_per_megapixel(dataset, method),
            method=method.name,
        )
    document = {
        "dataset": dataset.name,
        "title": dataset.title,
        "protocol": dataset.protocol,
        "n": len(dataset.samples),
        "method": method.name,
        "settings": method.settings,
        "fingerprint": method.fingerprint,
        "bundle": str(bundle) if bundled else None,
        "failed": [{"name": part.name, "error": part.error} for part in failed],
        "published": published_rows(dataset.name),
        **provenance(),
    }
    with whole_file(output / "submission.json") as partial:
        partial.write_text(json.dumps(document, indent=2, ensure_ascii=False), encoding="utf-8")
    return document


def _remove_old_bundle(output: Path) -> None:
    """Remove an earlier run's bundle, of another method perhaps, with what says whose it is: this
    run may end without one.
    """
    bundle = output / "bundle"
    try:
        (output / "submission.json").unlink(missing_ok=True)
        if bundle.exists():
            shutil.rmtree(bundle)
    except OSError as error:
        raise ImageWriteError(f"{bundle}: cannot be removed ({error.strerror})") from error


def seconds_per_megapixel(dataset: Dataset, method: Method) -> float:
    """The time that SIDD's form asks for, measured on the first block after one to warm up."""
    if not dataset.samples:
        raise DatasetError(f"{dataset.name}: holds no image")
    noisy = as_float(dataset.samples[0].read().noisy)
    method(noisy)
    start = time.perf_counter()
    method(noisy)
    seconds = time.perf_counter() - start
    return seconds * 2**20 / float(noisy.shape[0] * noisy.shape[1])
