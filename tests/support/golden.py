"""The golden digests: fixtures built by code, each with its listing as text, so that a reviewer sees why a digest moved.

Run as a script it prints them as JSON: so the same code is run under another processor, another Python, another locale.
"""

from __future__ import annotations

import atexit
import json
import shutil
import struct
import sys
import tempfile
from functools import cache
from pathlib import Path
from typing import Any
from zlib import crc32

from modelcrate.images import image
from modelcrate.images.image import Image, ImageLayer, Index
from modelcrate.images.image_config import RunSpec
from modelcrate_layers.content import Platform
from modelcrate_layers.kinds import LayerKind
from modelcrate_layers.kinds.entry import EntryLayer
from modelcrate_layers.kinds.model import ALONE, folder, model_layers
from modelcrate_layers.kinds.runtime import RuntimeLayer
from modelcrate_layers.kinds.server import ServerLayer
from modelcrate_layers.tar import codec
from modelcrate_layers.tar.listing import Listing
from modelcrate_layers.tar.recipe import Recipe, RecipeBlob, measure
from modelcrate_layers.tar.sources import DEFLATED, STORED, Bytes, FileRange, ZipMember
from modelcrate_layers.tar.splice import pack
from modelcrate_layers.tar.tree import Entry, Kind, Tree, directory, file, hard_link, show, symlink

CODECS = ("none", "stored", "spliced", "gzip", "zstd")


def words(count: int) -> bytes:
    """Text that compresses, the same everywhere."""
    return b"".join(b"line %d of a file that compresses well\n" % at for at in range(count))


def noise(count: int) -> bytes:
    """Bytes that do not compress: a linear congruential generator, so that no library decides them."""
    state, out = 12345, bytearray()
    while len(out) < count:
        state = (state * 6364136223846793005 + 1442695040888963407) % (1 << 64)
        out += (state >> 16).to_bytes(6, "little")
    return bytes(out[:count])


def trees() -> dict[str, Tree]:
    """Small trees, each for a rule."""
    long = b"/".join([b"a-folder-with-a-long-name-%02d" % at for at in range(10)])
    return {
        "nothing": Tree(()),
        "one-file": Tree.of([file(b"hello.txt", Bytes(b"hello\n"))]),
        "modes-and-links": Tree.of(
            [
                file(b"bin/tool", Bytes(b"#!/bin/sh\n"), 0o775),
                file(b"etc/secret", Bytes(b"s"), 0o400),
                symlink(b"etc/link", b"../bin/tool"),
                hard_link(b"etc/secret.too", b"etc/secret"),
                directory(b"empty"),
                Entry(b"tmp", Kind.DIRECTORY, 0o1777),
                Entry(b"home", Kind.DIRECTORY, 0o770, uid=10001),
            ]
        ),
        "names": Tree.of(
            [
                file(b"n" * 100, Bytes(b"100")),
                file(b"n" * 101, Bytes(b"101")),
                file(long, Bytes(b"long")),
                symlink(b"to-long", long),
                file("ü-中".encode(), Bytes(b"utf-8")),
                file(b"latin-\xfc", Bytes(b"not utf-8")),
                file(b"new\nline", Bytes(b"control")),
            ]
        ),
        "text": Tree.of([file(b"text", Bytes(words(60_000)))]),
        "noise": Tree.of([file(b"noise", Bytes(noise(3_000_000)))]),
        "roots": Tree.of([file(b"var/azureml-app/m", Bytes(b"m"))], [b"var/azureml-app"]),
        "zipped": zipped(),
    }


@cache
def zipped() -> Tree:
    """Files of a zip, as wheels have them: two that are deflated, by no library, and one that is stored."""
    text, more = words(40), bytes(1000) + words(3)
    parts = [(b"lib/text.py", text, pack(text)), (b"lib/zeros", more, pack(more)), (b"lib/as-it-is", text, text)]
    place = Path(tempfile.mkdtemp(prefix="modelcrate-golden-"), "zip")
    atexit.register(shutil.rmtree, place.parent, ignore_errors=True)
    offsets, out = [], bytearray()
    for name, _, packed in parts:
        offsets.append(len(out))
        out += struct.pack("<4s5H3I2H", b"PK\3\4", 20, 0, 8, 0, 0, 0, len(packed), 0, len(name), 0) + name + packed
    place.write_bytes(out)
    stamp = FileRange.of_file(str(place)).stamp
    entries = [
        file(name, ZipMember(str(place), stamp, name.decode(), offset, method, len(packed), len(data), crc32(data)))
        for (name, data, packed), offset in zip(parts, offsets, strict=True)
        for method in [STORED if packed == data else DEFLATED]
    ]
    return Tree.of([*entries, file(b"lib/generated", Bytes(b"a launcher\n"), 0o775)])


