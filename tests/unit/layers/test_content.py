"""Digests, descriptors, documents and streams that are held to them."""

from __future__ import annotations

import hashlib
from typing import Any

import pytest

from modelcrate_layers import content
from modelcrate_layers.content import (
    Descriptor,
    Digest,
    Literal,
    MediaType,
    Platform,
    canonical_json,
    parse_json,
    parse_natural,
    parse_object,
    verified,
)
from modelcrate_layers.errors import IntegrityError, UserError

ABC = Descriptor.of(b"abc", MediaType.LAYER)


def test_a_digest_is_written_and_read_the_same_way() -> None:
    digest = Digest.of(b"abc")
    assert Digest.parse(str(digest)) == digest
    assert str(digest) == f"sha256:{hashlib.sha256(b'abc').hexdigest()}"
    assert digest.short == digest.hex[:12]
    assert Digest.parse("sha512:" + "0f" * 64).algorithm == "sha512"


@pytest.mark.parametrize(
    "text",
    [
        "",
        "abc",
        "sha256:",
        "sha256:../../x",
        "sha256:" + "A" * 64,
        "sha256:" + "0" * 63,
        "sha256:" + "0" * 64 + "\n",
        "md5:" + "0" * 32,
        "sha512:" + "0" * 64,
        None,
        7,
        ["sha256:" + "0" * 64],
        "sha256:" + "٣" * 64,
    ],
)
def test_what_is_no_digest_is_refused(text: object) -> None:
    with pytest.raises(IntegrityError, match="not a digest"):
        Digest.parse(text)


def test_a_descriptor_keeps_what_it_does_not_know() -> None:
    told = {
        "mediaType": "a/b",
        "digest": str(ABC.digest),
        "size": 3,
        "annotations": {"a": "b"},
        "platform": {"os": "linux", "architecture": "arm64", "os.features": ["x"]},
        "urls": ["https://x.example"],
    }
    assert Descriptor.parse(told).json() == told
    assert ABC.json() == {"mediaType": MediaType.LAYER, "digest": str(ABC.digest), "size": 3}


@pytest.mark.parametrize(
    "change",
    [
        {"mediaType": None},
        {"mediaType": ""},
        {"mediaType": 7},
        {"size": -1},
        {"size": 1 << 63},
        {"size": True},
        {"size": "3"},
        {"size": 3.0},
        {"digest": "sha256:../../x"},
        {"digest": None},
        {"annotations": ["a"]},
        {"annotations": {"a": 1}},
        {"platform": "linux"},
    ],
)
def test_a_malformed_descriptor_is_refused(change: dict[str, Any]) -> None:
    with pytest.raises(IntegrityError):
        Descriptor.parse({**ABC.json(), **change})


@pytest.mark.parametrize("value", [None, "x", [], 7])
def test_what_is_no_object_is_no_descriptor(value: object) -> None:
    with pytest.raises(IntegrityError, match="not a descriptor"):
        Descriptor.parse(value)


def test_a_literal_is_its_bytes_from_any_offset() -> None:
    blob = Literal(b"abc", MediaType.CONFIG)
    assert [b"".join(blob.chunks(start)) for start in (0, 1, 3, 9)] == [b"abc", b"bc", b"", b""]
    assert blob.descriptor.size == 3


def test_a_stream_that_is_right_passes_unchanged() -> None:
    assert b"".join(verified([b"a", b"", b"bc"], ABC)) == b"abc"


def test_a_stream_in_sha512_is_held_to_it() -> None:
    digest = Digest("sha512", hashlib.sha512(b"abc").hexdigest())
    assert b"".join(verified([b"abc"], Descriptor("x", digest, 3))) == b"abc"
    with pytest.raises(IntegrityError, match="computed sha512"):
        list(verified([b"abd"], Descriptor("x", digest, 3)))


@pytest.mark.parametrize(
    ("chunks", "why"),
    [([b"abd"], "claimed"), ([b"ab"], "2 of 3"), ([], "0 of 3"), ([b"abc", b"d"], "more than 3")],
)
def test_a_stream_that_is_wrong_does_not_end_well(chunks: list[bytes], why: str) -> None:
    with pytest.raises(IntegrityError, match=why) as refused:
        list(verified(chunks, ABC, "somewhere"))
    assert refused.value.where == "somewhere"


def test_a_stream_with_too_much_is_left_at_once() -> None:
    taken = []

    def endless() -> Any:
        while True:
            taken.append(1)
            yield b"ab"

    with pytest.raises(IntegrityError):
        list(verified(endless(), ABC))
    assert len(taken) == 2


