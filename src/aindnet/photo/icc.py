"""What an ICC profile says: the tone curve, how a sample's number stands to light, and its name.

Source: ICC.1:2022, sections 7.3 (tag table), 10.6 (curveType) and 10.18 (parametricCurveType).
"""

from __future__ import annotations

import contextlib
import struct

import numpy as np
import numpy.typing as npt

CURVE_POINTS = 4096

_HEADER = 128
_MAX_TAGS = 1000
# How many numbers each parametric function has: g; g a b; g a b c; g a b c d; g a b c d e f.
_PARAMETERS = {0: 1, 1: 3, 2: 4, 3: 5, 4: 7}


def tone_curve(profile: bytes) -> npt.NDArray[np.float64] | None:
    """Relative light at `CURVE_POINTS` even steps of a sample from 0 to 1.

    None for profiles without a curve of their own (those built on tables) and damaged ones. Green
    stands for all: in the profiles of photographs the three curves are one.
    """
    try:
        tags = _tags(profile)
        for name in (b"gTRC", b"kTRC"):
            if name in tags:
                return _curve(tags[name])
    except (struct.error, ValueError, FloatingPointError):
        return None
    return None


# sRGB's primaries, adapted to D50 (IEC 61966-2-1 by way of the ICC's own profile).
_SRGB_PRIMARIES = {
    b"rXYZ": (0.4361, 0.2225, 0.0139),
    b"gXYZ": (0.3851, 0.7169, 0.0971),
    b"bXYZ": (0.1431, 0.0606, 0.7141),
}


def is_srgb(profile: bytes) -> bool:
    """Whether a profile has sRGB's tone curve, and its primaries unless it is for grey."""
    curve = tone_curve(profile)
    if curve is None:
        return False
    steps = np.linspace(0.0, 1.0, CURVE_POINTS)
    srgb = np.where(steps <= 0.04045, steps / 12.92, ((steps + 0.055) / 1.055) ** 2.4)
    tags = _tags(profile)
    primaries = b"kTRC" in tags or all(
        len(tags.get(name, b"")) >= 20
        and np.allclose(np.frombuffer(tags[name], ">i4", 3, 8) / 65536.0, xyz, atol=0.003)
        for name, xyz in _SRGB_PRIMARIES.items()
    )
    return bool(np.abs(curve - srgb).max() < 0.005 and primaries)


def profile_name(profile: bytes) -> str:
    """What a profile calls itself, 60 characters at most (ICC.1:2022, section 9.2.41)."""
    if is_srgb(profile):
        return "sRGB"
    text = ""
    with contextlib.suppress(struct.error):
        tag = _tags(profile).get(b"desc", b"")
        if tag[:4] == b"mluc":
            length, start = struct.unpack_from(">II", tag, 20)
            text = tag[start : start + length].decode("utf-16-be", "replace")
        elif tag[:4] == b"desc":  # of version 2
            (length,) = struct.unpack_from(">I", tag, 8)
            text = tag[12 : 12 + length].decode("ascii", "replace")
    return text.strip("\0 ")[:60] or "a profile without a name"


def _tags(profile: bytes) -> dict[bytes, bytes]:
    (count,) = struct.unpack_from(">I", profile, _HEADER)
    tags = {}
    for number in range(min(count, _MAX_TAGS)):
        name, offset, size = struct.unpack_from(">4sII", profile, _HEADER + 4 + 12 * number)
        tags[name] = profile[offset : offset + size]
    return tags


def _curve(tag: bytes) -> npt.NDArray[np.float64] | None:
    steps = np.linspace(0.0, 1.0, CURVE_POINTS)
    if tag[:4] == b"curv":
        (count,) = struct.unpack_from(">I", tag, 8)
        if count == 0:
            return steps
        if count == 1:
            curve: npt.NDArray[np.float64] = np.power(
                steps, struct.unpack_from(">H", tag, 12)[0] / 256.0
            )
            return curve
        table = np.frombuffer(tag, ">u2", count, 12) / 65535.0
        return np.interp(steps, np.linspace(0.0, 1.0, count), table)
    if tag[:4] == b"para":
        (kind,) = struct.unpack_from(">H", tag, 8)
        if kind not in _PARAMETERS:
            return None
        numbers = [v / 65536.0 for v in struct.unpack_from(f">{_PARAMETERS[kind]}i", tag, 12)]
        return _parametric(kind, numbers, steps)
    return None


def _parametric(
    kind: int, numbers: list[float], x: npt.NDArray[np.float64]
) -> npt.NDArray[np.float64]:
    g, a, b, c, d, e, f = [*numbers, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0][:7]
    if kind == 0:
        return np.power(x, g)
    powered = np.power(np.maximum(a * x + b, 0.0), g)
    if kind in (1, 2):  # with three and four numbers, c is an offset and the break is at -b/a
        offset = c if kind == 2 else 0.0
        return np.where(x >= (-b / a if a else 0.0), powered + offset, offset)
    if kind == 3:
        e = f = 0.0
    return np.where(x >= d, powered + e, c * x + f)
