"""Small packs of real pairs: PolyU crops in tar shards, RENOIR crops, and a SIDD sample.

A PolyU pack is a folder with `index.csv` and tars that hold `NAME_noisy.jpg` with `NAME_clean.jpg`;
a name ending in `_cNN` is one of the 100 crops published with the set, one in `_fNN` a further crop
of the full-resolution photos. The index says, per crop, how far the two sides differ in brightness
and position, so that crops whose clean side is not the truth can be left out.
"""

from __future__ import annotations

import csv
import math
import tarfile
from collections.abc import Iterable
from dataclasses import dataclass, fields, replace
from functools import partial
from pathlib import Path
from typing import Literal

from aindnet.errors import DatasetError
from aindnet.evaluation.datasets.image_files import decode_image
from aindnet.evaluation.datasets.pairs import load_pairs
from aindnet.evaluation.datasets.sample import (
    Dataset,
    Pair,
    Sample,
    check_pair,
    require_file,
    require_folder,
    require_samples,
)

PolyUKind = Literal["crops", "fullres", "all"]


@dataclass(frozen=True)
class PairFilter:
    """Which pairs of an indexed pack count: those whose two sides agree within these bounds; None
    bounds nothing.
    """

    max_channel_bias: float | None = None
    """Largest difference of a channel's mean between the sides, in 8-bit levels."""

    low_freq_mismatch: float | None = None
    """Largest difference of block means between the sides, in 8-bit levels."""

    shift: float | None = None
    """Largest displacement between the sides along either axis, in pixels."""

    def accepts(self, row: dict[str, str]) -> bool:
        """Whether a row of the index is within every bound.

        Raises `DatasetError` where the row does not hold the number that a bound is for.
        """
        measured = {
            "max_channel_bias": self.max_channel_bias,
            "low_freq_mismatch": self.low_freq_mismatch,
            "shift_y": self.shift,
            "shift_x": self.shift,
        }
        return all(
            abs(_number(row, key)) <= bound for key, bound in measured.items() if bound is not None
        )

    def flags(self) -> list[str]:
        """The command line's flags of the bounds that are set."""
        return [
            f"--{each.name.replace('_', '-')}"
            for each in fields(self)
            if getattr(self, each.name) is not None
        ]

    def describe(self) -> str:
        """The bounds in words; empty when there are none."""
        bounds = {
            "channel bias": self.max_channel_bias,
            "low-frequency mismatch": self.low_freq_mismatch,
            "shift": self.shift,
        }
        parts = [f"{what} at most {bound:g}" for what, bound in bounds.items() if bound is not None]
        return f" Pairs left out unless {', '.join(parts)}." if parts else ""


def _number(row: dict[str, str], key: str) -> float:
    try:
        number = float(row.get(key) or "")
    except ValueError as error:
        raise _no_number(row, key) from error
    if not math.isfinite(number):
        raise _no_number(row, key)
    return number


def _no_number(row: dict[str, str], key: str) -> DatasetError:
    return DatasetError(
        f"index.csv: {row.get('name', 'an image')} has no number as {key}; "
        "fill it in, or leave the bound out"
    )


