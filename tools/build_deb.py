"""Builds modelcrate as a Debian package, without Debian's tools: an ar of two tars, which modelcrate can write itself.

    python tools/build_deb.py FOLDER [amd64|arm64]

The package is FOLDER/modelcrate_VERSION_ARCHITECTURE.deb. Equal inputs give equal bytes: versions of the dependencies come from the index
on that day, so `--constraints FILE` (pip's) fixes them.

It brings its dependencies, below /usr/lib/modelcrate, where no other package looks: of those that Debian 12 and 13 have, none but a few small
ones is new enough (packaging 26, pydantic 2.10, zstandard 0.25, urllib3 2), and ahocorasick-rs, pysequoia, oras and uv are in none of
them. So the package depends on Python alone. Their compiled parts stand side by side for each Python, which is why it is of one architecture.
"""

from __future__ import annotations

import argparse
import gzip
import lzma
import os
import re
import subprocess
import sys
from collections.abc import Iterable, Iterator, Mapping
from email.parser import BytesParser
from email.utils import formatdate
from hashlib import md5
from pathlib import Path
from tempfile import TemporaryDirectory

import uv

from modelcrate.cli.completion import script
from modelcrate_layers.tar import writer
from modelcrate_layers.tar.sources import Bytes
from modelcrate_layers.tar.tree import Entry, directory, file

ROOT = Path(__file__).resolve().parents[1]
PYTHONS = ("3.11", "3.12", "3.13", "3.14")
MACHINES = {"amd64": "x86_64", "arm64": "aarch64"}
EPOCH = 315532800
"""1980-01-01: nothing depends on the time at which it is built."""

HOME = "usr/lib/modelcrate"
_START = f"""\
#!/usr/bin/python3 -P
import sys

sys.path.insert(0, "/{HOME}")
from modelcrate.cli import command

command()
"""
_SUMMARY = "turn a trained model into a runnable container image"
_ABOUT = """\
 modelcrate makes OCI images of models with nothing but Python: it assembles the
 layers itself, and pushes them to a registry or writes them as an archive. It
 needs no container engine, no daemon and no root.
"""
_COMPILE = """\
#!/bin/sh
set -e
if [ "$1" = configure ] && command -v py3compile >/dev/null; then
    py3compile -p modelcrate /usr/lib/modelcrate
fi
"""
_CLEAN = """\
#!/bin/sh
set -e
if command -v py3clean >/dev/null; then
    py3clean -p modelcrate
else
    find /usr/lib/modelcrate -type d -name __pycache__ -exec rm -rf {} +
fi
"""
_OVERRIDES = (
    "embedded-library",
    "extra-license-file",
    "hardening-no-fortify-functions",
    "unstripped-binary-or-object",
    "unusual-interpreter",
)
"""What Debian's lintian finds in the wheels of others, which go in as they are."""

_OF_INSTALLERS = ("RECORD", "INSTALLER", "REQUESTED", "direct_url.json", "uv_cache.json")
"""Files that installers keep for themselves. uv's has the time in it."""


def collect(architecture: str, constraints: str) -> tuple[str, dict[str, bytes]]:
    """Returns the version, and the files of the package by their paths."""
    with TemporaryDirectory() as name:
        scratch = Path(name)
        tree = scratch / "tree"
        _install(scratch, tree, architecture, constraints)
        version = _version(tree)
        files = {f"{HOME}/{path}": data for path, data in _files(tree)}
    files |= _documents(files, version)
    return version, {**files, "usr/bin/modelcrate": _START.encode()}


def build(folder: Path, architecture: str, version: str, files: Mapping[str, bytes]) -> Path:
    """Writes the package into a folder, and returns its path."""
    programs = {"usr/bin/modelcrate", f"{HOME}/bin/uv"}
    control = {
        "control": _control(version, architecture, files),
        "md5sums": "".join(f"{md5(data, usedforsecurity=False).hexdigest()}  {path}\n" for path, data in sorted(files.items())).encode(),
        "postinst": _COMPILE.encode(),
        "prerm": _CLEAN.encode(),
    }  # fmt: skip
    parts = {
        "debian-binary": b"2.0\n",
        "control.tar.gz": gzip.compress(_tar(control, {"postinst", "prerm"}), 9, mtime=0),
        "data.tar.xz": lzma.compress(_tar(files, programs), preset=1),  # 6 takes three times as long
    }
    folder.mkdir(parents=True, exist_ok=True)
    out = folder / f"modelcrate_{version}_{architecture}.deb"
    made = out.with_suffix(".new")
    made.write_bytes(b"!<arch>\n" + b"".join(map(_member, parts, parts.values())))
    made.replace(out)
    return out


