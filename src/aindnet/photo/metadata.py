"""What a file says beside its pixels, and must say again when it is written."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from aindnet.photo import exif as exif_block
from aindnet.photo import xmp as xmp_packet
from aindnet.photo.colour_codes import ColourCodes
from aindnet.photo.paths import shown
from aindnet.photo.short_exif import shortened

EXTENDED_XMP = "extended XMP"
ALPHA_APART = "alpha that was multiplied into the colours is written apart from them"
FURTHER_PICTURES = "further pictures in the file (bursts, depth, gain map) left out"
_MOST_NAMES = 6


@dataclass
class Metadata:
    """Blocks as they stand in the file; None where it has none."""

    icc: bytes | None = None
    """The colour profile; made where the file states other colours than sRGB without one."""
    codes: ColourCodes | None = None
    """What the file states its colours by, for kinds that know it; beside `icc` it goes first."""
    exif: bytes | None = None
    """The EXIF block, from its byte-order mark on."""
    xmp: bytes | None = None
    """The XMP packet."""
    iptc: bytes | None = None
    """IPTC records (IIM), without Photoshop's wrapping."""
    photoshop: bytes | None = None
    """Photoshop's image resources, less thumbnails, if there are others than IPTC."""
    resolution: tuple[float, float] | None = None
    """Dots per inch, across and down."""
    light: dict[str, Any] = field(default_factory=dict)
    """HEIC: how bright an HDR picture is, in pillow-heif's words."""
    verbatim: Any = None
    """All of it in the file's own form, used when the output is of the same kind."""
    trailer: tuple[int, int] | None = None
    """Offset and bytes of what follows the picture in the file, as a motion photo's video does."""
    own: list[str] = field(default_factory=list)
    """What is carried to files of the same kind only, in words for the user."""
    notices: list[str] = field(default_factory=list)
    """What was left out, in words for the user."""

    @property
    def orientation(self) -> int:
        """EXIF orientation of the pixels as they are stored, 1 to 8."""
        return exif_block.orientation(self.exif) if self.exif else 1

    def notice(self, text: str) -> None:
        """Tell the user something, once."""
        if text not in self.notices:
            self.notices.append(text)

    def drop_credentials(self) -> None:
        """Say that content credentials (C2PA) are not carried over."""
        self.notice("content credentials left out: they vouch for the old pixels")

    def set_exif(self, block: bytes | None, *, turned: bool = False) -> None:
        """Take an EXIF block over, less its thumbnail; `turned`: the decoder turned the pixels."""
        block = exif_block.bare(block)
        if block is None or not exif_block.is_block(block):
            return
        block = exif_block.without_thumbnail(block)
        self.exif = exif_block.upright(block) if turned else block

    def exif_within(self, limit: int, kind: str) -> bytes | None:
        """The EXIF block in at most `limit` bytes, with a notice if that is not all of it."""
        if not self.exif:
            return None
        block, left_out = shortened(self.exif, limit)
        if left_out:
            self.notice(f"EXIF is over the 64 KB that {kind} holds: {listed(left_out)} left out")
        return block

    def leave_own(self, kind: str) -> None:
        """Say what of a `kind` goes to no other kind; what the XMP says of it is taken out."""
        for each in self.own:
            self.notice(f"{each} left out: it goes from {kind} to {kind} only")
        if EXTENDED_XMP in self.own:
            self._patch_xmp(xmp_packet.without_extension)
        if self.trailer:
            self.notice("what follows the picture in the file (video) left out")
            self.drop_appended()

    def stand_upright(self) -> None:
        """Say, in EXIF and XMP, that the pixels stand upright, for they were turned."""
        if self.exif:
            self.exif = exif_block.upright(self.exif)
        self._patch_xmp(xmp_packet.upright)

    def set_codes(self, codes: ColourCodes | None, *, grey: bool) -> None:
        """Take over code points of colour, and make a profile of those that are not sRGB's.

        A profile that is there stays beside code points that are not known.
        """
        if codes is None or not (codes.stated or codes.narrow):
            return
        self.codes = codes
        profile = codes.profile(grey=grey)
        if codes.stated and (codes.srgb or codes.hdr or profile is not None):
            self.icc = None if codes.srgb else profile

    def set_xmp(self, packet: bytes | None) -> None:
        """Take over the XMP of a file whose decoder turned the pixels."""
        self.xmp = self.without_thumbnails(packet) if packet else None
        self._patch_xmp(xmp_packet.upright)
        before = self.xmp
        if self.drop_appended() not in (None, before):
            self.notice("what the XMP says of a gain map or video left out: they are not kept")

    def without_thumbnails(self, packet: bytes) -> bytes | None:
        """XMP without its small pictures, which would still show the noise; None if damaged."""
        return self._patched(packet, xmp_packet.without_thumbnails)

    def drop_appended(self) -> bytes | None:
        """The XMP, less what it says of a gain map or video that is not carried over."""
        self._patch_xmp(xmp_packet.without_appended)
        return self.xmp

    def drop_develop_settings(self) -> None:
        """Take Camera Raw's settings out of the XMP: they would be applied a second time."""
        before = self.xmp
        self._patch_xmp(xmp_packet.without_develop_settings)
        if self.xmp and self.xmp != before:
            self.notice("Camera Raw's settings in the XMP left out: they are for the RAW file")

    def _patch_xmp(self, patch: Callable[[bytes], bytes]) -> None:
        if self.xmp is not None:
            self.xmp = self._patched(self.xmp, patch)

    def _patched(self, packet: bytes, patch: Callable[[bytes], bytes]) -> bytes | None:
        try:
            return patch(packet)
        except xmp_packet.DamagedXmpError:
            self.notice(
                "XMP left out: it is damaged, and what it says of the pixels no longer holds"
            )
            return None


def listed(names: list[str]) -> str:
    """Names in one line, each once; of many the first."""
    each = list(dict.fromkeys(shown(name) for name in names))
    more = f" and {len(each) - _MOST_NAMES} more" if len(each) > _MOST_NAMES else ""
    return ", ".join(each[:_MOST_NAMES]) + more
