"""What the end-to-end tests share: the command line in this process, where a process of its own would only cost time."""

from __future__ import annotations

from pathlib import Path

import pytest

from support.command import Inside


@pytest.fixture
def inside(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]) -> Inside:
    return Inside.of(tmp_path / "home", monkeypatch, capfd)
