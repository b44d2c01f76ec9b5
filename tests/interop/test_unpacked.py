"""umoci unpacks our layers into the same tree as GNU tar and bsdtar, and runc starts it under the strictest rules."""

from __future__ import annotations

import contextlib
import functools
import json
import os
import shutil
import stat
import subprocess
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from support.demo import REQUEST, Built
from support.engines import PrivateNetwork, private_network, short_folder
from support.tools import PATH, call, need
from support.waiting import HANG

pytestmark = pytest.mark.interop


@pytest.fixture(scope="module")
def space() -> Iterator[Path]:
    with short_folder() as folder:
        yield folder


@pytest.fixture(
    scope="module",
    params=[
        ("gzip", "small_gzip"),
        ("none", "small"),
        pytest.param(("gzip", "gzip_demo"), marks=pytest.mark.network),
    ],
    ids="-".join,
)
def layout(request: pytest.FixtureRequest, space: Path) -> tuple[Path, Built]:
    """A layout that umoci 0.4 can read, which knows no zstd: gzip, or the plain tars of a docker archive."""
    codec, fixture = request.param
    built = request.getfixturevalue(fixture)
    if codec == "gzip":
        return built.layout, built
    folder = space / fixture
    folder.mkdir()
    call("tar", "-x", "-C", folder, "-f", built.docker_archive)
    return folder, built


def layers(layout: Path) -> list[Path]:
    def document(descriptor: Any) -> Any:
        return json.loads(blob(descriptor).read_bytes())

    def blob(descriptor: Any) -> Path:
        return layout / "blobs" / str(descriptor["digest"]).replace(":", "/")

    manifest = document(json.loads((layout / "index.json").read_bytes())["manifests"][0])
    return [blob(each) for each in manifest["layers"]]


def tree(root: Path) -> dict[str, tuple[object, ...]]:
    """Everything below a root: names, modes, owners, times of files, contents, links."""
    found: dict[str, tuple[object, ...]] = {}
    for path in sorted(root.rglob("*")):
        held = path.lstat()
        regular = stat.S_ISREG(held.st_mode)
        content: object = os.readlink(path) if path.is_symlink() else path.read_bytes() if regular else b""
        found[str(path.relative_to(root))] = (
            held.st_mode, held.st_uid, held.st_gid, int(held.st_mtime) if regular else 0, hash(content), held.st_nlink if regular else 0,
        )  # fmt: skip
    return found


@pytest.fixture(scope="module")
def bundle_of(space: Path) -> Callable[[Path], Path]:
    """A layout as umoci unpacks it, once."""

    @functools.cache
    def bundle(layout: Path) -> Path:
        named = json.loads((layout / "index.json").read_bytes())["manifests"][0]["annotations"]
        into = Path(tempfile.mkdtemp(dir=space)) / "bundle"
        call("umoci", "unpack", "--image", f"{layout}:{named['org.opencontainers.image.ref.name']}", into)
        return into

    return bundle


def test_umoci_gnu_tar_and_bsdtar_unpack_the_same_tree(
    layout: tuple[Path, Built], bundle_of: Callable[[Path], Path], space: Path
) -> None:
    """Ours are layers without whiteouts, so unpacking them one over the other is all that there is to it."""
    need("umoci", "tar", "bsdtar", root=True)
    where, built = layout
    expected = tree(bundle_of(where) / "rootfs")
    assert len(expected) > (5000 if built.receipt["name"] == "diabetes" else 20)
    for program, options in (
        ("tar", ("--numeric-owner", "--keep-directory-symlink")),
        ("bsdtar", ("--numeric-owner", "-P")),
    ):
        folder = space / program
        folder.mkdir()
        for layer in layers(where):
            call(program, "-x", "-p", *options, "-C", folder, "-f", layer)
        assert tree(folder) == expected, program
        shutil.rmtree(folder)


@pytest.mark.parametrize("codec", ["gzip", "zstd"])
def test_compressed_layers_are_sound(codec: str, small: Built, small_gzip: Built) -> None:
    """gzip and zstd themselves find no fault, and give the tar that the config names."""
    need(codec)
    built = small if codec == "zstd" else small_gzip
    packed = [layer for layer in built.receipt["layers"] if layer["codec"].startswith(codec)]
    assert packed
    for layer in packed:
        call(codec, "-t", "-q", *(["--stdout"] if codec == "gzip" else []), built.blob(layer["digest"]))
        with built.blob(layer["digest"]).open("rb") as stored:
            plain = subprocess.run([codec, "-d", "-c"], stdin=stored, capture_output=True, check=True).stdout
        summed = subprocess.run(["sha256sum"], input=plain, capture_output=True, check=True).stdout
        assert f"sha256:{summed.decode().split()[0]}" == layer["diff_id"]


def strict(config: dict[str, Any]) -> dict[str, Any]:
    """umoci's bundle, read-only, with a /tmp, for any user of group 0 without capabilities, in the network it is started in."""
    process, linux = config["process"], config["linux"]
    process |= {"terminal": False, "noNewPrivileges": True, "user": {"uid": 123456, "gid": 0}, "rlimits": []}
    process["capabilities"] = {kind: [] for kind in process["capabilities"]}
    config["root"]["readonly"] = True
    tmp = {"destination": "/tmp", "type": "tmpfs", "source": "tmpfs", "options": ["nosuid", "nodev", "mode=1777"]}
    config["mounts"].append(tmp)
    linux["namespaces"] = [each for each in linux["namespaces"] if each["type"] != "network"]
    return config


@pytest.fixture(scope="module")
def quiet() -> Iterator[PrivateNetwork]:
    with private_network() as network:
        yield network


@pytest.mark.network
def test_runc_starts_the_demo_read_only_as_anybody(
    gzip_demo: Built, bundle_of: Callable[[Path], Path], space: Path, quiet: PrivateNetwork
) -> None:
    need("runc", "umoci", root=True)
    bundle = bundle_of(gzip_demo.layout)
    config = strict(json.loads((bundle / "config.json").read_text()))
    (bundle / "config.json").write_text(json.dumps(config))
    name = f"modelcrate-{os.getpid()}"
    words = ["runc", "--root", str(space / "runc")]
    with subprocess.Popen(
        quiet.words(*words, "run", "-b", bundle, name),
        stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, env={**os.environ, "PATH": PATH},
    ) as container:  # fmt: skip
        try:
            first, second = json.loads(quiet.post("http://127.0.0.1:5001/score", REQUEST))
            call(*words, "kill", name, "TERM")
            code = container.wait(HANG)
        finally:
            with contextlib.suppress(AssertionError):
                call(*words, "delete", "--force", name)
            container.kill()
    assert (first, second) == pytest.approx((6783.288837469616, 4073.0497773702928), rel=1e-9)
    assert code == 0
