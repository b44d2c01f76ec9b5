"""Debian packages made by hand: good ones, and such as nobody should accept."""

from __future__ import annotations

import bz2
import gzip
import hashlib
import io
import lzma
import tarfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from modelcrate_layers.kinds.debian import Deb
from modelcrate_layers.tar import codec

PACKERS = {
    "": lambda data: data,
    ".gz": gzip.compress,
    ".xz": lzma.compress,
    ".bz2": bz2.compress,
    ".zst": lambda data: b"".join(codec.zstd().encode([data], len(data))),
}


@dataclass(frozen=True, slots=True)
class Put:
    """A member of a package's data archive."""

    name: str
    data: bytes = b""
    kind: bytes = tarfile.REGTYPE
    mode: int = 0o644
    link: str = ""


def folder(name: str, mode: int = 0o755) -> Put:
    return Put(name, kind=tarfile.DIRTYPE, mode=mode)


def link(name: str, target: str) -> Put:
    return Put(name, kind=tarfile.SYMTYPE, mode=0o777, link=target)


def hard(name: str, target: str) -> Put:
    return Put(name, kind=tarfile.LNKTYPE, link=target)


def tar_of(members: Sequence[Put]) -> bytes:
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w", format=tarfile.GNU_FORMAT) as archive:
        for put in members:
            info = tarfile.TarInfo(put.name)
            info.size, info.type, info.mode, info.linkname = len(put.data), put.kind, put.mode, put.link
            archive.addfile(info, io.BytesIO(put.data) if put.data else None)
    return out.getvalue()


def ar(parts: Sequence[tuple[str, bytes]]) -> bytes:
    out = b"!<arch>\n"
    for name, data in parts:
        out += b"%-16b%-12d%-6d%-6d%-8o%-10d`\n" % (name.encode(), 0, 0, 0, 0o100644, len(data)) + data
        out += b"\n" * (len(data) % 2)
    return out


def stanza(name: str, version: str = "1.0", architecture: str = "all", **fields: str) -> str:
    lines = {"Package": name, "Version": version, "Architecture": architecture, **fields}
    return "".join(f"{key.replace('_', '-')}: {value}\n" for key, value in lines.items())


def deb_bytes(control: str, members: Sequence[Put] = (), suffix: str = ".xz", *, md5sums: bytes = b"") -> bytes:
    """A package, its archives packed as the suffix says."""
    inner = tar_of([folder("./"), Put("./control", control.encode()), Put("./md5sums", md5sums)])
    return ar(
        [
            ("debian-binary", b"2.0\n"),
            ("control.tar" + suffix, PACKERS[suffix](inner)),
            ("data.tar" + suffix, PACKERS[suffix](tar_of([folder("./"), *members]))),
        ]
    )


def keep_deb(
    cache: Path,
    name: str,
    members: Sequence[Put],
    version: str = "1.0",
    *,
    md5sums: bytes = b"",
    architecture: str = "all",
    suffix: str = ".xz",
) -> Deb:
    """A package in a cache, as the layer takes it."""
    data = deb_bytes(stanza(name, version, architecture), members, suffix, md5sums=md5sums)
    digest = hashlib.sha256(data).hexdigest()
    path = cache / f"{digest}.deb"
    cache.mkdir(parents=True, exist_ok=True)
    path.write_bytes(data)
    return Deb(name, version, architecture, path, digest, len(data), f"pool/main/{name}_{version}_{architecture}.deb")
