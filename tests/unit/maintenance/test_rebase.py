"""Images onto other bases: what is proved, and bases with one thing planted that breaks the image."""

from __future__ import annotations

import json
import tarfile
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest

from modelcrate.config import Config
from modelcrate.events import ignore_event
from modelcrate.images.image import Image, ImageLayer, assemble
from modelcrate.images.image_config import RunSpec
from modelcrate.maintenance import libraries
from modelcrate.maintenance import rebase as rebasing
from modelcrate.maintenance.rebase import NewBase, rebase
from modelcrate.transports import oci
from modelcrate.transports.connections import Connections
from modelcrate.transports.oci import LayoutOutput
from modelcrate_layers.content import Digest, Literal, MediaType, Platform
from modelcrate_layers.errors import CrateError, IntegrityError, UserError
from modelcrate_layers.tar import codec, writer
from modelcrate_layers.tar.recipe import Layer
from modelcrate_layers.tar.sources import Bytes
from modelcrate_layers.tar.tree import file
from support.elf_files import make_elf
from support.rootfs import layer, member
from support.validator import assert_valid_layout

PLATFORM = Platform("linux", "amd64")
LIB = "usr/lib/x86_64-linux-gnu"
GLIBC = tuple(f"GLIBC_2.{minor}" for minor in range(2, 37))
LOADER = b"/lib64/ld-linux-x86-64.so.2\0"
Files = dict[str, bytes | str]


def libc(minor: int = 36) -> bytes:
    text = f"\nGNU C Library (Debian GLIBC 2.{minor}-9) stable release version 2.{minor}.\n".encode()
    return make_elf("libc.so.6", gives=[f"GLIBC_2.{each}" for each in range(2, minor + 1)], text=text)


def base_files() -> Files:
    """A base with a Python, a C library, and three libraries that packages need. A text is where a link leads."""
    return {
        f"{LIB}/libc.so.6": libc(),
        f"{LIB}/libm.so.6": make_elf("libm.so.6", ["libc.so.6"], gives=GLIBC),
        f"{LIB}/libstdc++.so.6.0.30": make_elf("libstdc++.so.6", gives=["GLIBCXX_3.4", "GLIBCXX_3.4.30", "CXXABI_1.3"]),
        f"{LIB}/libstdc++.so.6": "libstdc++.so.6.0.30",
        f"{LIB}/libssl.so.3": make_elf("libssl.so.3", gives=["OPENSSL_3.0.0"]),
        f"{LIB}/libgomp.so.1": make_elf("libgomp.so.1", gives=["GOMP_4.0"]),
        "usr/bin/python3.11": make_elf(needed=["libc.so.6", "libm.so.6"], text=LOADER),
        "usr/bin/python3": "python3.11",
        **{f"usr/lib/python3.11/{name}.py": b"" for name in ("os", "abc", "ssl", "sqlite3", "json")},
    }


PACKAGES: Files = {
    "opt/site/numpy/core.so": make_elf(
        needed=["libc.so.6", "libm.so.6", "libopenblas.so.0"], wants={"libc.so.6": ["GLIBC_2.17", "GLIBC_2.34"]}
    ),
    "opt/site/numpy.libs/libopenblas.so.0": make_elf("libopenblas.so.0", ["libc.so.6"]),
    "opt/site/torch/lib.so": make_elf(
        needed=["libstdc++.so.6", "libgomp.so.1", "libcuda.so.1"],
        wants={"libstdc++.so.6": ["GLIBCXX_3.4.30", "CXXABI_1.3"], "libgomp.so.1": ["GOMP_4.0"]},
    ),
    "opt/site/crypto.so": make_elf(needed=["libssl.so.3"], wants={"libssl.so.3": ["OPENSSL_3.0.0"]}),
}


def image_layer(role: str, files: Files) -> ImageLayer:
    """A layer of a base as others write it, or one of our own."""
    if role == "base":
        links = {path: data for path, data in files.items() if isinstance(data, str)}
        tar = layer(
            *(member(path, data) for path, data in files.items() if isinstance(data, bytes)),
            *(member(path, kind=tarfile.SYMTYPE, linkname=target) for path, target in links.items()),
        )
    else:
        entries = [file(path.encode(), Bytes(data), 0o644) for path, data in files.items() if isinstance(data, bytes)]
        tar = Literal(b"".join(writer.stream(sorted(entries))), MediaType.LAYER)
    return ImageLayer(role, role, Layer(tar.descriptor, Digest.of(tar.data), len(tar.data), codec.NONE), tar)


