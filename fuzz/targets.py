"""The parsers of hostile bytes, by name. Each takes any bytes; what it may raise is an error of ours, and nothing else."""

from __future__ import annotations

import hashlib
import io
import tempfile
from collections.abc import Callable, Mapping
from contextlib import suppress
from datetime import UTC, datetime
from functools import cache
from pathlib import Path

from fuzz import images, server
from modelcrate.bundles.bundle import Bundle
from modelcrate.bundles.inventory import read_inventory
from modelcrate.bundles.notes import NOTES
from modelcrate.events import ignore_event
from modelcrate.images.artifact import read_artifact_index, read_layers
from modelcrate.images.reference import Reference, is_registry
from modelcrate.maintenance.advisories import read_advisories
from modelcrate.maintenance.elf import read_elf
from modelcrate.modelfiles.recognition import facts_of
from modelcrate.net.addresses import check_hop
from modelcrate.net.messages import Headers, Response
from modelcrate.net.resume import length, partial_start
from modelcrate.net.retry import parse_retry_after
from modelcrate.net.urls import redacted, resolve
from modelcrate.project.conda import parse_conda
from modelcrate.project.dockerfile import instructions
from modelcrate.project.reading import parse_project
from modelcrate.project.registries import read_registries
from modelcrate.registry import wire
from modelcrate.registry.addresses import check_realm
from modelcrate.registry.challenges import choose, parse_challenges
from modelcrate.registry.config_rules import read_rules
from modelcrate.registry.credentials import _parsed, in_config
from modelcrate.registry.tokens import parse_token, token_request
from modelcrate.resolve.debian.packages import Packages
from modelcrate.resolve.debian.release import Freshness, _date, _files, keyring_of, read_release
from modelcrate.resolve.debian.releases import known_release
from modelcrate.resolve.find_python import Look, Wanted, find_python
from modelcrate.resolve.lock import read_lock
from modelcrate.resolve.pylock import every, select
from modelcrate.resolve.resolved_base import ResolvedBase
from modelcrate.resolve.target import Target
from modelcrate.security.sbom import contents_artifact, cyclonedx, spdx
from modelcrate.security.sbom.installed import conda, debs
from modelcrate.security.sbom.installed import wheel as wheel_metadata
from modelcrate.security.sbom.inventory import Inventory
from modelcrate.security.sbom.licences import expression, of_debian
from modelcrate.security.scan.secrets import secrets_in
from modelcrate.security.signing import keys, statements
from modelcrate.security.signing.model_signatures import check_model
from modelcrate.security.signing.naming import image_identity
from modelcrate.security.signing.policy import read_policy
from modelcrate.workspace import manifest as model_manifest
from modelcrate_layers.content import Descriptor, Digest, Literal, MediaType, parse_object
from modelcrate_layers.errors import CrateError, UserError
from modelcrate_layers.packages import deb
from modelcrate_layers.packages.pinned import Deb
from modelcrate_layers.packages.venv import Venv
from modelcrate_layers.packages.wheel import Wheel
from modelcrate_layers.packages.wheel import read as read_wheel
from modelcrate_layers.packages.wheel_install import entries
from modelcrate_layers.tar import codec
from modelcrate_layers.tar.reader import index_tar, read_tar

CONFIGURED = "registry.example"
NOW = datetime(2026, 11, 1, tzinfo=UTC)


@cache
def folder() -> Path:
    """Where the bytes lie for those parsers that read files. It goes with the process."""
    made = tempfile.TemporaryDirectory(prefix="modelcrate-fuzz-")
    _kept.append(made)
    return Path(made.name)


_kept: list[tempfile.TemporaryDirectory[str]] = []


def written(data: bytes, name: str) -> Path:
    path = folder() / name
    path.write_bytes(data)
    return path


def text_of(data: bytes) -> str:
    return data.decode("utf-8", "surrogateescape")


def model(name: str) -> Callable[[bytes], object]:
    return lambda data: facts_of(io.BytesIO(data), name, len(data))


def configuration(data: bytes) -> None:
    for name in ("config.json", "config.yaml", "chat_template.jinja", "editable.pth"):
        model(name)(data)


def tar(data: bytes) -> None:
    with suppress(CrateError):
        for member in read_tar(codec.decode([data])):
            for _ in member.body:
                pass
    index_tar(io.BytesIO(data))


