"""Ready blobs into a registry, beside skopeo; a push that is killed and run again; memory; and a push in one pass."""

from __future__ import annotations

import shutil
import subprocess
import tempfile
from collections.abc import Sequence
from functools import partial
from pathlib import Path

from bench import corpora, peers, projects
from bench.harness import Bar, Contender, Place, Race, Row, at_most, only, ratio
from bench.lab import GIB, MIB, Lab, Lacking, fresh_home, registry
from bench.layouts import layout
from bench.scenarios.images import forgotten
from support import real_registry

CHUNK = 16 * MIB
"""What may be sent twice."""


def ours(name: str, place: Place) -> list[list[str]]:
    return [place.lab.ours("push", f"oci:{place.corpus}/{name}:x", place.target, *projects.QUIET)]


def theirs(name: str, place: Place) -> list[list[str]]:
    return [peers.skopeo_push(place.corpus / name, place.host)]


def one_and_four(place: Place) -> None:
    size = place.lab.scaled(GIB)
    layout(place.corpus / "one", 1, size)
    layout(place.corpus / "four", 4, size // 4)


def sixty(place: Place) -> None:
    layout(place.corpus / "sixty", 60, place.lab.scaled(MIB))


def there(place: Place) -> None:
    """All of it is in the registry."""
    place.lab.run(*ours("sixty", place), home=place.home)


def nothing(place: Place) -> None:
    """The registry begins empty."""


ABSENT = Race(
    "push",
    "push 1 GiB, absent in the target: one layer, four layers",
    (
        Contender("modelcrate, 1", partial(ours, "one")),
        Contender("skopeo, 1", partial(theirs, "one"), needs=("skopeo",)),
        Contender("modelcrate, 4", partial(ours, "four")),
        Contender("skopeo, 4", partial(theirs, "four"), needs=("skopeo",)),
    ),
    (
        ratio("modelcrate, 1", "skopeo, 1", 1.0),
        ratio("modelcrate, 4", "skopeo, 4", 1.0),
        ratio("modelcrate, 4", "modelcrate, 1", 0.67),
    ),
    one_and_four,
    nothing,
)

SAME = Race(
    "repush",
    "push again, nothing new, 60 layers",
    (
        Contender("modelcrate", partial(ours, "sixty"), there),
        Contender("skopeo", partial(theirs, "sixty"), there, needs=("skopeo",)),
    ),
    (ratio("modelcrate", "skopeo", 0.5), only("modelcrate", "HEAD")),
    sixty,
    nothing,
    note="The two GET ask what stands beside the image, for ours has bills of materials.",
)


def ready_and_files(place: Place) -> None:
    corpora.noise(place.corpus / "model", 1, place.lab.scaled(2 * GIB))
    projects.models(place.corpus, ["model"], codec="none")
    built = place.lab.ours("build", place.corpus, "-o", f"oci:{place.corpus}/ready:x", *projects.QUIET)
    place.lab.run(built, home=place.home)


def build_and_push(place: Place) -> list[list[str]]:
    return [place.lab.ours("build", place.corpus, "--push", place.target, *projects.QUIET)]


ONE_PASS = Race(
    "onepass",
    "cold one-pass push of a 2 GiB model, build included, beside pushing the same blob when it is ready",
    (Contender("build and push", build_and_push, forgotten), Contender("ready blob", partial(ours, "ready"))),
    (ratio("build and push", "ready blob", 1.15),),
    ready_and_files,
    nothing,
)

SIZES = {"1 MiB": MIB, "64 MiB": 64 * MIB, "1 GiB": GIB, "10 GiB": 10 * GIB}


def sparse(place: Place) -> None:
    """A project for each size; the files take no room on the disk."""
    for name, size in SIZES.items():
        folder = place.corpus / name.replace(" ", "")
        (folder / "model").mkdir(parents=True)
        projects.models(folder, ["model"], codec="none")
        with (folder / "model" / "weights.bin").open("wb") as file:
            file.truncate(place.lab.scaled(size))


def push_size(name: str, place: Place) -> list[list[str]]:
    return [place.lab.ours("build", place.corpus / name.replace(" ", ""), "--push", place.target, *projects.QUIET)]


MEMORY = Race(
    "memory",
    "resident memory of build and push, by the size of the layer",
    tuple(Contender(name, partial(push_size, name), forgotten) for name in SIZES),
    (
        *(at_most(name, "rss", 120 * MIB) for name in SIZES),
        Bar("memory of 10 GiB beyond 1 GiB", lambda found: found["10 GiB"].rss - found["1 GiB"].rss, 10 * MIB),
    ),
    sparse,
    nothing,
    runs=1,
)


class Killed:
    """A push that is killed when 90 % have arrived, and run again: how much is sent twice."""

    name = "resume"
    title = "killed at 90 % of 1 GiB, run again: bytes sent twice"
    note = (
        "docker-registry 2.8 gives up an upload that was cut within a chunk (404 to the question how far it got). "
        "Where a chunk had ended it goes on, and so do registries that keep parts of one."
    )

    def run(self, lab: Lab) -> Row:
        if why := real_registry.missing():
            raise Lacking(why)
        size = lab.scaled(GIB, 64 * MIB)
        with tempfile.TemporaryDirectory(dir=lab.folder) as scratch:
            place = Place(lab, Path(scratch), Path(scratch), f"127.0.0.1:{real_registry.free_port()}")
            layout(place.corpus / "one", 1, size)
            figures = {"modelcrate": self._twice(place, ours("one", place)[0], size)}
            if shutil.which("skopeo"):
                figures["skopeo"] = self._twice(place, theirs("one", place)[0], size)
        bar = Bar("bytes sent twice by modelcrate", lambda _: figures["modelcrate"], CHUNK)
        missing = () if shutil.which("skopeo") else ("skopeo",)
        return Row(self.name, self.title, {}, (bar,), missing, figures, self.note)

    def _twice(self, place: Place, words: Sequence[str], size: int) -> int:
        with tempfile.TemporaryDirectory(dir=place.folder) as scratch:
            folder = Path(scratch)
            home = fresh_home(place.lab, folder / "home")
            with registry(folder, int(place.host.rpartition(":")[2]), counting=True) as relay:
                assert relay is not None
                with subprocess.Popen(words, env=place.lab.environment(home), stdout=subprocess.DEVNULL) as process:
                    relay.at(int(size * 0.9), process.kill)
                relay.settle()
                place.lab.run(words, home=home)
                return max(0, relay.received - size)


SCENARIOS = (ABSENT, SAME, Killed(), MEMORY, ONE_PASS)
