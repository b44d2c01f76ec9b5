"""Images that try to reach the machine: by links and names in layers, by their config, and by what their programs do.

Each is a value. `{outside}` in a link, a name, a config or a script is a folder of the machine that must stay as it is.
"""

from __future__ import annotations

import tarfile
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

D, S, H, F = tarfile.DIRTYPE, tarfile.SYMTYPE, tarfile.LNKTYPE, tarfile.FIFOTYPE
CHR, BLK = tarfile.CHRTYPE, tarfile.BLKTYPE

Entry = tuple[str, bytes, Mapping[str, Any]]


@dataclass(frozen=True)
class Hostile:
    """An image over the tiny root file system, and how it is run.

    `refused` is what the message has to name where the image must not start; an image without it may do either.
    `not_held_by` are engines that are no containers and are known not to hold this one.
    """

    entries: tuple[Entry, ...] = ()
    config: Mapping[str, Any] = field(default_factory=dict)
    command: tuple[str, ...] = ("sh", "-c", "echo x > /dev/shm/x; echo x > /tmp/x; exit 0")
    options: Mapping[str, Any] = field(default_factory=dict)
    refused: str = ""
    not_held_by: tuple[str, ...] = ()


def link(name: str, target: str) -> Entry:
    return name, b"", {"kind": S, "linkname": target}


def folder(name: str) -> Entry:
    return name, b"", {"kind": D}


def file(name: str, data: bytes = b"x", mode: int = 0o644) -> Entry:
    return name, data, {"mode": mode}


def other(name: str, kind: bytes, **rest: Any) -> Entry:
    return name, b"", {"kind": kind, **rest}


def shell(script: str, *entries: Entry, user: str = "0") -> Hostile:
    """A program that prints ESCAPED where it reaches what it must not, and in the end that it has tried."""
    return Hostile(entries, {"User": user}, ("sh", "-c", f"{script}; echo tried; exit 0"))


def perl(script: str, not_held_by: tuple[str, ...] = ()) -> Hostile:
    """The same in perl. Texts for system calls stand in variables: perl refuses constants there."""
    names = 'my ($x, $srv, $tmpfs, $disk) = ("x", "/srv", "tmpfs", "/disk");'
    return Hostile((), {"User": "0"}, ("perl", "-e", f"{names}{script};print qq(tried\n)"), not_held_by=not_held_by)


LINKS = {
    "dev is a link": Hostile((link("dev", "{outside}"),)),
    "dev is a relative link": Hostile((link("dev", "../../../../../../../../../../{outside}"),)),
    "dev is a link to a link": Hostile((link("dev", "a"), link("a", "b"), link("b", "{outside}"))),
    "dev is a link through proc": Hostile((link("dev", "proc/self/root/{outside}"),)),
    "dev is a link to itself": Hostile((link("dev", "dev"),)),
    "proc is a link": Hostile((link("proc", "{outside}"),)),
    "sys is a link": Hostile((link("sys", "{outside}"),)),
    "all three are links": Hostile(tuple(link(name, "{outside}") for name in ("dev", "proc", "sys"))),
    "all three are links to one another": Hostile((link("dev", "proc"), link("proc", "sys"), link("sys", "etc"))),
    "dev is a file": Hostile((file("dev"),)),
    "proc is a file": Hostile((file("proc"),)),
    "sys is a fifo": Hostile((other("sys", F),)),
    "shm is a link": Hostile((folder("dev"), link("dev/shm", "{outside}"))),
    "devices are links": Hostile(
        (folder("dev"), *(link(f"dev/{name}", "{outside}/secret") for name in ("null", "zero", "full", "tty", "console", "ptmx")))
    ),
    "streams are links": Hostile(
        (folder("dev"), *(link(f"dev/{name}", "{outside}/secret") for name in ("fd", "stdin", "stdout", "stderr", "core")))
    ),
    "folders of dev are links": Hostile((folder("dev"), link("dev/pts", "{outside}"), link("dev/mqueue", "{outside}"))),
    "tmp is a link": Hostile((link("tmp", "{outside}"),), options={"read_only": True}),
    "etc is a link": Hostile((link("etc", "{outside}"),)),
    "hosts is a link": Hostile((link("etc/hosts", "{outside}/new"),)),
    "hosts is a fifo": Hostile((other("etc/hosts", F),)),
    "hosts is a folder": Hostile((folder("etc/hosts"),)),
    "a working folder behind a link": Hostile((link("w", "{outside}"),), {"WorkingDir": "/w/made/by/us"}),
    "a working folder in proc": Hostile((), {"WorkingDir": "/proc/self/fd/7"}, refused="WorkingDir"),
    "a working folder behind a link to proc": Hostile((link("w", "/proc/self/fd"),), {"WorkingDir": "/w/8"}, refused="WorkingDir"),
    "a working folder that is a file": Hostile((file("w"),), {"WorkingDir": "/w/x"}, refused="WorkingDir"),
    "a mount behind a link": Hostile((link("data", "{outside}"),), options={"volumes": "/data"}),
    "a mount below a link": Hostile((link("data", "{outside}"),), options={"volumes": "/data/below"}),
    "a mount below a link to proc": Hostile((link("data", "/proc/self"),), options={"volumes": "/data/cwd"}, refused="engine"),
    "a mount on proc by a link": Hostile((link("data", "/"),), options={"volumes": "/data/proc"}, refused="engine"),
    "a mount on dev by a link": Hostile((link("data", "."),), options={"volumes": "/data/dev"}, refused="engine"),
    "a mount by a name that is no text": Hostile((link("data", "a\udcff"),), options={"volumes": "/data/x"}, refused="UTF-8"),
    "a mount below tmp, which is a link": Hostile((link("tmp", "{outside}"),), options={"volumes": "/tmp/x", "read_only": True}),
    "a working folder below a mount": Hostile((), {"WorkingDir": "/data/new"}, options={"volumes": "/data"}, refused="working folder"),
    "dev is a folder of folders": Hostile((folder("dev"), folder("dev/a"), folder("dev/a/b"), link("dev/a/b/c", "{outside}"))),
    "etc is a link to proc": Hostile((link("etc", "/proc/self/cwd"),)),
    "tmp is a fifo": Hostile((other("tmp", F),), command=("sh", "-c", "exit 0")),
}  # fmt: skip

