"""Colons of drives: on Windows `C:` before a path names no tag, and elsewhere it does."""

from __future__ import annotations

from pathlib import Path

import pytest

from modelcrate import transports
from modelcrate.images import reference
from modelcrate.transports.docker_archive import DockerArchiveOutput
from modelcrate.transports.oci import LayoutOutput
from modelcrate_layers import host


@pytest.mark.parametrize(
    ("target", "output"),
    [
        (r"oci:C:\out", LayoutOutput(Path(r"C:\out"))),
        (r"oci:C:\out:v1", LayoutOutput(Path(r"C:\out"), "v1")),
        ("oci:C:out", LayoutOutput(Path("C:out"))),
        (r"docker-archive:C:\x.tar", DockerArchiveOutput(r"C:\x.tar", None)),
        (r"docker-archive:C:\x.tar:a:1", DockerArchiveOutput(r"C:\x.tar", "a:1")),
    ],
)
def test_on_windows(monkeypatch: pytest.MonkeyPatch, target: str, output: object) -> None:
    monkeypatch.setattr(host, "WINDOWS", True)
    assert transports.parse(target) == output


def test_elsewhere() -> None:
    assert transports.parse("oci:C:out") == LayoutOutput(Path("C"), "out")
    assert reference.split_name("C:x.tar") == ("C", "x.tar")
