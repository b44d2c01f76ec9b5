"""Bundles that nobody of ours made: each is refused in words, and nothing outside of it is read."""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from modelcrate.bundles.bundle import Bundle
from modelcrate.bundles.inventory import read_inventory
from modelcrate.bundles.load import Check, load_bundle
from modelcrate.bundles.notes import MAX_LEFT_OUT, MAX_PACKAGES, MAX_STEPS, NOTES, refuse_many
from modelcrate.bundles.receivers import StoreReceiver
from modelcrate.environment import read_config
from modelcrate.events import ignore_event
from modelcrate.home.folder import open_store
from modelcrate.images.reading import Found
from modelcrate.transports.connections import Connections
from modelcrate_layers.content import Descriptor, Digest, MediaType, canonical_json
from modelcrate_layers.errors import CrateError, IntegrityError, SourceError, UserError
from modelcrate_layers.store import REF_NAME, Layout
from modelcrate_layers.tar import writer
from modelcrate_layers.tar.sources import Bytes
from modelcrate_layers.tar.tree import file

OLD, NEW = b"old bytes" * 1000, b"new bytes and " + b"old bytes" * 999
CONFIG = canonical_json(
    {
        "architecture": "amd64",
        "os": "linux",
        "config": {},
        "rootfs": {"type": "layers", "diff_ids": [str(Digest.of(NEW))]},
    }
)


def descriptor(data: bytes, kind: str, **more: Any) -> dict[str, Any]:
    return {"mediaType": kind, "digest": str(Digest.of(data)), "size": len(data), **more}


MANIFEST = canonical_json(
    {
        "schemaVersion": 2,
        "mediaType": MediaType.MANIFEST,
        "config": descriptor(CONFIG, MediaType.CONFIG),
        "layers": [descriptor(NEW, MediaType.LAYER)],
    }
)
STEPS = [[14, None], [8991, 0]]


def documents() -> dict[str, Any]:
    """An honest bundle: one image, whose layer is made of an earlier one."""
    return {
        "index.json": {
            "schemaVersion": 2,
            "manifests": [descriptor(MANIFEST, MediaType.MANIFEST, annotations={REF_NAME: "a.example/b:1"})],
        },
        NOTES: {
            "version": 1,
            "place": "store",
            "left-out": {str(Digest.of(OLD)): [len(OLD), ""]},
            "rebuilds": {str(Digest.of(NEW)): [str(Digest.of(OLD)), STEPS]},
        },
    }


def bundle(folder: Path, told: dict[str, Any], pieces: bytes = b"new bytes and ", **more: bytes) -> Path:
    members = {
        "oci-layout": b'{"imageLayoutVersion":"1.0.0"}',
        **{name: json.dumps(value).encode() for name, value in told.items()},
        f"blobs/sha256/{Digest.of(MANIFEST).hex}": MANIFEST,
        f"blobs/sha256/{Digest.of(CONFIG).hex}": CONFIG,
        f"pieces/sha256/{Digest.of(NEW).hex}": pieces,
        **more,
    }
    path = folder / "bundle"
    entries = [file(name.encode(), Bytes(data), 0o644) for name, data in members.items()]
    path.write_bytes(b"".join(writer.stream(entries)))
    return path


def layer_of(path: Path, folder: Path) -> bytes:
    """The bytes of the only layer, as a store with the earlier layer gets them."""
    store = Layout.create(folder / "store")
    store.add([OLD], parsed(OLD))
    opened = Bundle.open(path)
    (name,) = opened.images
    (layer,) = opened.found(name, StoreReceiver(store)).image().layers
    return b"".join(layer.blob.chunks())


def parsed(data: bytes) -> Descriptor:
    return Descriptor.of(data, MediaType.LAYER)


def test_an_honest_one_is_read(tmp_path: Path) -> None:
    assert layer_of(bundle(tmp_path, documents()), tmp_path) == NEW


def test_a_layer_is_read_from_any_byte_on(tmp_path: Path) -> None:
    store = Layout.create(tmp_path / "store")
    store.add([OLD], parsed(OLD))
    opened = Bundle.open(bundle(tmp_path, documents()))
    (layer,) = opened.found("a.example/b:1", StoreReceiver(store)).image().layers
    for start in (1, 13, 14, 15, 5_000, len(NEW) - 1, len(NEW)):
        assert b"".join(layer.blob.chunks(start)) == NEW[start:]