LAYERS = {
    "a name that leads out": Hostile((file("../{outside}/new"),), refused="leads out"),
    "a name that leads out later": Hostile((file("a/../../{outside}/new"),), refused="leads out"),
    "a hard link to a file outside": Hostile((other("h", H, linkname="{outside}/secret"),), refused="doesn't exist"),
    "a hard link through a link": Hostile((link("s", "{outside}"), other("h", H, linkname="s/secret")), refused="doesn't exist"),
    "a file through a link": Hostile((link("s", "{outside}"), file("s/new"))),
    "a folder over a link": Hostile((link("s", "{outside}"), folder("s"), file("s/new"))),
    "a whiteout through a link": Hostile((link("s", "{outside}"), file("s/.wh.secret"), file("s/.wh..wh..opq"))),
    "a fifo, written": Hostile((other("f", F), file("f", b"y"))),
    "folders within folders hidden": Hostile((folder("x"), folder("x/y"), file("x/y/f"), file("x/.wh.y"), file(".wh.home"))),
    "all hidden": Hostile((folder("x"), file("x/own"), file(".wh..wh..opq")), refused="can't start"),
    "the deepest folders, hidden": Hostile((*(folder("/".join(["d"] * n)) for n in range(1, 500)), file(".wh.d"))),
    "one folder hidden often": Hostile((*(file(f"many/{n}") for n in range(3000)), *(file("many/.wh..wh..opq") for _ in range(3000)))),
    "files in folders that are very deep": Hostile(tuple(file("/".join(["d"] * 480) + f"/{n}/{n}/f") for n in range(500))),
    "a link where a walked folder was": Hostile((folder("s"), file("s/x"), link("s", "{outside}"), file("s/new"), link("s", "."))),
    "a hard link to a link, written": Hostile((link("s", "{outside}/secret"), other("h", H, linkname="s"), file("h", b"new"))),
    "a hard link through proc": Hostile((folder("proc"), other("h", H, linkname="proc/1/root/{outside}/secret")), refused="doesn't exist"),
    "an overlay's own whiteout": shell("[ -e /etc/passwd ] || echo ESCAPED", other("etc/passwd", CHR, devmajor=0, devminor=0)),
    "an overlay's own attributes": Hostile((
        ("x", b"", {"kind": D, "pax_headers": {"SCHILY.xattr.trusted.overlay.redirect": "{outside}", "SCHILY.xattr.trusted.overlay.opaque": "y"}}),
        ("f", b"x", {"pax_headers": {"SCHILY.xattr.security.capability": "\x01"}}),
    )),
    "a link to a path that is too long": Hostile((link("l", "a" * 4096),), refused="a symlink to a path"),
    "names of a terminal's commands": Hostile((file("a\nb\x1b[2J\u202e"), folder("x\ny"), link("x\ny/l", "{outside}"))),
    "a root folder without rights": Hostile((("./", b"", {"kind": D, "mode": 0}), folder("etc"))),
    "what AUFS left, as links": Hostile((link(".wh..wh.plnk", "{outside}"), file(".wh..wh.plnk/new"), link(".wh..wh.aufs", "{outside}"))),
    "device files": shell(
        "[ -b /disk -o -c /mem ] && echo ESCAPED",
        other("disk", BLK, devmajor=8, devminor=0), other("mem", CHR, devmajor=1, devminor=1),
    ),
    "a program with set-user-id": shell(
        "/su -u | { read id; [ $id = 0 ] && echo ESCAPED; }", file("su", b"#!/bin/sh\nid -u\n", 0o6755), user="10001"
    ),
}  # fmt: skip

