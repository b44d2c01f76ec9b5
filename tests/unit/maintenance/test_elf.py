from __future__ import annotations

import random
import re
import subprocess
import sys
from io import BytesIO
from pathlib import Path

import pytest

from modelcrate.maintenance.elf import Elf, read_elf
from modelcrate_layers.errors import IntegrityError
from support import tools
from support.elf_files import make_elf

LIBRARIES = sorted(
    {
        path.resolve()
        for folder in ("/lib/x86_64-linux-gnu", "/lib/aarch64-linux-gnu")
        for name in ("libc.so.6", "libm.so.6", "libstdc++.so.6", "libssl.so*", "libz.so.1", "libpthread.so.0")
        for path in Path(folder).glob(name)
    }
    | {Path(sys.executable).resolve()}
)


def test_what_was_written_is_read() -> None:
    made = make_elf(
        "libone.so.1",
        ["libc.so.6", "libtwo.so"],
        {"libc.so.6": ["GLIBC_2.2.5", "GLIBC_2.34"], "libtwo.so": ["TWO_1"]},
        ["ONE_1.0", "ONE_1.1"],
    )
    assert read_elf(BytesIO(made)) == Elf(
        "libone.so.1",
        ("libc.so.6", "libtwo.so"),
        {"libc.so.6": ("GLIBC_2.2.5", "GLIBC_2.34"), "libtwo.so": ("TWO_1",)},
        ("ONE_1.0", "ONE_1.1"),
    )


def test_a_version_that_may_be_missing_is_not_needed() -> None:
    made = make_elf("a.so", ["libc.so.6"], {"libc.so.6": ["GLIBC_2.34", "GLIBC_2.39"]}, weak=["GLIBC_2.39"])
    found = read_elf(BytesIO(made))
    assert found is not None
    assert found.wants == {"libc.so.6": ("GLIBC_2.34",)}


@pytest.mark.parametrize("path", LIBRARIES, ids=lambda path: path.name)
def test_binutils_read_the_same(path: Path) -> None:
    tools.need("objdump")
    told = tools.call("objdump", "-p", path)
    with open(path, "rb") as file:
        found = read_elf(file)
    assert found is not None
    assert list(found.needed) == re.findall(r"^ +NEEDED +(\S+)$", told, re.M)
    assert found.name == (re.findall(r"^ +SONAME +(\S+)$", told, re.M) or [""])[0]
    wanted = {
        library: tuple(
            name for flag, name in re.findall(r"^ +0x\S+ (0x\S+) \S+ (\S+)$", rows, re.M) if not int(flag, 16) & 2
        )
        for library, rows in re.findall(r"^  required from (\S+):\n((?: +0x.*\n)+)", told, re.M)
    }
    assert dict(found.wants) == wanted
    definitions = told.partition("Version definitions:\n")[2].partition("\n\n")[0]
    assert list(found.gives) == re.findall(r"^\d+ 0x0[02] 0x\S+ (\S+)", definitions, re.M)


@pytest.mark.parametrize("data", [b"", b"\x7fELF", b"MZ", bytes(100), b"\x7fELF\x01\x01" + bytes(100)])
def test_what_is_none(data: bytes) -> None:
    assert read_elf(BytesIO(data)) is None


def test_damage_is_an_error_or_another_file_and_never_a_hang() -> None:
    made = make_elf("a.so.1", ["libc.so.6"], {"libc.so.6": ["GLIBC_2.34"]}, ["A_1"])
    draw = random.Random(1)
    outcomes = set()
    for _ in range(3_000):
        data = bytearray(made)
        for _ in range(draw.randint(1, 8)):
            data[draw.randrange(6, len(data))] = draw.choice([0, 1, 0x7F, 0x80, 0xFF, draw.randrange(256)])
        try:
            outcomes.add(
                read_elf(BytesIO(bytes(data[: draw.choice([len(data), draw.randrange(64, len(data))])]))) is None
            )
        except IntegrityError:
            outcomes.add("refused")
    assert outcomes >= {False, "refused"}


def test_it_needs_no_program_of_the_machine(monkeypatch: pytest.MonkeyPatch) -> None:
    def forbidden(*_: object, **__: object) -> None:
        raise AssertionError("started a program")

    monkeypatch.setattr(subprocess, "Popen", forbidden)
    assert read_elf(BytesIO(make_elf("a.so"))) == Elf("a.so")


@pytest.mark.parametrize(
    "made",
    [
        make_elf("a", ["b"], {"b": [f"V_{number}" for number in range(10_001)]}),
        make_elf("a", ["b"], gives=[f"V_{number}" for number in range(10_000)]),
        make_elf("a", ["b" * 5000]),
    ],
    ids=["wanted versions", "given versions", "a name"],
)
def test_more_than_any_library_has_is_damage_and_not_nothing(made: bytes) -> None:
    with pytest.raises(IntegrityError, match="damaged"):
        read_elf(BytesIO(made))
