"""Small conda packages and channels, written by hand in both formats: no platform, prefixes in texts and binaries, links, launchers.

`python tests/support/conda.py FOLDER` writes the channel of the tests into a folder.
"""

from __future__ import annotations

import bz2
import hashlib
import io
import json
import os
import shutil
import sys
import tarfile
import zipfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import zstandard

from modelcrate_layers.kinds.conda import in_cache
from modelcrate_layers.packages.pinned import CondaPackage

PLACEHOLDER = "/build/" + "placehold_" * 24
"""As long as conda-build's, so that any prefix fits."""


@dataclass(frozen=True)
class Content:
    """A file of a package. `prefix` is `text` or `binary` where it has the placeholder in it; `link` makes a symbolic link of it."""

    data: bytes = b""
    mode: int = 0o644
    prefix: str = ""
    link: str = ""
    hard: str = ""
    placeholder: str = PLACEHOLDER


@dataclass(frozen=True)
class Recipe:
    name: str
    version: str = "1.0"
    build: str = "0"
    depends: Sequence[str] = ()
    files: Mapping[str, Content] = field(default_factory=dict)
    noarch: str = ""
    entry_points: Sequence[str] = ()
    subdir: str = "linux-64"
    ending: str = ".conda"
    old: bool = False
    """Whether it lists its files as packages did before `paths.json`."""
    info: Mapping[str, bytes] = field(default_factory=dict)
    """What it says of itself beyond that, or instead: by name below `info/`."""

    @property
    def folder(self) -> str:
        return "noarch" if self.noarch else self.subdir

    @property
    def filename(self) -> str:
        return f"{self.name}-{self.version}-{self.build}{self.ending}"

    def index(self) -> dict[str, Any]:
        value: dict[str, Any] = {
            "name": self.name,
            "version": self.version,
            "build": self.build,
            "build_number": 0,
            "depends": list(self.depends),
            "subdir": self.folder,
            "license": "MIT",
        }
        return value | ({"noarch": self.noarch} if self.noarch else {})


def write_channel(folder: Path, recipes: Sequence[Recipe]) -> Path:
    """A channel of these packages, with `repodata.json` for each of its parts."""
    parts: dict[str, dict[str, Any]] = {"noarch": {}, **{each.folder: {} for each in recipes}}
    for each in recipes:
        path = write_package(folder / each.folder, each)
        data = path.read_bytes()
        parts[each.folder][each.filename] = each.index() | {
            "sha256": hashlib.sha256(data).hexdigest(),
            "md5": hashlib.md5(data).hexdigest(),
            "size": len(data),
        }
    for subdir, records in parts.items():
        (folder / subdir).mkdir(parents=True, exist_ok=True)
        conda = {name: record for name, record in records.items() if name.endswith(".conda")}
        old = {name: record for name, record in records.items() if name not in conda}
        value = {"info": {"subdir": subdir}, "packages": old, "packages.conda": conda, "repodata_version": 1}
        (folder / subdir / "repodata.json").write_text(json.dumps(value, indent=1, sort_keys=True))
    return folder


def write_package(folder: Path, recipe: Recipe) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / recipe.filename
    info, files = _tar(_info(recipe)), _tar(recipe.files)
    if recipe.ending == ".tar.bz2":
        path.write_bytes(bz2.compress(_tar({**_info(recipe), **recipe.files})))
        return path
    stem = recipe.filename.removesuffix(".conda")
    pack = zstandard.ZstdCompressor(level=3)
    with zipfile.ZipFile(path, "w", zipfile.ZIP_STORED) as archive:
        for name, data in (
            ("metadata.json", b'{"conda_pkg_format_version": 2}'),
            (f"pkg-{stem}.tar.zst", pack.compress(files)),
            (f"info-{stem}.tar.zst", pack.compress(info)),
        ):
            archive.writestr(zipfile.ZipInfo(name, (1980, 1, 1, 0, 0, 0)), data)
    return path


