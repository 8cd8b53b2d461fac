"""TIFF directories: read from files and EXIF blocks, and written back with every tag kept.

Classic and BigTIFF, both byte orders. Offsets and counts come from files that may be hostile, so
everything is checked against what can be read.
"""

from __future__ import annotations

import struct
from collections.abc import Callable
from dataclasses import dataclass, field

from aindnet.photo import maker_note

Reader = Callable[[int, int], bytes]
"""Called with an offset and a length, gives up to that many bytes."""

ORIENTATION, ICC, XMP, IPTC, PHOTOSHOP = 274, 34675, 700, 33723, 34377
WIDTH, HEIGHT, BITS, COMPRESSION, PHOTOMETRIC = 256, 257, 258, 259, 262
SAMPLES, PREDICTOR, SAMPLE_FORMAT, EXTRA_SAMPLES = 277, 317, 339, 338
STRIP_OFFSETS, TILE_OFFSETS, TILE_WIDTH, TILE_HEIGHT, SUB_IFDS = 273, 324, 322, 323, 330
X_RESOLUTION, Y_RESOLUTION, RESOLUTION_UNIT, DNG_VERSION = 282, 283, 296, 50706
SUBFILE_TYPE, DESCRIPTION, CREDENTIALS = 254, 270, 52545
WHITE_IS_ZERO, BLACK_IS_ZERO, RGB, PALETTE, MASK, LAB = 0, 1, 2, 3, 4, 8
"""What samples mean (`PHOTOMETRIC`)."""
UNSPECIFIED, ASSOCIATED_ALPHA, UNASSOCIATED_ALPHA = 0, 1, 2
"""What a channel beyond the colours is (`EXTRA_SAMPLES`)."""
FLOATS = 3
"""What samples are (`SAMPLE_FORMAT`); the others are integers."""
LAYERS = 37724
"""Photoshop's ImageSourceData: never read, for it is large and of the picture before."""
EXIF_IFD, GPS_IFD, INTEROPERABILITY_IFD = 34665, 34853, 40965

STRUCTURE = frozenset(
    {
        *(
            WIDTH,
            HEIGHT,
            BITS,
            COMPRESSION,
            PHOTOMETRIC,
            266,
            STRIP_OFFSETS,
            SAMPLES,
            278,
            279,
            284,
        ),
        *(
            288,
            289,
            290,
            291,
            292,
            293,
            301,
            PREDICTOR,
            318,
            319,
            320,
            321,
            TILE_WIDTH,
            TILE_HEIGHT,
        ),
        *(
            TILE_OFFSETS,
            325,
            SUB_IFDS,
            *range(332, 338),
            EXTRA_SAMPLES,
            SAMPLE_FORMAT,
            340,
            341,
            342,
        ),
        *(347, *range(512, 522), *range(529, 533)),
    }
)
"""Tags that say how the pixels are stored: the writer's own, never the source's."""

_CHILDREN = (EXIF_IFD, GPS_IFD, INTEROPERABILITY_IFD)
_UNIT = {1: 1, 2: 1, 3: 2, 4: 4, 5: 4, 6: 1, 7: 1, 8: 2, 9: 4, 10: 4, 11: 4, 12: 8, 13: 4}
_UNIT |= {16: 8, 17: 8, 18: 8}
_PAIRS = (5, 10)
_LETTERS = {1: "B", 3: "H", 4: "I", 6: "b", 8: "h", 9: "i", 13: "I", 16: "Q", 17: "q", 18: "Q"}
_SHORT, _LONG, _LONG8 = 3, 4, 16
_MAX_TAG_BYTES = 64 << 20
_MAX_TOTAL_BYTES = 256 << 20
_TAG_COST = 128  # what a tag takes beside its value, more or less
_MAX_PAGES = 100_000
_MAX_DEPTH = 3
_MAX_OFFSET = (1 << 63) - 1  # what an operating system call takes


def element_bytes(kind: int) -> int:
    """Bytes that one element of a TIFF type takes; 0 for a type that there is not."""
    return _UNIT.get(kind, 0) * (2 if kind in _PAIRS else 1)


class TagsTooLargeError(ValueError):
    """The tags of all directories together take more memory than those of photos do."""


@dataclass(frozen=True, slots=True)
class Tag:
    """A value: its TIFF type, number of elements, and bytes in the directory's byte order."""

    kind: int
    count: int
    data: bytes
    place: int = 0
    """Where the bytes stood in the file; 0 for those within the directory, and new ones."""


