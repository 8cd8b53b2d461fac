"""What survives the way through `photo/`, kind by kind, with exiftool as independent witness.

    python tools/survey_photo_files.py docs/photo-files.md

writes the table between the file's two markers; without a file it is printed. Sources are written
by Pillow, tifffile and exiftool; results are read by them, never by this project's own code.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
from dataclasses import astuple, dataclass, fields
from pathlib import Path

import cv2
import numpy as np
import pillow_heif
import pillow_jxl  # noqa: F401  (Pillow reads and writes JPEG XL by it)
import pyvips
import tifffile
from PIL import Image, ImageCms, ImageOps

from aindnet.errors import AindnetError
from aindnet.photo import open_photo, writer

BEGIN, END = "<!-- table: begin -->", "<!-- table: end -->"
KINDS = {
    "JPEG": "jpg",
    "PNG": "png",
    "TIFF": "tif",
    "WebP": "webp",
    "WebP, lossless": "webp",
    "AVIF": "avif",
    "HEIC": "heic",
    "JPEG XL": "jxl",
    "JPEG XL, lossless": "jxl",
}
TAGS = [
    "-Make=Maker",
    "-Model=Model 7",
    "-ExposureTime=0.01",
    "-DateTimeOriginal=2020:02:03 04:05:06",
    "-GPSLatitude=48.5",
    "-GPSLatitudeRef=N",
    "-XResolution=240",
    "-YResolution=240",
    "-ResolutionUnit=inches",
    "-XMP:Rating=4",
]
READ_TAGS = ["Make", "Model", "ExposureTime", "DateTimeOriginal", "GPSLatitude", "XResolution"]


@dataclass
class Row:
    """One kind of file; the field names are the table's heads."""

    format: str
    depth: str
    alpha: str
    grey: str
    ICC: str
    EXIF: str
    XMP: str
    IPTC: str
    orientation: str
    round_trip: str


def main() -> None:
    """Print the table, or put it into a document."""
    parser = argparse.ArgumentParser(description="survey what survives in photo files")
    parser.add_argument("document", nargs="?", type=Path)
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        table = markdown(survey(Path(folder)))
    if arguments.document is None:
        sys.stdout.write(table)
        return
    text = arguments.document.read_text()
    head, rest = text.split(BEGIN)
    arguments.document.write_text(f"{head}{BEGIN}\n{table}{END}{rest.split(END)[1]}")


def survey(folder: Path) -> list[Row]:
    """All rows, made by writing and reading files in `folder`."""
    register_plugins()
    return [survey_kind(name, suffix, folder) for name, suffix in KINDS.items()]


def register_plugins() -> None:
    """Have Pillow read and write HEIC."""
    pillow_heif.register_heif_opener()


def survey_kind(name: str, suffix: str, folder: Path) -> Row:
    """One row."""
    place = folder / name.replace(", ", "-")
    place.mkdir()
    lossless = "lossless" in name
    exact = lossless or suffix in ("png", "tif")
    return Row(
        format=name,
        depth=", ".join(depths(place, suffix)),
        alpha=alpha(place, suffix, lossless),
        grey=grey(place, suffix, lossless),
        ICC=profile(place, suffix, lossless),
        **blocks(place, suffix, lossless),
        orientation=orientation(place, suffix, lossless),
        round_trip=round_trip(place, suffix, lossless, exact),
    )


def picture(channels: int = 3, dtype: str = "uint8") -> np.ndarray:
    """A smooth picture with fine noise."""
    y, x = np.mgrid[:60, :84] / 84
    planes = np.stack([x, y, (x + y) / 2, 1 - x * y], axis=2)[..., :channels]
    planes = planes * 0.9 + 0.03 + np.random.default_rng(2).normal(0, 0.01, planes.shape)
    if dtype == "float32":
        return planes.astype(np.float32)
    white = np.iinfo(dtype).max
    return np.rint(np.clip(planes, 0, 1) * white).astype(dtype)