def test_canonical_json_does_not_depend_on_the_order_of_keys() -> None:
    assert canonical_json({"b": "ü", "a": [1]}) == canonical_json({"a": [1], "b": "ü"}) == '{"a":[1],"b":"ü"}'.encode()
    with pytest.raises(ValueError):
        canonical_json(float("nan"))


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"{",
        b'{"a":1,"a":2}',
        b'{"a":NaN}',
        b"Infinity",
        b"\xff",
        b"[" * 100_000,
        b"{}x",
        b"\xef\xbb\xbf{}",
        "{}".encode("utf-16"),
    ],
)
def test_foreign_json_that_is_not_right_is_refused(data: bytes) -> None:
    with pytest.raises(IntegrityError, match="not valid JSON"):
        parse_json(data)


def test_foreign_json_has_a_largest_size() -> None:
    with pytest.raises(IntegrityError, match="the limit is"):
        parse_json(b" " * (content.MAX_JSON + 1))


def test_an_object_is_asked_for_and_a_list_is_refused() -> None:
    assert parse_object(b'{"a": 1}') == {"a": 1}
    with pytest.raises(IntegrityError, match="not a JSON object"):
        parse_object(b"[]")


def test_platforms_are_written_and_read_the_same_way() -> None:
    for text in ("linux/amd64", "linux/arm/v7"):
        assert str(Platform.parse(text)) == text
    assert str(Platform.parse("linux/x86_64")) == "linux/amd64"
    assert Platform.parse("linux/arm/v7").json() == {"os": "linux", "architecture": "arm", "variant": "v7"}
    assert Platform.parse("linux/amd64").json() == {"os": "linux", "architecture": "amd64"}


@pytest.mark.parametrize("text", ["linux", "linux/", "linux/AMD64", "a/b/c/d", "linux/amd64\n", ""])
def test_what_is_no_platform_is_refused(text: str) -> None:
    with pytest.raises(UserError, match="not a platform"):
        Platform.parse(text)


@pytest.mark.parametrize(
    ("wanted", "offered", "fits"),
    [
        ("linux/amd64", {"os": "linux", "architecture": "amd64"}, True),
        ("linux/amd64", {"os": "linux", "architecture": "arm64"}, False),
        ("linux/amd64", {"os": "windows", "architecture": "amd64"}, False),
        ("linux/amd64", None, False),
        ("linux/arm64", {"os": "linux", "architecture": "arm64", "variant": "v8"}, True),
        ("linux/arm64/v8", {"os": "linux", "architecture": "arm64"}, True),
        ("linux/arm64/v9", {"os": "linux", "architecture": "arm64"}, False),
        ("linux/arm/v7", {"os": "linux", "architecture": "arm", "variant": "v6"}, False),
        ("linux/arm/v7", {"os": "linux", "architecture": "arm", "variant": "v7"}, True),
        ("linux/amd64", {"os": "linux", "architecture": "x86_64"}, True),
        ("linux/amd64", {"architecture": "amd64"}, True),
        ("linux/amd64", {"os": "linux", "architecture": "amd64", "variant": "v3"}, True),
        ("linux/amd64/v2", {"os": "linux", "architecture": "amd64"}, False),
        ("linux/arm64", {"os": "Linux", "architecture": "aarch64", "variant": "8"}, True),
        ("linux/arm/v7", {"os": "linux", "architecture": "armhf"}, True),
        ("linux/amd64", {"os": None, "architecture": 5}, False),
    ],
)
def test_which_offered_platform_fits(wanted: str, offered: dict[str, str] | None, fits: bool) -> None:
    assert Platform.parse(wanted).matches(offered) is fits


@pytest.mark.parametrize("text", [b'"\\ud800"', b'{"a": ["\\udc00x"]}', b'{"\\udfff": 1}'])
def test_half_a_surrogate_pair_is_no_text(text: bytes) -> None:
    with pytest.raises(IntegrityError, match="not valid JSON"):
        parse_json(text)
    assert parse_json(b'"\\ud83d\\ude00 \\u00e9"') == "\U0001f600 \u00e9"


@pytest.mark.parametrize(
    ("text", "number"),
    [("0", 0), ("007", 7), ("9" * 18, 10**18 - 1), ("9" * 19, None), ("9" * 5000, None), ("", None), ("-1", None), ("+1", None)]
    + [(each, None) for each in ("²", "٣", "𝟙", " 1", "1 ", "1_0", "1.0", "0x1", "1\n")],
)  # fmt: skip
def test_a_number_is_ascii_digits_and_not_many(text: str, number: int | None) -> None:
    assert parse_natural(text) == number
