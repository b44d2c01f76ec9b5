"""The order of versions, against dpkg's."""

from __future__ import annotations

import shutil
import subprocess
from itertools import pairwise

import pytest
from hypothesis import assume, example, given, settings
from hypothesis import strategies as st

from modelcrate.resolve.debian.versions import holds, version_key
from modelcrate_layers.errors import IntegrityError

PIECE = st.text("019aZ~+.", max_size=6)
VERSION = st.builds(
    lambda epoch, upstream, revision: f"{epoch}0{upstream}{revision}",
    st.sampled_from(["", "0:", "1:", "12:"]),
    PIECE,
    st.one_of(st.just(""), PIECE.map(lambda text: "-" + (text or "0")), st.just("-1-2"), st.just("-~1")),
)

ORDER = ["0~~", "0~~a", "0~", "0", "0a", "0+", "0.", "1~rc1-1", "1", "1-0+b1", "1-1", "9", "10", "1:0"]


def test_versions_have_the_order_of_the_manual() -> None:
    for one, two in pairwise(ORDER):
        assert version_key(one) < version_key(two), (one, two)


@pytest.mark.parametrize("text", ["", "1 2", "a:1", "-", "1_2", "1" * 300, ":1"])
def test_what_is_no_version_is_refused(text: str) -> None:
    with pytest.raises(IntegrityError):
        version_key(text)


@given(VERSION, VERSION, VERSION)
def test_the_order_is_total(one: str, two: str, three: str) -> None:
    a, b, c = sorted([one, two, three], key=version_key)
    assert holds(a, "<=", b)
    assert holds(b, "<=", c)
    assert holds(a, "<=", c)
    assert holds(a, "<<", c) is not holds(a, ">=", c)
    assert holds(a, "=", c) is (not holds(a, "<<", c) and not holds(a, ">>", c))


@settings(max_examples=150, deadline=None)
@given(VERSION, VERSION)
@example("1.0-1+b2", "1.0-1+b10")
@example("2.36-9+deb12u14", "2.36-9+deb12u9")
@example("1:1.2.13.dfsg-1", "1.2.13")
@example("1.0", "1.0-0")
@example("0a", "0a0")
def test_dpkg_agrees(one: str, two: str) -> None:
    if shutil.which("dpkg") is None:
        pytest.skip("dpkg is missing")
    assume(not one.endswith("-") and not two.endswith("-"))
    says = [subprocess.run(["dpkg", "--compare-versions", one, op, two]).returncode == 0 for op in ("lt", "eq", "gt")]
    assert says == [holds(one, op, two) for op in ("<<", "=", ">>")]
