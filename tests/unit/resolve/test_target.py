"""Tags and markers of the target, held against what pip computes for the machine that we know: this one."""

from __future__ import annotations

import sys

import pytest
from packaging.markers import Marker
from packaging.tags import sys_tags

from modelcrate.resolve.target import Target
from modelcrate_layers.errors import UserError


@pytest.mark.skipif(sys.implementation.name != "cpython" or sys.platform != "linux", reason="compares CPython on Linux")
def test_this_machines_tags_are_those_of_packaging() -> None:
    import platform

    machine = {"x86_64": "amd64", "aarch64": "arm64"}[platform.machine()]
    glibc = tuple(int(part) for part in platform.libc_ver()[1].split("."))
    ours = Target(f"3.{sys.version_info[1]}", machine, (glibc[0], glibc[1])).tags()
    assert [str(tag) for tag in ours] == [str(tag) for tag in sys_tags()]


def test_uv_is_asked_for_the_newest_platform_that_runs() -> None:
    assert Target("3.11", "amd64", (2, 36)).uv_platform == "x86_64-manylinux_2_36"
    assert Target("3.13", "arm64", (2, 41)).uv_platform == "aarch64-manylinux_2_40"
    assert Target("3.9", "amd64", (2, 27)).uv_platform == "x86_64-manylinux_2_17"


def test_musl_has_tags_of_its_own() -> None:
    target = Target("3.12", "amd64", musl=(1, 2))
    assert target.uv_platform == "x86_64-unknown-linux-musl"
    assert str(target) == "Python 3.12 on linux/amd64 with musl 1.2"
    platforms = list(dict.fromkeys(tag.platform for tag in target.tags()))
    assert platforms == ["linux_x86_64", "musllinux_1_2_x86_64", "musllinux_1_1_x86_64", "any"]
    assert "manylinux" not in target.sought()


def test_markers_say_the_target() -> None:
    environment = Target("3.12.4", "arm64").environment()
    assert Marker("python_full_version == '3.12.4' and platform_machine == 'aarch64'").evaluate(environment)
    assert not Marker("python_version < '3.12' or sys_platform == 'win32'").evaluate(environment)
    assert Target("3.11").full == "3.11.0"


@pytest.mark.parametrize(
    ("python", "machine", "glibc"),
    [("3", "amd64", (2, 36)), ("2.7", "amd64", (2, 36)), ("3.11", "riscv64", (2, 36)), ("3.11", "amd64", (2, 12))],
)
def test_what_no_wheel_is_made_for_is_refused(python: str, machine: str, glibc: tuple[int, int]) -> None:
    with pytest.raises(UserError):
        Target(python, machine, glibc)
