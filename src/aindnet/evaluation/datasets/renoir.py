"""RENOIR: low-light photos of three cameras with two low-noise exposures of each scene.

Anaya and Barbu, "RENOIR – A dataset for real low-light image noise reduction", JVCIR 2018.
Published as `Mi3_Aligned/`, `S90_Aligned/`, `T3i_Aligned/`, each with folders `Batch_NNN` that hold
two `…Noisy.bmp`, one `…Reference.bmp` and one `…full.bmp`.
"""

from __future__ import annotations

from functools import partial
from pathlib import Path

from aindnet.errors import DatasetError
from aindnet.evaluation.datasets.brightness import with_matched_brightness
from aindnet.evaluation.datasets.image_files import is_visible
from aindnet.evaluation.datasets.pairs import read_pair
from aindnet.evaluation.datasets.real_pairs import PairFilter, load_renoir_crops
from aindnet.evaluation.datasets.sample import Dataset, Sample, require_folder, require_samples

DOWNLOAD = (
    "Mi3_Aligned, S90_Aligned and T3i_Aligned from the RENOIR page "
    "(ani.stat.fsu.edu/~abarbu/Renoir.html)"
)


def load_renoir(
    root: Path, *, pair_filter: PairFilter | None = None, match_brightness: bool = True
) -> Dataset:
    """RENOIR as published, or a pairs folder of its crops with `index.csv`.

    The exposures differ in brightness, which no denoiser can know: unless `match_brightness` is
    off, the clean side is mapped to the noisy side by a least-squares gain and offset per channel.
    """
    require_folder(root, DOWNLOAD)
    if (root / "index.csv").is_file():
        dataset = load_renoir_crops(root, pair_filter=pair_filter)
    else:
        dataset = _load_batches(root)
    return with_matched_brightness(dataset) if match_brightness else dataset


def _load_batches(root: Path) -> Dataset:
    samples = []
    for noisy in sorted(path for path in root.rglob("*Noisy.bmp") if is_visible(path, root)):
        beside = noisy.parent.glob("*Reference.bmp")
        references = [path for path in beside if is_visible(path, root)]
        if len(references) != 1:
            raise DatasetError(f"{noisy.parent}: needs exactly one …Reference.bmp")
        name = noisy.relative_to(root).with_suffix("").as_posix()
        read = partial(read_pair, name, noisy, references[0])
        scene = noisy.parent.relative_to(root).as_posix()
        samples.append(Sample(name, read, group=scene, photo=scene))
    return Dataset(
        name="renoir",
        title="RENOIR",
        samples=require_samples(samples, root, f"…Noisy.bmp; expected {DOWNLOAD}"),
        protocol="Both noisy exposures of each batch against its Reference exposure, whole images.",
        grouping="scene",
    )
