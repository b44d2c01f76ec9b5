"""Where measurements take place: folders, the installed command, and a registry that begins empty."""

from __future__ import annotations

import hashlib
import json
import os
import random
import shutil
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from support import real_registry
from support.relay import Relay, relaying

REPOSITORY = Path(__file__).parents[1]
MIB, GIB = 1 << 20, 1 << 30
MEASURE = Path(__file__).with_name("measure.py")


class Lacking(Exception):  # noqa: N818 - it is raised to be told, not a fault
    """A row can't be measured here; the text says what is missing."""


@dataclass(frozen=True, slots=True)
class Sample:
    """One run: seconds, bytes. `said` is what the last command printed."""

    wall: float
    cpu: float
    rss: int
    read: int
    written: int
    said: str = field(repr=False)


@dataclass(frozen=True, slots=True)
class Lab:
    """`folder` is for everything that is made here; `downloads` outlives it."""

    folder: Path
    modelcrate: Path
    downloads: Path
    scale: float
    runs: int
    order: random.Random = field(repr=False)

    @property
    def python(self) -> Path:
        """The interpreter that has our wheel installed."""
        return self.modelcrate.with_name("python")

    def scaled(self, count: int, least: int = 1) -> int:
        return max(least, round(count * self.scale))

    def ours(self, *words: str | Path) -> list[str]:
        """Our command, as a user starts it."""
        return [str(self.modelcrate), *map(str, words)]

    def inside(self, *words: str | Path) -> list[str]:
        """Something inside one Python process; it prints its own seconds (`bench/inside.py`)."""
        return [str(self.python), str(Path(__file__).with_name("inside.py")), *map(str, words)]

    def environment(self, home: Path) -> dict[str, str]:
        """What a command sees: nothing of the surroundings but the way to programs and to package mirrors."""
        kept = {name: value for name, value in os.environ.items() if name == "PATH" or name.lower().endswith("_proxy")}
        kept |= {name: value for name, value in os.environ.items() if name.startswith(("UV_", "PIP_", "SSL_"))}
        (home / "tmp").mkdir(parents=True, exist_ok=True)
        own = {"HOME": home, "MODELCRATE_HOME": home / "modelcrate", "TMPDIR": home / "tmp", "LANG": "C.UTF-8"}
        return kept | {name: str(value) for name, value in own.items()}

    def measured(self, commands: Sequence[Sequence[str]], home: Path) -> Sample:
        """What these commands cost together. One that fails ends the bench."""
        order = {"commands": commands, "environment": self.environment(home), "out": str(home / "said")}
        words = [sys.executable, "-I", "-S", str(MEASURE)]
        done = subprocess.run(words, input=json.dumps(order), text=True, capture_output=True)
        if done.returncode:
            raise RuntimeError(done.stderr.strip())
        return Sample(**json.loads(done.stdout), said=(home / "said").read_text(errors="replace"))

    def run(self, *commands: Sequence[str], home: Path) -> str:
        """The same, for what only prepares; returns what the last one printed."""
        return self.measured(commands, home).said


def fresh_home(lab: Lab, home: Path) -> Path:
    """A MODELCRATE_HOME that remembers nothing, over downloads that are there already."""
    (home / "modelcrate").mkdir(parents=True, exist_ok=True)
    lab.downloads.mkdir(parents=True, exist_ok=True)
    (home / "modelcrate" / "cache").symlink_to(lab.downloads)
    return home


@dataclass(frozen=True, slots=True)
class Counted:
    """What a registry was sent: bytes of bodies, and requests by verb; and how many bytes it answered."""

    received: int
    returned: int
    requests: Mapping[str, int]


@contextmanager
def registry(folder: Path, port: int, *, counting: bool) -> Iterator[Relay | None]:
    """An empty docker-registry on that port; where it is counted, behind a relay that has the port instead."""
    with ExitStack() as stack:
        if not counting:
            stack.enter_context(real_registry.running(folder, port=port))
            yield None
            return
        running = stack.enter_context(real_registry.running(folder))
        yield stack.enter_context(relaying(running.host, port))


def installed() -> Path:
    """The command out of a wheel of these sources, in .venvs/bench; made anew where the sources have changed."""
    folder = REPOSITORY / ".venvs" / "bench"
    digest = hashlib.sha256()
    for path in sorted(
        [REPOSITORY / "pyproject.toml", *REPOSITORY.glob("builder/**/*.py"), *REPOSITORY.glob("layers/**/*.py")]
    ):
        digest.update(path.read_bytes())
    stamp = folder / ".sources"
    if not (folder / "bin/modelcrate").exists():
        subprocess.run([sys.executable, "-m", "venv", str(folder)], check=True)
    if not stamp.exists() or stamp.read_text() != digest.hexdigest():
        install = [str(folder / "bin/python"), "-m", "pip", "install", "--quiet", "--disable-pip-version-check"]
        subprocess.run([*install, str(REPOSITORY)], check=True)
        subprocess.run([*install, "--force-reinstall", "--no-deps", str(REPOSITORY)], check=True)
        stamp.write_text(digest.hexdigest())
    return folder / "bin/modelcrate"


def scratch(needed: int) -> Path:
    """A place for this many bytes: memory where there is room, so that no disk is measured; else the temporary folder."""
    memory = Path("/dev/shm")
    if memory.is_dir() and shutil.disk_usage(memory).free > needed and _available() > 2 * needed:
        return memory
    return Path(os.environ.get("TMPDIR", "/tmp"))


def _available() -> int:
    lines = Path("/proc/meminfo").read_text().splitlines()
    return next(int(line.split()[1]) << 10 for line in lines if line.startswith("MemAvailable"))
