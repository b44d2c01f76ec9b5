"""The system call filter: as the kernel runs it here, and as a machine of the other numbers would."""

from __future__ import annotations

import errno
import os
import re
import struct
import subprocess
import sys
from pathlib import Path

import pytest

from modelcrate.containers.seccomp import DENIED, filter_program, runtime_profile

ALLOW, KILL, EPERM, ENOSYS = 0x7FFF0000, 0x80000000, 0x50000 | errno.EPERM, 0x50000 | errno.ENOSYS
MACHINES = {"x86_64": (0xC000003E, 0), "aarch64": (0xC00000B7, 1), "riscv64": (0xC00000F3, 1)}


def verdict(machine: str, number: int, argument: int = 0, audit: int = 0) -> int:
    """Runs the program as the kernel does (Documentation/networking/filter.rst): five instructions are all that it has."""
    data = struct.pack("<IIQ6Q", number, audit or MACHINES[machine][0], 0, argument, 0, 0, 0, 0, 0)
    program = filter_program(machine)
    assert program is not None
    steps = list(struct.iter_unpack("=HBBI", program))
    at, word = 0, 0
    while True:
        code, if_true, if_false, value = steps[at]
        at += 1
        if code == 0x20:
            word = struct.unpack_from("<I", data, value)[0]
        elif code == 0x06:
            return int(value)
        else:
            holds = {0x15: word == value, 0x25: word > value, 0x45: bool(word & value)}[code]
            at += if_true if holds else if_false


@pytest.mark.parametrize("machine", MACHINES)
def test_each_denied_call_is_refused_and_its_neighbours_are_not(machine: str) -> None:
    numbers = {each for columns in DENIED.values() if (each := columns[MACHINES[machine][1]]) is not None}
    special = {(56, 220)[MACHINES[machine][1]], (41, 198)[MACHINES[machine][1]], 435}
    for number in set(range(463)) - special:
        assert verdict(machine, number) == (EPERM if number in numbers else ALLOW), number


@pytest.mark.parametrize("machine", MACHINES)
def test_calls_that_are_not_known_do_not_exist(machine: str) -> None:
    for number in (463, 500, 0x40000000, 0x40000001, 0xFFFFFFFF):
        assert verdict(machine, number) == ENOSYS


@pytest.mark.parametrize("machine", MACHINES)
def test_new_namespaces_and_sockets_of_the_hypervisor(machine: str) -> None:
    clone, socket = (56, 41) if machine == "x86_64" else (220, 198)
    assert verdict(machine, clone, 0x1200011) == ALLOW  # fork of glibc
    assert verdict(machine, clone, 0x3D0F00) == ALLOW  # a thread
    for flag in (0x00020000, 0x02000000, 0x04000000, 0x08000000, 0x10000000, 0x20000000, 0x40000000):
        assert verdict(machine, clone, flag | 17) == EPERM
    assert verdict(machine, 435) == ENOSYS
    assert [verdict(machine, socket, family) for family in (1, 2, 10, 40)] == [ALLOW, ALLOW, ALLOW, EPERM]


@pytest.mark.parametrize("machine", MACHINES)
def test_calls_of_another_machine_end_the_process(machine: str) -> None:
    assert verdict(machine, 1, audit=0x40000003) == KILL  # i386


def test_no_filter_where_the_numbers_are_not_known() -> None:
    assert filter_program("s390x") is None


def test_the_numbers_are_the_kernels() -> None:
    """Against the header that this machine has, for its own processor."""
    machine = os.uname().machine
    header = Path(f"/usr/include/{machine}-linux-gnu/asm/unistd_64.h")
    if machine != "x86_64" or not header.exists():
        pytest.skip("no header with this machine's numbers")
    theirs = {name: int(number) for name, number in re.findall(r"#define __NR_(\w+) (\d+)", header.read_text())}
    assert {name: columns[0] for name, columns in DENIED.items() if name in theirs} == {
        name: theirs[name] for name in DENIED if name in theirs
    }


def test_the_runtime_gets_the_same_list() -> None:
    named = {name for rule in runtime_profile()["syscalls"] for name in rule["names"]}
    assert named == set(DENIED) | {"clone", "clone3", "socket"}


def test_the_kernel_takes_the_filter() -> None:
    """In a process of its own: what is denied is refused, and ordinary work goes on."""
    script = """if True:
        import ctypes, os, subprocess, sys, threading
        from modelcrate.containers import linux
        from modelcrate.containers.seccomp import filter_program
        program = filter_program(os.uname().machine)
        linux.no_new_privileges()
        linux.install_filter(program)
        threading.Thread(target=print, args=("thread",)).start()
        print(subprocess.run(["/bin/sh", "-c", "echo child"], capture_output=True, text=True).stdout.strip(), flush=True)
        libc = ctypes.CDLL(None, use_errno=True)
        for call in (lambda: libc.unshare(0x10000000), lambda: libc.setns(0, 0), lambda: libc.mount(b"x", b"/", b"tmpfs", 0, 0)):
            print(call(), ctypes.get_errno(), flush=True)
    """
    if filter_program(os.uname().machine) is None:
        pytest.skip("no filter for this processor")
    env = {"PYTHONPATH": os.pathsep.join(sys.path), "PATH": os.defpath}
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, env=env)
    assert done.stderr == ""
    assert sorted(done.stdout.split("\n")) == sorted(["thread", "child", "-1 1", "-1 1", "-1 1", ""])