def save(path: Path, image: Image.Image, lossless: bool, **options: object) -> Path:
    """Write a source by Pillow."""
    if path.suffix == ".jxl" and lossless:
        options = {"lossless": True, "use_original_profile": True, **options}
    elif lossless:
        options = {"lossless": True, "exact": True, **options}
    elif path.suffix not in (".png", ".tif"):
        options = {"quality": 90, **options}
    image.save(path, **options)
    return path


def through(source: Path) -> Path:
    """The file after the way in and out with nothing changed."""
    output = source.with_name(f"out-{source.name}")
    with open_photo(source) as photo, writer(photo, output) as out:
        for page in photo.pages:
            out.write(page.rows(0, page.height))
    return output


def exiftool(*arguments: str | Path) -> bytes:
    """What exiftool prints."""
    command = ["exiftool", "-q", "-q", "-m", *map(str, arguments)]
    return subprocess.run(command, capture_output=True, check=True).stdout


def tags(path: Path, *names: str) -> dict[str, object]:
    """Tags as exiftool reads them."""
    found: dict[str, object] = json.loads(exiftool("-n", "-j", *(f"-{n}" for n in names), path))[0]
    found.pop("SourceFile")
    return found


def depths(place: Path, suffix: str) -> list[str]:
    """The sample types that come out as they went in, as exiftool sees them."""
    kept = []
    for label, dtype in (("8", "uint8"), ("10", "10"), ("16", "uint16"), ("float", "float32")):
        source = place / f"depth-{label}.{suffix}"
        if not write_depth(source, dtype):
            continue
        try:
            output = through(source)
        except AindnetError:
            kept.append(f"{label} refused")
            continue
        if samples(source) == samples(output):
            kept.append(label)
    return kept


def samples(path: Path) -> dict[str, set[str]]:
    """Bits and kind of a file's samples, as exiftool reads them."""
    names = ("BitsPerSample", "BitDepth", "ImagePixelDepth", "SampleFormat")
    found = {"SampleFormat": "1", **tags(path, *names)}
    return {name: set(str(value).split()) for name, value in found.items()}


def write_depth(path: Path, dtype: str) -> bool:
    """Write a source of a depth; False for kinds that have no such thing."""
    suffix = path.suffix
    if suffix == ".tif" and dtype != "10":
        tifffile.imwrite(path, picture(dtype=dtype), photometric="rgb", metadata=None)
    elif dtype == "uint8":
        save(path, Image.fromarray(picture()), lossless=False)
    elif suffix == ".png" and dtype == "uint16":
        cv2.imwrite(str(path), picture(dtype=dtype))
    elif suffix == ".heic" and dtype == "10":
        with path.open("wb") as file:
            pillow_heif.options.SAVE_HDR_TO_12_BIT = False
            data = picture(dtype="uint16").tobytes()
            pillow_heif.encode("RGB;16", (84, 60), data, file, quality=95)
    elif suffix == ".avif" and dtype == "10":
        image = pyvips.Image.new_from_array(picture(dtype="uint16"))
        image.copy(interpretation="rgb16").heifsave(str(path), compression="av1", bitdepth=10)
    else:
        return False
    return True


def alpha(place: Path, suffix: str, lossless: bool) -> str:
    """How alpha comes out."""
    if suffix == "jpg":
        return "has none"
    source = place / f"alpha.{suffix}"
    save(source, Image.fromarray(picture(4)), lossless)
    old, new = (np.asarray(Image.open(path))[..., 3] for path in (source, through(source)))
    error = int(np.abs(old.astype(int) - new).max())
    return "exact" if error == 0 else f"within {error}/255"


