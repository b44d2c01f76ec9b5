"""Tables that say other things of a layer than its tar: a runtime that knows them would mount what no diff id vouches for."""

from __future__ import annotations

import base64
import hashlib
import json
import struct
import tarfile
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import zstandard

from modelcrate import api
from modelcrate.config import Config
from modelcrate.images.image import Image, replaced
from modelcrate.inspect.verify_bytes import ByteCheck, verify_bytes
from modelcrate.inspect.verify_tables import compare_table
from modelcrate.transports import oci
from modelcrate_layers.content import Digest, Literal, canonical_json
from modelcrate_layers.store import Layout
from support import chunked, estargz
from support.images import noise
from support.rootfs import layer, member
from support.small_projects import model_only, served
from support.validator import assert_valid_layout

Lines = list[dict[str, Any]]

BODY = noise(3000)
TAR = layer(
    member("d/", kind=tarfile.DIRTYPE),
    member("d/file", BODY, uid=7),
    member("d/empty"),
    member("d/hard", kind=tarfile.LNKTYPE, linkname="d/file"),
    member("d/link", kind=tarfile.SYMTYPE, linkname="file"),
    member("d/null", kind=tarfile.CHRTYPE),
).data


def sha256(data: bytes) -> str:
    return f"sha256:{hashlib.sha256(data).hexdigest()}"


def table() -> Lines:
    """As others write it: the file in two chunks, one of them without its length."""
    owner = {"uid": 0, "gid": 0, "mode": 0o644}
    return [
        {"name": "d/", "type": "dir", **owner, "mode": 0o755},
        {"name": "d/file", "type": "reg", **owner, "uid": 7, "size": 3000, "digest": sha256(BODY), "chunkSize": 1000, "chunkDigest": sha256(BODY[:1000])},
        {"name": "d/file", "type": "chunk", "chunkOffset": 1000, "chunkDigest": sha256(BODY[1000:])},
        {"name": "./d/empty", "type": "reg", **owner},
        {"name": "d/hard", "type": "hardlink", **owner, "linkName": "d/file"},
        {"name": "d/link", "type": "symlink", **owner, "linkName": "file"},
        {"name": "d/null", "type": "char", **owner},
    ]  # fmt: skip


def told(entries: Lines, tar: bytes = TAR) -> str:
    found = list(compare_table(entries, [tar]))
    assert len(found) <= 1
    return "".join(found).removeprefix("its table is not that of its tar: ")


def test_a_right_table_says_what_the_tar_says() -> None:
    assert told(table()) == ""
    stored = layer(member("d/file", bytes(3000), pax_headers={"SCHILY.xattr.user.k": "v"})).data
    line = {"name": "d/file", "type": "reg", "mode": 0o644, "size": 3000, "xattrs": {"user.k": base64.b64encode(b"v").decode()}}  # fmt: skip
    assert told([line | {"digest": sha256(bytes(3000)), "chunkType": "zeros"}], stored) == ""


WRONG: dict[str, tuple[Callable[[Lines], Any], str]] = {
    "another digest": (lambda lines: lines[1].update(digest=sha256(b"")), "/d/file: another content"),
    "another chunk": (lambda lines: lines[1].update(chunkDigest=sha256(b"")), "/d/file: another content"),
    "a last chunk without digest": (lambda lines: lines[2].pop("chunkDigest"), "/d/file: another content"),
    "a hole that is none": (lambda lines: lines[2].update(chunkType="zeros"), "/d/file: another content"),
    "another size": (lambda lines: lines[1].update(size=2999), "/d/file: another size"),
    "bytes in an empty file": (lambda lines: lines[3].update(size=1, digest=sha256(b"x")), "/d/empty: another size"),
    "a gap": (lambda lines: lines[2].update(chunkOffset=1001), "/d/file: the table is malformed"),
    "chunks without end": (lambda lines: lines[1].update(chunkSize=-1), "/d/file: the table is malformed"),
    "a fraction of a byte": (lambda lines: lines[1].update(chunkSize=1000.0), "/d/file: the table is malformed"),
    "texts for numbers": (lambda lines: lines[1].update(mode="rw"), "/d/file: the table is malformed"),
    "another type": (lambda lines: lines[4].update(type="symlink"), "/d/hard: another type"),
    "another target": (lambda lines: lines[5].update(linkName="/etc/shadow"), "/d/link: another target"),
    "a bit more": (lambda lines: lines[1].update(mode=0o4755), "/d/file: another mode"),
    "another owner": (lambda lines: lines[1].update(uid=0), "/d/file: another owner"),
    "another device": (lambda lines: lines[6].update(devMajor=8), "/d/null: another device"),
    "a capability": (lambda lines: lines[1].update(xattrs={"security.capability": "eA=="}), "/d/file: another extended attributes"),
    "an entry less": (lambda lines: lines.pop(3), "/d/empty: it is not in the table"),
    "an entry more": (lambda lines: lines.append(lines[1] | {"name": "evil\n"}), "/evil\\n: it is not in the tar"),
    "a second one": (lambda lines: lines.append(lines[1] | {"digest": sha256(b"")}), "/d/file: it stands in the table twice"),
    "a chunk alone": (lambda lines: lines.pop(1), "/d/file: the table is malformed"),
}  # fmt: skip


@pytest.mark.parametrize("name", WRONG)
def test_what_a_table_says_else_is_found(name: str) -> None:
    lines = table()
    change, how = WRONG[name]
    change(lines)
    assert told(lines).startswith(how)


@pytest.fixture
def settings(tmp_path: Path) -> Config:
    return Config(tmp_path / "home", {"HOME": str(tmp_path)})


