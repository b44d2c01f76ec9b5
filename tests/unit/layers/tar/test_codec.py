"""Codecs: the same bytes whatever the chunking, every frame read, damage found, and bombs unpacked in small pieces."""

from __future__ import annotations

import bz2
import gzip
import lzma
import subprocess
import sys
import zlib
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import zstandard

from modelcrate_layers.content import CHUNK, MediaType
from modelcrate_layers.errors import IntegrityError, UserError
from modelcrate_layers.tar import codec
from support.images import noise

TEXT = b"some words that repeat, " * 40_000
DATA = TEXT + noise(CHUNK) + bytes(CHUNK)


def pieces(data: bytes, step: int) -> Iterator[bytes]:
    return (data[at : at + step] for at in range(0, len(data), step))


def decoded(data: bytes, step: int = 1 << 16) -> bytes:
    return b"".join(codec.decode(pieces(data, step)))


def stored(name: str, data: bytes, step: int = 1 << 16) -> bytes:
    return b"".join(codec.named(name).encode(pieces(data, step), len(data)))


COMPRESS: dict[str, Callable[[bytes], bytes]] = {
    "gzip": lambda data: gzip.compress(data, mtime=0),
    "zstd": zstandard.ZstdCompressor(write_checksum=True).compress,
    "xz": lzma.compress,
    "bzip2": bz2.compress,
}


@pytest.mark.parametrize("name", ["none", "stored", "gzip", "zstd"])
@pytest.mark.parametrize("data", [b"", b"x", DATA], ids=["none", "one", "many"])
def test_what_was_stored_reads_back(name: str, data: bytes) -> None:
    assert decoded(stored(name, data)) == data


@pytest.mark.parametrize("name", ["stored", "gzip", "zstd"])
def test_stored_bytes_do_not_depend_on_the_chunking(name: str) -> None:
    first = stored(name, DATA, len(DATA))
    assert all(stored(name, DATA, step) == first for step in (997, 1 << 16, CHUNK, CHUNK + 1))


def test_other_readers_read_what_was_stored() -> None:
    assert gzip.decompress(stored("gzip", DATA)) == DATA
    assert gzip.decompress(stored("stored", DATA)) == DATA
    assert zstandard.ZstdDecompressor().decompress(stored("zstd", DATA)) == DATA


def test_a_gzip_frame_has_no_time_no_name_and_an_unknown_system() -> None:
    assert stored("gzip", b"x")[:10] == b"\x1f\x8b\x08\0\0\0\0\0\0\xff"


def test_stored_blocks_are_the_bytes_themselves_between_their_lengths() -> None:
    """RFC 1951, 3.2.4, by hand: no library has a say in them."""
    data = TEXT[: 1 << 15] + b"rest"
    packed = stored("stored", data)
    blocks = b"\0\0\x80\xff\x7f" + data[: 1 << 15] + b"\0\4\0\xfb\xff" + b"rest" + b"\1\0\0\xff\xff"
    assert packed[10:-8] == blocks
    assert packed[-8:] == zlib.crc32(data).to_bytes(4, "little") + len(data).to_bytes(4, "little")


def test_a_codec_tells_its_name_level_and_version() -> None:
    assert str(codec.named("stored")) == "gzip-0@stored-1"
    assert codec.named("stored").media_type == codec.gzip().media_type
    assert [str(each).partition("-")[0] for each in codec.of_policy("auto-gzip")] == ["gzip", "gzip"]
    assert codec.of_policy("gzip") == (codec.gzip(),)


def test_a_zstd_frame_tells_the_length_where_it_is_known_and_has_a_checksum() -> None:
    told = zstandard.get_frame_parameters(stored("zstd", TEXT))
    assert told.content_size == len(TEXT)
    assert told.has_checksum
    unknown = b"".join(codec.zstd().encode([TEXT], None))
    assert zstandard.get_frame_parameters(unknown).content_size == zstandard.CONTENTSIZE_UNKNOWN
    assert decoded(unknown) == TEXT


