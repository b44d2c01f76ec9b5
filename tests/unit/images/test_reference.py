"""Rows 1 to 4 of the client's checklist: names of images. `aNN` in a name is the row."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from modelcrate.images.reference import Reference, split_name, split_tag
from modelcrate.net.addresses import is_loopback
from modelcrate_layers.errors import UserError

HEX = "ab" * 32


@pytest.mark.parametrize(
    ("text", "whole", "host"),
    [
        ("alpine", "docker.io/library/alpine", "registry-1.docker.io"),
        ("docker.io/alpine:3", "docker.io/library/alpine:3", "registry-1.docker.io"),
        ("index.docker.io/alpine", "docker.io/library/alpine", "registry-1.docker.io"),
        ("registry-1.docker.io/team/x", "docker.io/team/x", "registry-1.docker.io"),
        ("team/x", "docker.io/team/x", "registry-1.docker.io"),
    ],
)
def test_a01_the_hub_has_many_names(text: str, whole: str, host: str) -> None:
    ref = Reference.parse(text)
    assert (str(ref), ref.api_host) == (whole, host)


@pytest.mark.parametrize(
    ("text", "registry", "repository"),
    [
        ("localhost/x", "localhost", "x"),
        ("localhost:5000/x", "localhost:5000", "x"),
        ("host:5000/a/b", "host:5000", "a/b"),
        ("[::1]:5000/x", "[::1]:5000", "x"),
        ("[::1]/x", "[::1]", "x"),
        ("x.y/z", "x.y", "z"),
        ("Registry.Example/z", "registry.example", "z"),
        ("Registry/z", "registry", "z"),
        ("a/b", "docker.io", "a/b"),
        ("10.0.0.1/a__b/c-d.e", "10.0.0.1", "a__b/c-d.e"),
    ],
)
def test_a02_a_host_is_known_by_its_looks(text: str, registry: str, repository: str) -> None:
    ref = Reference.parse(text)
    assert (ref.registry, ref.repository) == (registry, repository)
    assert Reference.parse(str(ref)) == ref


def test_a03_tag_and_digest_are_kept_and_the_digest_decides() -> None:
    ref = Reference.parse(f"x.y/z:1.0@sha256:{HEX}")
    assert (ref.tag, ref.target) == ("1.0", f"sha256:{HEX}")
    assert str(ref) == f"x.y/z:1.0@sha256:{HEX}"
    assert Reference.parse("x.y/z").target == "latest"


@pytest.mark.parametrize(
    "text",
    [
        "", "/", "x.y/", "x.y//z", "x.y/Z", "x.y/a/B", HEX, "team/X", "x.y/z:", "x.y/z:-a", "x.y/z:" + "t" * 129, "x.y/z:a:b",
        "x.y/z@", "x.y/z@sha256:ab", f"x.y/z@sha256:{HEX.upper()}", f"x.y/z@md5:{'a' * 32}", "x.y/z@sha256:../../x", "x.y/../z",
        "x.y/./z", "x.y/-a", "x.y/a..b", "x.y/a___b", "x.y/" + "a" * 255, "https://x.y/z", "docker://x.y/z", "x.y:99999/z",
        "x.y:0/z", "x.y:a/z", "[::z]/x", "user@x.y/z", "x y/z", "x.y/z\n", "x.y/z\r\nHost: a", "x.y/é", "-x.y/z", "x.y?/z",
    ],
)  # fmt: skip
def test_a04_a_foul_name_is_refused(text: str) -> None:
    with pytest.raises(UserError, match="not an image reference"):
        Reference.parse(text)


def test_a04_a_password_is_not_repeated() -> None:
    for text in ("user:geheim@x.y/z", "user:geheim@x.y:5000/z:1", "a@geheim@x.y/z"):
        with pytest.raises(UserError, match="it has a user or a password") as caught:
            Reference.parse(text)
        assert "geheim" not in str(caught.value)


@pytest.mark.parametrize("text", ["localhost", "localhost:5000", "127.0.0.1:5000", "[::1]", "[::1]:5000"])
def test_a04_a_host_alone_is_no_repository_of_docker_hub(text: str) -> None:
    with pytest.raises(UserError, match="not an image reference") as caught:
        Reference.parse(text)
    assert caught.value.why == "it is a host, and no repository of it is named"


def test_a04_an_empty_name_is_called_empty() -> None:
    with pytest.raises(UserError, match="not an image reference: ''") as caught:
        Reference.parse("")
    assert caught.value.why == "it is empty"


def test_a04_names_may_have_255_characters() -> None:
    assert len(Reference.parse("x.y/" + "a" * 251).name) == 255


@given(st.text(max_size=80) | st.from_regex(r"[a-z.:/@\[\]_-]{0,40}"))
def test_a04_whatever_is_taken_is_written_back_the_same(text: str) -> None:
    try:
        ref = Reference.parse(text)
    except UserError:
        return
    assert Reference.parse(str(ref)) == ref
    assert not set(str(ref)) & set(" \r\n\t?#%\\")


@pytest.mark.parametrize(
    ("host", "answer"),
    [
        ("localhost", True),
        ("a.localhost", True),
        ("127.8.8.8", True),
        ("::1", True),
        ("10.0.0.1", False),
        ("x.y", False),
    ],
)
def test_loopback_is_known_by_its_spelling(host: str, answer: bool) -> None:
    assert is_loopback(host) is answer


@pytest.mark.parametrize(
    ("text", "parts"),
    [
        ("base.tar", ("base.tar", None)),
        ("base.tar:x", ("base.tar", "x")),
        ("base.tar:docker.io/library/x:1", ("base.tar", "docker.io/library/x:1")),
        ("a:b/", ("a:b/", None)),
        ("a:b/:x", ("a:b/", "x")),
        (":x", (":x", None)),
    ],
)
def test_an_archive_and_the_name_in_it(text: str, parts: tuple[str, str | None]) -> None:
    assert split_name(text) == parts


@pytest.mark.parametrize(
    ("text", "parts"),
    [
        ("d", ("d", None)),
        ("d:1", ("d", "1")),
        ("a:b/c", ("a:b/c", None)),
        ("a:b/", ("a:b/", None)),
        (":1", (":1", None)),
        (f"d:1@sha256:{HEX}", ("d", f"1@sha256:{HEX}")),
        (f"d@sha256:{HEX}", ("d", f"@sha256:{HEX}")),
        (f"d:@sha256:{HEX}", ("d", f"@sha256:{HEX}")),
    ],
)
def test_a_layout_and_the_tag_in_it(text: str, parts: tuple[str, str | None]) -> None:
    assert split_tag(text) == parts
