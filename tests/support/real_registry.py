"""docker-registry 2.8.2 on loopback, in every manner of logging in; started here and ended by its handle."""

from __future__ import annotations

import os
import re
import shutil
import socket
import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import unquote

from support.ports import free_port
from support.waiting import until

BINARY = "/usr/bin/docker-registry"
USER, PASSWORD = "lab", "labpass"
_ACCESS = re.compile(r'"([A-Z]+) (\S+) HTTP/[0-9.]+" (\d+)')


def missing() -> str:
    """What is missing for a real registry, "" where nothing is."""
    return "" if os.path.exists(BINARY) else "docker-registry is not installed (Debian package docker-registry)"


def htpasswd(folder: Path) -> str:
    made = subprocess.run(["htpasswd", "-nbB", USER, PASSWORD], capture_output=True, check=True).stdout
    (folder / "htpasswd").write_bytes(made.strip() + b"\n")
    return f"auth:\n  htpasswd: {{realm: lab, path: {folder / 'htpasswd'}}}\n"


def tokens(realm: str, certificate: Path) -> str:
    told = f"realm: {realm}, service: lab-registry, issuer: lab-issuer, rootcertbundle: {certificate}"
    return f"auth:\n  token: {{{told}}}\n"


@dataclass(frozen=True)
class Running:
    host: str
    data: Path
    process: subprocess.Popen[bytes]
    log: Path

    def asked(self, since: int = 0) -> list[tuple[str, str, int]]:
        """Its access log from an entry on, where it keeps one: method, path, status."""
        found = _ACCESS.findall(self.log.read_text())[since:]
        return [(method, path, int(status)) for method, path, status in found]

    def answered(self) -> list[dict[str, str]]:
        """What it says that it answered, oldest first: method, uri, status. It says so at level info only."""
        lines = [line for line in self.log.read_text().splitlines() if 'msg="response completed"' in line]
        found = [dict(re.findall(r'http\.(\w+\.\w+)="?([^" ]+)', line)) for line in lines]
        return [
            {"method": f["request.method"], "uri": unquote(f["request.uri"]), "status": f["response.status"]}
            for f in found
        ]


@contextmanager
def running(
    folder: Path,
    *,
    auth: str = "",
    tls: str = "",
    port: int = 0,
    level: str = "error",
    logs: bool = False,
    within: Sequence[str] = (),
) -> Iterator[Running]:
    """A registry that stores below `folder`; `auth` and `tls` are parts of its configuration.

    `logs` makes it keep an access log; at `level` info it logs every answer besides. `within` are the words of a program that starts it
    somewhere else, such as in a network namespace.
    """
    port, data = port or free_port(), folder / "data"
    data.mkdir(parents=True, exist_ok=True)
    config = folder / "config.yml"
    config.write_text(
        f"version: 0.1\nlog: {{level: {level}, accesslog: {{disabled: {str(not logs).lower()}}}}}\n"
        f"storage:\n  filesystem: {{rootdirectory: {data}, maxthreads: 100}}\n  delete: {{enabled: true}}\n"
        "  cache: {blobdescriptor: inmemory}\n"
        f"http:\n  addr: 127.0.0.1:{port}\n  secret: lab\n{tls}{auth}"
    )
    with (folder / "log").open("wb") as log:
        process = subprocess.Popen(
            [*within, BINARY, "serve", str(config)],
            stdout=log,
            stderr=log,
            env={"PATH": os.environ["PATH"], "OTEL_TRACES_EXPORTER": "none"},
        )
    try:
        _wait_for(port, process, folder / "log", within)
        yield Running(f"127.0.0.1:{port}", data, process, folder / "log")
    finally:
        process.terminate()
        process.wait()
        shutil.rmtree(data, ignore_errors=True)


def _wait_for(port: int, process: subprocess.Popen[bytes], log: Path, within: Sequence[str]) -> None:
    def listens() -> bool:
        assert process.poll() is None, f"docker-registry ended: {log.read_text()[-500:]}"
        if within:
            script = f"import socket; socket.create_connection(('127.0.0.1', {port})).close()"
            return subprocess.run([*within, sys.executable, "-c", script], capture_output=True).returncode == 0
        with socket.socket() as probe:
            return probe.connect_ex(("127.0.0.1", port)) == 0

    until(listens, "docker-registry's port")