def test_zstd_bytes_do_not_depend_on_how_many_processors_there_are(tmp_path: Path) -> None:
    script = "import os,sys,hashlib;os.cpu_count=lambda:int(sys.argv[1]);from modelcrate_layers.tar import codec;"
    script += "print(hashlib.sha256(b''.join(codec.zstd().encode([open(sys.argv[2],'rb').read()],None))).hexdigest())"
    (tmp_path / "data").write_bytes(DATA * 3)
    layers = str(Path(codec.__file__).parents[2])
    told = {
        subprocess.run(
            [sys.executable, "-c", script, count, str(tmp_path / "data")],
            env={"PYTHONPATH": layers},
            capture_output=True,
            check=True,
        ).stdout
        for count in ("1", "2", "16")
    }
    assert len(told) == 1


@pytest.mark.parametrize(
    ("name", "media_type"),
    [("none", MediaType.LAYER), ("gzip", MediaType.LAYER_GZIP), ("zstd", MediaType.LAYER_ZSTD)],
)
def test_a_codec_has_a_name_a_version_and_a_media_type(name: str, media_type: str) -> None:
    found = codec.named(name)
    assert found.media_type == media_type
    assert str(found) == (name if name == "none" else f"{name}-{found.level}@{found.version}")
    assert (name == "none") is (found.version == "")


def test_an_unknown_codec_is_refused_with_those_that_there_are() -> None:
    with pytest.raises(UserError, match="unknown codec 'xz'") as refused:
        codec.named("xz")
    assert "none, stored, spliced, estargz, gzip, zstd and zstd:chunked" in refused.value.hint


@pytest.mark.parametrize("name", COMPRESS)
def test_the_first_bytes_tell_the_codec(name: str) -> None:
    assert codec.sniff(COMPRESS[name](b"x")) == name
    assert codec.sniff(b"ustar") == codec.sniff(b"") == "none"


@pytest.mark.parametrize("name", COMPRESS)
@pytest.mark.parametrize("step", [1, 1 << 16])
def test_every_frame_is_read(name: str, step: int) -> None:
    frames = b"".join(COMPRESS[name](part) for part in (b"one", b"", TEXT[:3000], b"four"))
    assert decoded(frames, step) == b"one" + TEXT[:3000] + b"four"


@pytest.mark.parametrize("name", ["gzip", "xz"])
@pytest.mark.parametrize("step", [1, 1 << 16])
def test_zeros_between_and_after_frames_are_padding(name: str, step: int) -> None:
    frame = COMPRESS[name](b"abc")
    padded = frame + bytes(-len(frame) % 4 + 4)
    assert decoded(padded + padded, step) == b"abcabc"