def config(**env: str) -> dict[str, Any]:
    return {"config": {"Env": [f"{name}={value}" for name, value in env.items()], "Labels": {"base": env["BASE"]}}}


class World:
    """Layouts of images, and a home that remembers what was read of their layers."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.connections = Connections(Config(folder / "home"))

    def write(self, name: str, image: Image) -> Path:
        LayoutOutput(self.folder / name, "1").deliver(image, self.connections, ignore_event)
        return self.folder / name

    def base(self, name: str, files: Files, **more: Files) -> NewBase:
        layers = [image_layer("base", files), *(image_layer("base", each) for each in more.values())]
        settings = config(PATH="/usr/local/bin:/usr/bin", BASE=name)
        image = assemble(PLATFORM, settings, [_foreign(each) for each in layers], RunSpec())
        return NewBase(oci.find(self.write(name, image), "1"), f"registry.example/base/{name}:1")

    def image(self, below: Files, files: Files = PACKAGES) -> Path:
        layers = [_foreign(image_layer("base", below)), image_layer("dependencies", files)]
        settings = config(PATH="/usr/local/bin:/usr/bin", BASE="old")
        run = RunSpec(("/opt/bin/python", "-m", "server"), {"MINE": "1"}, (5001,), "1000", "/app")
        return self.write("image", assemble(PLATFORM, settings, layers, run))

    def rebase(self, image: Path, base: NewBase) -> Any:
        return rebase(oci.find(image, "1"), base, self.connections, ignore_event)


def _foreign(each: ImageLayer) -> ImageLayer:
    return ImageLayer("base", "", each.layer, each.blob, "reused")


@pytest.fixture
def world(tmp_path: Path) -> World:
    return World(tmp_path)


def test_an_image_gets_the_layers_of_the_new_base_and_keeps_its_own(world: World) -> None:
    base = world.base("fresh", {**base_files(), "etc/fixed": b"yes"}, above={"etc/more": b"1"})
    image = world.image(base_files())
    before, done = oci.find(image, "1").image(), world.rebase(image, base)
    assert [each.descriptor.digest for each in done.image.layers] == [
        *(each.descriptor.digest for each in base.found.image().layers),
        before.layers[-1].descriptor.digest,
    ]
    assert done.image.layers[-1].descriptor == before.layers[-1].descriptor, "with our annotations"
    notes = json.loads(done.image.manifest.data)["annotations"]
    assert notes["org.opencontainers.image.base.name"] == base.name
    assert notes["org.opencontainers.image.base.digest"] == str(base.found.descriptor.digest)
    assert done.image.settings["config"]["Entrypoint"] == ["/opt/bin/python", "-m", "server"]
    assert any("names no base" in notice for notice in done.notices)
    assert_valid_layout(world.write("result", done.image))


def test_the_same_twice_is_the_same_digest_and_reads_no_layer_again(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    base, image = world.base("fresh", {**base_files(), "etc/fixed": b"yes"}), world.image(base_files())
    first = world.rebase(image, base).image.digest
    rebasing._side.cache_clear()

    def unread(*_: object) -> None:
        raise AssertionError("a layer was read again")

    monkeypatch.setattr(libraries, "_read", unread)
    assert world.rebase(image, base).image.digest == first


def _without(*paths: str) -> Callable[[Files], Files]:
    return lambda files: {path: data for path, data in files.items() if path not in paths}


def _with(**changed: bytes | str) -> Callable[[Files], Files]:
    return lambda files: {**files, **{f"{LIB}/{path}": data for path, data in changed.items()}}


def _python(version: str) -> Callable[[Files], Files]:
    return lambda files: {
        path.replace("3.11", version): data for path, data in files.items() if path != "usr/bin/python3"
    }


BREAKS: Mapping[str, tuple[Callable[[Files], Files], str]] = {
    "no libgomp": (_without(f"{LIB}/libgomp.so.1"), "needs libgomp.so.1, which"),
    "no libssl": (_without(f"{LIB}/libssl.so.3"), "/opt/site/crypto.so needs libssl.so.3"),
    "no libstdc++": (_without(f"{LIB}/libstdc++.so.6", f"{LIB}/libstdc++.so.6.0.30"), r"needs libstdc\+\+.so.6, which"),
    "a link to nothing": (_without(f"{LIB}/libstdc++.so.6.0.30"), r"needs libstdc\+\+.so.6, which"),
    "no libm": (_without(f"{LIB}/libm.so.6"), "/opt/site/numpy/core.so needs libm.so.6"),
    "no C library": (_without(f"{LIB}/libc.so.6"), "no C library"),
    "an older glibc": (_with(**{"libc.so.6": libc(35)}), r"has glibc 2.35, and the image was made for glibc 2.36"),
    "a glibc that is too old for a wheel": (_with(**{"libc.so.6": libc(31)}), "needs libc.so.6 with GLIBC_2.34"),
    "an older libstdc++": (
        _with(**{"libstdc++.so.6.0.30": make_elf("libstdc++.so.6", gives=["GLIBCXX_3.4", "CXXABI_1.3"])}),
        r"needs libstdc\+\+.so.6 with GLIBCXX_3.4.30",
    ),
    "another ABI of C++": (
        _with(**{"libstdc++.so.6.0.30": make_elf("libstdc++.so.6", gives=["GLIBCXX_3.4", "GLIBCXX_3.4.30"])}),
        "with CXXABI_1.3",
    ),
    "an older OpenSSL": (
        _with(**{"libssl.so.3": make_elf("libssl.so.3", gives=["OPENSSL_1_1_1"])}),
        "with OPENSSL_3.0.0",
    ),
    "an OpenSSL without versions": (_with(**{"libssl.so.3": make_elf("libssl.so.3")}), "with OPENSSL_3.0.0"),
    "OpenSSL of another name": (
        lambda files: {path.replace("libssl.so.3", "libssl.so.1.1"): data for path, data in files.items()},
        "needs libssl.so.3",
    ),
    "an older libgomp": (_with(**{"libgomp.so.1": make_elf("libgomp.so.1", gives=["GOMP_1.0"])}), "with GOMP_4.0"),
    "a newer Python": (_python("3.12"), "has no Python 3.11 at /usr/bin/python3.11"),
    "an older Python": (_python("3.9"), "has no Python 3.11"),
    "Python at another place": (
        lambda files: {path.replace("usr/bin/", "usr/local/bin/"): data for path, data in files.items()},
        "has no Python 3.11 at /usr/bin/python3.11",
    ),
    "no Python": (_without("usr/bin/python3.11", "usr/bin/python3"), "it has none"),
    "a Python without ssl": (_without("usr/lib/python3.11/ssl.py"), "lacks modules that the old base has: ssl"),
    "a Python without its library": (
        lambda files: {path: data for path, data in files.items() if "lib/python3.11" not in path},
        "lacks modules",
    ),
    "libraries that are no longer where the linker looks": (
        lambda files: {path.replace(f"{LIB}/libgomp", "opt/lib/libgomp"): data for path, data in files.items()},
        "needs libgomp.so.1",
    ),
    "a library that is text": (_with(**{"libgomp.so.1": b"moved to another package"}), "needs libgomp.so.1"),
}


@pytest.mark.parametrize("kind", BREAKS)
def test_a_base_that_breaks_the_image_is_refused_with_the_culprit(kind: str, world: World) -> None:
    change, message = BREAKS[kind]
    base = world.base("broken", change(base_files()))
    with pytest.raises(IntegrityError, match=message) as caught:
        world.rebase(world.image(base_files()), base)
    assert base.name in str(caught.value)


def test_a_library_that_a_higher_layer_takes_away(world: World) -> None:
    base = world.base("broken", base_files(), above={f"{LIB}/.wh.libgomp.so.1": b""})
    with pytest.raises(IntegrityError, match=r"needs libgomp\.so\.1"):
        world.rebase(world.image(base_files()), base)


def test_a_folder_that_a_higher_layer_empties(world: World) -> None:
    base = world.base("broken", base_files(), above={f"{LIB}/.wh..wh..opq": b"", f"{LIB}/libc.so.6": libc()})
    with pytest.raises(IntegrityError, match=r"libgomp\.so\.1") as caught:
        world.rebase(world.image(base_files()), base)
    assert caught.value.faults >= 4, "all of them at once"


FINE: Mapping[str, Callable[[Files], Files]] = {
    "the same": lambda files: files,
    "a newer glibc": _with(**{"libc.so.6": libc(41)}),
    "a newer libstdc++": _with(
        **{
            "libstdc++.so.6.0.30": make_elf(
                "libstdc++.so.6", gives=["GLIBCXX_3.4", "GLIBCXX_3.4.30", "GLIBCXX_3.4.33", "CXXABI_1.3"]
            )
        }
    ),
    "a library behind two links": lambda files: {
        **files,
        f"{LIB}/libgomp.so.1": "libgomp.so.1.0",
        f"{LIB}/libgomp.so.1.0": "../x86_64-linux-gnu/libgomp.so.1.0.0",
        f"{LIB}/libgomp.so.1.0.0": make_elf("libgomp.so.1", gives=["GOMP_4.0"]),
    },
    "libraries in lib64": lambda files: {
        path.replace(f"{LIB}/libssl", "lib64/libssl"): data for path, data in files.items()
    },
    "without what nothing needs": _without("usr/lib/python3.11/none.py"),
}


@pytest.mark.parametrize("kind", FINE)
def test_a_base_that_is_fine(kind: str, world: World) -> None:
    base = world.base("fine", {**FINE[kind](base_files()), "etc/new": b"1"})
    assert world.rebase(world.image(base_files()), base).image.layers


def test_a_library_that_was_not_there_before_is_not_asked_for(world: World) -> None:
    """libcuda.so.1 comes with the driver."""
    base = world.base("fine", {**base_files(), "etc/new": b"1"})
    assert world.rebase(world.image(base_files()), base)


def test_a_damaged_library_is_told(world: World) -> None:
    broken = bytearray(make_elf("odd.so", ["libc.so.6"]))
    broken[32:40] = b"\xff" * 8
    base = world.base("fine", {**base_files(), "etc/new": b"1"})
    done = world.rebase(world.image(base_files(), {**PACKAGES, "opt/odd.so": bytes(broken)}), base)
    assert any("opt/odd.so" in notice for notice in done.notices)


def test_an_image_that_is_all_base_and_a_base_that_is_none(world: World) -> None:
    base = world.base("fine", base_files())
    own = assemble(PLATFORM, config(PATH="", BASE="none"), [image_layer("model", {"a": b"1"})], RunSpec())
    with pytest.raises(UserError, match="the image has no base"):
        world.rebase(world.write("model", own), base)


def test_the_image_of_a_project_is_no_base(world: World) -> None:
    """Its sources and models would be in every image on it."""
    layers = [_foreign(image_layer("base", base_files())), image_layer("entry", {"var/app/score.py": b"1"})]
    image = assemble(PLATFORM, config(PATH="", BASE="app"), layers, RunSpec())
    with pytest.raises(UserError, match=r"is the image of a project and no base: .*\(entry\)"):
        world.rebase(world.image(base_files()), NewBase(oci.find(world.write("app", image), "1"), "app:1"))


def test_another_platform(world: World) -> None:
    layers = [_foreign(image_layer("base", base_files()))]
    arm = assemble(Platform("linux", "arm64"), config(PATH="", BASE="arm"), layers, RunSpec())
    base = NewBase(oci.find(world.write("arm", arm), "1"), "registry.example/base/arm:1")
    with pytest.raises(CrateError, match="linux/amd64"):
        world.rebase(world.image(base_files()), base)


def test_a_blob_is_what_the_digest_says(world: World) -> None:
    image = world.image(base_files())
    blob = oci.find(image, "1").image().layers[-1].descriptor.digest
    place = image / "blobs/sha256" / blob.hex
    place.write_bytes(place.read_bytes()[:-1] + b"x")
    with pytest.raises(IntegrityError):
        world.rebase(image, world.base("fine", {**base_files(), "etc/new": b"1"}))