def _info(recipe: Recipe) -> dict[str, Content]:
    def text(value: object) -> Content:
        return Content(json.dumps(value, indent=1).encode())

    out = {"info/index.json": text(recipe.index())}
    if recipe.noarch:
        link: dict[str, Any] = {"noarch": {"type": recipe.noarch}, "package_metadata_version": 1}
        if recipe.entry_points:
            link["noarch"]["entry_points"] = list(recipe.entry_points)
        out["info/link.json"] = text(link)
    out["info/files"] = Content("".join(f"{path}\n" for path in recipe.files).encode())
    if recipe.old:
        marked = [(path, each) for path, each in recipe.files.items() if each.prefix]
        out["info/has_prefix"] = Content(
            "".join(f"{each.placeholder} {each.prefix} {path}\n" for path, each in marked).encode()
        )
    else:
        out["info/paths.json"] = text(
            {"paths": [_path(*each, recipe.files) for each in recipe.files.items()], "paths_version": 1}
        )
    return out | {f"info/{name}": Content(data) for name, data in recipe.info.items()}


def _path(path: str, each: Content, files: Mapping[str, Content]) -> dict[str, Any]:
    if each.link:
        beside = os.path.normpath(os.path.join(os.path.dirname(path), each.link))
        data = files[beside].data if beside in files else b""
    else:
        data = files[each.hard].data if each.hard else each.data
    out: dict[str, Any] = {
        "_path": path,
        "path_type": "softlink" if each.link else "hardlink",
        "sha256": hashlib.sha256(data).hexdigest(),
        "size_in_bytes": len(data),
    }
    return out | ({"prefix_placeholder": each.placeholder, "file_mode": each.prefix} if each.prefix else {})


def _tar(files: Mapping[str, Content]) -> bytes:
    held = io.BytesIO()
    with tarfile.open(fileobj=held, mode="w", format=tarfile.GNU_FORMAT) as tar:
        for path, each in files.items():
            info = tarfile.TarInfo(path)
            info.mode, info.mtime = each.mode, 1_600_000_000
            if each.link:
                info.type, info.linkname = tarfile.SYMTYPE, each.link
            elif path.endswith("/"):
                info.type = tarfile.DIRTYPE
            elif each.hard:
                info.type, info.linkname = tarfile.LNKTYPE, each.hard
            info.size = 0 if each.link or each.hard else len(each.data)
            tar.addfile(info, io.BytesIO(each.data) if info.size else None)
    return held.getvalue()


def greeting(**changed: Any) -> Recipe:
    """A library without a platform, with a launcher and a script of its own."""
    code = b"import sys\n\ndef main():\n    print('hello from', sys.argv[0].rpartition('/')[2])\n    return 0\n"
    script = f"#!{PLACEHOLDER}/bin/python\nprint('script')\n".encode()
    files = {
        "site-packages/greeting/__init__.py": Content(code),
        "site-packages/greeting/data.txt": Content(
            f"{PLACEHOLDER}/share and {PLACEHOLDER}/etc\n".encode(), prefix="text"
        ),
        "site-packages/greeting-1.0.dist-info/METADATA": Content(
            b"Metadata-Version: 2.1\nName: greeting\nVersion: 1.0\n"
        ),
        "site-packages/greeting/__pycache__/old.cpython-311.pyc": Content(b"stale"),
        "python-scripts/greet-script": Content(script, 0o755, prefix="text"),
    }
    recipe = {
        "noarch": "python",
        "depends": ["python >=3.9"],
        "files": files,
        "entry_points": ["greet = greeting:main"],
    }
    return Recipe("greeting", **{**recipe, **changed})