def _steps(steps: Any) -> Callable[[dict[str, Any]], None]:
    def change(told: dict[str, Any]) -> None:
        told[NOTES]["rebuilds"][str(Digest.of(NEW))][1] = steps

    return change


def _set(document: str, key: str, value: Any) -> Callable[[dict[str, Any]], None]:
    return lambda told: told[document].update({key: value})


def _named(name: str) -> Callable[[dict[str, Any]], None]:
    return lambda told: told["index.json"]["manifests"][0]["annotations"].update({REF_NAME: name})


def _left_out(repository: str) -> Callable[[dict[str, Any]], None]:
    return lambda told: told[NOTES]["left-out"].update({str(Digest.of(OLD)): [len(OLD), repository]})


FORGED: dict[str, Callable[[dict[str, Any]], Any]] = {
    "steps of another length": _steps([[14, None], [8990, 0]]),
    "steps beyond the earlier layer": _steps([[14, None], [8991, 10]]),
    "steps that take more than there is": _steps([[15, None], [8990, 0]]),
    "other steps of the right length": _steps([[14, None], [8991, 4]]),
    "a step before the beginning": _steps([[14, None], [8991, -1]]),
    "a step of a huge size": _steps([[14, None], [1 << 70, 0]]),
    "a step that is a text": _steps([["14", None], [8991, 0]]),
    "a step of true": _steps([[True, None], [8991, 0]]),
    "no steps": _steps([]),
    "a step of nothing": _steps([[14, None], [0, 0], [8991, 0]]),
    "more steps than any bundle": _steps([[1, None]] * (MAX_STEPS + 1)),
    "steps that are no list": _steps(5),
    "an earlier layer that nobody named": lambda told: told[NOTES].update({"left-out": {}}),
    "a blob of another size": lambda told: told[NOTES]["left-out"].update({str(Digest.of(OLD)): [1 << 40, ""]}),
    "a repository that is a number": lambda told: told[NOTES]["left-out"].update({str(Digest.of(OLD)): [9000, 5]}),
    "a later version": _set(NOTES, "version", 3),
    "packages in a bundle of the first version": _set(NOTES, "packages", []),
    "no version": lambda told: told[NOTES].pop("version"),
    "no place": lambda told: told[NOTES].pop("place"),
    "an image without a name": lambda told: told["index.json"]["manifests"][0].pop("annotations"),
    "two images of one name": lambda told: told["index.json"]["manifests"].append(told["index.json"]["manifests"][0]),
    "a name with a control character": _named("a.example/b:1\x1b[31m"),
    "a name that leaves its folder": _named("../../b:1"),
    "a name of 300 characters": _named(f"a.example/{'b' * 300}:1"),
    "a name with the digest of another image": _named(f"a.example/b@{Digest.of(b'x')}"),
    "a place with a control character": _set(NOTES, "place", "a\x1b[31m"),
    "a repository that leaves its folder": _left_out("../../admin"),
    "more blobs left out than any bundle": _set(
        NOTES, "left-out", {f"sha256:{number:064x}": [1, ""] for number in range(MAX_LEFT_OUT + 1)}
    ),
    "an index without a list": _set("index.json", "manifests", {}),
    "an image that is not there": lambda told: told["index.json"]["manifests"][0].update(
        {"digest": str(Digest.of(b"x")), "size": 1}
    ),
    "no notes": lambda told: told.pop(NOTES),
    "notes that are a list": lambda told: told.update({NOTES: []}),
}


@pytest.mark.parametrize("kind", FORGED)
def test_a_forged_one_is_refused(kind: str, tmp_path: Path) -> None:
    told = documents()
    FORGED[kind](told)
    with pytest.raises(IntegrityError):
        layer_of(bundle(tmp_path, told), tmp_path)


def test_pieces_of_another_layer_are_found_out(tmp_path: Path) -> None:
    with pytest.raises(IntegrityError, match="digest"):
        layer_of(bundle(tmp_path, documents(), b"bad bytes and "), tmp_path)


