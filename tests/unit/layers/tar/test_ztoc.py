"""Tables of layers for soci-snapshotter: by the format's rules each fits its layer, and is the same for the same layer."""

from __future__ import annotations

import gzip
import io
import tarfile
import zlib
from collections.abc import Iterator
from functools import cache

import pytest

from modelcrate_layers.content import Digest
from modelcrate_layers.errors import CrateError, IntegrityError
from modelcrate_layers.tar import codec
from modelcrate_layers.tar.deflate_blocks import block_starts
from modelcrate_layers.tar.recipe import Recipe
from modelcrate_layers.tar.sources import Bytes
from modelcrate_layers.tar.spans import SPAN, UnsuitedLayerError
from modelcrate_layers.tar.tree import Tree, directory, file, hard_link, symlink
from modelcrate_layers.tar.ztoc import make_ztoc
from support import golden
from support.images import noise
from support.soci import Table, assert_valid_ztoc

GOLDEN = {
    "none": "sha256:bf1e0f1b25f6ce586da63ef4403939690120f30f9857ecbe7c42bcb912eeb2af",
    "stored": "sha256:ad89ddc88d37a37e2d7ef3290dc4a5793aaa6722373d6adda4edaedd8586d632",
    "spliced": "sha256:8857d8b39d57e6998ec83c0f9da1942cb92a2c4d522f2beaadfe8af785d93787",
}
"""They move with the rules of `ztoc`, whose version is in TOOL, and with those of the layer."""


@cache
def tree() -> Tree:
    """Files of several spans and of none, deflated and not, and all that has names and links."""
    entries = [
        *golden.trees()["names"].entries,
        *golden.zipped().entries,
        directory(b"weights"),
        file(b"weights/0", Bytes(noise(5 << 20))),
        file(b"weights/1", Bytes(noise(7 << 20))),
        file(b"weights/empty", Bytes(b"")),
        hard_link(b"weights/again", b"weights/0"),
        symlink(b"weights/link", b"1"),
    ]
    return Tree.of(entries)


def stored(name: str, of: Tree | None = None) -> bytes:
    return b"".join(Recipe.of(of or tree(), codec.named(name)).chunks())


def table(blob: bytes, name: str = "gzip", *, rows: bool = True, step: int = 1 << 20) -> bytes:
    return make_ztoc((blob[at : at + step] for at in range(0, len(blob), step)), name, rows=rows)


@pytest.mark.parametrize("name", GOLDEN)
def test_a_table_fits_its_layer_and_is_the_committed_one(name: str) -> None:
    blob = stored(name)
    made = table(blob, "none" if name == "none" else "gzip")
    found = assert_valid_ztoc(blob, made)
    assert found.entries == len(tree().entries)
    assert found.spans == (5 if name == "spliced" else 4)
    assert (found.members > 1) is (name == "spliced")
    assert str(Digest.of(made)) == GOLDEN[name]
    assert table(blob, "none" if name == "none" else "gzip", step=4097) == made, "it does not depend on the pieces"


def test_an_estargz_layer_has_one_too() -> None:
    """Its own table is in one member with its header, and no span begins there."""
    small = [file(b"a/%d" % at, Bytes(b"")) for at in range(800)]
    lazy = Tree.of([*small, file(b"large", Bytes(noise(SPAN - 450_000)))])
    blob = stored("estargz", lazy)
    assert assert_valid_ztoc(blob, table(blob)).entries == len(lazy.entries) + 2


def test_a_row_has_one_only_where_that_is_wanted() -> None:
    with pytest.raises(UnsuitedLayerError, match=r"from version 0\.14 on"):
        table(stored("spliced"), rows=False)
    one = stored("stored")
    assert table(one, rows=False) == table(one), "one member, in which blocks are stored"