def native(**changed: Any) -> Recipe:
    """A library of a platform: a binary with prefixes in it, links of both kinds, a text, a script that nobody runs."""
    inside = b"\x7fELF\x02\0" + f"{PLACEHOLDER}/lib:{PLACEHOLDER}/lib64".encode() + b"\0rest\0" + PLACEHOLDER.encode()
    files = {
        "lib/libnative.so.1.0": Content(inside + b"/share\0end", 0o755, prefix="binary"),
        "lib/libnative.so": Content(link="libnative.so.1.0", mode=0o777),
        "lib/pkgconfig/native.pc": Content(f"prefix={PLACEHOLDER}\nlibdir={PLACEHOLDER}/lib\n".encode(), prefix="text"),
        "bin/native": Content(f"#!/bin/sh\nexec echo {PLACEHOLDER}\n".encode(), 0o755, prefix="text"),
        "bin/native-too": Content(hard="bin/native", mode=0o755, prefix="text"),
        "bin/.native-post-link.sh": Content(b"#!/bin/sh\ntouch $PREFIX/was-run\n", 0o755),
        "share/native/plain.txt": Content(b"no prefix in here\n"),
    }
    return Recipe("native", **{"version": "2.1", "build": "h1_0", "files": files, **changed})


def fake_python(version: str = "3.11.9", **changed: Any) -> Recipe:
    """A python that is none: what a solver asks for. `real_python` has one that runs."""
    minor = version.rpartition(".")[0]
    files = {
        f"bin/python{minor}": Content(b"#!/bin/sh\nexit 1\n", 0o755),
        "bin/python3": Content(link=f"python{minor}", mode=0o777),
        "bin/python": Content(link=f"python{minor}", mode=0o777),
        f"lib/python{minor}/os.py": Content(b"# os\n"),
    }
    return Recipe("python", version, "h0_cpython", (), files, **changed)


def real_python() -> Recipe:
    """The Python that runs the tests, as a conda package: its prefix is the placeholder."""
    prefix = Path(sys.base_prefix)
    minor = f"{sys.version_info[0]}.{sys.version_info[1]}"
    library = prefix / "lib" / f"python{minor}"
    left = {
        "test",
        "tests",
        "idlelib",
        "ensurepip",
        "site-packages",
        "dist-packages",
        "__pycache__",
        "lib2to3",
        "pydoc_data",
    }
    paths = [prefix / "bin" / f"python{minor}", *sorted((prefix / "lib").glob(f"libpython{minor}.so*"))]
    for above, folders, names in os.walk(library):
        folders[:] = sorted(name for name in folders if name not in left and not name.startswith("config-"))
        paths += [Path(above, name) for name in sorted(names)]
    files = {path.relative_to(prefix).as_posix(): _installed(path, str(prefix)) for path in paths}
    links = {"bin/python3": f"python{minor}", "bin/python": "python3"}
    files |= {name: Content(link=target, mode=0o777) for name, target in links.items()}
    version = ".".join(map(str, sys.version_info[:3]))
    return Recipe("python", version, "h0_cpython", (), files)


def _installed(path: Path, prefix: str) -> Content:
    if path.is_symlink():
        return Content(link=os.readlink(path), mode=0o777)
    data = path.read_bytes()
    marked = len(prefix) > 20 and prefix.encode() in data
    kind = "" if not marked else "binary" if b"\0" in data else "text"
    return Content(data, 0o755 if os.access(path, os.X_OK) else 0o644, kind, placeholder=prefix)


def keep_conda(folder: Path, recipe: Recipe) -> CondaPackage:
    """The package in a cache of its own."""
    path = write_package(folder / "made", recipe)
    digest = hashlib.sha256(path.read_bytes()).hexdigest()
    place = in_cache(folder, digest, path.name)
    place.parent.mkdir(parents=True, exist_ok=True)
    shutil.move(path, place)
    return CondaPackage(recipe.name, recipe.version, recipe.build, recipe.filename, digest, place.stat().st_size, place)


def channel(folder: Path) -> Path:
    """A channel with one of each: both formats, no platform and this one, old and new lists of files."""
    return write_channel(folder, [greeting(), native(ending=".tar.bz2"), fake_python(), fake_python("3.12.1")])


if __name__ == "__main__":
    print(channel(Path(sys.argv[1])))
