"""What uv is told about indexes, and what it is not."""

from __future__ import annotations

from pathlib import Path

import pytest

from modelcrate.net.config import HttpConfig
from modelcrate.resolve.index import Index
from modelcrate.resolve.uv import Uv


@pytest.mark.parametrize(
    ("url", "sent"),
    [
        ("https://h.invalid/files/a.whl", "https://user:pw@h.invalid/files/a.whl"),
        ("https://other.invalid/a.whl", "https://other.invalid/a.whl"),
        ("http://h.invalid/a.whl", "http://h.invalid/a.whl"),
        ("https://h.invalid:8443/a.whl", "https://h.invalid:8443/a.whl"),
        ("https://me:mine@h.invalid/a.whl", "https://me:mine@h.invalid/a.whl"),
        ("file:///tmp/a.whl", "file:///tmp/a.whl"),
    ],
)
def test_a_password_goes_to_the_indexs_own_origin_only(url: str, sent: str) -> None:
    index = Index("https://free.invalid/simple", ("https://user:pw@h.invalid/simple",), Path("wheels"))
    assert Uv(Path("cache"), HttpConfig()).login(url, index) == sent
    named = Index(extra=("one=https://one.invalid/simple", "two=https://user:pw@h.invalid/simple"))
    assert Uv(Path("cache"), HttpConfig()).login(url, named) == sent
    assert Uv(Path("cache"), HttpConfig()).login(url, Index("https://free.invalid/simple")) == url
