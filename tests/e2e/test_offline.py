"""`--offline` opens no socket at all, and says what it lacked."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from pathlib import Path

import pytest

from support.command import Crate
from support.index import PackageIndex, serve
from support.scripted import scripted
from support.small_projects import model_only, served
from support.wheels import filename, wheel_bytes

REGISTRY = 4


@pytest.fixture
def crate(tmp_path: Path) -> Crate:
    return Crate.at(tmp_path / "home")


def from_index(project: Path, url: str) -> Path:
    text = (project / "modelcrate.yaml").read_text()
    (project / "modelcrate.yaml").write_text(text.replace("wheelhouse: wheels", f'index-url: "{url}"'))
    return project


def shop() -> PackageIndex:
    return PackageIndex({filename(name, "1.0"): wheel_bytes(name, "1.0") for name in ("tiny-lib", "gunicorn")})


@pytest.mark.skipif(shutil.which("strace") is None, reason="strace is not installed (Debian package strace)")
def test_no_socket_is_opened(crate: Crate, tmp_path: Path) -> None:
    """Neither by us nor by the programs that we start, with a cache that has all; what is traced are all threads and children."""
    project = served(tmp_path / "project")
    crate("build", project).succeeded()
    log = tmp_path / "trace"
    traced = Crate(crate.home, crate.environment, ("strace", "-f", "-qq", "-e", "trace=socket,connect", "-o", str(log)))
    done = traced("build", project, "--offline")
    if done.code and "ptrace" in done.err:
        pytest.skip(f"nobody may be traced here: {done.err}")
    done.succeeded()
    assert [line for line in log.read_text().splitlines() if re.search(r"socket\(|connect\(", line)] == []


def test_with_a_warm_cache_a_locked_project_is_built_from_an_index_that_is_gone(crate: Crate, tmp_path: Path) -> None:
    with serve(shop()) as index:
        project = from_index(served(tmp_path / "project"), index.url)
        crate("lock", project).succeeded()
        first = crate("build", project, "--locked", "--json").succeeded().json
        asked = len(index.log)
        again = crate("build", project, "--locked", "--offline", "--json").succeeded().json
        assert len(index.log) == asked
    assert again["digest"] == first["digest"]
    shutil.rmtree(crate.home / "store")
    shutil.rmtree(crate.home / "memo")
    assert crate("build", project, "--locked", "--offline", "--json").succeeded().json["digest"] == first["digest"]


def test_with_a_cold_cache_what_is_lacking_is_named(crate: Crate, tmp_path: Path) -> None:
    with serve(shop()) as index:
        project = from_index(served(tmp_path / "project"), index.url)
        failed = crate("build", project, "--offline").failed(REGISTRY, "--offline")
        assert re.search("tiny-lib|gunicorn", failed.err)
        assert index.log == []


def test_a_registry_is_not_asked(crate: Crate, tmp_path: Path) -> None:
    with scripted() as registry:
        failed = crate("build", model_only(tmp_path / "project"), "--offline", "--push", f"{registry.host}/a/b:1")
        assert failed.code in (2, REGISTRY), failed
        assert "offline" in failed.err
        base = f"{{from: '{registry.host}/a/base:1', interpreter: /usr/bin/python3.11}}"
        over = crate("build", served(tmp_path / "over", base=base), "--offline")
        assert over.code in (2, REGISTRY), over
        assert registry.host in over.err
        assert registry.seen == []


def test_the_packages_of_debian_are_named(crate: Crate, tmp_path: Path) -> None:
    project = served(tmp_path / "project", base="debian")
    crate("build", project, "--offline").failed(REGISTRY, "--offline", "InRelease")


@pytest.mark.skipif(os.geteuid() != 0, reason="taking the network away needs root")
def test_without_any_network_it_is_all_the_same(crate: Crate, tmp_path: Path) -> None:
    if subprocess.run(["unshare", "-n", "true"], capture_output=True).returncode:
        pytest.skip("this machine allows no network namespaces")
    project = served(tmp_path / "project")
    first = crate("build", project, "--json").succeeded().json["digest"]
    alone = Crate(crate.home, crate.environment, ("unshare", "-n"))
    assert alone("build", project, "--offline", "--json").succeeded().json["digest"] == first
    assert alone("plan", project, "--offline").code == 0
    cold = Crate.at(tmp_path / "cold", ("unshare", "-n"))
    assert cold("build", project, "--offline", "--json").succeeded().json["digest"] == first, "a wheelhouse is enough"


def test_the_environment_can_say_it_too(tmp_path: Path) -> None:
    crate = Crate.at(tmp_path / "home", MODELCRATE_OFFLINE="1")
    with scripted() as registry:
        assert crate("inspect", f"{registry.host}/a/b:1").code != 0
        assert registry.seen == []
