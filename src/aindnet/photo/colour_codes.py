"""Colours that a file states without a profile: by code points or chromaticities and a gamma.

Kinds of file that know no code points get an ICC profile made for them. Sources: ITU-T H.273,
tables 2 and 3; ICC.1:2022, sections 7.2, 9.2 and 10.18, annex E (Bradford's adaptation).
"""

from __future__ import annotations

import struct
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

Chromaticities = tuple[float, ...]
"""x and y of red, green, blue and white."""

_D65 = (0.3127, 0.3290)
_C = (0.310, 0.316)
SRGB_PRIMARIES: Chromaticities = (0.64, 0.33, 0.30, 0.60, 0.15, 0.06, *_D65)
_PRIMARIES: dict[int, Chromaticities] = {
    1: SRGB_PRIMARIES,
    4: (0.67, 0.33, 0.21, 0.71, 0.14, 0.08, *_C),
    5: (0.64, 0.33, 0.29, 0.60, 0.15, 0.06, *_D65),
    6: (0.630, 0.340, 0.310, 0.595, 0.155, 0.070, *_D65),
    7: (0.630, 0.340, 0.310, 0.595, 0.155, 0.070, *_D65),
    8: (0.681, 0.319, 0.243, 0.692, 0.145, 0.049, *_C),
    9: (0.708, 0.292, 0.170, 0.797, 0.131, 0.046, *_D65),
    11: (0.680, 0.320, 0.265, 0.690, 0.150, 0.060, 0.314, 0.351),
    12: (0.680, 0.320, 0.265, 0.690, 0.150, 0.060, *_D65),
    22: (0.630, 0.340, 0.295, 0.605, 0.155, 0.077, *_D65),
}
_UNSPECIFIED = 2
# BT.709's curve and its kin are cameras' side of a display's 2.4: shown as sRGB's, as browsers do.
_LIKE_SRGB = (1, _UNSPECIFIED, 6, 7, 11, 12, 13, 14, 15)
_GAMMAS = {4: 2.2, 5: 2.8, 8: 1.0}
_HDR = {16: "PQ", 18: "HLG"}

_SRGB_CURVE = (2.4, 1 / 1.055, 0.055 / 1.055, 1 / 12.92, 0.04045)
_D50 = (0.9642, 1.0, 0.8249)
_BRADFORD = np.array(
    [[0.8951, 0.2664, -0.1614], [-0.7502, 1.7135, 0.0367], [0.0389, -0.0685, 1.0296]]
)


@dataclass(frozen=True)
class ColourCodes:
    """Colour primaries and transfer characteristics, as H.273 numbers them."""

    primaries: int
    transfer: int
    narrow: bool = False
    """PNG: black and white are not at the ends of the samples' range, as in video."""

    @property
    def stated(self) -> bool:
        """Whether they say anything of the colours."""
        return (self.primaries, self.transfer) != (_UNSPECIFIED, _UNSPECIFIED)

    @property
    def srgb(self) -> bool:
        """Whether they mean what a file means that states nothing."""
        return self.primaries in (1, _UNSPECIFIED) and self.transfer in _LIKE_SRGB

    @property
    def hdr(self) -> bool:
        """Whether the curve is one of high dynamic range."""
        return self.transfer in _HDR

    @property
    def name(self) -> str:
        """What they are, in words for the user."""
        return _HDR.get(self.transfer, f"code points {self.primaries}/{self.transfer}")

    def profile(self, *, grey: bool) -> bytes | None:
        """An ICC profile of these colours; None where there is none (HDR)."""
        curve = _GAMMAS.get(self.transfer)
        primaries = _PRIMARIES.get(1 if self.primaries == _UNSPECIFIED else self.primaries)
        if primaries is None or (curve is None and self.transfer not in _LIKE_SRGB):
            return None
        return make_profile(primaries, curve, grey=grey)


def make_profile(
    primaries: Chromaticities, gamma: float | None, *, grey: bool = False
) -> bytes | None:
    """An ICC profile of primaries and an exponent from samples to light; None: sRGB's curve.

    Returns None for chromaticities that are no colours. `grey`: a profile for one channel.
    """
    to_d50 = _to_d50(primaries)
    if to_d50 is None:
        return None
    matrix, adaptation = to_d50
    kind, numbers = (3, _SRGB_CURVE) if gamma is None else (0, (gamma,))
    curve = b"para\0\0\0\0" + struct.pack(">HH", kind, 0) + _fixed(*numbers)
    tags = {
        b"desc": _text("colours as the photo's file states them"),
        b"cprt": _text("no copyright"),
        b"wtpt": b"XYZ \0\0\0\0" + _fixed(*_D50),
        b"chad": b"sf32\0\0\0\0" + _fixed(*adaptation.flat),
    }
    if grey:
        tags[b"kTRC"] = curve
    else:
        for number, letter in enumerate((b"r", b"g", b"b")):
            tags[letter + b"XYZ"] = b"XYZ \0\0\0\0" + _fixed(*matrix[:, number])
            tags[letter + b"TRC"] = curve
    return _assemble(tags, b"GRAY" if grey else b"RGB ")


def _to_d50(
    primaries: Chromaticities,
) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.float64]] | None:
    """RGB to XYZ under D50, and the adaptation to it."""
    x, y = np.array(primaries).reshape(4, 2).T
    if (y <= 0.0).any():
        return None
    xyz = np.stack([x / y, np.ones(4), (1.0 - x - y) / y])
    cones, white = _BRADFORD @ xyz[:, 3], xyz[:, 3]
    if abs(np.linalg.det(xyz[:, :3])) < 1e-6 or (cones <= 0.0).any():
        return None
    adaptation = np.linalg.inv(_BRADFORD) @ np.diag(_BRADFORD @ _D50 / cones) @ _BRADFORD
    matrix = adaptation @ (xyz[:, :3] * np.linalg.solve(xyz[:, :3], white))
    return (matrix, adaptation) if np.abs(matrix).max() < 100 > np.abs(adaptation).max() else None


def _fixed(*values: float) -> bytes:
    return struct.pack(f">{len(values)}i", *(round(value * 65536) for value in values))


def _text(text: str) -> bytes:
    encoded = text.encode("utf-16-be")
    return (
        b"mluc\0\0\0\0" + struct.pack(">II2s2sII", 1, 12, b"en", b"US", len(encoded), 28) + encoded
    )


def _assemble(tags: dict[bytes, bytes], space: bytes) -> bytes:
    table, body, places = b"", b"", {}
    for name, data in tags.items():
        if data not in places:
            places[data] = 128 + 4 + 12 * len(tags) + len(body)
            body += data + bytes(-len(data) % 4)
        table += struct.pack(">4sII", name, places[data], len(data))
    header = struct.pack(
        ">I4sI4s4s4s12s4s24sI12s48s",
        *(128 + 4 + len(table) + len(body), b"", 0x04300000, b"mntr", space, b"XYZ "),
        *(struct.pack(">6H", 2026, 1, 1, 0, 0, 0), b"acsp", b"", 0, _fixed(*_D50), b""),
    )
    return header + struct.pack(">I", len(tags)) + table + body