def _install(scratch: Path, tree: Path, architecture: str, constraints: str) -> None:
    """Puts the wheels of modelcrate and of all that it needs into one folder, for each Python. What they share has to be equal."""
    program = os.fspath(uv.find_uv_bin())
    environment = {**os.environ, "SOURCE_DATE_EPOCH": str(EPOCH)}
    subprocess.run([program, "build", "--quiet", "--wheel", "--out-dir", scratch, ROOT], check=True, env=environment)
    (wheel,) = scratch.glob("*.whl")
    tree.mkdir()
    for python in PYTHONS:
        target = scratch / python
        words = ["pip", "install", "--quiet", "--no-compile-bytecode", "--only-binary", ":all:", "--link-mode", "copy"]
        words += ["--python", sys.executable, "--python-version", python, "--python-platform"]
        words += [f"{MACHINES[architecture]}-manylinux_2_28", "--target", str(target), str(wheel)]
        words += ["--constraint", constraints] if constraints else []
        subprocess.run([program, *words], check=True, env=environment)
        for path in sorted(target.rglob("*")):
            other = tree / path.relative_to(target)
            if path.is_dir():
                other.mkdir(parents=True, exist_ok=True)
            elif path.name == ".lock":  # uv's
                continue
            elif not other.exists():
                path.rename(other)
            elif path.read_bytes() != other.read_bytes() and not _is_about_one_python(path):
                raise SystemExit(f"{path.relative_to(target)} is another file for Python {python}")


def _is_about_one_python(path: Path) -> bool:
    """Returns whether a file tells how a wheel was built, and is read by no program."""
    return any(part.endswith(".dist-info") for part in path.parts)


def _files(tree: Path) -> Iterator[tuple[str, bytes]]:
    """Yields the files that the program needs: of its dependencies' programs, uv alone."""
    for path in sorted(each for each in tree.rglob("*") if each.is_file()):
        name = path.relative_to(tree).as_posix()
        top = name.partition("/")[0]
        if (top == "bin" and name != "bin/uv") or top == "share" or name.startswith(f"{top}/tests/"):
            continue
        if name.endswith((".pyi", *(f".dist-info/{each}" for each in _OF_INSTALLERS))):
            continue
        yield name, path.read_bytes()


def _version(tree: Path) -> str:
    (about,) = tree.glob("modelcrate-*.dist-info/METADATA")
    return str(BytesParser().parsebytes(about.read_bytes())["Version"])


def _documents(files: Mapping[str, bytes], version: str) -> dict[str, bytes]:
    """Returns the manual, the completions and what Debian wants to be said, by their places."""
    doc = "usr/share/doc/modelcrate"
    changes = (
        f"modelcrate ({version}) unstable; urgency=medium\n\n  * Release {version}; CHANGELOG.md in this folder says what is new.\n\n"
        f" -- The modelcrate founders <founders@modelcrate.example>  {formatdate(EPOCH)}\n"
    )
    packed = {
        "usr/share/man/man1/modelcrate.1.gz": (ROOT / "docs/reference/modelcrate.1").read_bytes(),
        f"{doc}/changelog.gz": changes.encode(),
        f"{doc}/CHANGELOG.md.gz": (ROOT / "CHANGELOG.md").read_bytes(),
    }
    return {
        **{path: gzip.compress(data, 9, mtime=0) for path, data in packed.items()},
        f"{doc}/copyright": "\n".join(_copyright(files)).encode(),
        "usr/share/bash-completion/completions/modelcrate": f"{script('bash')}\n".encode(),
        "usr/share/zsh/vendor-completions/_modelcrate": f"{script('zsh')}\n".encode(),
        "usr/share/fish/vendor_completions.d/modelcrate.fish": f"{script('fish')}\n".encode(),
        "usr/share/lintian/overrides/modelcrate": "".join(f"modelcrate: {each}\n" for each in _OVERRIDES).encode(),
    }