@dataclass
class Directory:
    """One page's tags (or an EXIF block's), with the directories that they point to."""

    order: str = "<"
    tags: dict[int, Tag] = field(default_factory=dict)
    children: dict[int, Directory] = field(default_factory=dict)
    layers: bool = False
    """Whether Photoshop's layers were there."""
    place: int = 0
    """Where it stood in the file; 0 for new ones."""

    @property
    def bound_note(self) -> Tag | None:
        """The maker note, if it was read from a file and is bound to its place there."""
        details = self.children.get(EXIF_IFD)
        note = details.tags.get(maker_note.MAKER_NOTE) if details is not None else None
        bound = note is not None and note.place > 0 and maker_note.is_bound(note.data)
        return note if bound else None

    def numbers(self, tag: int) -> list[int]:
        """The integers of a tag; empty if it is missing or of another type."""
        value = self.tags.get(tag)
        if value is None or value.kind not in _LETTERS:
            return []
        return list(struct.unpack(f"{self.order}{value.count}{_LETTERS[value.kind]}", value.data))

    def number(self, tag: int, default: int) -> int:
        """The first integer of a tag."""
        return next(iter(self.numbers(tag)), default)

    def ratio(self, tag: int) -> float | None:
        """The first fraction of a tag."""
        value = self.tags.get(tag)
        if value is None or value.kind != 5 or value.count < 1:
            return None
        over, under = struct.unpack_from(self.order + "II", value.data)
        return over / under if under else None

    def blob(self, tag: int) -> bytes | None:
        """The bytes of a tag as they are."""
        value = self.tags.get(tag)
        return value.data if value is not None else None

    def put(self, tag: int, kind: int, values: list[int]) -> None:
        """Set a tag to integers."""
        data = struct.pack(f"{self.order}{len(values)}{_LETTERS[kind]}", *values)
        self.tags[tag] = Tag(kind, len(values), data)

    def put_bytes(self, tag: int, kind: int, data: bytes) -> None:
        """Set a tag of one-byte elements."""
        self.tags[tag] = Tag(kind, len(data), data)

    def swapped_to(self, order: str) -> Directory:
        """The same values in a byte order."""
        if order == self.order:
            return self
        tags = {}
        for code, tag in self.tags.items():
            unit = _UNIT[tag.kind]
            pieces = (tag.data[i : i + unit][::-1] for i in range(0, len(tag.data), unit))
            tags[code] = Tag(tag.kind, tag.count, b"".join(pieces), tag.place)
        return Directory(
            order, tags, {code: each.swapped_to(order) for code, each in self.children.items()}
        )


@dataclass
class Tiff:
    """The directories of a file, in the order of its pages."""

    big: bool
    order: str
    pages: list[Directory]


class _Budget:
    """A `Reader` that ends with `TagsTooLargeError` after a total of bytes.

    Directories may overlap and tags may share a place, so a small file can hold endless tags.
    """

    def __init__(self, read: Reader) -> None:
        self._read = read
        self._left = _MAX_TOTAL_BYTES

    def __call__(self, offset: int, length: int) -> bytes:
        data = self._read(offset, length) if offset <= _MAX_OFFSET else b""
        self.charge(len(data))
        return data

    def charge(self, size: int) -> None:
        """Count bytes of memory."""
        self._left -= size
        if self._left < 0:
            raise TagsTooLargeError(f"over {_MAX_TOTAL_BYTES >> 20} MB of tags")


def read_tiff(reader: Reader) -> Tiff | None:
    """All pages' directories; None if the bytes are no TIFF or its directories make no sense.

    Raises `TagsTooLargeError`.
    """
    read = _Budget(reader)
    head = read(0, 16)
    order = {b"II": "<", b"MM": ">"}.get(head[:2])
    if order is None or len(head) < 8:
        return None
    (magic,) = struct.unpack_from(order + "H", head, 2)
    big = magic == 43
    if big and len(head) < 16:
        return None
    offset = struct.unpack_from(order + ("8xQ" if big else "4xI"), head)[0]
    tiff = Tiff(big, order, [])
    seen: set[int] = set()
    while offset and offset not in seen and len(tiff.pages) < _MAX_PAGES:
        seen.add(offset)
        found = _read_directory(read, offset, order, big, 0)
        if found is None:
            return None
        directory, offset = found
        tiff.pages.append(directory)
    # A chain that runs in a circle is a file made to be read for ever.
    return tiff if tiff.pages and not offset else None


