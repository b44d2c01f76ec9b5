"""The oracle itself: it passes a right image, and refuses each thing that can be wrong with one."""

from __future__ import annotations

import gzip
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from modelcrate.transports.oci import LayoutCollection
from modelcrate_layers.content import Descriptor, Digest, Literal, MediaType, canonical_json
from modelcrate_layers.errors import IntegrityError
from modelcrate_layers.store import Layout
from support.rootfs import layer, member
from support.validator import Checked, assert_valid_image, assert_valid_layout

Change = Callable[[dict[str, Any], dict[str, Any]], None]


def made(
    root: Path, tar: Literal, change: Change = lambda config, manifest: None, stored: Literal | None = None
) -> Descriptor:
    """A layout with an image of one layer, written by hand; `change` may falsify config and manifest."""
    layout = Layout.create(root)
    stored = stored or tar
    config: dict[str, Any] = {"architecture": "amd64", "os": "linux", "config": {}, "history": [{"created_by": "hand"}]}
    config["rootfs"] = {"type": "layers", "diff_ids": [str(tar.descriptor.digest)]}
    manifest: dict[str, Any] = {
        "schemaVersion": 2,
        "mediaType": MediaType.MANIFEST,
        "layers": [stored.descriptor.json()],
    }
    change(config, manifest)
    told = Literal(canonical_json(config), MediaType.CONFIG)
    manifest.setdefault("config", told.descriptor.json())
    root_blob = Literal(canonical_json(manifest), MediaType.MANIFEST)
    for blob in (stored, told, root_blob):
        layout.add(blob.chunks(), blob.descriptor)
    layout.name(root_blob.descriptor, "x")
    return root_blob.descriptor


def ours(config: dict[str, Any], manifest: dict[str, Any]) -> None:
    manifest["layers"][0]["annotations"] = {"io.modelcrate.layer.role": "model"}


def right() -> Literal:
    return layer(member("opt", kind=b"5", mtime=315532801), member("opt/a", b"abc", mtime=315532801))


@pytest.mark.parametrize("change", [lambda config, manifest: None, ours])
def test_a_right_image_passes(tmp_path: Path, change: Change) -> None:
    made(tmp_path, right(), change)
    assert assert_valid_layout(tmp_path) == Checked(images=1, layers=1, members=2)


def test_a_right_gzip_layer_passes(tmp_path: Path) -> None:
    made(tmp_path, right(), ours, Literal(gzip.compress(right().data), MediaType.LAYER_GZIP))
    assert assert_valid_layout(tmp_path).members == 2


def diff_id(config: dict[str, Any], manifest: dict[str, Any]) -> None:
    config["rootfs"]["diff_ids"] = [str(Digest.of(b"other"))]


def history(config: dict[str, Any], manifest: dict[str, Any]) -> None:
    config["history"] = []


def size(config: dict[str, Any], manifest: dict[str, Any]) -> None:
    config["rootfs"]["diff_ids"] *= 2


def media_type(config: dict[str, Any], manifest: dict[str, Any]) -> None:
    manifest["layers"][0]["mediaType"] = "application/x-tar"


def system(config: dict[str, Any], manifest: dict[str, Any]) -> None:
    del config["os"]


def twice(config: dict[str, Any], manifest: dict[str, Any]) -> None:
    config["config"]["Env"] = ["A=1", "A=2"]


@pytest.mark.parametrize("change", [diff_id, history, size, media_type, system, twice])
def test_a_wrong_document_is_refused(tmp_path: Path, change: Change) -> None:
    made(tmp_path, right(), change)
    with pytest.raises((AssertionError, KeyError)):
        assert_valid_layout(tmp_path)


EARLY = {"mtime": 315532801}


@pytest.mark.parametrize(
    "members",
    [
        pytest.param([member("a", b"1", **EARLY), member("a", b"2", **EARLY)], id="twice"),
        pytest.param([member("b", b"1", **EARLY), member("a", b"2", **EARLY)], id="order"),
        pytest.param([member("../a", b"1", **EARLY)], id="escapes"),
        pytest.param([member("/a", b"1", **EARLY)], id="absolute"),
        pytest.param([member("a", b"1", mtime=7)], id="time"),
        pytest.param([member("a", b"1", uname="root", **EARLY)], id="owner"),
        pytest.param([member("a", b"1", **{**EARLY, "mode": 0o4755})], id="set-id"),
        pytest.param([member("a/.wh.b", b"", **EARLY)], id="whiteout"),
        pytest.param([member("a", kind=b"5", **EARLY), member("a/b/c", b"1", **EARLY)], id="parent"),
        pytest.param([member("a", b"1", **EARLY), member("a/b", b"1", **EARLY)], id="below a file"),
        pytest.param([member("a", kind=b"1", linkname="b", **EARLY)], id="hard link"),
        pytest.param([member("a", kind=b"6", **EARLY)], id="pipe"),
    ],
)
def test_a_layer_of_ours_that_breaks_a_rule_is_refused(tmp_path: Path, members: list[Any]) -> None:
    made(tmp_path, layer(*members), ours)
    with pytest.raises(AssertionError):
        assert_valid_layout(tmp_path)


def test_a_changed_byte_of_a_blob_is_refused(tmp_path: Path) -> None:
    descriptor = made(tmp_path, right())
    blob = tmp_path / "blobs" / "sha256" / right().descriptor.digest.hex
    blob.write_bytes(blob.read_bytes()[:-1] + b"\1")
    with pytest.raises((AssertionError, IntegrityError)):
        assert_valid_image(LayoutCollection(Layout.open(tmp_path)), descriptor)
    with pytest.raises(AssertionError, match="damaged"):
        assert_valid_layout(tmp_path)


def test_what_was_left_behind_is_refused(tmp_path: Path) -> None:
    made(tmp_path, right())
    (tmp_path / "blobs" / "sha256" / ".incoming-x").write_bytes(b"half")
    with pytest.raises(AssertionError, match="damaged"):
        assert_valid_layout(tmp_path)


def test_a_tag_that_stands_twice_is_refused(tmp_path: Path) -> None:
    made(tmp_path, right())
    index = json.loads((tmp_path / "index.json").read_bytes())
    index["manifests"] *= 2
    (tmp_path / "index.json").write_bytes(canonical_json(index))
    with pytest.raises(AssertionError, match="twice"):
        assert_valid_layout(tmp_path)
