"""What a layer has: its files, whose they are, and the tensors in them, whether it is read as a tar or as it is built."""

from __future__ import annotations

import json

import pytest

from modelcrate.images.image import ImageLayer
from modelcrate.reports import listing as listings
from modelcrate.reports.contents_tree import find_owners, layer_node
from modelcrate.reports.facts import Node
from modelcrate.reports.listing import Listing, list_layer
from modelcrate_layers.content import Digest, Literal
from modelcrate_layers.errors import IntegrityError
from modelcrate_layers.tar.codec import Codec
from modelcrate_layers.tar.recipe import Layer
from support.rootfs import layer, member
from support.tensor_files import safetensors
from support.tiny_gguf import tiny_gguf

SITE = "opt/modelcrate/lib/python3.11/site-packages"
WHEEL = (
    member(f"{SITE}/tiny/__init__.py", b"x" * 10),
    member(
        f"{SITE}/tiny-1.0.dist-info/METADATA",
        b"Name: Tiny\nVersion: 1.0\nRequires-Dist: other>=2\n\nRequires-Dist: no\n",
    ),
    member(
        f"{SITE}/tiny-1.0.dist-info/RECORD",
        b"tiny/__init__.py,sha256=a,10\n../../../bin/tiny,,\ntiny-1.0.dist-info/METADATA,,\ntiny-1.0.dist-info/RECORD,,\n",
    ),
    member(f"{SITE}/tiny-1.0.dist-info/INSTALLER", b"modelcrate"),
    member("opt/modelcrate/bin/tiny", b"#!"),
    member("opt/modelcrate/lib/other.txt", b"none's"),
)


def made(blob: Literal, role: str = "dependencies", name: str = "tiny 1.0") -> ImageLayer:
    size = len(blob.data)
    return ImageLayer(role, name, Layer(blob.descriptor, Digest.of(blob.data), size, Codec("none")), blob)


def names(node: Node) -> dict[str, int]:
    if not node.children:
        return {node.name: node.size}
    return {f"{node.name}>{name}": size for each in node.children for name, size in names(each).items()}


def test_files_belong_to_the_wheel_whose_record_names_them() -> None:
    one = made(layer(*WHEEL))
    found = list_layer(one)
    owner = find_owners([found])
    assert dict(owner.packages)["wheel", "tiny"].requires == ("other>=2",)
    top = layer_node(one, found, owner)
    sizes = names(top)
    rest = sizes.pop("tiny 1.0>names and padding")
    assert sizes == {
        "tiny 1.0>opt/modelcrate/lib/other.txt": 6,
        "tiny 1.0>tiny 1.0>opt/modelcrate/bin/tiny": 2,
        "tiny 1.0>tiny 1.0>tiny/__init__.py": 10,
        "tiny 1.0>tiny 1.0>tiny-1.0.dist-info>INSTALLER": 10,
        "tiny 1.0>tiny 1.0>tiny-1.0.dist-info>METADATA": len(WHEEL[1][1]),
        "tiny 1.0>tiny 1.0>tiny-1.0.dist-info>RECORD": len(WHEEL[2][1]),
    }
    assert top.size == one.layer.tar_size == sum(sizes.values()) + rest
    assert top.stored == one.descriptor.size


def test_bytecode_in_a_layer_above_is_the_package_s_too() -> None:
    below, above = made(layer(*WHEEL)), made(layer(member(f"{SITE}/tiny/__pycache__/__init__.cpython-311.pyc", b"pyc")))
    found = [list_layer(each) for each in (below, above)]
    top = layer_node(above, found[1], find_owners(found))
    assert "tiny 1.0>tiny 1.0>tiny/__pycache__/__init__.cpython-311.pyc" in names(top)


def test_debian_packages_say_which_files_are_theirs() -> None:
    status = b"Package: libx\nStatus: install ok installed\nVersion: 1.2\nDepends: liby (>= 1), a | b\nPre-Depends: c\nProvides: x-api\n"
    for place, files in (
        ("var/lib/dpkg/status.d/libx", member("var/lib/dpkg/status.d/libx.md5sums", b"0" * 32 + b"  lib/libx.so\n")),
        ("var/lib/dpkg/status", member("var/lib/dpkg/info/libx:amd64.list", b"/.\n/lib\n/lib/libx.so\n")),
    ):
        one = made(layer(member(place, status), files, member("usr/lib/libx.so", b"elf")), "base", "debian")
        found = list_layer(one)
        owner = find_owners([found])
        assert owner.of("usr/lib/libx.so") == "libx 1.2"
        assert owner.packages["deb", "libx"].requires == ("c", "liby (>= 1)", "a | b", "Provides: x-api")