def layer_facts(tree: Tree) -> dict[str, Any]:
    """What is promised of a tree: its diff id, and its blob under every codec."""
    stored = {name: measure(Recipe(tree, codec.named(name))) for name in CODECS}
    return {
        "listing": [line(entry) for entry in tree.entries],
        "diff_id": str(stored["none"].diff_id),
        "tar_size": stored["none"].tar_size,
        "blobs": {str(layer.codec): f"{layer.descriptor.digest} {layer.descriptor.size}" for layer in stored.values()},
    }


def line(entry: Entry) -> str:
    """An entry as `tar -tv` would tell it."""
    mark = {Kind.FILE: "-", Kind.DIRECTORY: "d", Kind.SYMLINK: "l", Kind.HARD_LINK: "h"}[entry.kind]
    link = f" -> {show(entry.link)}" if entry.link else ""
    return f"{mark} {entry.mode:04o} {entry.uid}:{entry.gid} {entry.size:>8} {show(entry.path)}{link}"


def made() -> Image:
    """An image over nothing: two models, an environment, a server, an entry script. The server in it is a stand-in, for it may change."""
    one = [file(folder("one", 1) + b"/model.pkl", Bytes(words(100)))]
    two = [
        directory(folder("two", 7) + b"/weights"),
        file(folder("two", 7) + b"/weights/config.json", Bytes(b"{}")),
        file(folder("two", 7) + b"/weights/large.bin", Bytes(bytes(ALONE))),
    ]
    script = file(
        b"var/azureml-app/src/score.py", Bytes(b"def init():\n    pass\n\n\ndef run(data):\n    return data\n")
    )
    kinds: list[LayerKind] = [
        RuntimeLayer("3.11"),
        ServerLayer((("opt/modelcrate/server/app.py", b"stand-in\n"),)),
        *model_layers("one", 1, Listing(tuple(one))),
        *model_layers("two", 7, Listing(tuple(two))),
        EntryLayer.of("src/score.py", Listing((script,))),
    ]
    run = RunSpec(
        ("python", "-m", "server"), {"A": "1", "B": "ü"}, (5001,), "10001:0", "/var", {"team": "x"}, "SIGTERM"
    )
    base = {"config": {"Env": ["PATH=/usr/bin"]}, "author": "kept"}
    return image.assemble(
        Platform("linux", "amd64"), base, [placed(kind) for kind in kinds], run, annotations={"title": "golden"}
    )


def placed(kind: LayerKind) -> ImageLayer:
    recipe = Recipe(kind.tree(), codec.zstd() if kind.role != "model" else codec.NONE)
    layer = measure(recipe)
    return ImageLayer(kind.role, kind.name, layer, RecipeBlob(recipe, layer), key=kind.key())


def variants() -> Index:
    """An index of an image for two platforms, and of a variant of it for one. Nothing is compressed, so no codec's version is in it."""
    shared = model_layers("one", 1, Listing((file(folder("one", 1) + b"/model.bin", Bytes(words(100))),)))
    own = model_layers("two", 1, Listing((file(folder("two", 1) + b"/kernels.bin", Bytes(words(200))),)))
    amd64, arm64 = Platform("linux", "amd64"), Platform("linux", "arm64")

    def one(platform: Platform, variant: str, *kinds: LayerKind) -> Image:
        notes = {"title": "golden"} | ({image.VARIANT: variant} if variant else {})
        layers = [placed(kind) for kind in kinds]
        return image.assemble(platform, {}, layers, RunSpec(env={"A": variant}), annotations=notes)

    return image.combine([one(amd64, "", *shared), one(arm64, "", *shared), one(amd64, "gpu", *shared, *own)])


def index_facts(golden: Index) -> dict[str, Any]:
    manifests = [json.loads(each.manifest.data) for each in golden.images]
    return {"digest": str(golden.digest), "index": json.loads(golden.index.data), "manifests": manifests}


def image_facts(golden: Image) -> dict[str, Any]:
    return {
        "id": str(golden.id),
        "digest": str(golden.digest),
        "config": json.loads(golden.config.data),
        "manifest": json.loads(golden.manifest.data),
    }


def facts() -> dict[str, Any]:
    """Everything golden."""
    return {
        **{name: layer_facts(tree) for name, tree in trees().items()},
        "image": image_facts(made()),
        "variants": index_facts(variants()),
    }


if __name__ == "__main__":
    json.dump(facts(), sys.stdout)
