"""What a build costs by how much there is: files, bytes, wheels, layers, projects. Each over three orders of magnitude, cold and again,
with a bill of materials.

The bar is an exponent: how the processor's time grows over the last step, once the cost of the smallest is subtracted, which is nearly
all start-up. 1 is in proportion; n log n is 1.06 to 1.1 at these sizes; 2 would be a cost of everything for everything.
"""

from __future__ import annotations

import math
import random
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path

from bench import projects
from bench.harness import Bar, Contender, Outcomes, Place, Race
from bench.lab import MIB
from support.wheels import make_wheel

LIMIT = 1.1
AGAIN = " again"


def exponent(what: str, again: str, sizes: Sequence[int]) -> Bar:
    """Of the last step, start-up subtracted. None where the cost does not grow by a tenth of a second (of 10 MB)."""
    first, last, most = sizes[0], sizes[-2], sizes[-1]

    def value(found: Outcomes) -> float | None:
        least, less, more = (float(getattr(found[_name(n, again)], what)) for n in (first, last, most))
        if more - least < (0.1 if what == "cpu" else 10e6):
            return 0.0
        return math.log((more - least) / max(less - least, 1e-3)) / math.log((most - first) / (last - first))

    return Bar(f"exponent of {what}{again} from {last:,} to {most:,}", value, LIMIT)


def curve(name: str, title: str, sizes: Sequence[int], make: Callable[[Path, int], object], note: str = "") -> Race:
    """A scenario of one project folder for each size, built into a layout of its own; `again` is the second build of the same."""

    def corpus(place: Place) -> None:
        for each in sizes:
            (place.corpus / str(each)).mkdir()
            make(place.corpus / str(each), max(2, place.lab.scaled(each)) if each > 1 else 1)

    contenders = [Contender(_name(each), partial(_build, each)) for each in sizes]
    contenders += [Contender(_name(each, AGAIN), partial(_build, each), partial(_built, each)) for each in sizes]
    bars = [exponent("cpu", "", sizes), exponent("cpu", AGAIN, sizes), exponent("rss", "", sizes)]
    return Race(name, title, tuple(contenders), tuple(bars), corpus, runs=3, note=note)


def _name(size: int, again: str = "") -> str:
    return f"{size:,}{again}"


def _build(size: int, place: Place) -> list[list[str]]:
    folder = place.corpus / str(size)
    many = folder / "projects"
    words = (
        ["--each", many, "-o", f"oci:{place.folder}/{{name}}:x"]
        if many.exists()
        else [folder, "-o", f"oci:{place.folder}/out:x"]
    )
    return [place.lab.ours("build", *words, "--sbom", *projects.QUIET)]


def _built(size: int, place: Place) -> None:
    place.lab.run(*_build(size, place), home=place.home)


def _files(folder: Path, count: int) -> None:
    for number in range(count):
        if number % 100 == 0:
            here = folder / "model" / f"part{number // 100}"
            here.mkdir(parents=True)
        (here / f"{number}.txt").write_text(f"file {number}\n" * 50)
    projects.models(folder, ["model"])


def _bytes(folder: Path, mebibytes: int) -> None:
    (folder / "model").mkdir()
    with (folder / "model" / "weights.bin").open("wb") as file:
        file.truncate(mebibytes * MIB)
    projects.models(folder, ["model"], codec="none")


def _wheels(folder: Path, count: int) -> None:
    for number in range(count):
        name = f"bench-part{number}"
        make_wheel(folder / "wheels", name, files={f"bench_part{number}/m{n}.py": b"x = 1\n" * 90 for n in range(9)})
    (folder / "requirements.txt").write_text("".join(f"bench-part{number}==1.0\n" for number in range(count)))
    keys = "dependencies: {requirements: requirements.txt, wheelhouse: wheels/}\ncommand: [python]\n"
    (folder / "modelcrate.yaml").write_text(f'name: bench\npython: "3.11"\nbase: debian\n{keys}')


def _layers(folder: Path, count: int) -> None:
    for number in range(count):
        (folder / f"model{number}").mkdir()
        (folder / f"model{number}" / "weights.bin").write_bytes(random.Random(number).randbytes(MIB))
    projects.models(folder, [f"model{number}" for number in range(count)])


def _projects(folder: Path, count: int) -> None:
    for number in range(count):
        one = folder / f"project{number}"
        (one / "model").mkdir(parents=True)
        (one / "model" / "weights.txt").write_text(f"weights {number}\n")
        projects.models(one, ["model"])
        text = (one / "modelcrate.yaml").read_text()
        (one / "modelcrate.yaml").write_text(text.replace("name: bench", f"name: bench{number}"))
    (folder / "projects").write_text("".join(f"project{number}\n" for number in range(count)))


SCENARIOS = (
    curve("by-files", "a model of so many small files, to a layout", (30, 300, 3_000, 30_000), _files),
    curve("by-bytes", "a model file of so many MiB, to a layout", (1, 10, 100, 1_000), _bytes, "The file is sparse."),
    curve(
        "by-wheels",
        "so many wheels of nine modules from a wheelhouse, to a layout",
        (3, 30, 300, 3_000),
        _wheels,
        "The Debian base is in the cache. uv resolves in the cold build and is counted.",
    ),
    curve(
        "by-layers",
        "so many models of 1 MiB, a layer each, to a layout",
        (1, 30, 120),
        _layers,
        "Engines take 127 layers.",
    ),
    curve(
        "by-projects", "so many projects in one process, each to a layout of its own", (1, 10, 100, 1_000), _projects
    ),
)
