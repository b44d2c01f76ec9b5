"""skopeo and podman on the other side, both directions: what we push they pull, and what they push we pull."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import tarfile
import tempfile
from collections.abc import Iterator
from io import BytesIO
from pathlib import Path

import pytest

from modelcrate.images.reference import Reference
from modelcrate.registry.config import RegistryConfig
from modelcrate.registry.oras_client import Registry
from modelcrate.registry.profiles import Rule
from modelcrate_layers.content import Descriptor, Digest, Literal, MediaType, canonical_json, parse_object
from support import real_registry
from support.images import Memory

pytestmark = pytest.mark.interop


def needs(tool: str) -> str:
    if shutil.which(tool) is None:
        pytest.skip(f"{tool} is not installed")
    return tool


@pytest.fixture
def host(tmp_path: Path) -> Iterator[str]:
    if why := real_registry.missing():
        pytest.skip(why)
    (tmp_path / "registry").mkdir()
    folder = tmp_path / "registry"
    with real_registry.running(folder, auth=real_registry.htpasswd(folder)) as running:
        yield running.host


@pytest.fixture
def client() -> Iterator[Registry]:
    given = RegistryConfig(
        username=real_registry.USER, password=real_registry.PASSWORD, rules=(Rule("*", chunk_size=1 << 20),)
    )
    with Registry(given) as registry:
        yield registry


def run(*command: str) -> str:
    done = subprocess.run(command, capture_output=True, text=True, env={**os.environ, "STORAGE_DRIVER": "vfs"})
    assert done.returncode == 0, done.stderr[-2000:]
    return done.stdout


def tar(name: str, data: bytes) -> Memory:
    out = BytesIO()
    with tarfile.open(fileobj=out, mode="w") as archive:
        member = tarfile.TarInfo(name)
        member.size = len(data)
        archive.addfile(member, BytesIO(data))
    return Memory(out.getvalue())


def real_image() -> tuple[list[Literal | Memory], Literal]:
    layers = [tar("small", b"hello"), tar("large", os.urandom(3 << 20))]
    diffs = [str(one.descriptor.digest) for one in layers]
    settings = {
        "architecture": "amd64",
        "os": "linux",
        "config": {"Cmd": ["/x"]},
        "rootfs": {"type": "layers", "diff_ids": diffs},
    }
    config = Literal(canonical_json(settings), MediaType.CONFIG)
    document = {"schemaVersion": 2, "mediaType": MediaType.MANIFEST, "config": config.descriptor.json()}
    manifest = Literal(
        canonical_json(document | {"layers": [one.descriptor.json() for one in layers]}), MediaType.MANIFEST
    )
    return [config, *layers], manifest


LOGIN = f"{real_registry.USER}:{real_registry.PASSWORD}"


def test_skopeo_pulls_what_we_push(host: str, client: Registry, tmp_path: Path) -> None:
    needs("skopeo")
    blobs, manifest = real_image()
    client.publish(Reference.parse(f"{host}/team/x:1"), [manifest], blobs)
    target = tmp_path / "pulled"
    source = f"docker://{host}/team/x:1"
    run(
        "skopeo",
        "--insecure-policy",
        "copy",
        "--preserve-digests",
        "--src-tls-verify=false",
        f"--src-creds={LOGIN}",
        source,
        f"dir:{target}",
    )
    assert (target / "manifest.json").read_bytes() == manifest.data
    for blob in blobs:
        assert (target / blob.descriptor.digest.hex).read_bytes() == b"".join(blob.chunks())
    told = json.loads(run("skopeo", "inspect", "--tls-verify=false", f"--creds={LOGIN}", source))
    assert told["Digest"] == str(manifest.descriptor.digest)


def test_we_pull_and_copy_what_skopeo_pushes(host: str, client: Registry, tmp_path: Path) -> None:
    needs("skopeo")
    folder = tmp_path / "layout"
    store(folder, *real_image())
    target = f"docker://{host}/theirs/x:1"
    run(
        "skopeo",
        "--insecure-policy",
        "copy",
        "--dest-tls-verify=false",
        f"--dest-creds={LOGIN}",
        f"oci:{folder}:x",
        target,
    )
    ref = Reference.parse(f"{host}/theirs/x:1")
    descriptor, data = client.manifest(ref)
    document = parse_object(data)
    wanted = [Descriptor.parse(one) for one in (document["config"], *document["layers"])]
    blobs = [client.blob(ref, one) for one in wanted]
    assert all(sum(map(len, blob.chunks())) == blob.descriptor.size for blob in blobs)
    copied, sent = client.publish(
        ref.__class__.parse(f"{host}/ours/y:1"), [Literal(data, descriptor.media_type)], blobs, ["1"], ["theirs/x"]
    )
    assert copied.digest == descriptor.digest
    assert {one.how for one in sent} == {"mounted"}
    told = json.loads(run("skopeo", "inspect", "--tls-verify=false", f"--creds={LOGIN}", f"docker://{host}/ours/y:1"))
    assert told["Digest"] == str(descriptor.digest)


def store(folder: Path, blobs: list[Literal | Memory], manifest: Literal) -> None:
    """The image as an OCI layout with the tag x."""
    (folder / "blobs/sha256").mkdir(parents=True)
    for blob in [*blobs, manifest]:
        (folder / "blobs/sha256" / blob.descriptor.digest.hex).write_bytes(b"".join(blob.chunks()))
    named = {**manifest.descriptor.json(), "annotations": {"org.opencontainers.image.ref.name": "x"}}
    (folder / "index.json").write_bytes(canonical_json({"schemaVersion": 2, "manifests": [named]}))
    (folder / "oci-layout").write_text('{"imageLayoutVersion": "1.0.0"}')


def podman(folder: Path, *command: str) -> str:
    policy = folder / "policy.json"
    policy.write_text('{"default": [{"type": "insecureAcceptAnything"}]}')
    where = ["--root", str(folder / "root"), "--runroot", str(folder / "run"), "--tmpdir", str(folder / "tmp")]
    more = ["--storage-driver", "vfs", "--cgroup-manager", "cgroupfs", "--events-backend", "file"]
    verb, *rest = command
    signed = ["--signature-policy", str(policy)] if verb in ("pull", "push") else []
    return run("podman", *where, *more, verb, *signed, *rest)


@pytest.fixture
def short() -> Iterator[Path]:
    """podman takes no run root of more than 50 characters."""
    with tempfile.TemporaryDirectory(prefix="p") as folder:
        yield Path(folder)


def test_podman_pulls_what_we_push_and_we_pull_what_it_pushes(host: str, client: Registry, short: Path) -> None:
    needs("podman")
    blobs, manifest = real_image()
    client.publish(Reference.parse(f"{host}/team/x:1"), [manifest], blobs)
    podman(short, "pull", "--tls-verify=false", "--creds", LOGIN, f"{host}/team/x:1")
    assert str(manifest.descriptor.digest) in podman(short, "images", "--digests", "--no-trunc")
    podman(short, "push", "--tls-verify=false", "--creds", LOGIN, f"{host}/team/x:1", f"docker://{host}/podman/x:1")
    ref = Reference.parse(f"{host}/podman/x:1")
    document = parse_object(client.manifest(ref)[1])
    config = client.blob(ref, Descriptor.parse(document["config"])).read()
    assert Digest.of(config) == blobs[0].descriptor.digest
    for layer in document["layers"]:
        one = Descriptor.parse(layer)
        assert sum(map(len, client.blob(ref, one).chunks())) == one.size


def test_the_login_that_we_write_is_read_by_skopeo_and_theirs_by_us(
    host: str, client: Registry, tmp_path: Path
) -> None:
    """Row 20 of docs/azureml.md."""
    from modelcrate.registry.login import login, logout

    needs("skopeo")
    path = tmp_path / "auth.json"
    login(host, real_registry.USER, real_registry.PASSWORD, RegistryConfig(auth_file=path))
    blobs, manifest = real_image()
    with Registry(RegistryConfig(auth_file=path)) as ours:
        ours.publish(Reference.parse(f"{host}/team/x:1"), [manifest], blobs)
    source = f"docker://{host}/team/x:1"
    run("skopeo", "inspect", "--tls-verify=false", f"--authfile={path}", source)
    logout(host, RegistryConfig(auth_file=path))
    run(
        "skopeo",
        "login",
        "--tls-verify=false",
        f"--authfile={path}",
        "-u",
        real_registry.USER,
        "-p",
        real_registry.PASSWORD,
        host,
    )
    with Registry(RegistryConfig(environment={"REGISTRY_AUTH_FILE": str(path)})) as theirs:
        assert theirs.resolve(Reference.parse(f"{host}/team/x:1")).digest == manifest.descriptor.digest
