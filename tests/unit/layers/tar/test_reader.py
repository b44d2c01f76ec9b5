"""The tar reader against archives of the standard library and of GNU tar, and against damage."""

from __future__ import annotations

import io
import shutil
import subprocess
import tarfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from modelcrate_layers.errors import IntegrityError
from modelcrate_layers.tar.reader import Limits, Member, MemberKind, index_tar, read_tar
from support.rootfs import layer, member


def read(data: bytes, step: int = 1 << 20, limits: Limits | None = None) -> list[tuple[Member, bytes]]:
    chunks = (data[at : at + step] for at in range(0, len(data), step))
    return [(found, b"".join(found.body)) for found in read_tar(chunks, limits or Limits())]


def block(
    name: bytes = b"f", size: bytes = b"00000000000\0", flag: bytes = b"0", magic: bytes = b"ustar\x0000"
) -> bytes:
    """One header with a right checksum, fields as given."""
    head = name.ljust(100, b"\0") + b"0000644\0" + b"0000000\0" * 2 + size + b"00000000000\0" + b" " * 8 + flag
    head = (head + bytes(100) + magic).ljust(512, b"\0")
    return head[:148] + b"%06o\0 " % sum(head) + head[156:]


END = bytes(1024)
NAMES = st.text(st.characters(blacklist_categories=["Cs"], blacklist_characters="\0/"), min_size=1, max_size=40)
PATHS = st.lists(NAMES.filter(lambda name: name not in (".", "..")), min_size=1, max_size=8).map("/".join)


@st.composite
def archives(draw: st.DrawFn) -> tuple[bytes, list[tuple[tarfile.TarInfo, bytes]]]:
    how = draw(st.sampled_from([tarfile.PAX_FORMAT, tarfile.GNU_FORMAT]))
    found = []
    for name in draw(st.lists(PATHS, max_size=6)):
        kind = draw(
            st.sampled_from([tarfile.REGTYPE, tarfile.DIRTYPE, tarfile.SYMTYPE, tarfile.LNKTYPE, tarfile.FIFOTYPE])
        )
        data = draw(st.binary(max_size=1500)) if kind == tarfile.REGTYPE else b""
        link = draw(PATHS) if kind in (tarfile.SYMTYPE, tarfile.LNKTYPE) else ""
        found.append(
            member(
                name, data, kind, linkname=link, mode=draw(st.integers(0, 0o7777)), uid=draw(st.integers(0, 2**32 - 2)),
                gid=draw(st.integers(0, 2**32 - 2)), mtime=draw(st.integers(-(2**33), 2**40)),
            )
        )  # fmt: skip
    file = io.BytesIO()
    with tarfile.open(fileobj=file, mode="w", format=how) as tar:
        for info, data in found:
            tar.addfile(info, io.BytesIO(data))
    return file.getvalue(), found


@given(archives(), st.integers(1, 3000))
def test_reads_what_the_standard_library_wrote(
    archive: tuple[bytes, list[tuple[tarfile.TarInfo, bytes]]], step: int
) -> None:
    data, expected = archive
    got = read(data, step)
    assert len(got) == len(expected)
    for (found, body), (info, content) in zip(got, expected, strict=True):
        assert found.name.rstrip(b"/") == info.name.encode()
        assert found.kind.value == info.type
        assert (found.mode, found.uid, found.gid) == (info.mode, info.uid, info.gid)
        assert found.mtime == info.mtime * 10**9
        assert found.link == info.linkname.encode()
        assert body == content


@given(archives(), st.data())
def test_a_cut_archive_never_ends_well(
    archive: tuple[bytes, list[tuple[tarfile.TarInfo, bytes]]], data: st.DataObject
) -> None:
    whole, _ = archive
    content = len(whole.rstrip(b"\0"))
    content += -content % 512
    end = data.draw(st.integers(0, content))
    with pytest.raises(IntegrityError):
        read(whole[:end])


@given(st.binary(max_size=2000))
def test_noise_is_refused_or_read_but_never_crashes(noise: bytes) -> None:
    for data in (
        noise,
        block() + noise,
        block(b"x", b"%011o\0" % len(noise), b"x") + noise.ljust(2048, b"\0") + block() + END,
    ):
        try:
            read(data)
        except IntegrityError:
            continue


