"""XMP packets: what is patched, and that nothing else is."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from aindnet.photo.xmp import (
    DamagedXmpError,
    upright,
    without_appended,
    without_develop_settings,
    without_extension,
    without_thumbnails,
)


def packet(attributes: str = "", children: str = "", after: str = "") -> bytes:
    return (
        '<?xpacket begin="\ufeff" id="W5M0MpCehiHzreSzNTczkc9d"?>\n'
        '<x:xmpmeta xmlns:x="adobe:ns:meta/">'
        '<rdf:RDF xmlns:rdf="http://www.w3.org/1999/02/22-rdf-syntax-ns#">\n'
        "<rdf:Description rdf:about='' xmlns:t=\"http://ns.adobe.com/tiff/1.0/\"\n"
        ' xmlns:crs="http://ns.adobe.com/camera-raw-settings/1.0/"\n'
        ' xmlns:o="http://example.org/other/"\n'
        f' t:Make="a > b"{attributes}>{children}<o:Note>é &gt; 1</o:Note></rdf:Description>{after}'
        "</rdf:RDF></x:xmpmeta>   \n<?xpacket end='w'?>"
    ).encode()


@pytest.mark.parametrize("tail", [b"", b"\0\0"])
def test_the_orientation_is_patched_and_no_other_byte(tail: bytes) -> None:
    other = '<o:Of><rdf:Description t:Orientation="3" o:Orientation="5"/></o:Of>'
    for form in (' t:Orientation="{}"', "\n\tt:Orientation = '{}'"):
        old, new = (packet(form.format(value), other) for value in (6, 1))
        assert upright(old + tail) == new + tail
    old, new = (packet("", f"{other}<t:Orientation>{value}</t:Orientation>") for value in (8, 1))
    assert upright(old + tail) == new + tail
    assert upright(b"\xef\xbb\xbf" + old) == b"\xef\xbb\xbf" + new
    assert upright(packet("", other)) == packet("", other)


def test_develop_settings_go_and_nothing_else() -> None:
    curve = "<crs:ToneCurve><rdf:Seq><rdf:li>0, 0</rdf:li></rdf:Seq></crs:ToneCurve>"
    settings = packet(" crs:Exposure2012=\"+1.00\"\n crs:Look='<'", f"{curve}<crs:Mask/>")
    settings = settings.replace(b"'<'", b"'&lt;'")
    assert without_develop_settings(settings) == packet()
    assert without_develop_settings(packet()) == packet()


def test_several_descriptions_are_gone_through() -> None:
    second = (
        '<rdf:Description xmlns:c="http://ns.adobe.com/camera-raw-settings/1.0/"{}>{}'
        "</rdf:Description>"
    )
    full, bare = second.format(' c:Tint="3"', "<c:Shadows>9</c:Shadows>"), second.format("", "")
    assert without_develop_settings(packet(after=full)) == packet(after=bare)


def test_what_is_said_of_appended_pictures_goes_and_nothing_else() -> None:
    spaces = (
        ' xmlns:hdrgm="http://ns.adobe.com/hdr-gain-map/1.0/"'
        ' xmlns:C="http://ns.google.com/photos/1.0/camera/"'
        ' xmlns:D="http://ns.google.com/photos/1.0/container/"'
        ' xmlns:I="http://ns.google.com/photos/1.0/container/item/"'
        ' xmlns:n="http://ns.adobe.com/xmp/note/" C:BurstID="7" o:Directory="1"'
    )
    attributes = (
        '\n hdrgm:Version="1.0" hdrgm:GainMapMax="2.5"'
        ' C:MotionPhoto="1" C:MotionPhotoPresentationTimestampUs="9" C:MicroVideoOffset="5"'
    )
    directory = (
        '<D:Directory><rdf:Seq><rdf:li rdf:parseType="Resource"><D:Item I:Semantic="GainMap"'
        ' I:Length="9"/></rdf:li></rdf:Seq></D:Directory><C:MotionPhotoVersion>1'
        "</C:MotionPhotoVersion>"
    )
    rest = "<C:Orientation>0</C:Orientation>"
    assert without_appended(packet(spaces + attributes, directory + rest)) == packet(spaces, rest)
    assert without_appended(packet(spaces, rest)) == packet(spaces, rest)
    link = packet(f'{spaces} n:HasExtendedXMP="ABC"', rest)
    assert without_appended(link) == link
    assert without_extension(link) == packet(spaces, rest)


def test_thumbnails_go_and_nothing_else() -> None:
    spaces = ' xmlns:z="http://ns.adobe.com/xap/1.0/" z:Rating="4" o:Thumbnails="3"'
    small = "<z:Thumbnails><rdf:Alt><rdf:li>/9j/4AAQ</rdf:li></rdf:Alt></z:Thumbnails>"
    assert without_thumbnails(packet(spaces, small)) == packet(spaces)
    assert without_thumbnails(packet(spaces)) == packet(spaces)
    assert without_thumbnails(b"\xff nothing of it") == b"\xff nothing of it"


DAMAGES: list[Callable[[bytes], bytes]] = [
    lambda p: p[:-60],
    lambda p: p.decode().encode("utf-16"),
    lambda p: p.decode().encode("utf-16-be"),
    lambda p: b'<?xml version="1.0" encoding="nothing"?>' + p,
    lambda p: b'<?xml version="1.0" encoding="big5"?>' + p,
]


@pytest.mark.parametrize("damage", DAMAGES)
def test_what_is_no_xml_is_said_where_it_matters(damage: Callable[[bytes], bytes]) -> None:
    damaged = damage(packet(' t:Orientation="6"'))
    with pytest.raises(DamagedXmpError):
        upright(damaged)
    with pytest.raises(DamagedXmpError):
        without_develop_settings(damaged)
    assert upright(b"\xff nothing of it") == b"\xff nothing of it"