@pytest.mark.parametrize("name", COMPRESS)
@pytest.mark.parametrize("left", [1, 4, 9])
def test_what_is_cut_short_does_not_end_well(name: str, left: int) -> None:
    whole = COMPRESS[name](noise(50_000))
    with pytest.raises(IntegrityError, match=r"cut short|damaged"):
        decoded(whole[:-left])
    with pytest.raises(IntegrityError, match=r"cut short|damaged"):
        decoded(whole[: len(whole) // 2])


@pytest.mark.parametrize("name", COMPRESS)
def test_only_the_magic_does_not_end_well(name: str) -> None:
    with pytest.raises(IntegrityError):
        decoded(COMPRESS[name](b"")[:6])


@pytest.mark.parametrize("name", COMPRESS)
def test_a_second_frame_that_is_cut_short_does_not_end_well(name: str) -> None:
    with pytest.raises(IntegrityError):
        decoded(COMPRESS[name](b"one") + COMPRESS[name](noise(5000))[:-20])


@pytest.mark.parametrize("name", COMPRESS)
@pytest.mark.parametrize("garbage", [b"garbage", b"\x1f\x8b\x08", noise(5000)], ids=["word", "magic", "noise"])
def test_what_follows_a_frame_and_is_none_is_damage(name: str, garbage: bytes) -> None:
    with pytest.raises(IntegrityError, match=r"damaged|cut short"):
        decoded(COMPRESS[name](b"one") + garbage)


@pytest.mark.parametrize("name", COMPRESS)
def test_a_flipped_bit_is_damage(name: str) -> None:
    data = bytearray(COMPRESS[name](noise(5000)))
    data[len(data) // 2] ^= 1
    with pytest.raises(IntegrityError):
        decoded(bytes(data))


def test_short_streams_are_passed_as_they_are() -> None:
    assert decoded(b"") == b""
    assert decoded(b"abc", 1) == b"abc"


def bomb_gzip(size: int) -> bytes:
    pack = zlib.compressobj(9, zlib.DEFLATED, 31)
    return b"".join(pack.compress(bytes(CHUNK)) for _ in range(size // CHUNK)) + pack.flush()


def bomb_zstd(size: int) -> bytes:
    """Blocks of one repeated byte: four bytes that mean 128 KiB each, by the format's own rules (RFC 8878, 3.1.1.2)."""
    block = ((128 << 10) << 3 | 1 << 1).to_bytes(3, "little") + b"\0"
    last = ((128 << 10) << 3 | 1 << 1 | 1).to_bytes(3, "little") + b"\0"
    return b"\x28\xb5\x2f\xfd" + b"\x00\x58" + block * (size // (128 << 10) - 1) + last


def bomb_xz(size: int) -> bytes:
    pack = lzma.LZMACompressor(preset=0)
    return b"".join(pack.compress(bytes(CHUNK)) for _ in range(size // CHUNK)) + pack.flush()


@pytest.mark.parametrize(
    ("bomb", "size", "largest"),
    [(bomb_gzip, 64 << 20, CHUNK), (bomb_zstd, 256 << 20, 40 << 20), (bomb_xz, 64 << 20, CHUNK)],
)
def test_a_bomb_comes_in_pieces_that_memory_can_hold(bomb: Callable[[int], bytes], size: int, largest: int) -> None:
    data = bomb(size)
    assert len(data) < size // 500
    total, most = 0, 0
    for chunk in codec.decode([data]):
        total, most = total + len(chunk), max(most, len(chunk))
    assert total == size
    assert most <= largest


def bomb_bzip2(size: int) -> bytes:
    return bz2.compress(bytes(size))


@pytest.mark.parametrize("bomb", [bomb_gzip, bomb_zstd, bomb_xz, bomb_bzip2])
def test_what_stands_for_too_much_is_refused_before_the_end(bomb: Callable[[int], bytes]) -> None:
    size, limit = 64 << 20, codec.UnpackLimit(free=8 << 20, ratio=200)
    data = bomb(size)
    total = 0
    with pytest.raises(IntegrityError, match="data unpacks to more than") as fault:
        for chunk in codec.decode([data], limit):
            total += len(chunk)
    assert total <= limit.after(len(data)) < size
    assert f"{len(data)} stored bytes" in str(fault.value)
    assert sum(map(len, codec.decode([data], codec.UnpackLimit(free=size, ratio=200)))) == size, "zeros up to the limit"


def test_no_stream_unpacks_to_more_than_the_total() -> None:
    data = zlib.compress(noise(5000), wbits=31)
    assert sum(map(len, codec.decode([data], codec.UnpackLimit(total=5000)))) == 5000
    with pytest.raises(IntegrityError, match="more than 4999 bytes"):
        list(codec.decode([data], codec.UnpackLimit(total=4999)))


def test_what_is_stored_as_it_is_has_no_ratio() -> None:
    data = b"x" * 5000
    assert b"".join(codec.decode([data], codec.UnpackLimit(0, 1, 1))) == data


def test_a_small_zstd_file_may_not_stand_for_twenty_gigabytes() -> None:
    size = 20 << 30
    stored = len(bomb_zstd(size))
    assert stored < 1 << 20
    assert codec.UNPACK_LIMIT.after(stored) == codec.UNPACKED_FREE < size // 4
    assert codec.UNPACK_LIMIT.after(200 << 20) >= 39 << 30, "a large layer of texts"


def test_a_zstd_window_that_is_too_large_is_refused() -> None:
    frame = b"\x28\xb5\x2f\xfd" + b"\x00" + bytes([(28 - 10) << 3]) + (1).to_bytes(3, "little")  # 256 MiB
    with pytest.raises(IntegrityError, match="damaged zstd"):
        decoded(frame)


def test_an_xz_dictionary_that_is_too_large_is_refused() -> None:
    filters = [{"id": lzma.FILTER_LZMA2, "dict_size": 1 << 29}]
    with pytest.raises(IntegrityError, match="damaged xz"):
        decoded(lzma.compress(b"abc", format=lzma.FORMAT_XZ, filters=filters))


def test_gain_is_what_compression_would_save() -> None:
    assert codec.gain(TEXT) > 0.9
    assert codec.gain(noise(100_000)) < 0.01
    assert codec.gain(b"") == 0.0
