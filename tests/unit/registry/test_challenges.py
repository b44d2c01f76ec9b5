"""Row 7 of the client's checklist: WWW-Authenticate, as registries really write it."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from modelcrate.registry.challenges import Challenge, choose, parse_challenges, parse_scope

REALM = {"realm": "https://auth.example/token"}


@pytest.mark.parametrize(
    ("headers", "expected"),
    [
        (['Bearer realm="https://auth.example/token"'], [Challenge("bearer", REALM)]),
        (['BEARER Realm="https://auth.example/token"'], [Challenge("bearer", REALM)]),
        (["Bearer realm=https://auth.example/token"], [Challenge("bearer", REALM)]),
        (
            ['Bearer realm="https://auth.example/token",service="s",scope="repository:a:pull,push repository:b:pull"'],
            [Challenge("bearer", REALM | {"service": "s", "scope": "repository:a:pull,push repository:b:pull"})],
        ),
        (
            ['Basic realm="a, b", Bearer realm="https://auth.example/token" , service = "x"'],
            [Challenge("basic", {"realm": "a, b"}), Challenge("bearer", REALM | {"service": "x"})],
        ),
        (["Negotiate", 'Basic realm="x"'], [Challenge("negotiate"), Challenge("basic", {"realm": "x"})]),
        (['Negotiate YWJj=, Basic realm="x"'], [Challenge("negotiate"), Challenge("basic", {"realm": "x"})]),
        ([r'Basic realm="a \"quoted\" b"'], [Challenge("basic", {"realm": 'a "quoted" b'})]),
        (["Basic"], [Challenge("basic")]),
        ([""], []),
        ([], []),
    ],
)
def test_a07_challenges_are_read_as_they_come(headers: list[str], expected: list[Challenge]) -> None:
    found = parse_challenges(headers)
    assert [(one.scheme, one.parameters) for one in found] == [(one.scheme, one.parameters) for one in expected]


def test_a07_bearer_is_chosen_before_basic_and_others_are_not() -> None:
    found = parse_challenges(["Digest realm=x", 'Basic realm="y"', 'Bearer realm="https://z/"'])
    chosen = choose(found)
    assert chosen is not None
    assert (chosen.scheme, chosen.service, chosen.scopes) == ("bearer", "", ())
    assert choose(parse_challenges(["Digest realm=x", "Bearer"])) is None


def test_a07_a_scope_may_name_a_repository_with_a_port() -> None:
    scope = parse_scope("repository:mirror:5000/team/x:pull,push")
    assert scope is not None
    assert (scope.repository, str(scope)) == ("mirror:5000/team/x", "repository:mirror:5000/team/x:pull,push")
    assert parse_scope("registry:catalog:*") is None


@given(st.text(alphabet='Basic Bearer realm="x",\\=;/\t', max_size=200))
def test_a07_whatever_comes_reading_it_ends(text: str) -> None:
    assert len(parse_challenges([text])) <= len(text)
