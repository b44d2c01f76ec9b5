"""The ar, the tars and the control file that `tools/build_deb.py` writes, read by Debian's own dpkg."""

from __future__ import annotations

import gzip
import lzma
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from support.shared_command import REPOSITORY
from support.tools import need

sys.path.append(str(REPOSITORY / "tools"))
import build_deb


@pytest.mark.skipif(shutil.which("dpkg-deb") is None, reason="dpkg-deb is Debian's")
def test_dpkg_reads_it(tmp_path: Path) -> None:
    files = {"usr/bin/modelcrate": b"#!/bin/sh\n", "usr/lib/modelcrate/odd.py": b"x" * 1025}
    control = {"control": build_deb._control("1.2.3", "amd64", files)}
    parts = {
        "debian-binary": b"2.0\n",
        "control.tar.gz": gzip.compress(build_deb._tar(control, ()), mtime=0),
        "data.tar.xz": lzma.compress(build_deb._tar(files, {"usr/bin/modelcrate"}), preset=1),
    }
    package = tmp_path / "x.deb"
    package.write_bytes(b"!<arch>\n" + b"".join(map(build_deb._member, parts, parts.values())))

    def told(*words: str) -> list[str]:
        done = subprocess.run(
            ["dpkg-deb", *words], check=True, capture_output=True, text=True, env={"TZ": "UTC", "PATH": "/usr/bin:/bin"}
        )
        return done.stdout.splitlines()

    assert told("--field", str(package), "Package", "Version", "Installed-Size")[:3] == [
        "Package: modelcrate",
        "Version: 1.2.3",
        "Installed-Size: 3",
    ]
    listed = [line.split() for line in told("--contents", str(package))]
    assert [(each[0], each[1], each[5]) for each in listed] == [
        ("drwxr-xr-x", "0/0", "./"),
        ("drwxr-xr-x", "0/0", "./usr/"),
        ("drwxr-xr-x", "0/0", "./usr/bin/"),
        ("-rwxr-xr-x", "0/0", "./usr/bin/modelcrate"),
        ("drwxr-xr-x", "0/0", "./usr/lib/"),
        ("drwxr-xr-x", "0/0", "./usr/lib/modelcrate/"),
        ("-rw-r--r--", "0/0", "./usr/lib/modelcrate/odd.py"),
    ]
    subprocess.run(["dpkg-deb", "-x", package, tmp_path / "out"], check=True)
    assert {name: (tmp_path / "out" / name).read_bytes() for name in files} == files


@pytest.mark.network
@pytest.mark.slow
def test_it_is_the_same_when_it_is_built_again_and_lintian_finds_no_fault_and_the_program_runs(tmp_path: Path) -> None:
    """uv keeps the time of a build beside what it installs."""
    need("lintian", "dpkg-deb")
    version, files = build_deb.collect("amd64", "")
    assert build_deb.collect("amd64", "") == (version, files)
    package = build_deb.build(tmp_path / "deb", "amd64", version, files)
    words = ["lintian", "--allow-root", "--fail-on", "error,warning", "--tag-display-limit", "0", str(package)]
    done = subprocess.run(words, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout
    subprocess.run(["dpkg-deb", "-x", package, tmp_path], check=True)
    start = (tmp_path / "usr/bin/modelcrate").read_text().replace("/usr/lib", f"{tmp_path}/usr/lib")
    told = subprocess.run([sys.executable, "-P", "-c", start, "--version"], check=True, capture_output=True, text=True)
    assert told.stdout.startswith("modelcrate ")
