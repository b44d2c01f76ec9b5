"""A tiny root file system for tests: a shell, a few tools and perl from this machine, with the shared libraries they need."""

from __future__ import annotations

import io
import re
import shutil
import subprocess
import tarfile
from functools import cache
from pathlib import Path

from modelcrate_layers.content import Literal, MediaType

PROGRAMS = (
    "sh",
    "cat",
    "id",
    "ln",
    "ls",
    "sleep",
    "touch",
    "env",
    "perl",
    "hostname",
    "kill",
    "mkdir",
    "chmod",
    "readlink",
)

SERVER = r"""
$| = 1; $SIG{TERM} = sub { print "bye\n"; exit 7 }; $SIG{CHLD} = "IGNORE";
socket(S, 2, 1, 0) or die; setsockopt(S, 1, 2, pack("i", 1));
bind(S, pack("S n a4 x8", 2, $ENV{PORT} || 5001, "\0\0\0\0")) or die "bind: $!"; listen(S, 16) or die;
print "listening\n";
while (1) {
    accept(C, S) or next;
    my $line = <C>; my $rest = "";
    while (<C>) { last if /^\r?\n$/ }
    my $body = "$ENV{WHO} got $line";
    print C "HTTP/1.0 200 OK\r\nContent-Length: " . length($body) . "\r\n\r\n" . $body; close C;
}
"""


def member(
    name: str, data: bytes = b"", kind: bytes = tarfile.REGTYPE, **rest: object
) -> tuple[tarfile.TarInfo, bytes]:
    """A tar member as a value, for `layer`."""
    info = tarfile.TarInfo(name)
    info.size, info.type, info.mode = len(data), kind, 0o755 if kind == tarfile.DIRTYPE else 0o644
    for key, value in rest.items():
        setattr(info, key, value)
    return info, data


def layer(*members: tuple[tarfile.TarInfo, bytes]) -> Literal:
    """A layer of these members, uncompressed."""
    file = io.BytesIO()
    with tarfile.open(fileobj=file, mode="w", format=tarfile.PAX_FORMAT) as tar:
        for info, data in members:
            tar.addfile(info, io.BytesIO(data) if data else None)
    return Literal(file.getvalue(), MediaType.LAYER)


@cache
def tiny_rootfs() -> Literal | None:
    """The layer; None where this machine lacks one of the programs."""
    found: dict[str, str] = {}
    for name in PROGRAMS:
        path = next((f"{folder}/{name}" for folder in ("/bin", "/usr/bin") if Path(folder, name).exists()), None)
        if path is None or shutil.which("ldd") is None:
            return None
        found[f"/bin/{name}"] = path
        linked = subprocess.run(["ldd", path], capture_output=True, text=True).stdout
        found.update({library: library for library in re.findall(r"(/\S+) \(0x", linked)})
    passwd = b"root:x:0:0:root:/root:/bin/sh\nserver:x:4321:4322:server:/home/server:/bin/sh\n"
    return layer(
        member("etc", kind=tarfile.DIRTYPE),
        member("etc/passwd", passwd),
        member("etc/group", b"root:x:0:\nstaff:x:50:\n"),
        member("srv/server.pl", SERVER.encode()),
        member("home/server/", kind=tarfile.DIRTYPE, uid=4321, gid=4322),
        *(member(at[1:], Path(path).read_bytes(), mode=0o755) for at, path in sorted(found.items())),
    )
