"""The command line as a user starts it: a process of its own, with an environment that the test chose and nothing else."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from unittest.mock import patch

import pytest

from modelcrate.cli import main
from support.waiting import HANG

ROOT = Path(__file__).resolve().parents[2]
SOURCES = f"{ROOT / 'builder'}{os.pathsep}{ROOT / 'layers'}"


@dataclass(frozen=True)
class Result:
    """How a command ended."""

    code: int
    out: str
    err: str

    @property
    def json(self) -> Any:
        return json.loads(self.out)

    def failed(self, code: int, *words: str) -> Result:
        """Assert that it failed as documented: this exit code, all these words on standard error, no traceback, no result."""
        assert self.code == code, f"exit {self.code}, not {code}\n{self.err}\n{self.out}"
        assert "Traceback" not in self.err, self.err
        assert not self.out, self.out
        for word in words:
            assert word in self.err, f"{word!r} is not in:\n{self.err}"
        return self

    def succeeded(self) -> Result:
        assert self.code == 0, f"exit {self.code}\n{self.err}"
        assert "Traceback" not in self.err, self.err
        return self


@dataclass(frozen=True)
class Crate:
    """`modelcrate` with a home of its own. `prefix` stands before the command: `unshare -n`, `setpriv ...`."""

    home: Path
    environment: Mapping[str, str]
    prefix: tuple[str, ...] = ()
    folder: Path | None = None
    python: str = sys.executable

    @classmethod
    def at(cls, home: Path, prefix: Sequence[str] = (), folder: Path | None = None, **environment: str) -> Crate:
        given = {"PATH": os.environ["PATH"], "PYTHONPATH": SOURCES, "MODELCRATE_HOME": str(home), "HOME": str(home)}
        return cls(home, {**given, "PYTHONDONTWRITEBYTECODE": "1", **environment}, tuple(prefix), folder)

    def command(self, *words: str | Path) -> list[str]:
        return [*self.prefix, self.python, "-m", "modelcrate", *map(str, words)]

    def __call__(self, *words: str | Path) -> Result:
        done = subprocess.run(
            self.command(*words), env=self.environment, cwd=self.folder, capture_output=True, timeout=HANG
        )
        return Result(done.returncode, done.stdout.decode(), done.stderr.decode())

    def start(self, *words: str | Path) -> subprocess.Popen[bytes]:
        """The same in the background, in a process group of its own, with signals as a terminal would have them."""
        return subprocess.Popen(
            self.command(*words),
            env=self.environment,
            cwd=self.folder,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            start_new_session=True,
            preexec_fn=_usual_signals,  # noqa: PLW1509 - no thread of the tests holds a lock that this needs
        )

    def signalled(self, wanted: Callable[[dict[str, Any]], bool], number: int, *words: str | Path) -> Result:
        """Run it with `--progress json`, and send a signal at the first event that is wanted."""
        with self.start(*words, "--progress", "json") as process:
            assert process.stderr is not None
            seen: list[str] = []
            for line in process.stderr:
                seen.append(line.decode())
                if line.startswith(b"{") and wanted(json.loads(line)):
                    process.send_signal(number)
                    break
            else:
                raise AssertionError(f"that event did not come:\n{''.join(seen)}")
            out, err = process.communicate(timeout=HANG)
        return Result(process.returncode, out.decode(), "".join(seen) + err.decode())


@dataclass(frozen=True)
class Inside(Crate):
    """The same in this process, which saves the start. `start` and `signalled` still start processes."""

    run: Callable[[Sequence[str]], Result] = lambda words: Result(1, "", "")

    @classmethod
    def of(cls, home: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]) -> Inside:
        outside = Crate.at(home)
        monkeypatch.setenv("HOME", str(home))
        monkeypatch.setenv("MODELCRATE_HOME", str(home))

        def run(words: Sequence[str]) -> Result:
            capfd.readouterr()
            try:
                code = main(words)
            except SystemExit as end:
                code = int(end.code or 0)
            return Result(code, *capfd.readouterr())

        return cls(home, outside.environment, run=run)

    def __call__(self, *words: str | Path) -> Result:
        return self.run([str(word) for word in words])


@contextmanager
def in_this_process(monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]) -> Iterator[None]:
    """Every `Crate` runs its commands in this process, each with its own environment; so their coverage is measured."""

    def call(crate: Crate, *words: str | Path) -> Result:
        capfd.readouterr()
        with patch.dict(os.environ, crate.environment, clear=True):
            try:
                code = main([str(word) for word in words])
            except SystemExit as end:
                code = int(end.code or 0)
        return Result(code, *capfd.readouterr())

    monkeypatch.setattr(Crate, "__call__", call)
    yield


def half_made(*folders: Path) -> list[Path]:
    """What an interrupted write could have left behind in these folders: hidden files, and blobs that are not what they are called."""
    from hashlib import sha256

    found: list[Path] = []
    for path in (path for folder in folders for path in folder.rglob("*") if path.is_file()):
        incoming = path.name.startswith((".incoming-", ".part-", ".modelcrate", ".image")) or path.suffix == ".new"
        wrong = path.parent.name == "sha256" and sha256(path.read_bytes()).hexdigest() != path.name
        if incoming or wrong:
            found.append(path)
    return found


def names(layout: Path) -> list[str]:
    """The tags that a layout's index names."""
    index = layout / "index.json"
    if not index.exists():
        return []
    manifests = json.loads(index.read_bytes())["manifests"]
    return [each.get("annotations", {}).get("org.opencontainers.image.ref.name", "") for each in manifests]


def blobs(layout: Path) -> set[str]:
    return {path.name for path in (layout / "blobs").rglob("*") if path.is_file()}


def _usual_signals() -> None:
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, signal.SIG_DFL)
