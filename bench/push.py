"""Pushing to a docker-registry on loopback, beside skopeo: ratios of medians, bytes that the registry received, requests.

Runs are interleaved, so that both meet the same machine. Bytes and requests are counted by a relay between the client and the
registry (for the counted runs only, never for the timed ones). Tools are taken from PATH; without one, its rows are left out.

    PYTHONPATH=builder:layers:tests python bench/push.py [--size MIB] [--runs N] [--folder FOLDER]
"""

from __future__ import annotations

import argparse
import hashlib
import json
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from modelcrate.reference import Reference
from modelcrate.registry.files import FileBlob
from modelcrate.registry.settings import Settings
from modelcrate.registry.verbs import Client
from modelcrate_layers.content import CHUNK, Descriptor, Digest, Literal, MediaType, canonical_json
from support import real_registry
from support.relay import relaying

MIB = 1 << 20


def layer(path: Path, size: int) -> Descriptor:
    """A file of that many random bytes, and its descriptor."""
    digest = hashlib.sha256()
    with path.open("wb") as file:
        for _ in range(size // CHUNK):
            piece = os.urandom(CHUNK)
            digest.update(piece)
            file.write(piece)
    return Descriptor(MediaType.LAYER, Digest("sha256", digest.hexdigest()), path.stat().st_size)


def layout(folder: Path, count: int, size: int) -> tuple[list[FileBlob | Literal], Literal]:
    """An OCI layout with one image of so many layers; its blobs and manifest as we push them."""
    blobs = folder / "blobs/sha256"
    blobs.mkdir(parents=True)
    layers = []
    for _ in range(count):
        one = layer(blobs / "new", size)
        (blobs / "new").rename(blobs / one.digest.hex)
        layers.append(one)
    diffs = [str(one.digest) for one in layers]
    config = {"architecture": "amd64", "os": "linux", "config": {}, "rootfs": {"type": "layers", "diff_ids": diffs}}
    settings = Literal(canonical_json(config), MediaType.CONFIG)
    document = {"schemaVersion": 2, "mediaType": MediaType.MANIFEST, "config": settings.descriptor.json()}
    manifest = Literal(canonical_json(document | {"layers": [one.json() for one in layers]}), MediaType.MANIFEST)
    for literal in (settings, manifest):
        (blobs / literal.descriptor.digest.hex).write_bytes(literal.data)
    named = {**manifest.descriptor.json(), "annotations": {"org.opencontainers.image.ref.name": "x"}}
    (folder / "index.json").write_bytes(canonical_json({"schemaVersion": 2, "manifests": [named]}))
    (folder / "oci-layout").write_text('{"imageLayoutVersion": "1.0.0"}')
    return [settings, *(FileBlob(blobs / one.digest.hex, one) for one in layers)], manifest


@contextmanager
def registry(folder: Path) -> Iterator[str]:
    with tempfile.TemporaryDirectory(dir=folder) as scratch, real_registry.running(Path(scratch)) as running:
        yield running.host


def ours(host: str, source: Path, journal: Path | None = None) -> None:
    """One push in a process of its own, as a user's would be."""
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))}
    command = [sys.executable, __file__, "--push", str(source), host, *([str(journal)] if journal else [])]
    subprocess.run(command, env=environment, check=True)


def theirs(host: str, source: Path) -> None:
    target = f"docker://{host}/bench/x:1"
    command = [
        "skopeo",
        "--insecure-policy",
        "copy",
        "-q",
        "--preserve-digests",
        "--dest-tls-verify=false",
        f"oci:{source}:x",
        target,
    ]
    subprocess.run(command, check=True)


def push(source: Path, host: str, journal: str | None = None) -> None:
    """What the child process of `ours` does."""
    index = json.loads((source / "index.json").read_bytes())
    blobs = source / "blobs/sha256"
    data = (blobs / index["manifests"][0]["digest"].removeprefix("sha256:")).read_bytes()
    document = json.loads(data)
    wanted = [Descriptor.parse(one) for one in (document["config"], *document["layers"])]
    with Client(Settings(journal=Path(journal) if journal else None)) as client:
        ref = Reference.parse(f"{host}/bench/x:1")
        client.publish(
            ref, [Literal(data, MediaType.MANIFEST)], [FileBlob(blobs / one.digest.hex, one) for one in wanted]
        )


