"""A benchmark's noisy images through a method to the bundle that its server takes."""

from __future__ import annotations

import hashlib
import json
import re
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
from aindnet.evaluation.report.markdown import markdown_table
from aindnet.evaluation.report.tables import number
from aindnet.evaluation.runner import Progress, as_float
from aindnet.evaluation.submission.dnd import bundle_dnd, check_dnd, denoise_dnd
from aindnet.evaluation.submission.sidd import bundle_sidd, check_sidd, denoise_sidd
from aindnet.whole_files import whole_file

BUNDLED = re.compile(r"\d{4}\.mat|SubmitSrgb\.(csv|mat)")
"""Names of the files of a bundle."""


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
    own. An earlier bundle stays until this run's is whole; a complete run that fails removes one of
    another method, so that none is mistaken for its own. Returns the document that is also written
    as `submission.json`, and as a table, `submission.md`, published rows and what failed included,
    unless a subset was denoised beside a bundle, which these describe. Raises `DatasetError` for a
    complete set that is not the benchmark's size, and where `bundle` holds anything that is not of
    a bundle.
    """
    fingerprint = method.fingerprint.encode(errors="surrogateescape")
    digest = hashlib.sha256(fingerprint).hexdigest()[:12]
    parts, bundle = output / f"denoised-{digest}", output / "bundle"
    _require_no_others_files(bundle)
    if dataset.name == "dnd":
        boxes = read_boxes(root)
        if complete:
            check_dnd(boxes)
        failed = denoise_dnd(dataset, method, parts, progress)
    else:
        if complete:
            check_sidd(dataset)
        failed = denoise_sidd(dataset, method, parts, progress)
    bundled = complete and not failed
    if bundled:
        _remove(output / "submission.json")  # until the new bundle is there it is of none
    elif complete and _method_of_bundle(output) != method.fingerprint:
        _remove(output / "submission.json", bundle)
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
    if bundled or not bundle.exists():
        written = {
            "submission.md": _table(document),
            "submission.json": json.dumps(document, indent=2, ensure_ascii=False),
        }
        for name, text in written.items():
            with whole_file(output / name) as partial:
                partial.write_text(text, encoding="utf-8", errors="backslashreplace")
    return document


def _table(document: dict[str, Any]) -> str:
    """Markdown: this run's row, whose numbers only the server knows, beside the published ones."""
    lines = [[document["method"].replace("*", "\\*"), "", "", "the server's answer goes here"]]
    for row in document["published"]:
        psnr, ssim = (number(row[metric], metric) for metric in ("psnr", "ssim"))
        lines.append([row["name"].replace("*", "\\*"), psnr, ssim, row["source"]])
    table = markdown_table(["method", "PSNR, dB", "SSIM", "source"], lines)
    return f"# {document['title']}\n\n{document['protocol']}\n\n{table}\n"


def _require_no_others_files(bundle: Path) -> None:
    """Raise `DatasetError` where the folder that a bundle would replace holds anything else."""
    if not bundle.exists():
        return
    if not bundle.is_dir():
        raise DatasetError(f"{bundle}: is a file, where the bundle's folder would be; move it away")
    foreign = [path for path in sorted(bundle.iterdir()) if not BUNDLED.fullmatch(path.name)]
    if foreign:
        raise DatasetError(
            f"{foreign[0]}: is not of a bundle, and the folder would be replaced; move it away, or "
            "choose another --output"
        )


def _method_of_bundle(output: Path) -> str | None:
    """Fingerprint of the method of the bundle that is there; None where nothing says it."""
    try:
        document = json.loads((output / "submission.json").read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None
    made = isinstance(document, dict) and document.get("bundle")
    return str(document.get("fingerprint")) if made else None


def _remove(*paths: Path) -> None:
    for path in paths:
        try:
            if path.is_dir():
                shutil.rmtree(path)
            else:
                path.unlink(missing_ok=True)
        except OSError as error:
            raise ImageWriteError(f"{path}: cannot be removed ({error.strerror})") from error


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