def debian_package(data: bytes) -> None:
    path = written(data, "a.deb")
    path.with_suffix(".tar").unlink(missing_ok=True)
    with suppress(CrateError):
        deb.control(path)
    package = Deb("a", "1", "amd64", path, hashlib.sha256(data).hexdigest(), len(data), "pool/a.deb")
    for each in deb.items(deb.unpack(package)):
        if each.source is not None:
            for _ in each.source.chunks():
                pass


def wheel(data: bytes) -> None:
    path = written(data, "demo-1.0-py3-none-any.whl")
    pinned = Wheel("demo", "1.0", path.name, hashlib.sha256(data).hexdigest(), len(data), str(path))
    for entry in entries(read_wheel(pinned), Venv("3.11")):
        if entry.source is not None:
            for _ in entry.source.chunks():
                pass


def reference(data: bytes) -> None:
    text = text_of(data)
    is_registry(text)
    image_identity(text)
    assert Reference.parse(str(Reference.parse(text))) == Reference.parse(text)


def challenge(data: bytes) -> None:
    """A line with the header of a 401, as http.client decodes it, and the answer of the token server that it names."""
    header, _, body = data.partition(b"\n")
    chosen = choose(parse_challenges([header.decode("latin-1")]))
    if chosen is not None and chosen.scheme == "bearer":
        check_realm(chosen.realm, f"https://{CONFIGURED}", insecure=False, where=CONFIGURED)
        token_request(chosen, chosen.scopes, None)
    parse_token(Response(200, Headers([]), body, f"https://{CONFIGURED}/token"), (), 0.0)


def answer(data: bytes) -> None:
    """The headers of a registry's answer, a line each, and where they send us."""
    lines = [line.partition(":") for line in data.decode("latin-1").split("\n") if ":" in line]
    told = Response(
        202,
        Headers([(name, value.strip()) for name, _, value in lines]),
        data,
        f"https://{CONFIGURED}/v2/a/blobs/uploads/",
    )
    parse_retry_after(told.headers.get("Retry-After") or "", 0.0)
    for question in (wire.stored_bytes, wire.minimum_chunk, partial_start, length, wire.next_page, wire.warnings):
        with suppress(CrateError):
            question(told)
    with suppress(CrateError):
        wire.descriptor_of(told, CONFIGURED)
    with suppress(CrateError):
        redacted(resolve(told.url, wire.next_page(told) or "", CONFIGURED))
    there = wire.upload_location(told, told.url, CONFIGURED)
    check_hop(told.url, there, CONFIGURED)


def docker_config(data: bytes) -> None:
    """No helper is ever found: the PATH is empty."""
    config = _parsed(data, "config.json")
    for registry in (CONFIGURED, "docker.io"):
        in_config(config, registry, "team/model", {"PATH": "/nowhere"}, "config.json", lambda text: None)


def registries(data: bytes) -> None:
    read_rules(read_registries(written(data, "registries.yaml")), folder())


def policy(data: bytes) -> None:
    """Beside a key that rules may name."""
    if not (folder() / "team.pub").exists():
        written(keys.generate(None)[1], "team.pub")
    read_policy(written(data, "policy.yaml"))


def pylock(data: bytes) -> None:
    text = data.decode("utf-8", "replace")
    with suppress(CrateError):
        every(text, folder(), "pylock.toml", {})
    select(text, Target("3.11"), folder(), {}, "pylock.toml")


def dsse(data: bytes) -> None:
    for parse in (statements.parse_envelope, statements.parse_statement, statements.parse_simple):
        with suppress(CrateError):
            parse(data)


def bundle(data: bytes) -> None:
    envelope = statements.parse_bundle(data)
    with suppress(CrateError):
        statements.parse_statement(envelope.payload)
    path = written(data, "model.sig")
    with suppress(CrateError):
        check_model(path.parent, ())
    path.unlink()


def artifacts(data: bytes) -> None:
    with suppress(CrateError):
        read_layers(data)
    read_artifact_index(data, lambda one: data, lambda one: Literal(data, MediaType.EMPTY))


def registered_model(data: bytes) -> None:
    """Manifest and config, a line with a dash between them."""
    manifest, _, config = data.partition(b"\n-\n")
    model_manifest.read_config_descriptor(manifest, "there")
    model_manifest.decode(manifest, config, "there")


def descriptor(data: bytes) -> None:
    found = Descriptor.parse({"mediaType": MediaType.MANIFEST, "size": len(data), "digest": text_of(data)})
    assert Digest.parse(str(found.digest)) == found.digest