def load_polyu(
    root: Path, *, kind: PolyUKind = "crops", pair_filter: PairFilter | None = None
) -> Dataset:
    """The PolyU pack: the published crops (`crops`), the further full-resolution crops (`fullres`),
    or `all`.
    """
    if kind not in ("crops", "fullres", "all"):
        raise DatasetError(f"--kind {kind}: PolyU has crops, fullres and all")
    pair_filter = pair_filter or PairFilter()
    require_folder(
        root, "the PolyU pack: index.csv with the tars of NAME_noisy.jpg and NAME_clean.jpg"
    )
    wanted = {"crops": {"official-crop"}, "fullres": {"full-res-crop"}}.get(
        kind, {"official-crop", "full-res-crop"}
    )
    rows = [
        row
        for row in read_index(root / "index.csv", {"name", "kind", "scene"})
        if row["kind"] in wanted
    ]
    accepted = [row for row in rows if pair_filter.accepts(row)]
    shards = _members_of_shards(sorted(root.glob("*.tar")))
    samples = []
    for row in sorted(accepted, key=lambda row: row["name"]):
        sides = [f"{row['name']}_noisy.jpg", f"{row['name']}_clean.jpg"]
        absent = [side for side in sides if side not in shards]
        if absent:
            raise DatasetError(f"{root}: no tar holds {absent[0]}, which index.csv lists")
        read = partial(_read_shard_pair, row["name"], shards[sides[0]], shards[sides[1]])
        samples.append(Sample(row["name"], read, group=row["scene"]))
    titles = {"crops": "PolyU, published crops", "fullres": "PolyU, full-resolution crops"}
    return Dataset(
        name="polyu" if kind == "crops" else f"polyu-{kind}",
        title=titles.get(kind, "PolyU, all crops"),
        samples=require_samples(samples, root, f"pair of kind {kind} within the bounds"),
        protocol="Camera JPEGs against the mean of many shots; 512×512 crops as stored."
        + pair_filter.describe()
        + _how_many(len(accepted), len(rows)),
        grouping="scene",
    )


def load_renoir_crops(root: Path, *, pair_filter: PairFilter | None = None) -> Dataset:
    """RENOIR crops: a pairs folder with an index of how well the sides agree."""
    pair_filter = pair_filter or PairFilter()
    dataset = load_pairs(root, name="renoir", title="RENOIR crops", protocol="Crops as stored.")
    rows = {row["name"]: row for row in read_index(root / "index.csv", {"name"})}
    kept = [s for s in dataset.samples if pair_filter.accepts(rows.get(s.name, {"name": s.name}))]
    return replace(
        dataset,
        samples=require_samples(kept, root, "pair within the bounds"),
        protocol=dataset.protocol
        + pair_filter.describe()
        + _how_many(len(kept), len(dataset.samples)),
    )


def _how_many(kept: int, all_of_them: int) -> str:
    return f" {kept} of {all_of_them} pairs kept." if kept < all_of_them else ""


def load_sidd_sample(root: Path) -> Dataset:
    """A few SIDD crops as a pairs folder: strong phone noise, far too few for a SIDD number."""
    protocol = "A few 256×256 crops; not the SIDD validation set."
    dataset = load_pairs(root, name="sidd-sample", title="SIDD sample", protocol=protocol)
    # 0010-0013 is crop 13 of photo 10.
    photos = [sample.name.split("-")[0] for sample in dataset.samples]
    samples = tuple(
        replace(sample, group=photo, photo=photo)
        for sample, photo in zip(dataset.samples, photos, strict=True)
    )
    return replace(dataset, samples=samples)


def read_index(path: Path, columns: set[str]) -> list[dict[str, str]]:
    """The rows of an index.csv that has at least these columns."""
    require_file(path, "the pack's index is needed")
    with path.open(newline="", encoding="utf-8") as stream:
        reader = csv.DictReader(stream)
        missing = columns - set(reader.fieldnames or ())
        if missing:
            raise DatasetError(f"{path}: has no column {sorted(missing)[0]}")
        return list(reader)


@dataclass(frozen=True)
class _ShardMember:
    shard: Path
    offset: int
    size: int

    def read(self) -> bytes:
        with self.shard.open("rb") as stream:
            stream.seek(self.offset)
            return stream.read(self.size)


def _members_of_shards(shards: Iterable[Path]) -> dict[str, _ShardMember]:
    members = {}
    for shard in shards:
        try:
            with tarfile.open(shard, "r:") as archive:
                for member in archive:
                    members[member.name] = _ShardMember(shard, member.offset_data, member.size)
        except tarfile.TarError as error:
            raise DatasetError(f"{shard}: not a readable tar ({error})") from error
    return members


def _read_shard_pair(name: str, noisy: _ShardMember, clean: _ShardMember) -> Pair:
    return check_pair(name, decode_image(noisy.read(), name), decode_image(clean.read(), name))