def _copyright(files: Mapping[str, bytes]) -> Iterator[str]:
    """Yields Debian's machine-readable copyright file: ours, and each dependency by its own metadata, with its texts."""
    yield from (
        "Format: https://www.debian.org/doc/packaging-manuals/copyright-format/1.0/",
        "Upstream-Name: modelcrate",
        "",
    )
    yield from ("Files: *", "Copyright: The modelcrate founders", "License: Apache-2.0", "")
    yield from ("License: Apache-2.0", f" {_IN_DEBIAN}", "")
    for path, data in sorted(files.items()):
        if not path.endswith(".dist-info/METADATA") or "/modelcrate-" in path:
            continue
        about, folder = BytesParser().parsebytes(data), path.rpartition("/")[0]
        name = str(about["Name"])
        licence = str(about["License-Expression"] or about["License"] or "see its text").splitlines()[0][:60].strip()
        short = re.sub(r"[^A-Za-z0-9.+-]+", "-", f"{name}-{licence}").strip("-")
        texts = [files[each] for each in sorted(files) if each.startswith(f"{folder}/") and _LICENCE.search(each)]
        holders = sorted(
            {
                line.strip(" #*")
                for text in texts
                for line in text.decode("utf-8", "replace").splitlines()
                if _HOLDER.match(line)
            }
        )
        yield from (
            f"Files: {HOME}/{name}*",
            f"Comment: {licence}",
            f"Copyright: {'; '.join(holders[:9]) or 'its authors, see its text'}",
        )
        yield from (f"License: {short}", "", f"License: {short}")
        for text in texts or [b"The package names its licence in its metadata alone."]:
            yield from (
                f" {line.rstrip()}" if line.strip() else " ."
                for line in _shortened(text.decode("utf-8", "replace")).splitlines()
            )
        yield ""


def _shortened(text: str) -> str:
    """Returns the text of a licence; in place of one that Debian has, where it is (Debian policy, 12.5)."""
    return (
        _IN_DEBIAN
        if "Apache License" in text and "TERMS AND CONDITIONS FOR USE, REPRODUCTION, AND DISTRIBUTION" in text
        else text
    )


_IN_DEBIAN = "On Debian systems its text is in /usr/share/common-licenses/Apache-2.0."
_LICENCE = re.compile(r"/(licen[cs]e|copying|notice|authors)[^/]*$", re.IGNORECASE)
_HOLDER = re.compile(r"[\s#*]*copyright .*\d{4}", re.IGNORECASE)


def _control(version: str, architecture: str, files: Mapping[str, bytes]) -> bytes:
    first, last = PYTHONS[0], f"3.{int(PYTHONS[-1].partition('.')[2]) + 1}"
    size = sum(-(-len(data) // 1024) for data in files.values())
    return (
        f"Package: modelcrate\nVersion: {version}\nArchitecture: {architecture}\nSection: science\nPriority: optional\n"
        f"Maintainer: The modelcrate founders <founders@modelcrate.example>\nInstalled-Size: {size}\n"
        f"Depends: python3 (>= {first}), python3 (<< {last}), libc6 (>= 2.28), libgcc-s1\nRecommends: ca-certificates\nSuggests: runc\n"
        f"Homepage: https://docs.modelcrate.example/\nDescription: {_SUMMARY}\n{_ABOUT}"
    ).encode()


def _tar(files: Mapping[str, bytes], programs: Iterable[str]) -> bytes:
    """Returns a tar of these files and of the folders above them, with the names that dpkg gives them."""
    run = frozenset(programs)
    above = {str(parent) for path in files for parent in Path(path).parents}
    entries: list[Entry] = [directory(b"." if each == "." else f"./{each}".encode(), 0o755) for each in above]
    entries += [
        file(f"./{path}".encode(), Bytes(data), 0o755 if path in run else 0o644) for path, data in files.items()
    ]
    return b"".join(writer.stream(sorted(entries, key=lambda entry: entry.path)))


def _member(name: str, data: bytes) -> bytes:
    """Returns a member of an ar archive (deb(5))."""
    head = f"{name:<16}{EPOCH:<12}{0:<6}{0:<6}{100644:<8}{len(data):<10}`\n".encode()
    return head + data + b"\n" * (len(data) % 2)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description="Builds modelcrate as a Debian package.")
    parser.add_argument("folder", type=Path, help="where it goes")
    parser.add_argument("architecture", nargs="?", default="amd64", choices=sorted(MACHINES))
    parser.add_argument("--constraints", default="", metavar="FILE", help="versions of the dependencies")
    given = parser.parse_args()
    print(build(given.folder, given.architecture, *collect(given.architecture, given.constraints)))