def _read_directory(
    read: _Budget, offset: int, order: str, big: bool, depth: int
) -> tuple[Directory, int] | None:
    head = read(offset, 8 if big else 2)
    if len(head) < (8 if big else 2):
        return None
    (count,) = struct.unpack(order + ("Q" if big else "H"), head)
    if count > 65_535:
        return None
    size, inline = (20, 8) if big else (12, 4)
    body = read(offset + len(head), count * size + inline)
    if len(body) < count * size + inline:
        return None
    read.charge(count * _TAG_COST)
    directory = Directory(order, place=offset)
    for at in range(0, count * size, size):
        code, kind, elements = struct.unpack_from(order + ("HHQ" if big else "HHI"), body, at)
        unit = element_bytes(kind)
        length = unit * elements
        if code == LAYERS:
            directory.layers = True
            continue
        if not 0 < length <= _MAX_TAG_BYTES:
            continue
        value_at = at + size - inline
        data, place = body[value_at : value_at + length], 0
        if length > inline:
            (place,) = struct.unpack_from(order + ("Q" if big else "I"), body, value_at)
            data = read(place, length)
            if len(data) < length:
                continue
        directory.tags.setdefault(code, Tag(kind, elements, data, place))
    if depth < _MAX_DEPTH:
        for code in _CHILDREN:
            place = directory.number(code, 0)
            child = _read_directory(read, place, order, big, depth + 1) if place else None
            directory.tags.pop(code, None)
            if child is not None:
                directory.children[code] = child[0]
    (following,) = struct.unpack(order + ("Q" if big else "I"), body[count * size :])
    return directory, following


class DirectoryWriter:
    """Lays out directories at the end of a file that grows: `place` is where the next byte goes.

    `put` appends bytes; the caller patches the link to the directory whose offset is returned.
    The data of the tag `standing` are in the file already, at the tag's place.
    """

    def __init__(
        self,
        put: Callable[[bytes], None],
        place: int,
        *,
        big: bool,
        standing: Tag | None = None,
    ) -> None:
        self._put = put
        self._place = place
        self._big = big
        self._standing = standing

    def write(self, directory: Directory) -> tuple[int, int]:
        """Append a directory; where it starts, and where its link to the next one stands."""
        inline = 8 if self._big else 4
        word = "Q" if self._big else "I"
        order = directory.order
        tags = dict(directory.tags)
        for code, child in directory.children.items():
            start, _ = self.write(child)
            tags[code] = Tag(_LONG8 if self._big else _LONG, 1, struct.pack(order + word, start))
        entries = []
        for code in sorted(tags):
            tag = tags[code]
            value = tag.data.ljust(inline, b"\0")
            if len(tag.data) > inline:
                place = tag.place if tag is self._standing else self._append(tag.data)
                value = struct.pack(order + word, place)
            entries.append(struct.pack(order + "HH" + word, code, tag.kind, tag.count) + value)
        count = struct.pack(order + ("Q" if self._big else "H"), len(entries))
        start = self._append(count + b"".join(entries) + bytes(inline))
        return start, self._place - inline

    def _append(self, data: bytes) -> int:
        padding = -self._place % (8 if self._big else 2)
        self._put(bytes(padding) + data)
        start = self._place + padding
        self._place = start + len(data)
        return start


def can_stay(note: Tag, end: int) -> bool:
    """Whether a maker note gets its old place in a file that has bytes up to `end`."""
    return end <= note.place <= end + maker_note.FARTHEST


def note_moved(old: Directory | None, new: Directory | None) -> bool:
    """Whether a bound maker note stands elsewhere than it did, or in another byte order."""
    before, after = (each.bound_note if each is not None else None for each in (old, new))
    if old is None or new is None or before is None or after is None:
        return False
    return before.data == after.data and (before.place, old.order) != (after.place, new.order)


def codes(directory: Directory | None, pointer: int = 0) -> set[tuple[int, int]]:
    """All tags of a directory and of those that it points to, each with the tag that points."""
    if directory is None:
        return set()
    own = {(pointer, code) for code in directory.tags}
    return own.union(*(codes(child, at) for at, child in directory.children.items()))


def serialise(directory: Directory) -> bytes:
    """A directory as an EXIF block: a classic TIFF without pixels.

    A maker note that is bound to its place gets it, if it is near enough to the start.
    """
    block = bytearray(struct.pack(directory.order + "HI", 42, 0))
    block[:0] = b"II" if directory.order == "<" else b"MM"
    note = directory.bound_note
    if note is not None and can_stay(note, len(block)):
        block = block.ljust(note.place, b"\0") + note.data
    else:
        note = None
    writer = DirectoryWriter(block.extend, len(block), big=False, standing=note)
    start, _ = writer.write(directory)
    struct.pack_into(directory.order + "I", block, 4, start)
    return bytes(block)


def parse_block(block: bytes) -> Directory | None:
    """The first directory of an EXIF block; None if it is damaged or its tags are too large."""
    try:
        tiff = read_tiff(lambda offset, length: block[offset : offset + length])
    except TagsTooLargeError:
        return None
    return tiff.pages[0] if tiff else None