def timed(act: Callable[[], None]) -> float:
    begun = time.perf_counter()
    act()
    return time.perf_counter() - begun


def compare(label: str, source: Path, folder: Path, runs: int, *, again: bool) -> dict[str, float]:
    """Medians of both, every run against an empty registry, or against one that has it all."""
    found: dict[str, list[float]] = {"ours": [], "skopeo": []}
    acts: dict[str, Callable[[str], None]] = {"ours": lambda host: ours(host, source)}
    if shutil.which("skopeo"):
        acts["skopeo"] = lambda host: theirs(host, source)
    for _ in range(runs):
        for name, act in acts.items():
            with registry(folder) as host:
                if again:
                    act(host)
                found[name].append(timed(lambda act=act, host=host: act(host)))  # type: ignore[misc]
    medians = {name: statistics.median(values) for name, values in found.items() if values}
    ratio = f"ratio {medians['ours'] / medians['skopeo']:.2f}" if "skopeo" in medians else "skopeo is not here"
    print(
        f"{label:34} " + "  ".join(f"{name} {value:6.2f} s" for name, value in medians.items()) + f"  {ratio}",
        flush=True,
    )
    return medians


def counted(label: str, folder: Path, act: Callable[[str], None], before: Callable[[str], None] | None = None) -> None:
    with registry(folder) as host:
        if before:
            before(host)
        with relaying(host) as relay:
            act(relay.host)
            print(
                f"{label:34} {relay.received:>12,} bytes received; requests {dict(sorted(relay.requests.items()))}",
                flush=True,
            )


def killed(label: str, folder: Path, source: Path, size: int) -> None:
    """Killed when 90 % have arrived, and run again."""
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))}
    with registry(folder) as host, relaying(host) as relay, tempfile.TemporaryDirectory() as journal:
        command = [sys.executable, __file__, "--push", str(source), relay.host, journal]
        process = subprocess.Popen(command, env=environment)
        relay.at(int(size * 0.9), process.kill)
        process.wait()
        relay.settle()
        first = relay.received
        ours(relay.host, source, Path(journal))
        print(
            f"{label:34} {first:>12,} bytes before, {relay.received - first:,} after: {relay.received - size:,} sent twice"
        )


def main() -> None:
    if sys.argv[1:2] == ["--push"]:
        return push(Path(sys.argv[2]), *sys.argv[3:])
    parser = argparse.ArgumentParser()
    parser.add_argument("--size", type=int, default=1024)
    parser.add_argument("--runs", type=int, default=3)
    parser.add_argument("--folder", type=Path, default=None)
    given = parser.parse_args()
    if why := real_registry.missing():
        return print(why)
    size = given.size * MIB
    with tempfile.TemporaryDirectory(dir=given.folder) as scratch:
        folder = Path(scratch)
        for name, count in (("one", 1), ("four", 4)):
            layout(folder / name, count, size // count)
        layout(folder / "sixty", 60, 64 << 10 if size < MIB else MIB)
        one = compare("absent, one layer", folder / "one", folder, given.runs, again=False)
        four = compare("absent, four layers", folder / "four", folder, given.runs, again=False)
        print(f"{'four layers to one':34} ratio {four['ours'] / one['ours']:.2f}")
        compare("nothing new, 60 layers", folder / "sixty", folder, given.runs, again=True)
        counted("one layer", folder, lambda host: ours(host, folder / "one"))
        counted(
            "nothing new", folder, lambda host: ours(host, folder / "sixty"), lambda host: ours(host, folder / "sixty")
        )
        killed("killed at 90 %, run again", folder, folder / "one", size)
    return None


if __name__ == "__main__":
    main()