def test_gnu_tar_archives(tmp_path: Path) -> None:
    if shutil.which("tar") is None:
        pytest.skip("GNU tar is not installed")
    source = tmp_path / "in"
    deep = source / ("d" * 90) / ("e" * 90)
    deep.mkdir(parents=True)
    (deep / ("f" * 200)).write_bytes(b"x" * 700)
    (source / "new\nline").write_bytes(b"")
    (source / "link").symlink_to("t" * 150)
    (source / "hard").hardlink_to(source / "new\nline")
    expected = {b"in/" + str(path.relative_to(source)).encode() for path in source.rglob("*")} | {b"in"}
    for how in ("gnu", "pax", "ustar"):
        skipped = ["--exclude=link", "--exclude=" + "f" * 200] if how == "ustar" else []
        command = ["tar", "-C", str(tmp_path), f"--format={how}", *skipped, "-c", "in"]
        got = read(subprocess.run(command, check=True, capture_output=True).stdout)
        names = {found.name.rstrip(b"/") for found, _ in got}
        assert names == {name for name in expected if not skipped or not (name.endswith(b"link") or b"fff" in name)}
        if not skipped:
            assert next(found.link for found, _ in got if found.name == b"in/link") == b"t" * 150
            assert sum(len(body) for _, body in got) == 700
            assert [found.kind for found, _ in got].count(MemberKind.HARD_LINK) == 1


def test_base_256_numbers() -> None:
    big = (9 << 30).to_bytes(12, "big")
    head = block(size=b"\x80" + big[1:])
    found = next(iter(read_tar(iter([head]))))
    assert found.size == 9 << 30


def test_a_member_left_unread_is_skipped() -> None:
    data = layer(member("a", b"1" * 5000), member("b", b"2" * 10)).data
    assert [found.name for found in read_tar(iter([data]))] == [b"a", b"b"]


def test_the_stream_is_read_to_its_end() -> None:
    seen = []

    def chunks() -> Iterator[bytes]:
        yield block() + END
        for _ in range(3):
            seen.append(1)
            yield bytes(512)

    assert len(list(read_tar(chunks()))) == 1
    assert len(seen) == 3


def test_xattrs_and_fractions_of_seconds() -> None:
    info, data = member("f", b"x")
    info.pax_headers = {"SCHILY.xattr.user.k": "v", "mtime": "-1.5"}
    found, _ = read(layer((info, data)).data)[0]
    assert found.xattrs == {"user.k": b"v"}
    assert found.mtime == -1_500_000_000


def test_global_records_hold_for_all_that_follow() -> None:
    record = b"16 mtime=123456\n"
    data = block(b"g", b"%011o\0" % len(record), b"g") + record.ljust(512, b"\0") + block(b"a") + block(b"b") + END
    assert [found.mtime for found, _ in read(data)] == [123456 * 10**9] * 2


