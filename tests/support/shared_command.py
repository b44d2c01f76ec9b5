"""The command line as a user starts it: a process of its own, with an environment of its own."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from support.waiting import HANG

REPOSITORY = Path(__file__).parents[2]

_PASSED_ON = ("PATH", "HTTP_PROXY", "HTTPS_PROXY", "NO_PROXY", "http_proxy", "https_proxy", "no_proxy")
_PREFIXES = ("UV_", "PIP_", "SSL_", "MODELCRATE_", "REQUESTS_")


@dataclass(frozen=True)
class Modelcrate:
    """`home` is MODELCRATE_HOME; of the surrounding environment only what leads to package mirrors is passed on."""

    home: Path
    more: Mapping[str, str] = field(default_factory=dict)

    @property
    def environment(self) -> dict[str, str]:
        kept = {k: v for k, v in os.environ.items() if k in _PASSED_ON or k.startswith(_PREFIXES)}
        roots = os.pathsep.join(str(REPOSITORY / name) for name in ("builder", "layers"))
        return {
            **kept,
            "HOME": os.environ.get("HOME", str(self.home)),
            "LANG": "C.UTF-8",
            "MODELCRATE_HOME": str(self.home),
            "PYTHONPATH": roots,
            **self.more,
        }

    def words(self, *words: str | Path) -> list[str]:
        return [sys.executable, "-m", "modelcrate", *map(str, words)]

    def run(self, *words: str | Path, timeout: float = HANG) -> subprocess.CompletedProcess[str]:
        """The command, whatever its end is."""
        return subprocess.run(
            self.words(*words), env=self.environment, capture_output=True, text=True, timeout=timeout, cwd="/"
        )

    def said(self, *words: str | Path) -> str:
        """The standard output of a command that has to succeed."""
        done = self.run(*words)
        assert done.returncode == 0, f"modelcrate {' '.join(map(str, words))}: {done.returncode}\n{done.stderr[-3000:]}"
        return done.stdout

    def json(self, *words: str | Path) -> Any:
        return json.loads(self.said(words[0], "--json", "--progress", "none", *words[1:]))
