"""EXIF blocks that are longer than their place in a file of another kind: cut to what fits."""

from __future__ import annotations

from collections.abc import Iterator

from aindnet.photo import exif, maker_note, tiff
from aindnet.photo.tiff import Directory, Tag

_NAMES = {
    maker_note.MAKER_NOTE: "maker note",
    270: "description",
    315: "artist",
    316: "host computer",
    18246: "rating",
    33432: "copyright",
    37510: "user comment",
}
_TEXT, _USER_COMMENT, _SHORT = 2, 37510, 3
_SMALL = 1024
"""Bytes: a tag of this size is not worth leaving out while others are larger."""
_ENTRY, _INLINE = 12, 4


def tag_name(code: int) -> str:
    """What a notice calls a tag.

    >>> tag_name(315), tag_name(65000)
    ('artist', 'tag 65000')
    """
    return _NAMES.get(code, f"tag {code}")


def shortened(block: bytes, limit: int) -> tuple[bytes, list[str]]:
    """The block in at most `limit` bytes, and the names of the tags that were left out.

    Largest first; text only when all else that is large is gone, and the orientation never. Of a
    block that cannot be taken apart the orientation alone is kept.
    """
    if len(block) <= limit:
        return block, []
    directory = tiff.parse_block(block)
    if directory is None:
        directory = Directory()
        directory.put(tiff.ORIENTATION, _SHORT, [exif.orientation(block)])
        return tiff.serialise(directory), ["all but the orientation"]
    left_out = []
    note = directory.bound_note
    if note is not None and note.place + len(note.data) > limit:
        del directory.children[tiff.EXIF_IFD].tags[maker_note.MAKER_NOTE]
        left_out.append(tag_name(maker_note.MAKER_NOTE))
    queue = iter(sorted(_tags(directory), key=lambda each: _needed(each[1], each[2], note)))
    while len(whole := tiff.serialise(directory)) > limit:
        excess = len(whole) - limit
        while excess > 0:
            holder, code, tag = next(queue)
            del holder.tags[code]
            excess -= _room(tag, note)
            left_out.append(tag_name(code))
    return whole, left_out


def _tags(directory: Directory) -> Iterator[tuple[Directory, int, Tag]]:
    """All tags but the orientation, with the directory that holds them and their code."""
    for code, tag in directory.tags.items():
        if code != tiff.ORIENTATION or len(tag.data) > _INLINE:
            yield directory, code, tag
    for child in directory.children.values():
        yield from _tags(child)


def _needed(code: int, tag: Tag, note: Tag | None) -> tuple[bool, int]:
    room = _room(tag, note)
    words = tag.kind == _TEXT or code == _USER_COMMENT
    return words or room <= _SMALL, -room


def _room(tag: Tag, note: Tag | None) -> int:
    """Bytes that a tag takes; of a note that is bound to its place, with those before it."""
    before = tag.place if tag is note else 0
    return _ENTRY + before + (len(tag.data) if len(tag.data) > _INLINE else 0)