MANY = "9" * 5000
CONFIGS = {
    "a stop signal of many digits": Hostile((), {"StopSignal": MANY}, refused="StopSignal"),
    "a user of many digits": Hostile((), {"User": MANY}, refused="user"),
    "a group of many digits": Hostile((), {"User": f"0:{MANY}"}, refused="group"),
    "a user that is too large": Hostile((), {"User": "4294967295"}, refused="user"),
    "many digits in passwd": Hostile((file("etc/passwd", f"a:x:{MANY}:0::/:\n".encode()),), {"User": "a"}, refused="/etc/passwd"),
    "many digits in group": Hostile((file("etc/group", f"g:x:{MANY}:\n".encode()),), {"User": "0:g"}, refused="/etc/group"),
    "passwd is a fifo": Hostile((other("etc/passwd", F),), refused="/etc/passwd"),
    "group is a fifo": Hostile((other("etc/group", F),), refused="/etc/group"),
    "passwd is endless": Hostile((link("etc/passwd", "/dev/zero"),), refused="/etc/passwd"),
    "passwd is one of our files": Hostile((link("etc/passwd", "/proc/self/environ"),), refused="/etc/passwd"),
    "passwd is a folder": Hostile((folder("etc/passwd"),), refused="/etc/passwd"),
    "a relative working folder": Hostile((), {"WorkingDir": "srv"}, refused="WorkingDir"),
    "a variable without a value": Hostile((), {"Env": ["A"]}, refused="Env"),
    "a variable without a name": Hostile((), {"Env": ["=A"]}, refused="Env"),
    "a variable that is half a character": Hostile((), {"Env": ["A=\ud800"]}, refused="Env"),
    "a variable of a megabyte": Hostile((), {"Env": ["A=" + "x" * (1 << 20)]}, refused="Env"),
    "variables that runtimes read": Hostile(
        (), {"Env": ["_LIBCONTAINER_INITPIPE=3", "_LIBCONTAINER_LOGPIPE=4", "LISTEN_FDS=5", "LD_PRELOAD=/x", "PYTHONPATH=/x"]}
    ),
    "more variables than a runtime can take": Hostile((), {"Env": [f"A{n}=1" for n in range(20_000)]}, refused="Env"),
    "a program that is a folder": Hostile((folder("p"),), {"Entrypoint": ["/p"]}, (), refused="can't start"),
    "a program with a line break": Hostile((), {"Entrypoint": ["/no\npe"]}, (), refused="can't start"),
    "a program that is a link to itself": Hostile((link("p", "p"),), {"Entrypoint": ["/p"]}, (), refused="can't start"),
    "a program with a name of 5000 bytes": Hostile((), {"Entrypoint": ["/" + "a/" * 2500]}, (), refused="can't start"),
    "a program of no format": Hostile((file("p", b"", 0o755),), {"Entrypoint": ["/p"]}, ()),
    "a program that interprets itself": Hostile((file("p", b"#!/p\n", 0o755),), {"Entrypoint": ["/p"]}, ()),
    "a program of another machine": Hostile((file("p", b"\x7fELF\2\1\1" + bytes(9) + b"\2\0\xb7\0" + bytes(44), 0o755),), {"Entrypoint": ["/p"]}, ()),
    "a program that is one of our descriptors": Hostile((), {"Entrypoint": ["/proc/self/fd/3"]}, ()),
    "a PATH of the working folder": Hostile((file("w/sh", b"#!/bin/sh\n", 0o755),), {"Env": ["PATH=."], "WorkingDir": "/w"}),
    "a command that is no list": Hostile((), {"Entrypoint": "sh -c x"}, refused="Entrypoint"),
}  # fmt: skip