def grey(place: Path, suffix: str, lossless: bool) -> str:
    """Whether grey stays one channel."""
    source = save(place / f"grey.{suffix}", Image.fromarray(picture(1)[..., 0]), lossless)
    with Image.open(source) as old, Image.open(through(source)) as new:
        if old.mode == new.mode == "L":
            return "kept"
        pixels = np.asarray(new.convert("RGB")).astype(int)
    return "as neutral RGB" if np.ptp(pixels, axis=2).max() <= 2 else "coloured"


def profile(place: Path, suffix: str, lossless: bool) -> str:
    """How a colour profile comes out."""
    profile_ = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    source = place / f"icc.{suffix}"
    save(source, Image.fromarray(picture()), lossless, icc_profile=profile_)
    with Image.open(source) as old, Image.open(through(source)) as new:
        before, after = old.info.get("icc_profile"), new.info.get("icc_profile")
    if before == after:
        return "byte for byte"
    return "an equal one" if after else "lost"


def blocks(place: Path, suffix: str, lossless: bool) -> dict[str, str]:
    """How EXIF, XMP and IPTC come out."""
    source = save(place / f"meta.{suffix}", Image.fromarray(picture()), lossless)
    iptc = ["-IPTC:Caption-Abstract=a caption"] if suffix in ("jpg", "tif") else []
    exiftool("-n", "-overwrite_original", *TAGS, *iptc, source)
    output = through(source)
    result = {}
    for name in ("EXIF", "XMP"):
        old, new = (exiftool("-b", f"-{name}", path) for path in (source, output))
        same = old.removeprefix(b"Exif\0\0") == new.removeprefix(b"Exif\0\0")
        names = READ_TAGS if name == "EXIF" else ["XMP:Rating"]
        if old and same:
            result[name] = "byte for byte"
        else:
            before, after = tags(source, *names), tags(output, *names)
            lost = [key for key in before if before[key] != after.get(key)]
            result[name] = "all tags" if before and not lost else f"lost: {', '.join(lost)}"
    result["IPTC"] = "has none"
    if iptc:
        old, new = (tags(path, "IPTC:all") for path in (source, output))
        result["IPTC"] = "all tags" if old and old == new else "lost"
    return result


def orientation(place: Path, suffix: str, lossless: bool) -> str:
    """Whether the picture is shown the same way up for each of the eight orientations."""
    for turn in range(1, 9):
        source = save(place / f"turn-{turn}.{suffix}", Image.fromarray(picture()), lossless)
        if suffix in ("avif", "heic"):  # turned by a property of their own, which Pillow writes
            exif = Image.Exif()
            exif[0x0112] = turn
            save(source, Image.fromarray(picture()), lossless, exif=exif)
        else:
            exiftool("-n", "-overwrite_original", f"-Orientation={turn}", source)
        shown = []
        for path in (source, through(source)):
            with Image.open(path) as image:
                # JPEG XL is turned by its codestream; EXIF says nothing there.
                turned = image if suffix == "jxl" else ImageOps.exif_transpose(image)
                shown.append(np.asarray(turned).astype(float))
        if shown[0].shape != shown[1].shape or np.abs(shown[0] - shown[1]).mean() > 4:
            return f"{turn} wrong"
    return "all eight"


def round_trip(place: Path, suffix: str, lossless: bool, exact: bool) -> str:
    """How far an unchanged picture is from its source."""
    source = save(place / f"trip.{suffix}", Image.fromarray(picture()), lossless)
    old, new = (np.asarray(Image.open(p)).astype(float) for p in (source, through(source)))
    error = float(np.abs(old - new).mean())
    if exact and error == 0:
        return "bit for bit"
    return f"mean error {error:.1f}/255" if not exact else f"WRONG by {error:.2f}"


def markdown(rows: list[Row]) -> str:
    """The table."""
    heads = [field.name.replace("_", " ") for field in fields(Row)]
    lines = [heads, ["---"] * len(heads), *(list(astuple(row)) for row in rows)]
    return "".join(f"| {' | '.join(cells)} |\n" for cells in lines)


if __name__ == "__main__":
    main()
