"""Other people's tools, with their best flags for the work. All state of theirs is in the run's own folder."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

SKOPEO = ["skopeo", "--insecure-policy", "copy", "-q"]


def insert(image: str, parts: Iterable[tuple[Path, str]]) -> list[list[str]]:
    """umoci puts folders into an image of a layout, a layer each. It always gzips, and finds no layer that it had."""
    return [["umoci", "insert", "--image", image, str(source), target] for source, target in parts]


def umoci_layout(layout: Path, parts: Iterable[tuple[Path, str]]) -> list[list[str]]:
    """A layout from nothing."""
    image = f"{layout}:x"
    begin = [["umoci", "init", "--layout", str(layout)], ["umoci", "new", "--image", image]]
    return [*begin, *insert(image, parts), ["umoci", "config", "--image", image, "--config.user", "10001:0"]]


def umoci_push(work: Path, host: str, parts: Iterable[tuple[Path, str]]) -> list[list[str]]:
    """skopeo fetches the base, umoci inserts, skopeo pushes; it mounts the base's layers, for it has seen them there."""
    fetch = [*SKOPEO, "--src-tls-verify=false", f"docker://{host}/bench/base:1", f"oci:{work}:x"]
    config = ["umoci", "config", "--image", f"{work}:x", "--config.entrypoint", "/opt/modelcrate/venv/bin/python"]
    return [fetch, *insert(f"{work}:x", parts), config, skopeo_push(work, host)]


def skopeo_push(layout: Path, host: str) -> list[str]:
    return [*SKOPEO, "--dest-tls-verify=false", f"oci:{layout}:x", f"docker://{host}/bench/x:1"]


def buildah_layout(state: Path, layout: Path, parts: Iterable[tuple[Path, str]]) -> list[list[str]]:
    """buildah commits one layer, uncompressed, which is its fastest."""
    start = ["buildah", "--root", f"{state}/root", "--runroot", f"{state}/run", "--storage-driver", "vfs"]
    copies = [[*start, "copy", "-q", "work", str(source), target] for source, target in parts]
    commit = [*start, "commit", "-q", "--disable-compression", "work", f"oci:{layout}:x"]
    return [[*start, "from", "--name", "work", "scratch"], *copies, commit]