def test_a_changed_earlier_layer_is_found_out(tmp_path: Path) -> None:
    path = bundle(tmp_path, documents())
    store = Layout.create(tmp_path / "store")
    store.add([OLD], parsed(OLD))
    place = store.path(Digest.of(OLD))
    place.write_bytes(b"x" + OLD[1:])
    opened = Bundle.open(path)
    (layer,) = opened.found("a.example/b:1", StoreReceiver(store)).image().layers
    with pytest.raises(CrateError):
        b"".join(layer.blob.chunks())


@pytest.mark.parametrize("name", ["more.txt", "../more", "blobs/sha256/00", f"pieces/sha256/{Digest.of(OLD).hex}"])
def test_files_that_no_bundle_has(name: str, tmp_path: Path) -> None:
    with pytest.raises(IntegrityError, match="that no bundle has"):
        Bundle.open(bundle(tmp_path, documents(), **{name: b"x"}))


WHEEL = b"a wheel"
PIN = {"kind": "wheel", "name": "a", "version": "1", "filename": "a-1-py3-none-any.whl", "sha256": Digest.of(WHEEL).hex}


def with_packages(*pins: Any, **tools: Any) -> dict[str, Any]:
    told = documents()
    told[NOTES] |= {"version": 2, "packages": list(pins), "tools": tools}
    return told


def test_a_package_is_kept_in_the_cache_by_its_hash(tmp_path: Path) -> None:
    member = {f"packages/sha256/{Digest.of(WHEEL).hex}": WHEEL}
    loaded(bundle(tmp_path, with_packages(PIN), **member), tmp_path)
    kept = tmp_path / "home" / "cache" / "wheels" / Digest.of(WHEEL).hex / "a-1-py3-none-any.whl"
    assert kept.read_bytes() == WHEEL
    kept.write_bytes(b"damaged")
    loaded(bundle(tmp_path, with_packages(PIN), **member), tmp_path)
    assert kept.read_bytes() == WHEEL


def test_a_package_that_is_left_out_has_to_be_here(tmp_path: Path) -> None:
    with pytest.raises(SourceError, match="leaves out 1 of 1 packages"):
        loaded(bundle(tmp_path, with_packages(PIN)), tmp_path)
    loaded(bundle(tmp_path, with_packages(PIN), **{f"packages/sha256/{Digest.of(WHEEL).hex}": WHEEL}), tmp_path)
    loaded(bundle(tmp_path, with_packages(PIN)), tmp_path)


HOSTILE_PACKAGES: dict[str, tuple[dict[str, Any], dict[str, bytes]]] = {
    "one that nobody named": (with_packages(), {f"packages/sha256/{Digest.of(WHEEL).hex}": WHEEL}),
    "one with other bytes": (with_packages(PIN), {f"packages/sha256/{Digest.of(WHEEL).hex}": b"b wheel"}),
    "one of another size": (
        with_packages(PIN | {"size": 8}),
        {f"packages/sha256/{Digest.of(WHEEL).hex}": WHEEL},
    ),
    "a file name that leaves the cache": (with_packages(PIN | {"filename": "../../a-1-py3-none-any.whl"}), {}),
    "a hash that leaves the cache": (with_packages(PIN | {"sha256": "../x"}), {}),
    "another kind": (with_packages(PIN | {"kind": "program"}), {}),
    "no kind": (with_packages({}), {}),
    "no object": (with_packages("a"), {}),
    "more packages than any bundle": (with_packages(*[PIN] * (MAX_PACKAGES + 1)), {}),
    "a tool that is not there": (with_packages(**{"m.pex": [str(Digest.of(WHEEL)), 7]}), {}),
    "a tool with other bytes": (with_packages(**{"m.pex": [str(Digest.of(WHEEL)), 7]}), {"tools/m.pex": b"b wheel"}),
    "a tool in another folder": (with_packages(**{"../m": [str(Digest.of(WHEEL)), 7]}), {"tools/../m": WHEEL}),
    "a tool that nobody named": (with_packages(), {"tools/m.pex": WHEEL}),
}


