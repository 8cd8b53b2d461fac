"""Photos of every kind, written by other programs' libraries, and a way through ours."""

from __future__ import annotations

import functools
import io
from collections.abc import Callable
from pathlib import Path

import numpy as np
import tifffile
from PIL import Image, ImageCms

from aindnet.photo import open_photo, writer

HEIGHT, WIDTH = 61, 83


def picture(dtype: str = "uint8", channels: int = 3) -> np.ndarray:
    """Smooth colours with a little noise, (HEIGHT, WIDTH, channels) or (HEIGHT, WIDTH)."""
    y, x = np.mgrid[:HEIGHT, :WIDTH].astype(np.float64)
    planes = [x / WIDTH, y / HEIGHT, (x + y) / (WIDTH + HEIGHT), (x * y) / (WIDTH * HEIGHT)]
    image = np.stack(planes, axis=2)[..., :channels] * 0.9 + 0.03
    image += np.random.default_rng(4).normal(0, 0.01, image.shape)
    if dtype.startswith("float"):
        image = (image * 1.3 - 0.1).astype(dtype)
    else:
        white = np.iinfo(dtype).max
        image = np.clip(np.rint(image * white), 0, white).astype(dtype)
    return image[..., 0] if channels == 1 else image


def pass_through(
    source: Path, output: Path, change: Callable[[np.ndarray], np.ndarray] | None = None
) -> list[str]:
    """Read all rows and write them again, as a denoiser would; the notices."""
    with open_photo(source) as photo, writer(photo, output) as out:
        for page in photo.pages:
            for y in range(0, page.height, 17):
                rows = page.rows(y, min(y + 17, page.height))
                out.write(rows if change is None else change(rows))
        notices = photo.notices
    return notices


@functools.cache
def icc_profile() -> bytes:
    """An sRGB profile that is none of the libraries' built-in ones."""
    return ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()


def exif_block(orientation: int = 1, *, thumbnail: bool = False, order: str = ">") -> bytes:
    """An EXIF block with a maker note, and a thumbnail if asked for."""
    exif = Image.Exif()
    exif.endian = order
    exif[0x010F] = "Maker"
    exif[0x0110] = "Model 7"
    exif[0x0112] = orientation
    exif.get_ifd(0x8769)[0x9003] = "2020:02:03 04:05:06"
    exif.get_ifd(0x8769)[0x829A] = 0.005
    exif.get_ifd(0x8769)[0x927C] = bytes(range(1, 200))
    exif.get_ifd(0x8825)[1] = "N"
    block = exif.tobytes().removeprefix(b"Exif\0\0")
    return _with_thumbnail(block) if thumbnail else block


def _with_thumbnail(block: bytes) -> bytes:
    """The block with a second directory and a small JPEG at its end."""
    small = io.BytesIO()
    Image.fromarray(picture()).resize((16, 12)).save(small, "JPEG")
    order = "little" if block[:2] == b"II" else "big"
    first = int.from_bytes(block[4:8], order)
    count = int.from_bytes(block[first : first + 2], order)
    link = first + 2 + 12 * count
    at = len(block) + len(block) % 2

    def number(value: int, size: int) -> bytes:
        return value.to_bytes(size, order)

    def entry(tag: int, kind: int, value: int) -> bytes:
        body = number(value, 2) + b"\0\0" if kind == 3 else number(value, 4)
        return number(tag, 2) + number(kind, 2) + number(1, 4) + body

    jpeg_at = at + 2 + 3 * 12 + 4
    directory = number(3, 2) + entry(0x0103, 3, 6) + entry(0x0201, 4, jpeg_at)
    directory += entry(0x0202, 4, len(small.getvalue())) + number(0, 4)
    whole = block[:link] + number(at, 4) + block[link + 4 :]
    return whole.ljust(at, b"\0") + directory + small.getvalue()


XMP = (
    b'<?xpacket begin="" id="W5M0MpCehiHzreSzNTczkc9d"?><x:xmpmeta xmlns:x="adobe:ns:meta/">'
    b'<rdf:RDF xmlns:rdf="http://www.w3.org/1999/02/22-rdf-syntax-ns#"><rdf:Description '
    b'xmlns:xmp="http://ns.adobe.com/xap/1.0/" xmp:Rating="4"/></rdf:RDF></x:xmpmeta>'
    b'<?xpacket end="w"?>'
)


def save_tiff(path: Path, image: np.ndarray, **options: object) -> Path:
    """A TIFF by tifffile."""
    kind = "rgb" if image.ndim == 3 and image.shape[2] >= 3 else "minisblack"
    tifffile.imwrite(path, image, **{"photometric": kind, "metadata": None, **options})
    return path


def save_pillow(path: Path, image: np.ndarray, mode: str | None = None, **options: object) -> Path:
    """A file by Pillow."""
    picture_ = Image.fromarray(image)
    (picture_.convert(mode) if mode else picture_).save(path, **options)
    return path


def save_dng(path: Path, orientation: int = 1, xmp: bytes = XMP) -> Path:
    """A small uncompressed DNG of a Bayer mosaic: a grey ramp under a warm light."""
    y, x = np.mgrid[:64, :96]
    light = np.clip(x / 96, 0.02, 0.9)
    gain = np.where((y % 2 == 0) & (x % 2 == 0), 0.5, np.where((y % 2) & (x % 2), 0.7, 1.0))
    mosaic = np.rint(light * gain * 15000 + 1000).astype(np.uint16)
    ratio = [(round(v * 10000), 10000) for v in (3.24, -1.54, -0.5, -0.97, 1.88, 0.04)]
    ratio += [(round(v * 10000), 10000) for v in (0.06, -0.2, 1.06)]
    flat = [part for pair in ratio for part in pair]
    tags = [
        (271, 2, 0, "Maker", True),
        (272, 2, 0, "Model 7", True),
        (274, 3, 1, orientation, True),
        (306, 2, 0, "2020:02:03 04:05:06", True),
        (700, 1, len(xmp), xmp, True),
        (33421, 3, 2, (2, 2), True),
        (33422, 1, 4, b"\x00\x01\x01\x02", True),
        (50706, 1, 4, b"\x01\x04\x00\x00", True),
        (50707, 1, 4, b"\x01\x01\x00\x00", True),
        (50708, 2, 0, "Maker Model 7", True),
        (50714, 3, 1, 1000, True),
        (50717, 3, 1, 16000, True),
        (50721, 10, 9, flat, True),
        (50728, 5, 3, [5000, 10000, 10000, 10000, 7000, 10000], True),
        (50778, 3, 1, 21, True),
    ]
    tifffile.imwrite(path, mosaic, photometric=32803, metadata=None, extratags=tags)
    return path
