"""The maker of tiny wheels: right ones by default, hostile ones on request. The same arguments give the same bytes."""

from __future__ import annotations

import base64
import hashlib
import io
import tarfile
import zipfile
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from modelcrate_layers.packages.wheel import Wheel

Rows = list[tuple[str, str, str]]
WHEN = (1980, 1, 1, 0, 0, 0)


def filename(name: str, version: str, tag: str = "py3-none-any") -> str:
    return f"{name.replace('-', '_')}-{version}-{tag}.whl"


def wheel_bytes(
    name: str,
    version: str = "1.0",
    files: Mapping[str, bytes] | None = None,
    *,
    tag: str = "py3-none-any",
    requires: Sequence[str] = (),
    entry_points: str = "",
    executables: Sequence[str] = (),
    record: Callable[[Rows], Rows] = lambda rows: rows,
    metadata_name: str = "",
    metadata_version: str = "",
    wheel_file: str = "",
    infos: Callable[[str, zipfile.ZipInfo], None] = lambda name, info: None,
    extra: Mapping[str, bytes] | None = None,
) -> bytes:
    """A wheel's bytes. `record` may falsify RECORD's rows, `infos` a member's header; `extra` members stay out of RECORD."""
    stem = f"{name.replace('-', '_')}-{version}"
    info = f"{stem}.dist-info"
    metadata = f"Metadata-Version: 2.1\nName: {metadata_name or name}\nVersion: {metadata_version or version}\n"
    members = {f"{stem.partition('-')[0]}.py": b"answer = 42\n"} if files is None else dict(files)
    members[f"{info}/METADATA"] = (metadata + "".join(f"Requires-Dist: {each}\n" for each in requires)).encode()
    members[f"{info}/WHEEL"] = (
        wheel_file
        or f"Wheel-Version: 1.0\nGenerator: tests\nRoot-Is-Purelib: {'true' if tag.endswith('any') else 'false'}\nTag: {tag}\n"
    ).encode()
    if entry_points:
        members[f"{info}/entry_points.txt"] = entry_points.encode()
    rows = record(
        [(each, _hash(data), str(len(data))) for each, data in members.items()] + [(f"{info}/RECORD", "", "")]
    )
    members[f"{info}/RECORD"] = "".join(f"{_quoted(path)},{hashed},{size}\n" for path, hashed, size in rows).encode()
    return _zip({**members, **(extra or {})}, executables, infos)


def make_wheel(
    folder: Path, name: str, version: str = "1.0", files: Mapping[str, bytes] | None = None, **more: object
) -> Wheel:
    """The same as a file, and as the value that layers take."""
    data = wheel_bytes(name, version, files, **more)  # type: ignore[arg-type]
    return store(folder, name, version, data, str(more.get("tag", "py3-none-any")))


def store(folder: Path, name: str, version: str, data: bytes, tag: str = "py3-none-any") -> Wheel:
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / filename(name, version, tag)
    path.write_bytes(data)
    return Wheel(name, version, path.name, hashlib.sha256(data).hexdigest(), len(data), str(path))


def sdist_bytes(name: str, version: str) -> bytes:
    """A source distribution that would have to be built."""
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w:gz") as archive:
        for path, text in {
            "PKG-INFO": f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n",
            "pyproject.toml": '[build-system]\nrequires = ["setuptools"]\nbuild-backend = "setuptools.build_meta"\n',
        }.items():
            member = tarfile.TarInfo(f"{name}-{version}/{path}")
            member.size = len(text)
            archive.addfile(member, io.BytesIO(text.encode()))
    return out.getvalue()


def rich(folder: Path) -> Wheel:
    """One wheel with everything that the format has: scripts, entry points, data schemes, a namespace package, odd names."""
    return make_wheel(
        folder,
        "rich-wheel",
        "2.0",
        {
            "rich_wheel/__init__.py": b"def main():\n    print('hello from rich')\n    return 0\n\n\nclass Tool:\n    run = main\n",
            "rich_wheel/native.so": bytes(range(256)) * 64,
            "rich_wheel/tool.sh": b"#!/bin/sh\necho tool\n",
            "rich_wheel/with, comma.txt": b"quoted in RECORD\n",
            "rich_wheel/umlaut-\u00fc.txt": b"not ASCII\n",
            "shared_namespace/rich/__init__.py": b"part = 'rich'\n",
            "rich_wheel-2.0.data/scripts/rich-script": b"#!python\nimport rich_wheel\nrich_wheel.main()\n",
            "rich_wheel-2.0.data/scripts/rich-shell": b"#!/bin/sh\necho shell\n",
            "rich_wheel-2.0.data/data/share/rich/data.txt": b"data\n",
            "rich_wheel-2.0.data/headers/rich.h": b"#define RICH 1\n",
            "rich_wheel-2.0.data/purelib/rich_pure.py": b"pure = True\n",
            "rich_wheel-2.0.data/platlib/rich_plat.py": b"plat = True\n",
        },
        metadata_name="Rich.Wheel",
        entry_points="[console_scripts]\nrich = rich_wheel:main\nrich-tool = rich_wheel:Tool.run [extra]\n\n"
        "[gui_scripts]\nrich-window = rich_wheel:main\n\n[other]\nignored = x:y\n",
        executables=("rich_wheel/tool.sh", "rich_wheel-2.0.data/scripts/rich-shell"),
    )


def _zip(
    members: Mapping[str, bytes], executables: Sequence[str], infos: Callable[[str, zipfile.ZipInfo], None]
) -> bytes:
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w") as archive:
        for name, data in members.items():
            info = zipfile.ZipInfo(name, WHEN)
            info.compress_type = zipfile.ZIP_DEFLATED
            info.external_attr = (0o100775 if name in executables else 0o100664) << 16
            infos(name, info)
            archive.writestr(info, data)
    return out.getvalue()


def _hash(data: bytes) -> str:
    return "sha256=" + base64.urlsafe_b64encode(hashlib.sha256(data).digest()).decode().rstrip("=")


def _quoted(path: str) -> str:
    return f'"{path}"' if "," in path else path
