"""Packages as attackers make them: what our readers take is what dpkg-deb and Python's own zip reader see in them, or it is refused."""

from __future__ import annotations

import hashlib
import io
import random
import struct
import subprocess
import tarfile
import zipfile
from collections.abc import Callable
from pathlib import Path

import pytest

from modelcrate_layers.errors import IntegrityError, SourceError
from modelcrate_layers.packages import deb, wheel
from modelcrate_layers.packages.pinned import Deb
from modelcrate_layers.tar.sources import read
from support.debs import PACKERS, Put, ar, deb_bytes, folder, hard, link, stanza, tar_of
from support.tools import need
from support.wheels import store, wheel_bytes

pytestmark = pytest.mark.interop

REFUSED = (IntegrityError, SourceError)
DRAWN = 200
"""Damaged packages of each kind."""

CONTROL = tar_of([folder("./"), Put("./control", stanza("tiny").encode())])
DATA = tar_of([folder("./"), folder("./usr/"), Put("./usr/a", b"honest" * 500)])
EVIL = tar_of([folder("./"), folder("./usr/"), Put("./usr/a", b"hostile" * 500), Put("./usr/b", b"more")])
BINARY = ("debian-binary", b"2.0\n")

DEBS: dict[str, bytes] = {
    "honest": ar([BINARY, ("control.tar.gz", PACKERS[".gz"](CONTROL)), ("data.tar.xz", PACKERS[".xz"](DATA))]),
    "data before control": ar([BINARY, ("data.tar", DATA), ("control.tar", CONTROL)]),
    "two data members": ar([BINARY, ("control.tar", CONTROL), ("data.tar", DATA), ("data.tar", EVIL)]),
    "data members by two packers": ar(
        [BINARY, ("control.tar", CONTROL), ("data.tar", DATA), ("data.tar.gz", PACKERS[".gz"](EVIL))]
    ),
    "a member between": ar([BINARY, ("control.tar", CONTROL), ("_extra", b"x" * 99), ("data.tar", DATA)]),
    "a member behind": ar([BINARY, ("control.tar", CONTROL), ("data.tar", DATA), ("data.tar.zst", b"")]),
    "no version": ar([("control.tar", CONTROL), ("data.tar", DATA)]),
    "version behind": ar([("control.tar", CONTROL), ("data.tar", DATA), BINARY]),
    "a name with a slash": ar([BINARY, ("control.tar/", CONTROL), ("data.tar/", DATA)]),
    "two streams": ar([BINARY, ("control.tar", CONTROL), ("data.tar.gz", PACKERS[".gz"](DATA) + PACKERS[".gz"](EVIL))]),
    "two archives": ar([BINARY, ("control.tar", CONTROL), ("data.tar", DATA + EVIL)]),
    "bytes behind a stream": ar([BINARY, ("control.tar", CONTROL), ("data.tar.xz", PACKERS[".xz"](DATA) + b"tail")]),
    "packed otherwise than named": ar([BINARY, ("control.tar", CONTROL), ("data.tar.gz", PACKERS[".xz"](DATA))]),
    "a file twice": deb_bytes(stanza("tiny"), [Put("./a", b"one"), Put("./a", b"two")]),
    "a file below a link": deb_bytes(stanza("tiny"), [link("./a", "/etc"), Put("./a/passwd", b"x")]),
    "a link to outside": deb_bytes(stanza("tiny"), [link("./a", "../../../etc/passwd")]),
    "a hard link to a later file": deb_bytes(stanza("tiny"), [hard("./a", "./b"), Put("./b", b"x")]),
    "a hard link to itself": deb_bytes(stanza("tiny"), [hard("./a", "./a")]),
    "a name with a line break": deb_bytes(stanza("tiny"), [Put("./a\nb", b"x")]),
    "a name of 5,000 bytes": deb_bytes(stanza("tiny"), [Put("./" + "a/" * 2500 + "a", b"x")]),
    "a size that lies": ar([BINARY, ("control.tar", CONTROL), ("data.tar", DATA)]).replace(
        b"%-10d`" % len(DATA), b"%-10d`" % (len(DATA) - 1024)
    ),
    "a size with a sign": ar([BINARY, ("control.tar", CONTROL), ("data.tar", DATA)]).replace(
        b"%-10d`" % len(DATA), b"+%-9d`" % len(DATA)
    ),
}


def ours(place: Path, data: bytes) -> dict[str, bytes]:
    """Files by name, as a layer gets them."""
    path = place / f"{hashlib.sha256(data).hexdigest()}.deb"
    path.write_bytes(data)
    package = Deb("tiny", "1.0", "all", path, hashlib.sha256(data).hexdigest(), len(data), "")
    deb.control(path)
    found = deb.items(deb.unpack(package))
    return {item.path.decode(): read(item.source) for item in found if item.source is not None}


def dpkgs(place: Path, data: bytes) -> dict[str, bytes] | None:
    """The same by dpkg-deb and Python's tarfile; None where dpkg-deb refuses."""
    path = place / "dpkg.deb"
    path.write_bytes(data)
    done = subprocess.run(["dpkg-deb", "--fsys-tarfile", path], capture_output=True)
    if done.returncode:
        return None
    files: dict[str, bytes] = {}
    with tarfile.open(fileobj=io.BytesIO(done.stdout)) as archive:
        for member in archive:
            if member.isreg():
                file = archive.extractfile(member)
                assert file is not None
                files[member.name.removeprefix("./")] = file.read()
    return files