def contents(data: bytes) -> None:
    """What travels beside an image, and the bills of materials that are written from it."""
    facts = contents_artifact.parse(parse_object(data))
    with suppress(UserError):
        find_python(ResolvedBase("told", {}, ()), Wanted(), Look.of(facts.scans.values()), ignore_event)
    layers = tuple(facts.contents.values())
    made = Inventory(
        "demo",
        Descriptor(MediaType.MANIFEST, Digest.of(b""), 0),
        "linux/amd64",
        NOW,
        (),
        layers[0].files if layers else (),
    )
    spdx.text(made)
    cyclonedx.text(made)


def debian_lists(data: bytes) -> None:
    packages = Packages([("debian", data)])
    for name in packages.names:
        with suppress(CrateError):
            packages.get(name)
            packages.providers(name)


def debian_release(data: bytes) -> None:
    """As it comes; and as if it were signed, which no mutation can make it."""
    with suppress(CrateError):
        stanza = deb.fields(data.decode("utf-8", "replace"))
        _date(stanza, "Date", "there")
        _files(stanza.get("SHA256", ""), "there")
    release = known_release("bookworm")
    suite = release.suites("amd64")[0]
    read_release(data, suite, keyring_of(release, suite.archive), NOW, Freshness.REQUIRED, "there")


def metadata(data: bytes) -> None:
    """What bills of materials are made of: dpkg's status, core metadata, copyright files, licences."""
    list(debs(data))
    list(wheel_metadata(data))
    list(conda(data))
    of_debian(data.decode("utf-8", "replace"))
    expression(data.decode("utf-8", "replace"))


def key(data: bytes) -> None:
    with suppress(CrateError):
        keys.read_public(data, "x")
    keys.load_signer(str(written(data, "x.key")), "secret")


def advisories(data: bytes) -> None:
    """A list of vulnerabilities, and what it says of versions."""
    known = read_advisories([written(data, "list.json")])
    for version in ("1.0", "1:2.3~rc1-4", text_of(data[:20])):
        known.of_deb("a", version, "bookworm", "12")
        known.of_wheel("a", version)


def air_gap(data: bytes) -> None:
    """A bundle's index.json and notes, a line with a dash between them; and the bytes as a bundle."""
    with suppress(CrateError):
        Bundle.open(written(data, "raw.bundle"))
    index, _, notes = data.partition(b"\n-\n")
    Bundle.open(written(images.tar_of({"index.json": index, NOTES: notes}), "made.bundle"))


TARGETS: Mapping[str, Callable[[bytes], object]] = {
    "advisories": advisories,
    "air-gap": air_gap,
    "air-gap-inventory": lambda data: read_inventory(written(data, "inventory.json")),
    "answer": answer,
    "archive": images.archive,
    "artifacts": artifacts,
    "bundle": bundle,
    "challenge": challenge,
    "conda": lambda data: parse_conda(data, "conda.yaml"),
    "configuration": configuration,
    "contents": contents,
    "deb": debian_package,
    "debian-lists": debian_lists,
    "debian-release": debian_release,
    "descriptor": descriptor,
    "docker-config": docker_config,
    "dockerfile": lambda data: list(instructions(text_of(data))),
    "dsse": dsse,
    "elf": lambda data: read_elf(io.BytesIO(data)),
    "gguf": model("m.gguf"),
    "hdf5": model("m.h5"),
    "joblib": model("m.joblib"),
    "key": key,
    "layout": images.layout,
    "lock": lambda data: read_lock(written(data, "modelcrate.lock")),
    "manifest": images.manifest,
    "metadata": metadata,
    "onnx": model("m.onnx"),
    "pickle": model("m.pkl"),
    "policy": policy,
    "project": parse_project,
    "pylock": pylock,
    "reference": reference,
    "registered-model": registered_model,
    "registries": registries,
    "safetensors": model("m.safetensors"),
    "request": server.requests,
    "request-body": server.packed_body,
    "request-form": server.multipart,
    "request-grpc": server.grpc,
    "request-tensors": server.tensors,
    "secrets": lambda data: secrets_in("a", data),
    "tar": tar,
    "torch": model("m.pt"),
    "wheel": wheel,
}


def run(name: str, data: bytes) -> None:
    """One input into one parser; an error of ours is an answer, all else gets out."""
    with suppress(CrateError):
        TARGETS[name](data)