@pytest.mark.parametrize("kind", HOSTILE_PACKAGES)
def test_hostile_packages_are_refused(kind: str, tmp_path: Path) -> None:
    told, members = HOSTILE_PACKAGES[kind]
    with pytest.raises(IntegrityError):
        loaded(bundle(tmp_path, told, **members), tmp_path)
    assert not [path for path in (tmp_path / "home" / "cache").rglob("*") if path.is_file()]


def loaded(path: Path, folder: Path, target: str = "store", check: Check | None = None) -> None:
    config = replace(read_config(), home=folder / "home")
    store = open_store(config)
    store.add([OLD], parsed(OLD))
    load_bundle(path, target, Connections(config), ignore_event, check)


def test_bytes_that_belong_to_no_image(tmp_path: Path) -> None:
    loaded(bundle(tmp_path, documents()), tmp_path)
    surplus = {f"blobs/sha256/{Digest.of(b'x').hex}": b"x"}
    with pytest.raises(IntegrityError, match="belong to none of its images"):
        loaded(bundle(tmp_path, documents(), **surplus), tmp_path)


def refused_unless(signed: Digest, asked: list[str]) -> Callable[[Found, str], None]:
    def check(found: Found, name: str) -> None:
        asked.append(name)
        if found.descriptor.digest != signed:
            raise IntegrityError(f"{name} is not signed")

    return check


def with_base(folder: Path, base_name: str, annotations: Any) -> tuple[Path, Digest]:
    """A signed image, and one that it may name as its base. The base is listed first."""
    image = json.loads(MANIFEST) | {"annotations": annotations}
    data = canonical_json(image)
    told = documents()
    told["index.json"]["manifests"][0]["annotations"][REF_NAME] = base_name
    told["index.json"]["manifests"].append(
        descriptor(data, MediaType.MANIFEST, annotations={REF_NAME: "a.example/on-it:1"})
    )
    return bundle(folder, told, **{f"blobs/sha256/{Digest.of(data).hex}": data}), Digest.of(data)


BASE = Digest.of(MANIFEST)
NAMED = {"org.opencontainers.image.base.digest": str(BASE)}


def test_a_base_needs_no_signature_of_its_own(tmp_path: Path) -> None:
    path, signed = with_base(tmp_path, f"a.example/b@{BASE}", NAMED)
    asked: list[str] = []
    loaded(path, tmp_path, check=refused_unless(signed, asked))
    assert asked == ["a.example/on-it:1"]
    assert len(open_store(replace(read_config(), home=tmp_path / "home")).manifests()) == 2


@pytest.mark.parametrize(
    ("name", "annotations"),
    [
        (f"a.example/b@{BASE}", {}),
        (f"a.example/b@{BASE}", {"org.opencontainers.image.base.digest": str(Digest.of(b"x"))}),
        (f"a.example/b@{BASE}", {"org.opencontainers.image.base.digest": [str(BASE)]}),
        (f"a.example/b@{BASE}", [str(BASE)]),
        ("a.example/b:1", NAMED),
        ("a.example/b", NAMED),
        (f"a.example/b:1@{BASE}", NAMED),
    ],
)
def test_what_no_signed_image_names_by_its_digest_is_no_base(name: str, annotations: Any, tmp_path: Path) -> None:
    path, signed = with_base(tmp_path, name, annotations)
    with pytest.raises(IntegrityError):
        loaded(path, tmp_path, check=refused_unless(signed, []))
    assert not open_store(replace(read_config(), home=tmp_path / "home")).manifests()


def test_images_that_call_each_other_their_base_are_checked(tmp_path: Path) -> None:
    path, _ = with_base(tmp_path, f"a.example/b@{BASE}", NAMED)
    with pytest.raises(IntegrityError, match="is not signed"):
        loaded(path, tmp_path, check=refused_unless(BASE, []))


def test_two_images_that_would_get_one_name(tmp_path: Path) -> None:
    """A registry's host is no part of the name that an image gets in another registry."""
    told = documents()
    other = MANIFEST + b" "
    entry = descriptor(other, MediaType.MANIFEST, annotations={REF_NAME: "other.example/b:1"})
    told["index.json"]["manifests"].append(entry)
    told[NOTES]["left-out"].clear()
    path = bundle(tmp_path, told, **{f"blobs/sha256/{Digest.of(other).hex}": other})
    with pytest.raises(UserError, match=r"two images of the bundle would be 127\.0\.0\.1:1/b:1"):
        loaded(path, tmp_path, "registry:127.0.0.1:1")