def forged(blob: bytes, notes: dict[str, str], name: str, change: dict[str, Any]) -> tuple[bytes, dict[str, str]]:
    """A zstd:chunked layer whose table says something else of the first entry that ends so, and is named with its digest. All tar bytes stay."""
    at, length, plain, _ = map(int, notes[chunked.PLACE].split(":"))
    text = zstandard.decompress(blob[at : at + length], max_output_size=plain)
    toc = json.loads(text)
    next(each for each in toc["entries"] if each["name"].endswith(name)).update(change)
    text = json.dumps(toc).encode()
    packed = zstandard.compress(text)
    stored = blob + struct.pack("<4sI", b"\x50\x2a\x4d\x18", len(packed)) + packed
    place = f"{len(blob) + 8}:{len(packed)}:{len(text)}:1"
    return stored, notes | {chunked.PLACE: place, chunked.DIGEST: sha256(packed)}


def with_layer(image: Image, at: int, data: bytes, notes: dict[str, str]) -> Image:
    old = image.layers[at]
    blob = Literal(data, old.descriptor.media_type)
    descriptor = replace(blob.descriptor, annotations=notes)
    new = replace(old, blob=blob, layer=replace(old.layer, descriptor=descriptor))
    return replaced(image, [*image.layers[:at], new, *image.layers[at + 1 :]])


def verified(image: Any, folder: Path) -> ByteCheck:
    oci.write(Layout.create(folder), image, "1", lambda event: None, "oci", "")
    return verify_bytes(oci.find(folder, "1"))


def built(project: Path, settings: Config) -> Image:
    (image,) = api.build(project, settings=settings).image.images
    return image


@pytest.mark.parametrize("codec", ["zstd:chunked", "{dependencies: estargz}"])
def test_tables_of_ours_are_right(codec: str, tmp_path: Path, settings: Config) -> None:
    project = served(tmp_path / "project")
    with open(project / "modelcrate.yaml", "a") as text:
        text.write(f"codec: {codec}\n")
    (project / "model.bin").write_bytes(noise(3 << 20))
    image = built(project, settings)
    assert [each for each in image.layers if {chunked.DIGEST, estargz.DIGEST} & each.descriptor.annotations.keys()]
    checked = verified(image, tmp_path / "oci")
    assert (checked.mismatches, checked.unchecked) == ((), ())
    assert assert_valid_layout(tmp_path / "oci").images == 1


@pytest.mark.parametrize(
    ("change", "how"),
    [({}, ""), ({"digest": sha256(b"")}, "another content"), ({"mode": 0o4755}, "another mode")],
    ids=["nothing", "content", "mode"],
)
def test_a_layer_of_the_right_diff_id_whose_table_lies(change: dict[str, Any], how: str, tmp_path: Path, settings: Config) -> None:  # fmt: skip
    project = model_only(tmp_path / "project")
    with open(project / "modelcrate.yaml", "a") as text:
        text.write("codec: zstd:chunked\n")
    image = built(project, settings)
    (old,) = image.layers
    data, notes = forged(b"".join(old.blob.chunks()), dict(old.descriptor.annotations), "model.bin", change)
    checked = verified(with_layer(image, 0, data, notes), tmp_path / "oci")
    assert len(checked.mismatches) == bool(how)
    assert all(how in each and "model.bin" in each and sha256(data) in each for each in checked.mismatches)
    wrong = notes | {chunked.DIGEST: sha256(b"")}
    (told,) = verified(with_layer(image, 0, data, wrong), tmp_path / "named").mismatches
    assert "its table can't be read: the manifest names" in told


def test_a_table_for_the_snapshotter_is_made_again(tmp_path: Path, settings: Config) -> None:
    project = model_only(tmp_path / "project", noise(12 << 20))
    api.build(project, outputs=f"soci:oci:{tmp_path}/oci:1", settings=settings)
    layout, found = Layout.open(tmp_path / "oci"), oci.find(tmp_path / "oci", "1")
    checked = verify_bytes(found)
    assert (checked.mismatches, checked.unchecked) == ((), ())
    root = found.document()
    entry = root["manifests"][1]
    soci = json.loads(next(each.data for each in found.graph().documents if str(each.descriptor.digest) == entry["digest"]))  # fmt: skip
    (named,) = soci["layers"]
    right = (tmp_path / "oci/blobs/sha256" / named["digest"].partition(":")[2]).read_bytes()
    other = Literal(right.replace(b"model.bin", b"mOdel.bin"), named["mediaType"])

    def told(tool: str, layer: str) -> ByteCheck:
        notes = named["annotations"] | {"com.amazon.soci.image-layer-digest": layer}
        changed = {**soci, "layers": [{**other.descriptor.json(), "annotations": notes}], "annotations": {"com.amazon.soci.build-tool-identifier": tool}}  # fmt: skip
        manifest = Literal(canonical_json(changed), entry["mediaType"])
        index = Literal(canonical_json({**root, "manifests": [root["manifests"][0], entry | manifest.descriptor.json()]}), root["mediaType"])  # fmt: skip
        for each in (other, manifest, index):
            path = layout.root / "blobs/sha256" / each.descriptor.digest.hex
            path.write_bytes(each.data)
        return verify_bytes(replace(found, descriptor=index.descriptor))

    ours, layer = soci["annotations"]["com.amazon.soci.build-tool-identifier"], named["annotations"]["com.amazon.soci.image-layer-digest"]  # fmt: skip
    (line,) = told(ours, layer).mismatches
    assert f"table {other.descriptor.digest}: is not the table of {layer}" in line
    by_another = told("AWS SOCI CLI v0.11", layer)
    assert by_another.mismatches == ()
    assert "made by another tool" in by_another.unchecked[0]
    (line,) = told(ours, str(Digest.of(b"another"))).mismatches
    assert "no layer of the image" in line
