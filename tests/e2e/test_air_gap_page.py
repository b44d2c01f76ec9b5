"""docs/air-gap.md: its commands are carried out in their order, those of the inside in a network namespace with nothing in it but a registry."""

from __future__ import annotations

import os
import re
import shlex
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from modelcrate_layers.content import Literal, MediaType
from support import real_registry, tools
from support.images_by_hand import write_layout
from support.offline import rootfs
from support.shared_command import Modelcrate
from support.small_projects import served, write_project
from support.sources import REPOSITORY
from support.tensor_files import drawn_tensors, safetensors
from support.waiting import HANG

PAGE = (REPOSITORY / "docs" / "air-gap.md").read_text()
BLOCKS = re.findall(r"^```sh\n# (outside|inside)\n(.*?)^```$", PAGE, re.MULTILINE | re.DOTALL)
ALL_BLOCKS = re.findall(r"^```", PAGE, re.MULTILINE)


def test_every_block_is_of_one_side() -> None:
    assert len(ALL_BLOCKS) == 2 * len(BLOCKS) > 10


@contextmanager
def namespace() -> Iterator[int]:
    """A process in a network namespace of its own, which has a loopback and nothing else."""
    words = ["unshare", "--net", "sh", "-c", "ip link set lo up && echo ready && cat"]
    process = subprocess.Popen(words, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    try:
        assert process.stdout is not None
        assert process.stdout.readline() == "ready\n"
        yield process.pid
    finally:
        process.terminate()
        process.wait()


def test_the_page_is_carried_out(tmp_path: Path) -> None:
    if reason := real_registry.missing():
        pytest.skip(reason)
    tools.need("unshare", "nsenter", "ip", root=True)
    programs = tmp_path / "bin"
    programs.mkdir()
    (programs / "modelcrate").write_text(f'#!/bin/sh\nexec {shlex.quote(sys.executable)} -m modelcrate "$@"\n')
    (programs / "modelcrate").chmod(0o755)
    sides = {name: Modelcrate(tmp_path / f"home-{name}") for name in ("outside", "inside")}
    sides["outside"].said("keygen", tmp_path / "key")
    with real_registry.running(tmp_path / "outside") as outside, namespace() as pid:
        for tag in ("1", "2"):
            project = write_project(tmp_path / tag, "name: sums\nbase: scratch\nmodels: [model.safetensors]\n")
            model = drawn_tensors(1) | ({"t5": b"\1" * 50_000} if tag == "2" else {})
            (project / "model.safetensors").write_bytes(safetensors(model))
            reference = f"{outside.host}/team/sums:{tag}"
            sides["outside"].said("build", project, "--push", reference, "--sign", tmp_path / "key.key")
        base = write_layout(
            tmp_path / "base", [Literal(rootfs(), MediaType.LAYER)], {"Env": ["PATH=/usr/local/bin:/usr/bin:/bin"]}
        )
        sides["outside"].said("copy", base, f"registry:{outside.host}/base/python:3.11")
        served(tmp_path / "project", f"{outside.host}/base/python:3.11")
        enter = ["nsenter", "--target", str(pid), "--net"]
        with real_registry.running(tmp_path / "inside", within=enter) as inside:
            for side, text in BLOCKS:
                script = text.replace("registry.example", outside.host).replace("registry.inside", inside.host)
                environment = sides[side].environment | {"PATH": f"{programs}{os.pathsep}{os.environ['PATH']}"}
                done = subprocess.run(
                    [*(enter if side == "inside" else []), "sh", "-e", "-c", script],
                    cwd=tmp_path,
                    env=environment,
                    capture_output=True,
                    text=True,
                    timeout=HANG,
                )
                assert done.returncode == 0, f"{text}\n{done.stdout}\n{done.stderr[-3000:]}"
    assert "sums:3" in {f"{each['repository']}:{each['tag']}" for each in sides["inside"].json("images")}
    first, second = ((tmp_path / name).stat().st_size for name in ("sums.bundle", "next.bundle"))
    assert second < first / 8