@pytest.mark.no_cover
def test_what_can_not_be_entered_has_none() -> None:
    with pytest.raises(UnsuitedLayerError, match="is stored in zstd"):
        table(stored("zstd"), "zstd")
    plain = archive((info("large"), noise(SPAN // 2).hex().encode() * 2))
    unpack = zlib.compressobj(6, wbits=31, strategy=zlib.Z_FIXED)
    with pytest.raises(UnsuitedLayerError, match="entered in its middle"):
        table(unpack.compress(plain) + unpack.flush())


def packed(plain: bytes, level: int) -> bytes:
    made = zlib.compressobj(level, wbits=31)
    return made.compress(plain) + made.flush()


@pytest.mark.parametrize("level", [1, 6, 9, -2])
def test_one_deflate_stream_is_entered_where_a_block_begins(level: int) -> None:
    """Blocks begin within a byte: the layers of most images are such streams."""
    text = noise(SPAN).hex().encode()
    plain = archive(
        (info("a"), text), *((info(f"small{at}"), text[at : at + 900]) for at in range(300)), (info("b"), text)
    )
    blob = (
        stored("gzip", Tree.of([file(b"a", Bytes(text)), file(b"b", Bytes(text))]))
        if level < 0
        else packed(plain, level)
    )
    made = table(blob, rows=False)
    spans = assert_valid_ztoc(blob, made).spans
    assert spans >= 4
    assert table(blob, rows=False, step=4097) == made, "it does not depend on the pieces"
    points = Table.root(made).table(5).octets(3)
    assert any(points[12 + at * (17 + 32768) + 16] for at in range(spans)), "within a byte"


@pytest.mark.no_cover
def test_every_block_is_found_and_nothing_else() -> None:
    """zlib's own flushes are places that are known: a block ends there, and an empty one and a byte's end follow."""
    text, made, starts = noise(1 << 20).hex().encode(), zlib.compressobj(6, wbits=-15), [(0, 0)]
    stream = b""
    for at in range(0, len(text), 100_000):
        stream += made.compress(text[at : at + 100_000]) + made.flush(zlib.Z_FULL_FLUSH)
        starts.append((len(stream), at + 100_000))
    found = {
        (each.before, each.given)
        for each in block_starts(zlib.decompressobj(-15), stream, len(stream))
        if not each.bits
    }
    assert {each for each in starts if each[0] < len(stream)} <= found
    assert not [*block_starts(zlib.decompressobj(-15), noise(1 << 16), 1 << 16)]


def archive(*members: tuple[tarfile.TarInfo, bytes], form: int = tarfile.PAX_FORMAT, **more: dict[str, str]) -> bytes:
    """What other programs write: padded to 10 KiB."""
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w", format=form, **more) as written:  # type: ignore[call-overload]
        for info, data in members:
            info.size = len(data)
            written.addfile(info, io.BytesIO(data))
    return out.getvalue()


def info(name: str, kind: bytes = tarfile.REGTYPE, **more: object) -> tarfile.TarInfo:
    made = tarfile.TarInfo(name)
    made.type = kind
    for key, value in more.items():
        setattr(made, key, value)
    return made


@pytest.mark.parametrize("form", [tarfile.PAX_FORMAT, tarfile.GNU_FORMAT])
def test_layers_of_others_have_one(form: int) -> None:
    plain = archive(
        (info("etc", tarfile.DIRTYPE, mode=0o755, mtime=1_700_000_000), b""),
        (
            info("etc/" + "n" * 200, mode=0o4755, uid=12, gid=3_000_000, uname="u", gname="g", mtime=1_700_000_001),
            b"a" * 700,
        ),
        (
            info("etc/ping", pax_headers={"SCHILY.xattr.user.x": "ü"} if form == tarfile.PAX_FORMAT else {}, mtime=1),
            b"b" * 512,
        ),
        (info("etc/link", tarfile.SYMTYPE, linkname="l" * 150), b""),
        (info("etc/hard", tarfile.LNKTYPE, linkname="etc/ping"), b""),
        (info("etc/pipe", tarfile.FIFOTYPE), b""),
        (info("dev/null", tarfile.CHRTYPE, devmajor=1, devminor=3), b""),
        (info("gone/.wh..wh..opq"), b""),
        (info("large"), noise(SPAN)),
        form=form,
    )
    assert assert_valid_ztoc(plain, table(plain, "none")).spans == 2
    assert Table.root(table(plain, "none")).table(4).tables(0)[6].number(12) == 3


def test_members_of_others_may_have_names_and_more_in_their_headers() -> None:
    first, second = noise(SPAN), noise(SPAN + 1)
    plain = archive((info("a"), first), (info("b"), second))
    rich = b"\x1f\x8b\x08\x1e\0\0\0\0\0\xff\4\0abcdname\0comment\0\1\2" + zlib.compress(first, 0, -15)
    rich += codec.frame_tail(zlib.crc32(first), len(first))
    middle = gzip.compress(plain[512 + SPAN : 1024 + SPAN])
    blob = (
        gzip.compress(plain[:512])
        + rich
        + middle
        + gzip.compress(second)
        + gzip.compress(plain[-len(plain) % 512 + 1024 + SPAN + len(second) :])
    )
    found = assert_valid_ztoc(blob, table(blob))
    assert (found.spans, found.members) == (3, 2)
    assert len(table(blob + bytes(300))) == len(table(blob)), "zeros behind the last member are of its span"


def pigz(plain: bytes, size: int) -> bytes:
    return b"".join(gzip.compress(plain[at : at + size]) for at in range(0, len(plain), size))


@pytest.mark.parametrize("size", [1 << 17, SPAN - 512, SPAN + 512, SPAN + 513])
def test_members_that_are_not_files_have_none(size: int) -> None:
    """Old versions of the snapshotter would give zeros for parts of files."""
    with pytest.raises(
        UnsuitedLayerError, match=r"(which old versions of soci-snapshotter misread|entered in its middle)"
    ):
        table(pigz(archive((info("a"), noise(SPAN)), (info("b"), noise(SPAN)), (info("c"), b"c")), size))


def test_a_stream_may_go_on_otherwise_behind_stored_blocks() -> None:
    """What a later block refers to is in the place before it."""
    plain = archive((info("noise"), noise(SPAN + 100)), (info("more"), noise(SPAN)[-9000:] * 2))
    at = SPAN + 4096
    head = b"".join(
        b"\0" + len(part).to_bytes(2, "little") + (len(part) ^ 0xFFFF).to_bytes(2, "little") + part
        for begin in range(0, at, 1 << 15)
        for part in [plain[begin : min(begin + (1 << 15), at)]]
    )
    rest = zlib.compressobj(9, wbits=-15, zdict=plain[at - 32768 : at])
    blob = codec.FRAME_HEAD + head + rest.compress(plain[at:]) + rest.flush()
    blob += codec.frame_tail(zlib.crc32(plain), len(plain))
    found = assert_valid_ztoc(blob, table(blob, rows=False))
    assert (found.spans, found.members) == (2, 1)


@pytest.mark.parametrize(
    ("plain", "why"),
    [
        (archive((info("a"), b"a"), pax_headers={"comment": "for all"}), "several files"),
        (archive((info("a", tarfile.LNKTYPE, linkname="b"), b""), (info("b"), b"b")), "hard link"),
        (archive((info("a", mtime=1 << 40), b"a"), form=tarfile.GNU_FORMAT), "more than four digits"),
    ],
)
def test_what_the_snapshotter_would_refuse_has_none(plain: bytes, why: str) -> None:
    with pytest.raises(UnsuitedLayerError, match=why):
        table(plain, "none")


def test_a_damaged_layer_is_refused() -> None:
    """Wherever it is cut or changed: never another fault, and never a table of another tar."""
    blob = stored("spliced", Tree.of([*golden.zipped().entries, *golden.trees()["modes-and-links"].entries]))
    assert assert_valid_ztoc(blob, table(blob)).spans == 2
    for at in range(0, len(blob), 61):
        with pytest.raises(IntegrityError):
            table(blob[:at])
        damaged = blob[:at] + bytes([blob[at] ^ 0x55]) + blob[at + 1 :]
        try:
            table(damaged)
        except CrateError:
            continue
        assert gzip.decompress(damaged) == gzip.decompress(blob), "a time, or a system, in the header of a member"
    with pytest.raises(IntegrityError, match="another header"):
        table(blob + b"garbage" * 9)
    with pytest.raises(IntegrityError, match=r"header of more than"):
        table(b"\x1f\x8b\x08\x08\0\0\0\0\0\xff" + b"n" * 70_000)


def test_a_file_that_is_too_large_for_a_span_is_told_early() -> None:
    header = tarfile.TarInfo("zeros")
    header.size = 1 << 40
    pack = zlib.compressobj(9, wbits=31)
    taken = 0

    def chunks() -> Iterator[bytes]:
        nonlocal taken
        yield gzip.compress(header.tobuf(tarfile.GNU_FORMAT))
        while True:
            taken += 1
            yield pack.compress(bytes(1 << 20))

    with pytest.raises(UnsuitedLayerError, match="more than 16 MiB in one gzip stream"):
        make_ztoc(chunks(), "gzip", rows=True, largest=16 << 20)
    assert taken < 100