_CALL = "print qq(ESCAPED\\n) if syscall({}) >= 0;"
PROGRAMS = {
    "mounts": perl(_CALL.format("165, $x, $srv, $tmpfs, 0, 0")),
    "changes its root": perl(_CALL.format("161, $srv")),
    "makes namespaces": perl(_CALL.format("272, 0x10000000") + _CALL.format("56, 0x10000011, 0, 0, 0, 0")),
    "enters namespaces": perl("open(F, '</proc/1/ns/mnt') || open(F, '</proc/self/ns/mnt');" + _CALL.format("308, fileno(F), 0")),
    "opens files by handle": perl('my $handle = pack("IIQ", 8, 1, 2);' + _CALL.format("304, 0, $handle, 0")),
    "reads keys": perl(_CALL.format("250, 0, -3, 0")),
    "loads programs into the kernel": perl(_CALL.format("321, 0, 0, 0")),
    "opens io_uring": perl('my $p = "\\0" x 120;' + _CALL.format("425, 1, $p")),
    "talks to the hypervisor": perl(_CALL.format("41, 40, 1, 0")),
    "makes a disk's device": perl(
        "if (syscall(133, $disk, 060666, 2048) == 0) { print qq(ESCAPED\\n) if open(F, '<', $disk) }"
    ),
    "restarts the machine": perl(_CALL.format("169, 0xfee1dead, 672274793, 0, 0")),
    "changes the host name": shell("hostname escaped 2>/dev/null && echo ESCAPED"),
    "writes the kernel's settings": shell(
        "for f in kernel/core_pattern kernel/domainname vm/overcommit_memory; do [ -e /proc/sys/$f ] && (echo 1 > /proc/sys/$f) 2>/dev/null && echo ESCAPED; done;"
        "[ -e /proc/sysrq-trigger ] && (echo h > /proc/sysrq-trigger) 2>/dev/null && echo ESCAPED"
    ),
    "writes to sysfs": shell(
        "for f in /sys/kernel/mm/transparent_hugepage/enabled /sys/power/state; do (echo x > $f) 2>/dev/null && echo ESCAPED; done"
    ),
    "reads the kernel's memory": shell(
        "for f in /proc/kcore /dev/mem /proc/keys /proc/timer_list; do [ -s $f ] && cat $f 2>/dev/null | { read -r x && echo ESCAPED; };"
        " done"
    ),
    "reads our descriptors": shell(
        "for n in 3 4 5 6 7 8 9; do [ -e /proc/self/fd/$n ] && readlink /proc/self/fd/$n; done | { while read -r x; do case $x in"
        " /proc/*|pipe:*) ;; *) echo ESCAPED $x;; esac; done; }"
    ),
    "is a script of our interpreter": Hostile(
        (file("run", b"#!/proc/self/exe\n", 0o755),), {"User": "0"}, ("/run",)
    ),
    "is our interpreter": Hostile((link("run", "/proc/self/exe"),), {"User": "0"}, ("/run", "-c", "print(1)")),
    "looks for our interpreter": shell(
        "for p in /proc/[0-9]*; do case $(readlink $p/exe 2>/dev/null) in *python*) (exec 3<$p/exe) 2>/dev/null && echo ESCAPED;; esac;"
        " done"
    ),
    "ends what it finds": perl(
        "my $me = getppid(); for my $pid (2 .. 60000) { next if $pid == $$ || $pid == $me; kill('KILL', $pid) }",
        not_held_by=("chroot",),
    ),
    "writes to the machine's log": shell("[ -c /dev/kmsg ] && (echo x > /dev/kmsg) 2>/dev/null && echo ESCAPED"),
    "leaves by the folders above": shell("cd /; cd ../../../..; [ -e .{outside}/secret ] && echo ESCAPED"),
    "leaves by proc": shell(
        "for p in /proc/[0-9]*; do [ -e $p/root{outside}/secret ] && echo ESCAPED; [ -e $p/cwd/secret ] && echo ESCAPED; done"
    ),
}  # fmt: skip

ALL: Mapping[str, Hostile] = {**LINKS, **LAYERS, **CONFIGS, **PROGRAMS}