@pytest.mark.parametrize("name", DEBS)
def test_a_deb_is_what_dpkg_sees_or_refused(tmp_path: Path, name: str) -> None:
    need("dpkg-deb")
    theirs = dpkgs(tmp_path, DEBS[name])
    if name == "honest":
        assert ours(tmp_path, DEBS[name]) == theirs == {"usr/a": b"honest" * 500}
        return
    try:
        found = ours(tmp_path, DEBS[name])
    except REFUSED:
        return
    assert theirs is None or found == theirs
    assert not any(each.startswith(("/", "..")) for each in found)


def test_damaged_debs_are_what_dpkg_sees_or_refused(tmp_path: Path) -> None:
    need("dpkg-deb")
    refused = 0
    for data in damaged(DEBS["honest"]):
        try:
            found = ours(tmp_path, data)
        except REFUSED:
            refused += 1
            continue
        theirs = dpkgs(tmp_path, data)
        assert theirs is None or found == theirs
    assert refused > DRAWN / 2


def damaged(data: bytes) -> list[bytes]:
    """A package with one or a few bytes flipped, cut out, doubled or put in."""
    drawn = random.Random(7)
    found = []
    for _ in range(DRAWN):
        at, other = sorted((drawn.randrange(len(data)), drawn.randrange(len(data))))
        kinds: list[Callable[[], bytes]] = [
            lambda at=at: data[:at] + bytes([data[at] ^ (1 << drawn.randrange(8))]) + data[at + 1 :],  # type: ignore[misc]
            lambda at=at, other=other: data[:at] + data[other:],  # type: ignore[misc]
            lambda at=at, other=other: data[:other] + data[at:other] + data[other:],  # type: ignore[misc]
            lambda at=at: data[:at] + drawn.randbytes(drawn.randrange(1, 40)) + data[at:],  # type: ignore[misc]
            lambda at=at: data[:at],  # type: ignore[misc]
        ]
        found.append(drawn.choice(kinds)())
    return found


def wheels() -> dict[str, bytes]:
    honest = wheel_bytes("tiny", files={"tiny.py": b"honest = 1\n" * 50, "other.py": b"x = 1\n"})
    hostile = wheel_bytes("tiny", files={"tiny.py": b"hostile = 1\n" * 50})
    directory = honest.rindex(b"PK\x05\x06")
    central = honest.index(b"PK\x01\x02")
    (size, start) = struct.unpack("<II", honest[directory + 12 : directory + 20])
    assert (start, start + size) == (central, directory)
    return {
        "honest": honest,
        "two zips in a row": hostile + honest,
        "a zip in the comment": honest[:-2] + struct.pack("<H", len(hostile)) + hostile,
        "a local name that is another": honest.replace(b"tiny.py", b"evil.py", 1),
        "a central name that is another": honest[:central] + honest[central:].replace(b"tiny.py", b"evil.py", 1),
        "a local method that is another": honest[:8] + b"\0\0" + honest[10:],
        "a local size that is another": honest[:18] + b"\xff\0\0\0" + honest[22:],
        "a local CRC that is another": honest[:14] + b"\xff\0\0\0" + honest[18:],
        "an extra field without end": honest[:28] + b"\xff\xff" + honest[30:],
        "bytes before the zip": b"#!/bin/sh\nexit\n" + honest,
        "bytes behind the zip": honest + b"tail",
        "a directory that begins earlier": honest[: directory + 16]
        + struct.pack("<I", start - 1)
        + honest[directory + 20 :],
        "more entries than there are": honest[: directory + 8] + b"\xff\0\xff\0" + honest[directory + 12 :],
        "of a further disk": honest[: directory + 4] + b"\1\0" + honest[directory + 6 :],
    }


def our_wheel(place: Path, data: bytes) -> dict[str, bytes]:
    found = wheel.read(store(place, "tiny", "1.0", data))
    return {each.name: read(each.source) for each in found.members}


def their_wheel(data: bytes) -> dict[str, bytes] | None:
    """The same by Python's zipfile, as pip unpacks wheels; None where it refuses."""
    try:
        with zipfile.ZipFile(io.BytesIO(data)) as archive:
            return {each.filename: archive.read(each) for each in archive.infolist() if not each.is_dir()}
    except Exception:
        return None


@pytest.mark.parametrize("name", wheels())
def test_a_wheel_is_what_pip_sees_or_refused(tmp_path: Path, name: str) -> None:
    data = wheels()[name]
    theirs = their_wheel(data)
    if name == "honest":
        assert our_wheel(tmp_path, data) == theirs
        return
    try:
        found = our_wheel(tmp_path, data)
    except REFUSED:
        return
    assert found == theirs


def test_damaged_wheels_are_what_pip_sees_or_refused(tmp_path: Path) -> None:
    refused = 0
    for data in damaged(wheels()["honest"]):
        try:
            found = our_wheel(tmp_path, data)
        except REFUSED:
            refused += 1
            continue
        assert found == their_wheel(data)
    assert refused > DRAWN / 2