def test_conda_packages_say_which_files_are_theirs() -> None:
    record = {"name": "tiny", "version": "1", "build": "0", "files": ["lib/tiny.so"], "depends": ["other >=1"]}
    one = made(
        layer(
            member("opt/env/conda-meta/tiny-1-0.json", json.dumps(record).encode()), member("opt/env/lib/tiny.so", b"1")
        )
    )
    owner = find_owners([list_layer(one)])
    assert owner.of("opt/env/lib/tiny.so") == "tiny 1"
    assert owner.packages["conda", "tiny"].requires == ("other >=1",)


def test_tensors_are_boxes_in_their_file() -> None:
    data = safetensors({"layers.0.w": b"1" * 50, "layers.1.w": b"2" * 70, "head": b"3"})
    one = made(layer(member("m/a.safetensors", data), member("m/damaged.safetensors", data[:-1])), "model", "m:1")
    found = list_layer(one)
    top = layer_node(one, found, find_owners([found]))
    sizes = names(top)
    inside = {name: size for name, size in sizes.items() if "a.safetensors" in name}
    assert inside == {
        "m:1>m>a.safetensors>layers>0.w": 50,
        "m:1>m>a.safetensors>layers>1.w": 70,
        "m:1>m>a.safetensors>head": 1,
        "m:1>m>a.safetensors>header": len(data) - 121,
    }
    assert sizes["m:1>m>damaged.safetensors"] == len(data) - 1
    assert found.tensors["m/a.safetensors"][0].what == "U8 [50]"


def test_tensors_of_gguf_fill_their_file() -> None:
    data = tiny_gguf()
    one = made(layer(member("m/tiny.gguf", data)), "model", "m:1")
    found = list_layer(one)
    (tensors,) = found.tensors.values()
    assert tensors
    assert 0 < sum(each.size for each in tensors) < len(data)
    top = layer_node(one, found, find_owners([found]))
    assert sum(size for name, size in names(top).items() if "gguf" in name) == len(data)


def test_a_listing_is_the_same_after_json() -> None:
    found = list_layer(made(layer(*WHEEL, member("a.safetensors", safetensors({"t": b"1"})))))
    assert Listing.parse(json.loads(json.dumps(found.json()))) == found
    for bad in ({}, {**found.json(), "files": [["a"]]}, {**found.json(), "more": []}, {**found.json(), "tensors": []}):
        with pytest.raises(IntegrityError):
            Listing.parse(bad)


def test_too_many_files_are_counted(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(listings, "MAX_FILES", 3)
    one = made(layer(*(member(f"f{at}", b"ab") for at in range(10))))
    found = list_layer(one)
    assert (len(found.files), found.more) == (3, (7, 14))
    assert names(layer_node(one, found, find_owners([found])))["tiny 1.0>7 more files"] == 14


def test_records_of_packages_are_read_up_to_a_limit(monkeypatch: pytest.MonkeyPatch) -> None:
    one = made(layer(*WHEEL))
    monkeypatch.setattr(listings, "MAX_TOLD", len(WHEEL[1][1]))
    found = list_layer(one)
    assert [(each.name, each.files) for each in found.packages] == [("tiny", ())]
    monkeypatch.setattr(listings, "MAX_TOLD", 1)
    assert list_layer(one).packages == ()
    assert len(found.files) == len(list_layer(one).files) == len(WHEEL)


def test_names_that_do_harm_are_shown_as_text() -> None:
    deep, long = "/".join("d" * 40), "x" * 250
    hostile = [
        "</script><script>alert(1)",
        "a\x1b[2J",
        "bidi\u202eexe",
        long,
        f"{deep}/f",
        "\udcff".encode("utf-8", "surrogateescape").decode("latin-1"),
    ]
    one = made(layer(*(member(each, b"1") for each in hostile)))
    found = list_layer(one)
    shown = list(names(layer_node(one, found, find_owners([found]))))
    assert all(len(part) <= 120 for name in shown for part in name.split(">") if "script" not in name)
    assert any("\\x1b[2J" in name for name in shown)
    assert any("\\u202e" in name for name in shown)
    assert max(name.count(">") for name in shown) <= 13


def test_a_damaged_layer_is_refused() -> None:
    blob = layer(member("a", b"1"))
    wrong = ImageLayer("base", "x", Layer(blob.descriptor, Digest.of(b"other"), 1, Codec("none")), blob)
    with pytest.raises(IntegrityError, match="differs from its config"):
        list_layer(wrong)
