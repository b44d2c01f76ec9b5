"""The command in this process, over a home of its own, and an image that it has built."""

from __future__ import annotations

from pathlib import Path

import pytest

from support.command import Inside
from support.small_projects import model_only


@pytest.fixture
def inside(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]) -> Inside:
    return Inside.of(tmp_path / "home", monkeypatch, capfd)


@pytest.fixture
def alone(inside: Inside, tmp_path: Path) -> Path:
    """A project of one model whose image is in the local store as alone:latest."""
    project = model_only(tmp_path / "alone")
    inside("build", project).succeeded()
    return project
