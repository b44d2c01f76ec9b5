"""A mirror of Debian, or of Ubuntu, in small: its archives, signed with a key of today, served on loopback, and able to misbehave."""

from __future__ import annotations

import gzip
import hashlib
import lzma
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from itertools import product

from pysequoia import SignatureMode, Tsk, sign

from modelcrate.resolve.debian import Keyring, Mirrors
from modelcrate.resolve.debian.releases import RELEASES
from support.debs import Put, deb_bytes, folder, link, stanza

NOW = datetime.now(UTC).replace(microsecond=0)
SUITES = {suite.name: suite for release in RELEASES.values() for suite in release.suites("amd64")}

PYTHON = [folder("./usr/"), folder("./usr/bin/"), Put("./usr/bin/python3.11", b"\x7fELF", mode=0o755)]
BASE = [folder("./etc/"), link("./etc/os-release", "../usr/lib/os-release"), Put("./lib/thing", b"lib")]
CERTS = [
    Put("./usr/share/ca-certificates/mozilla/B.crt", b"B\n"),
    Put("./usr/share/ca-certificates/mozilla/A.crt", b"A"),
]
ROOTS: Mapping[str, list[Put]] = {
    "base-files": BASE,
    "ca-certificates": CERTS,
    "libc-bin": [],
    "libgcc-s1": [],
    "libgomp1": [],
    "libstdc++6": [],
    "netbase": [],
    "python3.11": PYTHON,
    "tzdata": [Put("./usr/share/zoneinfo/Etc/UTC", b"TZif")],
}
"""What every base begins with, in small."""


def roots_of(python: str) -> Mapping[str, list[Put]]:
    """The same with another Python."""
    program = [folder("./usr/"), folder("./usr/bin/"), Put(f"./usr/bin/python{python}", b"\x7fELF", mode=0o755)]
    return {name: members for name, members in ROOTS.items() if name != "python3.11"} | {f"python{python}": program}


@dataclass(slots=True)
class Mirror:
    """The files of a mirror by their paths, and how it misbehaves. Changed by the tests, so it is not frozen."""

    key: Tsk
    release: str = "bookworm"
    files: dict[str, bytes] = field(default_factory=dict)
    stanzas: dict[str, list[str]] = field(default_factory=lambda: {suite: [] for suite in SUITES})
    cut: set[str] = field(default_factory=set)
    """Ends of paths whose answers break off in the middle."""
    parts: dict[str, str] = field(default_factory=dict)
    """Packages that another part of the archive has than main."""
    asked: list[str] = field(default_factory=list)
    address: str = ""

    def add(
        self, name: str, members: list[Put] | None = None, version: str = "1.0", suite: str = "", **fields: str
    ) -> str:
        """A package of a suite; returns the path of its file. Field names with `_` for `-`."""
        suite = suite or self.release
        control = stanza(name, version, **fields)
        data = deb_bytes(control, members or [])
        archive = SUITES[suite].archive
        part = self.parts.get(name, "main")
        pool = f"pool/{'updates/' if archive == 'debian-security' else ''}{part}/{name}_{version}_all.deb"
        path = f"/{archive}/{pool}"
        self.files[path] = data
        self.list(suite, control, pool, data)
        return path

    def list(self, suite: str, control: str, pool: str, data: bytes) -> None:
        digest = hashlib.sha256(data).hexdigest()
        self.stanzas[suite].append(f"{control}Filename: {pool}\nSize: {len(data)}\nSHA256: {digest}\n")

    def publish(self, **changes: str) -> None:
        """Writes and signs the indexes. `changes` are fields of every Release, for instance `Codename`."""
        for suite in RELEASES[self.release].suites("amd64"):
            self.publish_suite(suite.name, **changes)

    def publish_suite(self, suite: str, signer: Tsk | None = None, packer: str = ".gz", **changes: str) -> None:
        root = f"/{SUITES[suite].archive}/dists/{suite}"
        sums = []
        others = sorted(set(self.parts.values()))
        for part, architecture in product(("main", *others), ("amd64", "arm64")):
            of = [next((other for other in others if f"/{other}/" in each), "main") for each in self.stanzas[suite]]
            text = "\n".join(each for each, its in zip(self.stanzas[suite], of, strict=True) if its == part).encode()
            data = lzma.compress(text) if packer == ".xz" else gzip.compress(text, mtime=0)
            digest, where = hashlib.sha256(data).hexdigest(), f"{part}/binary-{architecture}"
            self.files[f"{root}/{where}/by-hash/SHA256/{digest}"] = data
            sums.append(f" {digest} {len(data)} {where}/Packages{packer}")
        fields = {
            "Origin": "Test",
            "Codename": suite.partition("-")[0],
            SUITES[suite].field: suite,
            "Date": rfc(NOW - timedelta(hours=1)),
        }
        fields |= {"Valid-Until": rfc(NOW + timedelta(days=7))} | {k.replace("_", "-"): v for k, v in changes.items()}
        release = "".join(f"{k}: {v}\n" for k, v in fields.items()) + "SHA256:\n" + "\n".join(sums) + "\n"
        signed = sign((signer or self.key).signer(), release.encode(), mode=SignatureMode.CLEAR)
        self.files[f"{root}/InRelease"] = signed

    def lists(self, suite: str) -> list[str]:
        """The paths of a suite's lists of packages."""
        return [path for path in self.files if f"/dists/{suite}/" in path and "/by-hash/" in path]

    @property
    def mirrors(self) -> Mirrors:
        archives = {suite.archive for suite in SUITES.values()}
        return Mirrors({name: (f"{self.address}/{name}",) for name in archives}, keyring=self.keyring)

    @property
    def keyring(self) -> Keyring:
        cert = self.key.extract_certificate()
        return Keyring(bytes(cert), frozenset({cert.fingerprint}))


def rfc(moment: datetime) -> str:
    return moment.strftime("%a, %d %b %Y %H:%M:%S UTC")


def new_key() -> Tsk:
    return Tsk.generate("A mirror of the tests <mirror@example.com>")


@contextmanager
def serve(mirror: Mirror) -> Iterator[Mirror]:
    """The mirror on a free port of loopback, until the block ends."""

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self) -> None:
            mirror.asked.append(self.path)
            data = mirror.files.get(self.path)
            self.send_response(404 if data is None else 200)
            self.send_header("Content-Length", str(len(data or b"")))
            self.end_headers()
            if data is not None:
                cut = self.path.endswith(tuple(mirror.cut))
                self.wfile.write(data[: len(data) // 2] if cut else data)
                self.close_connection = cut or self.close_connection

        def log_message(self, *args: object) -> None:
            pass

    class Server(ThreadingHTTPServer):
        daemon_threads = True

    with Server(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.02,))
        thread.start()
        mirror.address = f"http://127.0.0.1:{server.server_address[1]}"
        try:
            yield mirror
        finally:
            server.shutdown()
            thread.join()