def pax(record: bytes) -> bytes:
    return (
        block(b"x", b"%011o\0" % len(record), b"x") + record.ljust(-(-len(record) // 512) * 512, b"\0") + block() + END
    )


HIDDEN = block(b"hidden")
"""A header in the contents of a file: who reads it as a member sees another archive than an engine."""


def extension(flag: bytes, data: bytes) -> bytes:
    return block(b"x", b"%011o\0" % len(data), flag) + data.ljust(512, b"\0")


@pytest.mark.parametrize("size", [b"\x0000000001000", b"\0 \x0000001000\0", b"   00001000\0"])
def test_a_number_behind_a_nul_is_a_number_as_in_go_and_gnu_tar(size: bytes) -> None:
    data = block(b"a", size) + HIDDEN + block(b"after") + END
    assert [(each.name, body) for each, body in read(data)] == [(b"a", HIDDEN), (b"after", b"")]


def test_of_two_names_the_one_counts_that_counts_in_go() -> None:
    long, own = extension(b"L", b"long\0"), extension(b"x", b"12 path=own\n")
    for headers in (long + own, own + long):
        assert [each.name for each, _ in read(headers + block() + END)] == [b"long"]
    assert [each.name for each, _ in read(own + extension(b"x", b"11 mtime=1\n") + block() + END)] == [b"f"]


REFUSED = {
    "file with a folder's name": block(b"d/", b"00000001000\0") + HIDDEN + END,
    "file with a folder's name in its long name": extension(b"L", b"d/\0") + block(size=b"00000001000\0") + HIDDEN + END,
    "one name for all": extension(b"g", b"10 path=a\n") + block() + END,
    "one target for all": extension(b"g", b"14 linkpath=a\n") + block() + END,
    "one size for all": extension(b"g", b"12 size=512\n") + block() + HIDDEN + END,
    "empty": b"",
    "no end": block(),
    "wrong checksum": block().replace(b"f", b"g", 1) + END,
    "negative size": block(size=b"\xff" * 12) + END,
    "huge size": block(size=b"\x80" + b"\x7f" * 11) + END,
    "size over the limit": block(size=b"\x80" + (1 << 60).to_bytes(11, "big")) + END,
    "size not octal": block(size=b"0000000009\0\0") + END,
    "size with a sign": block(size=b"-0000000001\0") + END,
    "size with underscores": block(size=b"0000_00001\0\0") + END,
    "unknown type": block(flag=b"V") + END,
    "gnu sparse": block(flag=b"S") + END,
    "pax sparse": pax(b"22 GNU.sparse.major=1\n"),
    "pax size negative": pax(b"11 size=-1\n"),
    "pax size empty digits": pax(b"11 size=+1\n"),
    "pax length too long": pax(b"99 path=a\n"),
    "pax length zero": pax(b"0 path=a\n"),
    "pax without equals": pax(b"7 path\n"),
    "pax without newline": pax(b"9 path=ab"),
    "pax nul in path": pax(b"12 path=a\0b\n"),
    "pax uid out of range": pax(b"18 uid=4294967295\n"),
    "pax mtime": pax(b"14 mtime=1e99\n"),
    "extended header and no member": pax(b"10 path=a\n")[:1024] + END,
    "too many extended headers": (block(b"x", flag=b"x") * 9) + block() + END,
    "path too long": pax(b"5011 path=" + b"a" * 5000 + b"\n"),
    "long name too long": block(size=b"%011o\0" % 5000, flag=b"L") + b"a" * 5120 + block() + END,
    "extended header too long": block(size=b"%011o\0" % (2 << 20), flag=b"x") + bytes(2 << 20) + block() + END,
}  # fmt: skip


@pytest.mark.parametrize("name", REFUSED)
def test_refused(name: str) -> None:
    with pytest.raises(IntegrityError):
        read(REFUSED[name])


def test_the_blocks_that_end_an_archive_may_lack_where_it_is_held_to_a_digest() -> None:
    """As docker, podman and Python read it. Nothing else may be missing, and nothing at all is no archive."""
    whole = block(size=b"00000000003\0") + b"abc".ljust(512, b"\0")
    for end in (b"", END[:512], END):
        found = [(each.name, b"".join(each.body)) for each in read_tar([whole[:100], whole[100:], end], held=True)]
        assert found == [(b"f", b"abc")]
    for cut in (0, 1, 511, 512, 514, 1023):
        with pytest.raises(IntegrityError):
            list(read_tar([whole[:cut]] if cut else [], held=True))
    with pytest.raises(IntegrityError):
        list(read_tar([pax(b"10 path=a\n")[:1024]], held=True))


@pytest.mark.parametrize(
    ("magic", "prefix", "end", "name"),
    [
        (b"ustar\x0000", b"pre", b"", b"pre/f"),
        (b"ustar\x0000", b"p" * 155, b"", b"p" * 155 + b"/f"),
        (b"ustar\x0000", b"p" * 131 + b"14000000000\x0014000000000\0", b"tar\0", b"p" * 131 + b"/f"),
        (b"ustar  \0", b"14000000000\x0014000000000\0", b"", b"f"),
        (b"ustar  \0", b"\x80" + b"\1" * 11 + b"14000000000\0", b"", b"f"),
        (b"ustar  \0", b"", b"", b"f"),
        (b"ustar  \0", b"a/folder", b"", b"a/folder/f"),
        (b"ustar  \0", "\u00fc".encode(), b"", b"f"),
        (b"\0" * 8, b"pre", b"", b"f"),
    ],
    ids=["ustar", "full", "star", "gnu times", "gnu base 256", "gnu nothing", "gnu prefix", "gnu no text", "v7"],
)
def test_a_prefix_is_read_as_go_reads_it(magic: bytes, prefix: bytes, end: bytes, name: bytes) -> None:
    head = block(magic=magic)
    head = head[:345] + prefix.ljust(163, b"\0") + (end or b"\0" * 4)
    total = sum(head[:148] + b" " * 8 + head[156:])
    head = head[:148] + b"%06o\0 " % total + head[156:]
    assert [each.name for each, _ in read(head + END)] == [name]


@pytest.mark.parametrize("record", [b"18 size=000000003\n", b"%d size=" % 39 + b"0" * 29 + b"3\n", b"0012 size=3\n"])
def test_numbers_of_records_may_begin_with_zeros(record: bytes) -> None:
    assert len(record) == int(record.split()[0])
    size = b"%011o\0" % len(record)
    data = block(b"x", size, b"x") + record.ljust(512, b"\0") + block() + b"abc".ljust(512, b"\0") + END
    assert [body for _, body in read(data)] == [b"abc"]


def test_times_beyond_2262_are_times() -> None:
    far = block()[:136] + b"\x80" + (1 << 35).to_bytes(11, "big")
    head = far + block()[148:]
    head = head[:148] + b"%06o\0 " % sum(head[:148] + b" " * 8 + head[156:]) + head[156:]
    assert read(head + END)[0][0].mtime == (1 << 35) * 1_000_000_000
    assert read(pax(b"21 mtime=34359738368\n"))[0][0].mtime == (1 << 35) * 1_000_000_000


def test_limits() -> None:
    data = layer(member("a"), member("b")).data
    with pytest.raises(IntegrityError, match="more than 1 members"):
        read(data, limits=Limits(members=1))
    with pytest.raises(IntegrityError, match="follow the end"):
        read(block() + END + bytes(2048), limits=Limits(trailer=1024))


def test_a_file_whose_name_ends_with_a_slash_is_a_directory() -> None:
    assert read(block(b"d/", flag=b"\0") + END)[0][0].kind is MemberKind.DIRECTORY


def test_signed_checksums_are_accepted() -> None:
    head = block("ü".encode() + b"n")
    wrong = sum(head[:148] + b" " * 8 + head[156:])
    signed = wrong - 256 * sum(byte > 127 for byte in head)
    assert len(read(head[:148] + b"%06o\0 " % signed + head[156:] + END)) == 1


@pytest.mark.parametrize(
    "after", [b"x" * 30, b"\n\n", b" 0 b=1\n", b"1" * 30], ids=["no space", "nothing", "no length", "no end"]
)
def test_a_record_without_a_length_ends_and_is_refused(after: bytes) -> None:
    """A length of nothing behind a good record would be read for ever; found by fuzzing."""
    from modelcrate_layers.tar.reader import _records

    with pytest.raises(IntegrityError, match="damaged PAX header"):
        _records(b"6 a=1\n" + after)


def linked(*members: tuple[str, bytes, str]) -> io.BytesIO:
    """A tar of members: a name, a type, and the link's target or the file's bytes."""
    file = io.BytesIO()
    with tarfile.open(fileobj=file, mode="w") as tar:
        for name, kind, rest in members:
            info = tarfile.TarInfo(name)
            info.type, data = kind, rest.encode()
            if kind == tarfile.REGTYPE:
                info.size = len(data)
                tar.addfile(info, io.BytesIO(data))
            else:
                info.linkname = rest
                tar.addfile(info)
    file.seek(0)
    return file


def test_links_to_files_of_an_archive_are_these_files() -> None:
    archive = linked(
        ("a/layer.tar", tarfile.REGTYPE, "one"),
        ("b/layer.tar", tarfile.SYMTYPE, "../a/layer.tar"),
        ("c/layer.tar", tarfile.SYMTYPE, "../b/layer.tar"),
        ("./d/layer.tar", tarfile.LNKTYPE, "a/layer.tar"),
        ("e/layer.tar", tarfile.SYMTYPE, "../../etc/passwd"),
        ("f/layer.tar", tarfile.SYMTYPE, "../g/layer.tar"),
        ("g/layer.tar", tarfile.SYMTYPE, "../f/layer.tar"),
        ("early", tarfile.SYMTYPE, "late"),
        ("late", tarfile.REGTYPE, "later"),
    )
    found = index_tar(archive)
    same = {found[name] for name in (b"a/layer.tar", b"b/layer.tar", b"c/layer.tar", b"d/layer.tar")}
    assert len(same) == 1
    assert found[b"early"] == found[b"late"]
    assert found.keys() & {b"e/layer.tar", b"f/layer.tar", b"g/layer.tar"} == set()
