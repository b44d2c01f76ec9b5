"""Ctrl-C at any moment: exit code 130, words, and nothing half-made. The moment is an event of the command itself, so nothing is timed."""

from __future__ import annotations

import os
import signal
import tarfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from modelcrate_layers.content import MediaType
from support.bases import documents, small
from support.command import Crate, blobs, half_made, names
from support.scripted import Stall, scripted
from support.small_projects import served, sparse_model
from support.waiting import HANG, until

Event = dict[str, Any]
GIB = 1 << 30


@pytest.fixture
def crate(tmp_path: Path) -> Crate:
    return Crate.at(tmp_path / "home")


def at(kind: str, **wanted: str) -> Callable[[Event], bool]:
    """The first event of a kind, with these beginnings of its members."""
    return lambda event: (
        event["event"] == kind and all(str(event[key]).startswith(start) for key, start in wanted.items())
    )


def nothing_made(crate: Crate, *folders: Path) -> None:
    assert names(crate.home / "store") == []
    assert half_made(crate.home, *folders) == []


@pytest.mark.parametrize("step", ["resolve", "plan", "pack", "assemble", "deliver"])
def test_at_the_beginning_of_every_step(crate: Crate, tmp_path: Path, step: str) -> None:
    project = served(tmp_path / "project")
    done = crate.signalled(at("step", name=step), signal.SIGINT, "build", project)
    if done.code == 0:  # it was over before the signal came: then all of it has to be there
        assert names(crate.home / "store") == ["served:latest"]
        assert half_made(crate.home) == []
    else:
        assert done.code == 130, done.err
        assert "interrupted" in done.err
        assert "Traceback" not in done.err
        nothing_made(crate)
    assert names(crate.home / "store") == ["served:latest"] or crate("build", project).code == 0


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_while_a_worker_hashes(crate: Crate, tmp_path: Path, number: signal.Signals) -> None:
    project = sparse_model(tmp_path / "project", 64 * GIB)
    done = crate.signalled(at("progress", label="model"), number, "build", project)
    done.failed(128 + number, "interrupted; no incomplete files were left behind")
    nothing_made(crate)


def test_while_a_worker_compresses(crate: Crate, tmp_path: Path) -> None:
    """What is told is what is read: a sparse file compresses to next to nothing, and has to show life all the same."""
    project = sparse_model(tmp_path / "project", 64 * GIB, codec="zstd")
    crate.signalled(at("progress", label="model"), signal.SIGINT, "build", project).failed(130, "interrupted")
    nothing_made(crate)


