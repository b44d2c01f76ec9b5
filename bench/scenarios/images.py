"""Whole images, cold, beside umoci and skopeo: real wheels, large weights, many small files; and how small the layers are."""

from __future__ import annotations

import json
import shutil
import zlib
from collections.abc import Callable
from pathlib import Path

from bench import corpora, peers, projects
from bench.harness import Bar, Contender, Outcomes, Place, Race, Row, ratio
from bench.lab import GIB, MIB, Lab, fresh_home

PARTS = ("deps", "model", "app")

GUARDED = "Ours looks at every model file for secrets and pickles, and hashes those that the bill of materials lists; theirs does neither."


def base_image(place: Place) -> Path:
    """A base without any network: a tree of small files, gzipped, about as large as a small Debian with Python."""
    folder = place.corpus / "base"
    corpora.small_files(folder / "rootfs", place.lab.scaled(3_000), place.lab.scaled(60_000_000), seed=9)
    projects.models(folder, ["rootfs"], codec="gzip")
    place.lab.run(place.lab.ours("build", folder, "-o", f"oci:{folder}/layout:x", *projects.QUIET), home=place.home)
    return folder / "layout"


def with_base(place: Place) -> None:
    """The base in the registry."""
    home = place.folder / "furnishing"
    layout = place.corpus / "base" / "layout"
    if layout.exists():
        words = place.lab.ours("push", f"oci:{layout}:x", f"{place.host}/bench/base:1", *projects.QUIET)
        place.lab.run(words, home=fresh_home(place.lab, home))


def large_weights(place: Place) -> None:
    base_image(place)
    corpora.small_files(place.corpus / "deps", place.lab.scaled(110, 10), place.lab.scaled(2_400_000))
    corpora.noise(place.corpus / "model", 4, place.lab.scaled(2 * GIB))
    corpora.app(place.corpus / "app")
    projects.models(place.corpus, PARTS, base=f"{place.host}/bench/base:1")


def many_files(place: Place) -> None:
    base_image(place)
    corpora.small_files(place.corpus / "deps", place.lab.scaled(30_000), place.lab.scaled(160_000_000))
    corpora.weights(place.corpus / "model", 1, place.lab.scaled(MIB))
    corpora.app(place.corpus / "app")
    projects.models(place.corpus, PARTS, base=f"{place.host}/bench/base:1")


def real_wheels(place: Place) -> None:
    """The demo over a base in the registry; beside it the same files unpacked, for those who take them so."""
    lab, folder = place.lab, place.corpus
    demo = projects.demo(place, folder / "debian", codec="gzip")
    layout = folder / "demo-layout"
    lab.run(lab.ours("build", demo, "-o", f"oci:{layout}:x", *projects.QUIET), home=place.home)
    lab.run(lab.inside("base", layout, folder / "base" / "layout"), home=place.home)
    for role, name in (("dependencies", "deps"), ("model", "model"), ("entry", "app")):
        lab.run(lab.inside("unpack", layout, role, folder / name), home=place.home)
    with_base(place)
    origin = f"{{from: '{place.host}/bench/base:1', interpreter: /usr/bin/python3.11}}"
    projects.demo(place, folder / "project", base=origin)


def forgotten(place: Place) -> None:
    """Nothing is known of the layers: downloads outlive a run, but what an earlier one has read in them doesn't."""
    for name in ("contents", "told"):
        shutil.rmtree(place.lab.downloads / name, ignore_errors=True)


def push_ours(project: str, *words: str) -> Callable[[Place], list[list[str]]]:
    return lambda at: [at.lab.ours("build", at.corpus / project, "--push", at.target, *projects.QUIET, *words)]


def push_theirs(at: Place) -> list[list[str]]:
    return peers.umoci_push(at.folder / "work", at.host, [(at.corpus / name, f"/{name}") for name in PARTS])


def cold(name: str, title: str, corpus: Callable[[Place], object], limit: float, project: str, note: str) -> Race:
    def smaller(found: Outcomes) -> float | None:
        sent = [found[each].counted for each in ("modelcrate", "umoci + skopeo") if each in found]
        return sent[0].received / sent[1].received if len(sent) == 2 and sent[0] and sent[1] else None

    contenders = (
        Contender("modelcrate", push_ours(project), forgotten),
        Contender("modelcrate, no bill", push_ours(project, "--no-sbom"), forgotten),
        Contender("umoci + skopeo", push_theirs, needs=("umoci", "skopeo")),
    )
    bars = [ratio(each, "umoci + skopeo", limit) for each in ("modelcrate", "modelcrate, no bill")]
    if project:
        bars.append(Bar("bytes sent by modelcrate / umoci + skopeo", smaller, 1.0))
    return Race(name, title, contenders, tuple(bars), corpus, with_base, note=note)


WHEELS = cold(
    "wheels",
    "cold build and push, base in the registry: numpy, scipy, scikit-learn",
    real_wheels,
    0.65,
    "project",
    "Ours begins with wheels in the cache and a lock; theirs with the same files unpacked. " + GUARDED,
)

WEIGHTS = cold(
    "weights",
    "cold build and push: 2 GiB of weights in 4 shards, small dependencies",
    large_weights,
    0.45,
    "",
    "The weights are random bytes. Ours stores them as they are; umoci 0.4 knows gzip only. " + GUARDED,
)

SMALL = cold(
    "small",
    "cold build and push: 30,000 small files, 160 MB",
    many_files,
    0.45,
    "",
    "The files are not from wheels. " + GUARDED,
)


class Size:
    """The dependency layers of the demo, as we store them, beside gzip at level 6 of the same tars."""

    name = "size"
    title = "dependency layers against gzip -6"

    def run(self, lab: Lab) -> Row:
        home = fresh_home(lab, lab.folder / "size")
        place = Place(lab, home, home, "")
        demo = projects.demo(place, home / "demo")
        layout = home / "layout"
        said = lab.run(lab.ours("build", demo, "-o", f"oci:{layout}:x", *projects.QUIET), home=place.home)
        ours = theirs = 0
        for layer in json.loads(said)["layers"]:
            if layer["role"] == "dependencies":
                ours += layer["size"]
                theirs += _gzipped(layout / "blobs" / layer["digest"].replace(":", "/"))
        bar = Bar("size of ours / gzip -6", lambda _: ours / theirs, 0.97)
        return Row(self.name, self.title, {}, (bar,), figures={"ours": ours, "gzip -6": theirs})


def _gzipped(blob: Path) -> int:
    from modelcrate_layers.tar.codec import decode

    pack, size = zlib.compressobj(6, wbits=31), 0
    with blob.open("rb") as file:
        for chunk in decode(iter(lambda: file.read(MIB), b"")):
            size += len(pack.compress(chunk))
    return size + len(pack.flush())


SCENARIOS = (WHEELS, WEIGHTS, SMALL, Size())
