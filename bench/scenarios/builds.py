"""The demo again and again: with warm caches, one line changed, on a fresh runner, and fifty of its kind."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

from bench import projects
from bench.harness import Contender, Place, Race, at_most
from bench.lab import fresh_home
from bench.scenarios.files import seconds

FLEET = 50


def corpus(place: Place) -> None:
    """The demo, locked, and a home that has built it once."""
    projects.demo(place, place.corpus / "demo")
    place.lab.run(_build(place, "-o", f"oci:{place.folder}/layout:x"), home=place.home)
    (place.home / "modelcrate" / "cache").unlink()
    shutil.move(place.home / "modelcrate", place.corpus / "warm")


def warmed(place: Place) -> None:
    """The memory of an earlier build on this machine. Blobs are linked, for they never change; what is remembered of them is not believed in a copy,
    so it is built once.
    """
    for each in (place.corpus / "warm").iterdir():
        subprocess.run(["cp", "-al", str(each), str(place.home / "modelcrate")], check=True)
    place.lab.run(_build(place), home=place.home)


def pushed(place: Place) -> None:
    """The target has the image as it was before the last edit."""
    warmed(place)
    place.lab.run(_build(place, "--push", place.target), home=place.home)
    projects.edit(place.corpus / "demo" / "src" / "score.py")


def elsewhere(place: Place) -> None:
    """The same, and then a home that has nothing at all, downloads included."""
    pushed(place)
    shutil.rmtree(place.home)
    place.home.mkdir()


def fleet(place: Place) -> None:
    """Projects that differ in their entry script only, and a home that knows the rest."""
    corpus(place)
    for number in range(place.lab.scaled(FLEET, 3) + 1):
        folder = place.corpus / "fleet" / f"project{number:03}"
        shutil.copytree(place.corpus / "demo", folder)
        with (folder / "src" / "score.py").open("a") as file:
            file.write(f"\nNUMBER = {number}\n")


def _build(place: Place, *words: str | Path) -> list[str]:
    return place.lab.ours("build", place.corpus / "demo", *words, *projects.QUIET)


def _empty(place: Place) -> None:
    fresh_home(place.lab, place.folder / "setup")


WARM = Race(
    "warm",
    "the demo rebuilt with warm caches",
    (
        Contender("build", lambda place: [_build(place)], warmed),
        Contender("plan", lambda place: [place.lab.ours("plan", place.corpus / "demo", *projects.QUIET)], warmed),
    ),
    (at_most("build", "wall", 0.3), at_most("plan", "wall", 0.3)),
    corpus,
    note="Debian base, numpy, scipy, scikit-learn, a model and an entry script; locked. The build goes to the local store.",
)

EDIT = Race(
    "edit",
    "one line of the demo's score.py changed, built and pushed, warm",
    (Contender("modelcrate", lambda place: [_build(place, "--push", place.target)], pushed),),
    (at_most("modelcrate", "wall", 0.5), at_most("modelcrate", "received", 100_000)),
    corpus,
    _empty,
)

FRESH = Race(
    "fresh",
    "the same from an empty cache (fresh runner)",
    (Contender("modelcrate", lambda place: [_build(place, "--push", place.target)], elsewhere),),
    (
        at_most("modelcrate", "wall", 1.5),
        at_most("modelcrate", "received", 100_000),
        at_most("modelcrate", "returned", 200_000),
    ),
    corpus,
    _empty,
    note="The lock is beside the project; no package is in the cache. returned: what the registry answered.",
)

MANY = Race(
    "fleet",
    "50 projects that differ in the entry script, one process, warm: seconds for each, pushed",
    (
        Contender(
            "modelcrate",
            lambda place: [place.lab.inside("fleet", place.corpus / "fleet", place.host)],
            warmed,
            seconds=seconds,
        ),
    ),
    (at_most("modelcrate", "wall", 0.05),),
    fleet,
    _empty,
    note="Through the library (modelcrate.pipeline.batch), four threads. The first one, which warms what all share, is not counted.",
)

SCENARIOS = (WARM, EDIT, FRESH, MANY)
