"""A registry that refuses, vanishes or lies: an error of class 4 or 5 that names it, and no tag that was changed."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from modelcrate.net.retry import SystemClock
from modelcrate_layers.packages.grouping import HEAVY
from support.command import Crate, Inside, half_made, names
from support.images import noise
from support.scripted import Drop, Reply, Script, digest_of, error, scripted
from support.small_projects import model_only, served
from support.wheels import make_wheel

REGISTRY, INTEGRITY = 4, 5


@pytest.fixture
def project(tmp_path: Path) -> Path:
    return model_only(tmp_path / "project")


def nothing_made(inside: Inside, registry: Script) -> None:
    assert not registry.manifests, "no tag, no manifest"
    assert names(inside.home / "store") == []
    assert half_made(inside.home) == []


@pytest.mark.parametrize(
    ("status", "code", "words"),
    [
        (401, "UNAUTHORIZED", "401"),
        (403, "DENIED", "403"),
        (413, "SIZE_INVALID", "413"),
        (400, "NAME_INVALID", "400"),
    ],
)
@pytest.mark.parametrize("verb", ["POST", "PATCH|PUT"])
def test_that_refuses(inside: Inside, project: Path, verb: str, status: int, code: str, words: str) -> None:
    with scripted() as registry:
        registry.plan(verb, ".*", error(status, code), times=99)
        failed = inside("build", project, "--push", f"{registry.host}/a/b:1").failed(REGISTRY, words, registry.host)
        assert "exit 4" in failed.err
        nothing_made(inside, registry)


def test_that_is_full(inside: Inside, project: Path) -> None:
    with scripted() as registry:
        registry.plan("POST|PATCH|PUT", "uploads", Reply(507, {"Retry-After": "0"}), times=99)
        inside("build", project, "--push", f"{registry.host}/a/b:1").failed(REGISTRY, "507", registry.host)
        nothing_made(inside, registry)


def test_that_refuses_the_manifest(inside: Inside, project: Path) -> None:
    with scripted() as registry:
        registry.plan("PUT", "/manifests/", error(400, "MANIFEST_INVALID"), times=99)
        inside("build", project, "--push", f"{registry.host}/a/b:1").failed(REGISTRY, "MANIFEST_INVALID")
        nothing_made(inside, registry)


def test_that_takes_small_manifests_alone_is_not_asked_for_smaller_chunks(inside: Inside, project: Path) -> None:
    with scripted() as registry:
        registry.plan("PUT", "/manifests/", error(413, "SIZE_INVALID"), times=99)
        failed = inside("build", project, "--push", f"{registry.host}/a/b:1").failed(
            REGISTRY, "limits the size of manifests"
        )
        assert "chunk" not in failed.err


def test_packages_that_own_one_file_are_told_before_any_of_them_is_sent(inside: Inside, tmp_path: Path) -> None:
    """It is looked at while the first layers are made."""
    project = served(tmp_path / "project", requires="one\ntwo")
    for number, name in enumerate(("one", "two")):
        files = {"shared.py": name.encode(), f"{name}.bin": noise(HEAVY, number)}
        make_wheel(project / "wheels", name, "1.0", files)
    with scripted() as registry:
        target = f"{registry.host}/a/b:1"
        inside("build", project, "--push", target).failed(2, "one 1.0 and two 1.0 both own", "shared.py", "leave one")
        nothing_made(inside, registry)
        assert registry.uploads == {}
        assert registry.received < HEAVY


@pytest.fixture
def hasty(monkeypatch: pytest.MonkeyPatch) -> None:
    """Waits between attempts that take no time."""
    monkeypatch.setattr(SystemClock, "sleep", lambda clock, seconds: None)


@pytest.mark.usefixtures("hasty")
def test_that_vanishes_in_an_upload(inside: Inside, project: Path) -> None:
    with scripted() as registry:
        registry.plan("POST|PATCH|PUT|HEAD|GET", ".*", Drop(), times=999, skip=2)
        registry.plan("POST|PATCH|PUT|HEAD|GET", ".*", Drop(), times=999)
        failed = inside("build", project, "--push", f"{registry.host}/a/b:1").failed(REGISTRY, registry.host)
        assert re.search(r"connection|answer", failed.err)
        nothing_made(inside, registry)


@pytest.mark.usefixtures("hasty")
def test_that_is_not_there(inside: Inside, project: Path) -> None:
    with scripted() as registry:
        host = registry.host
    failed = inside("build", project, "--push", f"{host}/a/b:1").failed(REGISTRY, host, "refused")
    assert "Traceback" not in failed.err


def test_that_lies_about_what_it_stored(inside: Inside, project: Path) -> None:
    def lie(reply: Reply) -> Reply:
        return Reply(reply.status, {**reply.headers, "Docker-Content-Digest": "sha256:" + "1" * 64}, reply.body)

    with scripted() as registry:
        registry.plan("PUT", "/manifests/", lie, times=99)
        inside("build", project, "--push", f"{registry.host}/a/b:1").failed(INTEGRITY, "1" * 64)


@pytest.mark.parametrize("what", ["manifests", "blobs"])
def test_a_base_whose_bytes_are_others(inside: Inside, project: Path, tmp_path: Path, what: str) -> None:
    """The manifest and the config are held to their digests where they are read, a layer where it is copied."""
    with scripted() as registry:
        other = Crate.at(tmp_path / "other")  # who pushed it need not fetch it
        other("build", project, "--push", f"{registry.host}/a/base:1").succeeded()

        def lie(reply: Reply) -> Reply:
            return Reply(reply.status, reply.headers, reply.body.replace(b"1", b"2"))

        registry.plan("GET", f"/{what}/", lie, times=99)
        base = f"{{from: '{registry.host}/a/base@{manifest_of(registry)}', interpreter: /usr/bin/python3.11}}"
        over = served(tmp_path / "over", base=base)
        failed = inside("build", over, "-o", f"oci:{tmp_path / 'out'}").failed(INTEGRITY, "sha256:")
        assert "Traceback" not in failed.err
        assert not (tmp_path / "out").exists()


def manifest_of(registry: Script) -> str:
    return next(digest_of(data) for _, data in registry.manifests.values())


def test_the_second_of_two_registries_fails(inside: Inside, project: Path) -> None:
    with scripted() as good, scripted() as bad:
        bad.plan("POST", ".*", error(403, "DENIED"), times=99)
        inside("build", project, "--push", f"{good.host}/a/b:1", "--push", f"{bad.host}/a/b:1").failed(
            REGISTRY, bad.host, f"done before that: registry {good.host}/a/b:1"
        )
        assert good.manifests
        assert not bad.manifests


def test_an_index_that_answers_nonsense(inside: Inside, tmp_path: Path) -> None:
    project = served(tmp_path / "served")
    with scripted() as nonsense:
        text = (project / "modelcrate.yaml").read_text()
        (project / "modelcrate.yaml").write_text(
            text.replace("wheelhouse: wheels", f'index-url: "http://{nonsense.host}/simple/"')
        )
        nonsense.plan("GET", ".*", Reply(403, {}, b"no"), times=99)
        failed = inside("build", project)
        assert failed.code in (2, REGISTRY), failed
        assert "Traceback" not in failed.err
        assert names(inside.home / "store") == []