@pytest.mark.parametrize("kind", ["store", "oci", "oci-archive", "docker-archive"])
def test_while_an_output_is_written(crate: Crate, tmp_path: Path, kind: str) -> None:
    project = sparse_model(tmp_path / "project", GIB // 4)
    out = tmp_path / "out"
    out.mkdir()
    target = "mine:1" if kind == "store" else str(out / "image")
    label = "write" if kind == "store" else "model"  # the others take a model while it is measured
    done = crate.signalled(at("progress", label=label), signal.SIGINT, "build", project, "-o", f"{kind}:{target}")
    done.failed(130, "interrupted")
    assert list(out.iterdir()) == []
    assert blobs(crate.home / "store") == set() if (crate.home / "store").exists() else True
    nothing_made(crate, out)


def test_an_old_image_keeps_its_name_and_bytes(crate: Crate, tmp_path: Path) -> None:
    project = sparse_model(tmp_path / "project", 1 << 20)
    archive = tmp_path / "image.tar"
    crate("build", project, "-o", f"oci-archive:{archive}").succeeded()
    before = archive.read_bytes()
    os.truncate(project / "model.bin", GIB // 4)
    crate.signalled(
        at("progress", label="model"), signal.SIGINT, "build", project, "-o", f"oci-archive:{archive}"
    ).failed(130)
    assert archive.read_bytes() == before


def test_a_killed_process_leaves_nothing_either(crate: Crate, tmp_path: Path) -> None:
    """SIGKILL can't be heeded: a file has no name until it is whole."""
    project = sparse_model(tmp_path / "project", GIB // 4)
    out = tmp_path / "out"
    out.mkdir()
    done = crate.signalled(
        at("progress", label="model"), signal.SIGKILL, "build", project, "-o", f"oci-archive:{out / 'image'}"
    )
    assert done.code == -signal.SIGKILL
    assert list(out.iterdir()) == []
    nothing_made(crate)


def test_while_another_program_resolves(crate: Crate, tmp_path: Path) -> None:
    """The resolver is ended with us, also where the signal was for us alone."""
    project = served(tmp_path / "project")
    with scripted() as silent:
        silent.plan("GET", ".*", Stall(), times=99)
        text = (project / "modelcrate.yaml").read_text()
        (project / "modelcrate.yaml").write_text(
            text.replace("wheelhouse: wheels", f'index-url: "http://{silent.host}/simple/"')
        )
        with crate.start("build", project) as process:
            until(lambda: silent.count("GET") > 0)
            process.send_signal(signal.SIGINT)
            out, err = process.communicate(timeout=HANG)
        assert process.returncode == 130, err
    assert b"interrupted" in err
    assert not out
    with pytest.raises(ProcessLookupError):  # nobody is left of its process group
        os.killpg(process.pid, 0)
    nothing_made(crate)


def test_while_a_layer_is_sent(crate: Crate, tmp_path: Path) -> None:
    project = sparse_model(tmp_path / "project", GIB)
    with scripted() as registry:
        done = crate.signalled(
            at("progress", label="model"), signal.SIGINT, "build", project, "--push", f"{registry.host}/a/b:1"
        )
        done.failed(130, "interrupted")
        assert not registry.manifests
        assert not registry.blobs
    nothing_made(crate)


@pytest.mark.parametrize("verb", ["pull", "run"])
def test_while_a_layer_is_fetched(crate: Crate, verb: str) -> None:
    config, manifest = documents([small()], settings={"Cmd": ["/bin/x"]})
    with scripted() as registry:
        registry.blobs["a/b", str(config.descriptor.digest)] = config.data
        registry.manifests["a/b", "1"] = registry.manifests["a/b", str(manifest.descriptor.digest)] = (
            MediaType.MANIFEST,
            manifest.data,
        )
        registry.plan("GET", f"/blobs/{small().descriptor.digest}", Stall(), times=99)
        address = f"{registry.host}/a/b:1" if verb == "pull" else f"registry:{registry.host}/a/b:1"
        with crate.start(verb, address) as process:
            until(lambda: registry.count("GET", "/manifests/") > 0 and registry.inside > 0)
            process.send_signal(signal.SIGHUP)
            _, err = process.communicate(timeout=HANG)
    assert process.returncode == 128 + signal.SIGHUP, err
    assert b"interrupted" in err
    assert not list((crate.home / "containers").glob("*"))
    nothing_made(crate)


def test_a_second_signal_ends_a_process_that_waits_for_a_silent_registry(crate: Crate, tmp_path: Path) -> None:
    project = sparse_model(tmp_path / "project", 1 << 20)
    with scripted() as registry:
        registry.plan("HEAD|POST", ".*", Stall(), times=99)
        with crate.start("build", project, "--push", f"{registry.host}/a/b:1") as process:
            until(lambda: bool(registry.seen))
            process.send_signal(signal.SIGINT)
            until(lambda: _handles(process.pid, signal.SIGINT) is False or process.poll() is not None)
            process.send_signal(signal.SIGINT)
            process.communicate(timeout=HANG)
    assert process.returncode in (130, -signal.SIGINT)
    nothing_made(crate)


def _handles(pid: int, number: int) -> bool | None:
    """Whether a process has a handler for a signal; None where it is gone."""
    try:
        with open(f"/proc/{pid}/status") as status:
            caught = next(line.split()[1] for line in status if line.startswith("SigCgt:"))
    except (OSError, StopIteration):
        return None
    return bool(int(caught, 16) >> (number - 1) & 1)


def test_while_a_base_is_looked_through(crate: Crate, tmp_path: Path) -> None:
    project = served(tmp_path / "project", base="{from: 'rootfs:base.tar', interpreter: /usr/bin/python3.11}")
    head = tarfile.TarInfo("large")
    head.size = 64 * GIB
    with open(project / "base.tar", "wb") as base:
        base.write(head.tobuf(tarfile.GNU_FORMAT))
        base.truncate(64 * GIB + 10240)
    crate.signalled(at("progress", label="read base.tar"), signal.SIGINT, "build", project).failed(130, "interrupted")
    nothing_made(crate)
