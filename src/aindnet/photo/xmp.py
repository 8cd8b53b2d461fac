"""XMP packets: properties found by an XML parser and patched in place, every other byte kept.

Source: ISO 16684-1, section 7: a property of the photo is an attribute or a child of an
rdf:Description directly under rdf:RDF.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from xml.parsers import expat

_RDF = "http://www.w3.org/1999/02/22-rdf-syntax-ns#"
_TIFF = "http://ns.adobe.com/tiff/1.0/"
_CAMERA_RAW = "http://ns.adobe.com/camera-raw-settings/1.0/"
_GAIN_MAP = "http://ns.adobe.com/hdr-gain-map/1.0/"
_CAMERA = "http://ns.google.com/photos/1.0/camera/"
_MOTION = ("MotionPhoto", "MicroVideo")
_CONTAINER = "http://ns.google.com/photos/1.0/container/"
_XMP = "http://ns.adobe.com/xap/1.0/"
_NOTE = "http://ns.adobe.com/xmp/note/"
_TAG = re.compile(rb"""<[^\s/>]+(?:\s+[^\s=]+\s*=\s*(?:"[^"]*"|'[^']*'))*\s*/?>""")
_ATTRIBUTE = re.compile(rb"""\s+([^\s=]+)\s*=\s*("[^"]*"|'[^']*')""")


class DamagedXmpError(ValueError):
    """A packet that is no well-formed XML, or in an encoding that is not read here."""


@dataclass(frozen=True)
class _Property:
    namespace: str
    name: str
    whole: tuple[int, int]
    """Where it begins and ends: the attribute with the space before it, or the element."""
    value: tuple[int, int]
    """Where its value does: within the quotes, or between the tags."""


class _Finder:
    """Goes through a packet and notes the photo's properties."""

    def __init__(self, packet: bytes) -> None:
        self.found: list[_Property] = []
        self._packet = packet
        self._open: list[tuple[str, int, int]] = []  # name, start and end of the tag
        self._parser = expat.ParserCreate(namespace_separator=" ")
        self._parser.namespace_prefixes = True  # names as "namespace local prefix"
        self._parser.ordered_attributes = True
        self._parser.StartElementHandler = self._start
        self._parser.EndElementHandler = self._end
        self._parser.Parse(packet, True)

    def _describes_photo(self) -> bool:
        names = [" ".join(name.split(" ")[:2]) for name, _, _ in self._open[-2:]]
        return names == [f"{_RDF} RDF", f"{_RDF} Description"]

    def _start(self, name: str, attributes: list[str]) -> None:
        at = self._parser.CurrentByteIndex
        tag = _TAG.match(self._packet, at)
        if tag is None:
            raise DamagedXmpError("a tag that is no tag")
        self._open.append((name, at, tag.end()))
        if not self._describes_photo():
            return
        places = {each[1]: each for each in _ATTRIBUTE.finditer(self._packet, at, tag.end())}
        for attribute in attributes[::2]:
            namespace, _, rest = attribute.partition(" ")
            local, _, prefix = rest.partition(" ")
            place = places.get(f"{prefix}:{local}".encode())
            if place is not None:
                value = place.start(2) + 1, place.end(2) - 1
                self.found.append(_Property(namespace, local, place.span(), value))

    def _end(self, name: str) -> None:
        _, start, inside = self._open.pop()
        if not self._describes_photo():
            return
        until = end = inside
        if self._packet[inside - 2 : inside] != b"/>":
            until = self._parser.CurrentByteIndex
            end = self._packet.index(b">", until) + 1
        namespace, _, rest = name.partition(" ")
        local = rest.partition(" ")[0]
        self.found.append(_Property(namespace, local, (start, end), (inside, until)))


def _properties(packet: bytes) -> list[_Property]:
    try:
        return _Finder(packet.rstrip(b"\0")).found
    except (expat.ExpatError, LookupError, ValueError) as error:  # unknown encodings too
        raise DamagedXmpError(str(error)) from error


def _says(packet: bytes, word: bytes) -> bool:
    """Whether the packet has a word in it, in UTF-8 or a wider encoding."""
    return word in packet.replace(b"\0", b"")


def _replaced(packet: bytes, edits: list[tuple[tuple[int, int], bytes]]) -> bytes:
    for (start, end), text in sorted(edits, reverse=True):
        packet = packet[:start] + text + packet[end:]
    return packet


def upright(packet: bytes) -> bytes:
    """The packet with tiff:Orientation 1, for pixels that were turned. Raises `DamagedXmpError`."""
    if not _says(packet, b"Orientation"):
        return packet
    found = [
        each.value
        for each in _properties(packet)
        if (each.namespace, each.name) == (_TIFF, "Orientation")
    ]
    return _replaced(packet, [(place, b"1") for place in found])


def without_develop_settings(packet: bytes) -> bytes:
    """The packet without Camera Raw's settings (crs). Raises `DamagedXmpError`."""
    return _without(packet, [_CAMERA_RAW], lambda _: True)


def without_appended(packet: bytes) -> bytes:
    """The packet without what it says of a gain map or video behind the picture in the file.

    Raises `DamagedXmpError`. Sources: Adobe's Gain Map, Google's Ultra HDR and Motion Photo.
    """

    def goes(each: _Property) -> bool:
        if each.namespace == _CAMERA:
            return each.name.startswith(_MOTION)
        return each.namespace == _GAIN_MAP or each.name == "Directory"

    return _without(packet, [_GAIN_MAP, _CAMERA, _CONTAINER], goes)


def without_extension(packet: bytes) -> bytes:
    """The packet without its link to extended XMP. Raises `DamagedXmpError`."""
    return _without(packet, [_NOTE], lambda each: each.name == "HasExtendedXMP")


def without_thumbnails(packet: bytes) -> bytes:
    """The packet without its small pictures (xmp:Thumbnails). Raises `DamagedXmpError`."""
    if not _says(packet, b"Thumbnails"):
        return packet
    return _without(packet, [_XMP], lambda each: each.name == "Thumbnails")


def _without(packet: bytes, namespaces: list[str], goes: Callable[[_Property], bool]) -> bytes:
    """The packet without those properties of some namespaces that go."""
    if not any(_says(packet, each.encode()) for each in namespaces):
        return packet
    found = [each for each in _properties(packet) if each.namespace in namespaces and goes(each)]
    return _replaced(packet, [(each.whole, b"") for each in found])