def test_steps_of_a_layer_that_no_image_has(tmp_path: Path) -> None:
    other = Digest.of(b"of no image")
    told = documents()
    told[NOTES]["rebuilds"][str(other)] = [str(Digest.of(OLD)), [[1, None]]]
    for more in ({}, {f"pieces/sha256/{other.hex}": b"x"}):
        with pytest.raises(IntegrityError, match=f"belong to none of its images, such as pieces/sha256/{other.hex}"):
            loaded(bundle(tmp_path, told, **more), tmp_path)


@pytest.mark.parametrize("value", [b"[0,0],", b"[],", b"{},", b"0,", b'"a":0,'])
def test_notes_with_too_many_values_are_not_parsed(value: bytes) -> None:
    refuse_many(value * 10_000)
    with pytest.raises(IntegrityError, match="than any bundle has"):
        refuse_many(value * 2_500_000)


def test_bytes_behind_the_end(tmp_path: Path) -> None:
    path = bundle(tmp_path, documents())
    data = path.read_bytes()
    path.write_bytes(data + bytes(1 << 20))
    Bundle.open(path)
    path.write_bytes(data + bytes(1 << 20) + b"x")
    with pytest.raises(IntegrityError, match="has bytes behind its end"):
        Bundle.open(path)


@pytest.mark.parametrize("data", [b"", b"no tar at all", bytes(10_240), b"\x1f\x8b\x08 packed" * 100])
def test_what_is_no_bundle(data: bytes, tmp_path: Path) -> None:
    (tmp_path / "a").write_bytes(data)
    with pytest.raises(IntegrityError, match="is no bundle") as raised:
        Bundle.open(tmp_path / "a")
    assert ("it is compressed" in raised.value.why) is data.startswith(b"\x1f")


def test_a_bundle_that_is_a_folder_or_a_fifo(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "fifo")
    for path in (tmp_path, tmp_path / "fifo"):
        with pytest.raises(SourceError, match="not a regular file"):
            Bundle.open(path)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "[]",
        "{}",
        '{"version": 2, "place": "", "images": {}, "blobs": {}, "pieces": {}}',
        '{"version": 1, "place": 3, "images": {}, "blobs": {}, "pieces": {}}',
        '{"version": 1, "place": "", "images": [], "blobs": {}, "pieces": {}}',
        '{"version": 1, "place": "", "images": {"a": "b"}, "blobs": {}, "pieces": {}}',
        '{"version": 1, "place": "", "images": {}, "blobs": {"sha256:00": [1, ""]}, "pieces": {}}',
        '{"version": 1, "place": "", "images": {}, "blobs": {}, "pieces": {"a": [[1]]}}',
    ],
)
def test_what_is_no_inventory(text: str, tmp_path: Path) -> None:
    (tmp_path / "a").write_text(text)
    with pytest.raises(IntegrityError):
        read_inventory(tmp_path / "a")


def test_an_inventory_is_of_digests_and_not_of_empty_lists(tmp_path: Path) -> None:
    """Lists of two bytes take thirty times as much when they are parsed, and none is."""
    (tmp_path / "a").write_text('{"version": 1, "pieces": {"x": [' + "[]," * 4000 + "[]]}}")
    with pytest.raises(IntegrityError, match="more values than"):
        read_inventory(tmp_path / "a")
    smallest = {
        "version": 1,
        "place": "h",
        "images": {f"{number}:1": f"sha256:{number:064x}" for number in range(3000)},
        "blobs": {f"sha256:{number:064x}": [1, "a"] for number in range(3000)},
        "pieces": {f"sha256:{0:064x}": [[0, 1, f"{number:064x}"] for number in range(3000)]},
    }
    (tmp_path / "b").write_text(json.dumps(smallest, separators=(",", ":")))
    assert len(read_inventory(tmp_path / "b").blobs) == 3000
