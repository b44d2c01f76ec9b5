"""From files to layers, with no registry: the tar writer, a layout from nothing and again, a docker archive, start-up."""

from __future__ import annotations

import json
from pathlib import Path

from bench import corpora, peers, projects
from bench.harness import Bar, Contender, Outcomes, Place, Race, at_most, ratio
from bench.lab import GIB

PARTS = ("deps", "weights", "app")


def seconds(said: str) -> float:
    """The time that `inside` printed."""
    return float(json.loads(said)["seconds"])


def small(place: Place) -> None:
    corpora.small_files(place.corpus / "files", place.lab.scaled(10_000), place.lab.scaled(55_000_000))


def whole(place: Place) -> None:
    """10,000 small files, 1 GiB of weights in four shards, an app."""
    lab, folder = place.lab, place.corpus
    corpora.small_files(folder / "deps", lab.scaled(10_000), lab.scaled(55_000_000))
    corpora.weights(folder / "weights", 4, lab.scaled(GIB))
    corpora.app(folder / "app")
    projects.models(folder, PARTS)


def parts(place: Place) -> list[tuple[Path, str]]:
    return [(place.corpus / name, f"/{name}") for name in PARTS]


def build_layout(place: Place) -> list[list[str]]:
    return [place.lab.ours("build", place.corpus, "-o", f"oci:{place.folder}/layout:x", *projects.QUIET)]


def ready_layout(place: Place) -> None:
    place.lab.run(*build_layout(place), home=place.home)


def shared_layout(place: Place) -> None:
    """A layout for all runs to read; gzipped, for skopeo takes no zstd into a docker archive."""
    whole(place)
    projects.models(place.corpus, PARTS, codec="gzip")
    place.lab.run(
        place.lab.ours("build", place.corpus, "-o", f"oci:{place.corpus}/layout:x", *projects.QUIET), home=place.home
    )


def inside(what: str) -> Contender:
    name = {"tar": "modelcrate", "tarfile": "tarfile"}[what]
    return Contender(name, lambda place: [place.lab.inside(what, place.corpus / "files")], seconds=seconds)


TAR = Race(
    "tar",
    "10,000 small files (55 MB) from disk to a hashed tar, in process",
    (inside("tar"), inside("tarfile")),
    (ratio("modelcrate", "tarfile", 0.2),),
    small,
    note="Ours lists, sorts and checks as well. tarfile: `add` of the folder, default format, into a hash.",
)

LAYOUT = Race(
    "layout",
    "cold build to an OCI layout: 10,000 small files, 1 GiB of weights in 4 shards, app",
    (
        Contender("modelcrate", build_layout),
        Contender("umoci", lambda at: peers.umoci_layout(at.folder / "layout", parts(at)), needs=("umoci",)),
        Contender(
            "buildah", lambda at: peers.buildah_layout(at.folder, at.folder / "layout", parts(at)), needs=("buildah",)
        ),
    ),
    (ratio("modelcrate", "umoci", 0.40), ratio("modelcrate", "buildah", 0.25)),
    whole,
    note="umoci gzips always, a layer a folder; buildah makes one uncompressed layer.",
)


def read_share(found: Outcomes) -> float | None:
    """Bytes read by the second build beyond those that the program reads to start."""
    if not {"again", "start"} <= found.keys():
        return None
    return found["again"].read - found["start"].read


AGAIN = Race(
    "again",
    "the same layout again, nothing changed",
    (
        Contender("again", build_layout, ready_layout),
        Contender("start", lambda place: [place.lab.ours("build", "--help")]),
    ),
    (
        at_most("again", "wall", 0.3),
        Bar("bytes read beyond start-up (modules of a build and the memo)", read_share, 24e6),
    ),
    whole,
    note="start is `modelcrate build --help`. 24 MB is far below the 1.1 GB of files and weights, of which none is read.",
)

ARCHIVE = Race(
    "archive",
    "docker archive from a layout",
    (
        Contender("modelcrate", lambda at: [at.lab.inside("archive", at.corpus / "layout", at.folder / "archive.tar")]),
        Contender(
            "skopeo",
            lambda at: [
                [*peers.SKOPEO, f"oci:{at.corpus}/layout:x", f"docker-archive:{at.folder}/archive.tar:bench:1"]
            ],
            needs=("skopeo",),
        ),
    ),
    (ratio("modelcrate", "skopeo", 0.7),),
    shared_layout,
    note="Whole processes. The layout's layers are gzipped, both write plain tars.",
)

START = Race(
    "start",
    "start-up: --version; plan of a project with warm caches",
    (
        Contender("version", lambda place: [place.lab.ours("--version")]),
        Contender("plan", lambda place: [place.lab.ours("plan", place.corpus, *projects.QUIET)], ready_layout),
        Contender("python", lambda place: [[str(place.lab.python), "-c", "pass"]]),
    ),
    (at_most("version", "wall", 0.12), at_most("plan", "wall", 0.3)),
    whole,
    note="python is the interpreter alone, without any of ours. The project of plan is the one of `layout`.",
)

SCENARIOS = (TAR, LAYOUT, AGAIN, ARCHIVE, START)
