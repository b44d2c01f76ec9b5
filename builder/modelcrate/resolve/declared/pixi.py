"""Locks of pixi: packages of conda and wheels by address and hash, by environment and platform."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit

from modelcrate.project.conda import as_requirement
from modelcrate.project.foreign_yaml import load_yaml
from modelcrate.project.values import Conda, Dependencies
from modelcrate.resolve.declared import Declaration, line_of, refuse_unknown
from modelcrate.resolve.declared.pylock import digest_of
from modelcrate.resolve.declared.toml_files import MAX_LOCK, table, tables
from modelcrate.resolve.pinned import PinnedConda, Solved
from modelcrate.resolve.requirement_faults import mask
from modelcrate.resolve.requirement_lines import read_text
from modelcrate.resolve.requirements import Requirements, raise_together
from modelcrate_layers.errors import CrateError, UserError

DEFAULT = "default"
_ITSELF = (".", "./")
"""Where the project's own package is, as pixi writes it."""

SUBDIRS = {"linux-64": "x86_64", "linux-aarch64": "aarch64"}


def read(path: Path, needs: Dependencies) -> Declaration:
    """Reads a pixi.lock; the project's one group is the environment that is taken."""
    if needs.extras or len(needs.groups) > 1:
        raise UserError("has environments, and one of them is taken", where=str(path), hint="name it: groups: [NAME]")
    text = read_text(path, MAX_LOCK)
    data = load_yaml(text.encode(), str(path), MAX_LOCK)
    environments = table(data, "environments")
    name = needs.groups[0] if needs.groups else DEFAULT
    refuse_unknown("environment", (name,), [*environments], path)
    environment = table(environments, name)
    known = {_address(each): each for each in tables(data, "packages")}
    solved, wheels = {}, []
    _check_wheels(environment, known, path, text)
    for subdir in SUBDIRS:
        chosen = _chosen(environment, subdir)
        conda = [
            _conda(known.get(str(each["conda"]), {}), str(each["conda"]), path) for each in chosen if "conda" in each
        ]
        names = dict(found for each in chosen if (found := _distribution(known.get(str(each.get("conda")), {}))))
        solved[subdir] = Solved(tuple(sorted(conda, key=lambda each: each.name)), names)
        wheels += [
            _wheel(known.get(str(each["pypi"]), {}), str(each["pypi"]), subdir) for each in chosen if "pypi" in each
        ]
    channels = tuple(str(each.get("url", "")).rstrip("/") for each in tables(environment, "channels"))
    packages = tuple(f"{each.name}=={each.version}" for found in solved.values() for each in found.pinned)
    return Declaration(
        Requirements(
            pylock_text="\n".join(['lock-version = "1.0"', 'created-by = "pixi"', *(wheels or ["packages = []"])]),
            pylock=path,
        ),
        Conda(tuple(dict.fromkeys(packages)), channels) if packages else None,
        notices=_left_out(environment),
        solved=solved,
        inputs={
            "requirements": [],
            "pylock": digest_of(path),
            **({"groups": list(needs.groups)} if needs.groups else {}),
        },
    )


def _address(package: Mapping[str, Any]) -> str:
    """Returns the address of a package; before version 6 of the file it is under `url`."""
    return str(package.get("conda") or package.get("pypi") or package.get("url"))


def _chosen(environment: Mapping[str, Any], subdir: str) -> list[dict[str, Any]]:
    """Returns the packages of an environment for a platform, without the project itself: its sources go along."""
    return [each for each in tables(table(environment, "packages"), subdir) if each.get("pypi") not in _ITSELF]


def _left_out(environment: Mapping[str, Any]) -> tuple[str, ...]:
    every = (each for subdir in SUBDIRS for each in tables(table(environment, "packages"), subdir))
    if not any(each.get("pypi") in _ITSELF for each in every):
        return ()
    return ("pixi.lock: the project's own package is left out: the entry's source folder takes its modules along",)


def _check_wheels(environment: Mapping[str, Any], known: Mapping[str, Any], path: Path, text: str) -> None:
    """Refuses what is no wheel with a hash, each with its line."""
    chosen = (each for subdir in SUBDIRS for each in _chosen(environment, subdir))
    addresses = dict.fromkeys(str(each["pypi"]) for each in chosen if "pypi" in each)
    wrong = [url for url in addresses if not _is_wheel(known.get(url, {}), url)]
    faults: list[CrateError] = [
        UserError(
            f"{mask(url)[:200]} is not a wheel with a sha256",
            where=line_of(path, text, f"pypi: {url}"),
            why="nothing is built from source",
            hint="build it as a wheel once (pip wheel --no-deps -w wheels ...), put it on an index, and lock it from there",
        )
        for url in wrong
    ]
    raise_together(faults, str(path))


def _is_wheel(data: Mapping[str, Any], url: str) -> bool:
    told = all(isinstance(data.get(key), str) for key in ("name", "version", "sha256"))
    return told and unquote(urlsplit(url).path).endswith(".whl")


def _conda(data: Mapping[str, Any], url: str, path: Path) -> PinnedConda:
    """Returns a package of conda by its entry; its name, version and build are in the address of its file."""
    filename = unquote(urlsplit(url).path).rsplit("/", 1)[-1]
    stem = filename.removesuffix(".conda").removesuffix(".tar.bz2")
    name, version, build = stem.rsplit("-", 2) if stem.count("-") > 1 else ("", "", "")
    sha256 = data.get("sha256")
    if not name or not isinstance(sha256, str):
        what = f"{filename or url[:200]} is not pinned by a sha256"
        raise UserError(what, where=str(path), hint="lock again with: pixi lock; packages from source are not taken")
    size = data.get("size")
    subdir = str(data.get("subdir") or unquote(urlsplit(url).path).rsplit("/", 2)[-2])
    return PinnedConda(name, version, build, subdir, filename, sha256, size if isinstance(size, int) else None)


def _distribution(data: Mapping[str, Any]) -> tuple[str, str] | None:
    """Returns name and version of a Python package of conda as the package index has them; None for anything else."""
    from packaging.utils import canonicalize_name

    depends = {str(each).split()[0] for each in data.get("depends") or () if str(each).strip()}
    filename = unquote(urlsplit(_address(data)).path).rsplit("/", 1)[-1]
    if not depends & {"python", "python_abi"} or filename.count("-") < 2:
        return None
    purls = [str(each) for each in data.get("purls") or () if str(each).startswith("pkg:pypi/")]
    name, version, _ = filename.rsplit("-", 2)
    named = purls[0].removeprefix("pkg:pypi/").partition("?")[0].partition("@")[0] if purls else as_requirement(name)
    return canonicalize_name(named), version


def _wheel(data: Mapping[str, Any], url: str, subdir: str) -> str:
    """Returns a wheel as a package of a pylock.toml."""
    name, version, sha256 = (data.get(key) for key in ("name", "version", "sha256"))
    lines = [
        "[[packages]]",
        f"name = {_quoted(name)}",
        f"version = {_quoted(version)}",
        f"marker = \"platform_machine == '{SUBDIRS[subdir]}'\"",
        "[[packages.wheels]]",
        f"url = {_quoted(url)}",
        f"hashes = {{sha256 = {_quoted(sha256)}}}",
    ]
    return "\n".join(lines)


def _quoted(text: object) -> str:
    return json.dumps(text)
