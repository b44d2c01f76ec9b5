"""Provenance of an image (SLSA v1): how it was built. Reads only a few small files: the project file, the lock, Git's HEAD.

It has nothing of this machine: no host, no user, no path. Of the environment it has only a short list of CI variables, which are public.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from datetime import datetime
from pathlib import Path
from typing import Any

from modelcrate._version import __version__
from modelcrate.images.image_config import timestamp
from modelcrate.project.values import FILE_NAME, Project
from modelcrate.resolve.lock import FILE_NAME as LOCK_NAME
from modelcrate.resolve.lock import Pins
from modelcrate.resolve.world import Resolved
from modelcrate.security.sbom.inventory import Inventory
from modelcrate_layers.content import Digest
from modelcrate_layers.frozen import dataclass
from modelcrate_layers.patterns import compile_later

BUILD_TYPE = "urn:modelcrate:build:v1"
BUILDER = "urn:modelcrate:cli"

CI = (
    *("GITHUB_REPOSITORY", "GITHUB_REF", "GITHUB_SHA", "GITHUB_RUN_ID", "GITHUB_RUN_ATTEMPT", "GITHUB_WORKFLOW_REF"),
    *("CI_PROJECT_PATH", "CI_COMMIT_SHA", "CI_COMMIT_REF_NAME", "CI_PIPELINE_ID", "CI_JOB_ID"),
    *("BUILD_BUILDID", "BUILD_SOURCEVERSION", "BUILD_REPOSITORY_NAME"),
)
"""Variables of GitHub, GitLab and Azure that name a run and a revision."""

_SHA1 = compile_later(r"[0-9a-f]{40}([0-9a-f]{24})?")


@dataclass(frozen=True, slots=True)
class BuildInputs:
    """The inputs of a build. `codecs` are the codec settings of its layers, in alphabetical order."""

    project: Project
    folder: Path
    locked: bool
    platforms: tuple[Resolved, ...]
    codecs: tuple[str, ...]


def predicate(
    inputs: BuildInputs,
    inventories: tuple[Inventory, ...],
    environment: Mapping[str, str],
    times: tuple[datetime, datetime],
) -> dict[str, Any]:
    """Returns the provenance predicate of all images of a build (SLSA v1).

    Args:
        inputs: The inputs of the build.
        inventories: The contents of its images.
        environment: The environment variables; only those in `CI` are used.
        times: Begin and end of the build.
    """
    facts = {name: environment[name][:500] for name in CI if environment.get(name)}
    revision = git_revision(inputs.folder)
    internal: dict[str, Any] = {"codecs": list(inputs.codecs)}
    if facts:
        internal["ci"] = facts
    return {
        "buildDefinition": {
            "buildType": BUILD_TYPE,
            "externalParameters": {
                "project": inputs.project.name,
                "platforms": [str(each) for each in inputs.project.platforms],
                **({"variants": [each.name for each in inputs.project.variants]} if inputs.project.variants else {}),
                "locked": inputs.locked,
            },
            "internalParameters": internal,
            "resolvedDependencies": list(_dependencies(inputs, inventories, revision)),
        },
        "runDetails": {
            "builder": {"id": BUILDER, "version": {"modelcrate": __version__}},
            "metadata": {"startedOn": timestamp(times[0]), "finishedOn": timestamp(times[1])},
        },
    }


def _dependencies(inputs: BuildInputs, inventories: tuple[Inventory, ...], revision: str) -> Iterator[dict[str, Any]]:
    folder = inputs.folder
    for name in (FILE_NAME, LOCK_NAME):
        path = folder / name
        if path.is_file():
            yield {"name": name, "digest": _digest(Digest.of(path.read_bytes()))}
    if revision:
        yield {"name": "source", "digest": {"gitCommit": revision}}
    listed: set[str] = set()
    for resolved in inputs.platforms:
        for each in _pinned(resolved.pins, resolved.below.reference or resolved.below.name):
            if str(each) not in listed:
                listed.add(str(each))
                yield each
    for inventory in inventories[:1]:
        for name, files in inventory.models.items():
            for file in files:
                yield {"name": f"model {name}: {file.path.rpartition('/')[2]}", "digest": {"sha256": file.sha256}}
        for layer in inventory.unread:  # its files are unknown, but its digest is not
            if layer.role == "model":
                yield {"name": f"model layer: {layer.name}", "digest": _digest(layer.layer.diff_id)}


def _pinned(pins: Pins, base: str) -> Iterator[dict[str, Any]]:
    if pins.base is not None:
        yield {"name": f"base {base}", "digest": _digest(pins.base)}
    for each in pins.packages:
        yield {"uri": each.purl, "name": each.filename, "digest": {"sha256": each.sha256}}


def git_revision(folder: Path) -> str:
    """Returns the Git commit that is checked out around a folder, read from Git's files; empty if there is none."""
    for top in (folder.absolute(), *folder.absolute().parents):
        git = top / ".git"
        if git.is_file():
            git = top / _small(git).removeprefix("gitdir:").strip()
        if (head := _small(git / "HEAD").strip()) and git.is_dir():
            return _resolved(git, head)
    return ""


def _resolved(git: Path, head: str) -> str:
    if _SHA1.fullmatch(head):
        return head
    name = head.removeprefix("ref:").strip()
    common = git / (_small(git / "commondir").strip() or ".")
    if not re.fullmatch(r"refs/[A-Za-z0-9._/@+-]+", name) or ".." in name:
        return ""
    for place in (git, common):
        if _SHA1.fullmatch(found := _small(place / name).strip()):
            return found
    packed = re.search(rf"(?m)^([0-9a-f]{{40,64}}) {re.escape(name)}$", _small(common / "packed-refs", 16 << 20))
    return packed[1] if packed else ""


def _small(path: Path, limit: int = 4096) -> str:
    try:
        with open(path, "rb") as file:
            return file.read(limit).decode("utf-8", "replace")
    except OSError:
        return ""


def _digest(digest: Digest) -> dict[str, str]:
    return {digest.algorithm: digest.hex}
