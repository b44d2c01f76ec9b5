"""What the files of an existing base say of its Python and C library: links, whiteouts, two libraries, versions in bytes."""

from __future__ import annotations

import shutil
import subprocess
import sys
import tarfile
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path, PurePosixPath

import pytest

from modelcrate.config import Config
from modelcrate.events import Event, Notice, ignore_event
from modelcrate.images.image import ImageLayer, assemble
from modelcrate.images.image_config import RunSpec
from modelcrate.project.reading import read_project
from modelcrate.project.values import LayoutBase
from modelcrate.resolve.base_python import Libc, find_interpreter, find_libc, follow, interpreters
from modelcrate.resolve.existing_base import resolve_existing
from modelcrate.resolve.find_python import Look, Wanted, find_python, look_at, look_at_remote
from modelcrate.resolve.lock import BasePython
from modelcrate.resolve.resolved_base import ResolvedBase
from modelcrate.resolve.scan import MAX_HIDDEN, LayerScan, ScannedFile, merged, recall, scan
from modelcrate.resolve.standard_library import IN_C, standard_library
from modelcrate.resolve.world import resolve
from modelcrate.transports import oci
from modelcrate.transports.connections import Connections
from modelcrate_layers.content import Digest, Literal, MediaType, Platform
from modelcrate_layers.errors import IntegrityError, UserError
from modelcrate_layers.records import MARKER
from modelcrate_layers.tar import codec
from modelcrate_layers.tar.recipe import Layer
from support.foreign_bases import GLIBC, base, image_layer, program
from support.rootfs import layer, member

MUSL = b"\x7fELF\0musl libc\0Version %s\0" + b"\x001.2.5\0"


def link(name: str, target: str) -> tuple[tarfile.TarInfo, bytes]:
    return member(name, kind=tarfile.SYMTYPE, linkname=target)


@pytest.fixture
def found(tmp_path: Path) -> Callable[..., tuple[ResolvedBase, list[str]]]:
    def find(
        *tars: Literal, interpreter: str | None = None, python: str | None = None, env: tuple[str, ...] = ()
    ) -> tuple[ResolvedBase, list[str]]:
        below = base(*tars, env=env)
        told: list[Event] = []
        wanted = Wanted(PurePosixPath(interpreter) if interpreter else None, python)
        resolved = find_python(below, wanted, look_at(below.layers, tmp_path, told.append), told.append)
        return resolved, [each.text for each in told if isinstance(each, Notice)]

    return find


Find = Callable[..., tuple[ResolvedBase, list[str]]]
DEBIAN = layer(
    link("bin", "usr/bin"),
    link("lib", "usr/lib"),
    link("usr/bin/python3", "python3.11"),
    member("usr/bin/python3.11", program(), mode=0o755),
    member("usr/lib/x86_64-linux-gnu/libc.so.6", GLIBC),
)


def test_a_debian_with_links(found: Find) -> None:
    for interpreter in (None, "/usr/bin/python3", "/bin/python3", "/usr/bin/python3.11"):
        below, notices = found(DEBIAN, interpreter=interpreter)
        assert (below.interpreter, below.python) == ("/usr/bin/python3.11", "3.11")
        assert (below.glibc, below.musl, notices) == ((2, 36), None, [])


def test_an_alpine(found: Find) -> None:
    tar = layer(
        member("usr/local/bin/python3.12", program("/lib/ld-musl-x86_64.so.1"), mode=0o755),
        link("lib/libc.musl-x86_64.so.1", "ld-musl-x86_64.so.1"),
        member("lib/ld-musl-x86_64.so.1", MUSL),
    )
    below, notices = found(tar, env=("PYTHON_VERSION=3.12.4",))
    assert (below.interpreter, below.python, below.musl) == ("/usr/local/bin/python3.12", "3.12", (1, 2))
    assert notices == []


def test_the_loader_of_the_interpreter_decides_between_two_libraries(found: Find) -> None:
    both = (member("lib/ld-musl-x86_64.so.1", MUSL), member("usr/lib64/libc.so.6", GLIBC))
    for loader, musl in (("/lib/ld-musl-x86_64.so.1", (1, 2)), ("/lib64/ld-linux-x86-64.so.2", None)):
        below, _ = found(layer(*both, member("usr/bin/python3.11", program(loader))))
        assert below.musl == musl
        assert below.glibc == ((2, 28) if musl else (2, 36))


def test_a_whiteout_of_a_later_layer_counts(found: Find) -> None:
    gone = layer(member("usr/bin/.wh.python3.11"))
    again = layer(member("usr/local/bin/python3.12", program()))
    assert found(DEBIAN, gone)[0].interpreter == ""
    assert found(DEBIAN, gone, again)[0].interpreter == "/usr/local/bin/python3.12"
    for opaque in ("usr/bin/.wh..wh..opq", "usr/.wh..wh..opq", ".wh..wh..opq", ".wh.usr"):
        assert found(DEBIAN, layer(member(opaque)))[0].interpreter == "", opaque
    assert found(layer(member("usr/bin/.wh.python3.11"), member("usr/bin/python3.11", program())))[0].python == "3.11"


def test_the_config_is_not_believed(found: Find) -> None:
    below, _ = found(DEBIAN, env=("PYTHON_VERSION=3.12.1",))
    assert (below.interpreter, below.python) == ("/usr/bin/python3.11", "3.11")
    below, _ = found(layer(member("etc/x")), env=("PYTHON_VERSION=3.12.1",))
    assert below.interpreter == ""


def test_the_path_of_the_base_decides_between_several(found: Find) -> None:
    tar = layer(
        member("opt/conda/bin/python3.12", program()),
        link("opt/conda/bin/python", "python3.12"),
        member("usr/bin/python3.9", program()),
        member("usr/bin/python3.11", program()),
        link("usr/bin/python3", "python3.11"),
    )
    assert found(tar)[0].interpreter == "/usr/bin/python3.11"
    assert found(tar, env=("PATH=/opt/conda/bin:/usr/bin",))[0].python == "3.12"
    assert found(tar, python="3.9")[0].interpreter == "/usr/bin/python3.9"
    with pytest.raises(UserError, match=r"asks for Python 3\.13"):
        found(tar, python="3.13")


def test_a_named_interpreter_has_to_be_there(found: Find) -> None:
    with pytest.raises(UserError, match=r"has no /usr/bin/python3\.12") as caught:
        found(DEBIAN, interpreter="/usr/bin/python3.12")
    assert "/usr/bin/python3.11 (3.11)" in caught.value.why
    below, notices = found(DEBIAN, interpreter="/opt/mine", python="3.11")
    assert below.interpreter == "/opt/mine"
    assert any("not verified" in each for each in notices)


WRAPPER = member("usr/local/bin/python3.11", b'#!/bin/sh\nexec /usr/bin/python3.11 "$@"\n', mode=0o755)


def test_a_script_of_pythons_name_is_no_python(found: Find) -> None:
    below, notices = found(DEBIAN, layer(WRAPPER, link("usr/local/bin/python3", "python3.11")))
    assert (below.interpreter, notices) == ("/usr/bin/python3.11", [])
    with pytest.raises(UserError, match=r"/usr/local/bin/python3\.11 of the base .* is a script"):
        found(DEBIAN, layer(WRAPPER), interpreter="/usr/local/bin/python3.11")


@pytest.mark.parametrize(
    ("path", "words"), [("usr/local/bin/python3.13t", "is free-threaded"), ("opt/pypy/bin/pypy3.10", "is PyPy")]
)
def test_a_python_that_no_wheel_is_chosen_for_is_told(found: Find, path: str, words: str) -> None:
    odd = layer(member(path, program(), mode=0o755), link("usr/local/bin/python3", f"/{path}"))
    below, notices = found(odd)
    assert below.interpreter == ""
    assert [notice for notice in notices if notice.startswith(f"/{path} of the base") and words in notice] == notices
    for named in (f"/{path}", "/usr/local/bin/python3"):
        with pytest.raises(UserError, match=words):
            found(odd, interpreter=named, python="3.13")


@pytest.mark.parametrize(
    ("path", "interpreter", "what"),
    [
        ("usr/bin/python3.11", "", r"lacks http, json, which the server of the image needs"),
        ("usr/bin/python3.8", "", r"has Python 3\.8, and the server of the image needs 3\.9 or newer"),
        ("opt/mine/snake", "interpreter: /opt/mine/snake", "the version of /opt/mine/snake .* is not known"),
        ("usr/bin/perl", "", "no Python was found"),
    ],
)
def test_a_base_on_which_the_server_does_not_start_is_refused(
    tmp_path: Path, path: str, interpreter: str, what: str
) -> None:
    files = [member(path, program(), mode=0o755), member("usr/lib/x86_64-linux-gnu/libc.so.6", GLIBC)]
    tar = layer(*files, *library("json", "http", "sqlite3"))
    (tmp_path / "base.tar").write_bytes(tar.data)
    (tmp_path / "modelcrate.yaml").write_text(
        f"name: x\nentry: score.py\nbase: {{from: 'rootfs:base.tar', {interpreter}}}\n"
    )
    project = read_project(tmp_path / "modelcrate.yaml")
    config = Config(tmp_path / "home", offline=True)
    with Connections(config) as connections, pytest.raises(UserError, match=what):
        resolve(project, tmp_path, connections, datetime.now(UTC))


def library(*without: str) -> list[tuple[tarfile.TarInfo, bytes]]:
    names = standard_library("3.11") - IN_C - set(without)
    return [member(f"usr/lib/python3.11/{name}.py", b"#!/usr/bin/python3\n") for name in sorted(names)]


def test_a_library_that_a_layer_takes_from_is_not_whole(found: Find) -> None:
    whole = layer(*library())
    assert not found(DEBIAN, whole)[0].lacking
    assert not found(DEBIAN)[0].lacking, "a library that is in a zip is not looked at"
    assert found(DEBIAN, layer(*library("sqlite3", "json")))[0].lacking == {"sqlite3", "json"}
    gone = layer(member("usr/lib/python3.11/.wh.sqlite3.py"))
    assert found(DEBIAN, whole, gone)[0].lacking == {"sqlite3"}
    again = layer(member("usr/lib/python3.11/sqlite3/__init__.pyc"))
    assert not found(DEBIAN, whole, gone, again)[0].lacking
    for hiding in ("usr/lib/python3.11/.wh.encodings.py", "usr/lib/.wh.python3.11", "usr/lib/python3.11/.wh..wh..opq"):
        with pytest.raises(UserError, match=r"does not start: its library lacks .*encodings"):
            found(DEBIAN, whole, layer(member(hiding)))


def test_what_a_base_in_a_registry_lacks_stands_in_its_lock() -> None:
    for musl in (None, (1, 2)):
        kept = BasePython("/usr/bin/python3.11", "3.11", (2, 28), musl, frozenset({"sqlite3"}))
        assert BasePython.parse(kept.json()) == kept


def test_the_environment_of_a_virtual_one_is_its_real_place(found: Find) -> None:
    venv = layer(link("opt/venv/bin/python", "/usr/bin/python3"), link("opt/venv/bin/python3", "python"))
    below, _ = found(DEBIAN, venv, env=("PATH=/opt/venv/bin:/usr/bin",))
    assert below.interpreter == "/usr/bin/python3.11"


def test_variables_that_lead_python_elsewhere_are_named(found: Find) -> None:
    _, notices = found(DEBIAN, env=("PYTHONPATH=/opt/x", "PYTHONHOME=", "PYTHONUNBUFFERED=1"))
    (notice,) = notices
    assert "PYTHONPATH=/opt/x, which is not kept" in notice


def test_what_the_files_do_not_tell_is_said(found: Find) -> None:
    below, notices = found(layer(member("usr/bin/python3.11", b"\x7fELF")))
    assert below.glibc == (2, 28)
    assert notices == [
        "not verified: the base somebody's has glibc 2.28 or newer, for which wheels are chosen (its files do not tell)"
    ]


class Counted:
    """A blob of a registry that counts how often it is fetched."""

    def __init__(self, tar: Literal) -> None:
        self.tar, self.fetched, self.descriptor = tar, 0, tar.descriptor

    def chunks(self, start: int = 0) -> list[bytes]:
        self.fetched += 1
        return [self.tar.data[start:]]


def test_of_a_registry_as_little_as_answers_is_fetched(tmp_path: Path) -> None:
    system = layer(member("usr/lib/x86_64-linux-gnu/libc.so.6", GLIBC))
    between = layer(member("etc/x"))
    python = layer(
        member("usr/local/bin/python3.11", program()),
        member("usr/local/include/python3.11/patchlevel.h", b'#define PY_VERSION  "3.11.9"\n'),
    )
    top = layer(member("etc/y"))
    blobs = [Counted(each) for each in (system, between, python, top)]
    below = base(system, between, python, top)
    below = replace(
        below, layers=tuple(replace(each, blob=blob) for each, blob in zip(below.layers, blobs, strict=True))
    )
    for _ in range(2):
        look = look_at_remote(below, Wanted(), tmp_path, lambda event: None, dict)
        resolved = find_python(below, Wanted(), look, lambda event: None)
        assert (resolved.interpreter, resolved.glibc) == ("/usr/local/bin/python3.11", (2, 36))
        assert [blob.fetched for blob in blobs] == [1, 0, 1, 1], "the second look is remembered"


def test_of_layers_that_others_have_scanned_nothing_is_fetched(tmp_path: Path) -> None:
    system, python = (
        layer(member("usr/lib/x86_64-linux-gnu/libc.so.6", GLIBC)),
        layer(
            member("usr/local/bin/python3.11", program()),
            member("usr/local/include/python3.11/patchlevel.h", b'#define PY_VERSION  "3.11.9"\n'),
        ),
    )
    read = base(system, python)
    scans = {each.layer.diff_id: scan(each, tmp_path / "theirs") for each in read.layers}
    blobs = [Counted(each) for each in (system, python)]
    below = replace(read, layers=tuple(replace(each, blob=blob) for each, blob in zip(read.layers, blobs, strict=True)))
    look = look_at_remote(below, Wanted(), tmp_path / "ours", lambda event: None, lambda: scans)
    resolved = find_python(below, Wanted(), look, lambda event: None)
    assert (resolved.interpreter, resolved.glibc) == ("/usr/local/bin/python3.11", (2, 36))
    assert [blob.fetched for blob in blobs] == [0, 0]
    one = {read.layers[1].layer.diff_id: scans[read.layers[1].layer.diff_id]}
    look_at_remote(below, Wanted(), tmp_path / "ours", lambda event: None, lambda: one)
    assert [blob.fetched for blob in blobs] == [1, 0], "what nobody told is fetched"


@pytest.mark.parametrize(
    "change",
    [
        {"files": [{"path": "a"}]},
        {"files": ["a"]},
        {"files": [{"path": 1, "kind": "file"}]},
        {"files": [{"path": "bin/python3", "kind": "device"}]},
        {"files": [{"path": "etc/passwd", "kind": "file"}]},
        {"files": [{"path": "bin/python3\n", "kind": "file"}]},
        {"files": [{"path": "bin/python3", "kind": "module"}]},
        {"files": [{"path": "lib/x86_64-linux-gnu/libc.so.6", "kind": "file", "version": "new"}]},
        {"files": [{"path": "lib/x86_64-linux-gnu/libc.so.6", "kind": "file", "version": "2"}]},
        {"files": [{"path": "bin/python3", "kind": "file", "loader": "/tmp/mine"}]},
        {"files": [{"path": "bin/python3", "kind": "file", "target": 1}]},
        {"files": "abc"},
        {"hidden": [1]},
        {"hidden": ["x"] * (MAX_HIDDEN + 1)},
        {"tar-size": "many"},
        {"more": 1},
    ],
)
def test_the_scan_of_another_is_read_with_suspicion(tmp_path: Path, change: dict[str, object]) -> None:
    found = scan(base(DEBIAN).layers[0], tmp_path)
    assert LayerScan.parse(found.json()) == found
    with pytest.raises(IntegrityError):
        LayerScan.parse(found.json() | change)


def test_layers_that_are_too_large_are_not_fetched(tmp_path: Path) -> None:
    below = base(DEBIAN, env=("PYTHON_VERSION=3.11.9",))
    huge = replace(below.layers[0].layer.descriptor, size=4 << 30)
    below = replace(below, layers=(replace(below.layers[0], layer=replace(below.layers[0].layer, descriptor=huge)),))
    told: list[Event] = []
    look = look_at_remote(below, Wanted(), tmp_path, told.append, dict)
    resolved = find_python(below, Wanted(), look, told.append)
    assert (resolved.interpreter, resolved.python) == ("/usr/local/bin/python3.11", "3.11")
    assert [each.text.partition(":")[0] for each in told if isinstance(each, Notice)] == ["not verified"] * 2
    assert "4295 MB" in str(told)


def test_links_that_go_in_a_circle_lead_nowhere() -> None:
    files = {"a": ScannedFile("a", "link", "b"), "b": ScannedFile("b", "link", "/a")}
    assert follow(files, "/a/x") == ""
    assert follow({"opt/x": ScannedFile("opt/x", "link", "../../..")}, "/opt/x/etc") == "etc"


def test_a_folder_that_becomes_a_link_hides_what_was_in_it() -> None:
    below = LayerScan((ScannedFile("opt/py/bin/python3.11"),))
    files = merged([below, LayerScan((ScannedFile("opt/py", "link", "/usr"),))])
    assert interpreters(files, []) == []
    assert find_interpreter(files, "/opt/py/bin/python3.11") is None


@pytest.mark.parametrize(
    ("name", "version"),
    [("lib/ld-musl-x86_64.so.1", ""), ("lib64/libc.so.6", "2.99999"), ("lib64/libc.so.6", "nonsense")],
)
def test_a_version_that_is_none_is_no_version(name: str, version: str, tmp_path: Path) -> None:
    text = b"GNU C Library x version " + version.encode()
    found = scan(image_layer(layer(member(name, text))), tmp_path)
    assert found.files[0].version in ("", "2.99")


def records(cache: Path) -> list[Path]:
    return sorted(path for path in cache.glob("scans/*") if path.name != MARKER)


def test_a_damaged_record_is_made_again(tmp_path: Path) -> None:
    one = image_layer(DEBIAN)
    first = scan(one, tmp_path)
    (record,) = records(tmp_path)
    for damage in (b"{}", b"", record.read_bytes()[:-9], record.read_bytes().replace(b"python3", b"python4")):
        record.write_bytes(damage)
        assert scan(one, tmp_path) == first


def test_a_record_of_another_machine_is_none(tmp_path: Path) -> None:
    """A cache of a CI service is a copy: what it says of a base decides which packages are taken."""
    one = image_layer(DEBIAN)
    scan(one, tmp_path / "here")
    shutil.copytree(tmp_path / "here", tmp_path / "copy", copy_function=shutil.copy2)
    assert recall(one, tmp_path / "here") is not None
    assert recall(one, tmp_path / "copy") is None


def test_a_layer_of_other_bytes_is_refused(tmp_path: Path) -> None:
    one = image_layer(DEBIAN)
    lying = replace(one, layer=replace(one.layer, diff_id=Digest.of(b"")))
    with pytest.raises(IntegrityError, match="not what its config says"):
        scan(lying, tmp_path)


@pytest.mark.skipif(sys.platform != "linux", reason="looks at this machine's own files")
def test_this_machines_python_and_library_are_told_right(tmp_path: Path) -> None:
    told = subprocess.run(["ldd", "--version"], capture_output=True, text=True).stdout.split("\n")[0].split()[-1]
    listed = subprocess.run(["ldd", sys.executable], capture_output=True, text=True).stdout
    libc = next(line.split()[2] for line in listed.splitlines() if "libc.so.6" in line)
    version = f"{sys.version_info[0]}.{sys.version_info[1]}"
    tar = layer(
        member(libc.lstrip("/"), Path(libc).read_bytes()),
        member(f"usr/bin/python{version}", Path(sys.executable).read_bytes(), mode=0o755),
    )
    files = merged([scan(image_layer(tar), tmp_path)])
    python = find_interpreter(files, f"/usr/bin/python{version}")
    assert python is not None
    assert python.loader.startswith("ld-linux")
    major, minor = map(int, told.split("."))
    assert find_libc(files, python.loader) == Libc("glibc", (major, minor))
    assert Look(files).unread == 0


def test_a_base_that_leaves_no_room_for_a_layer_is_refused_before_it_is_scanned(tmp_path: Path) -> None:
    platform = Platform("linux", "amd64")
    layers = [image_layer(layer(member(str(number), b"x"))) for number in range(128)]
    for count in (126, 127, 128):
        config, root = Config(tmp_path / f"home{count}"), tmp_path / str(count)
        with Connections(config) as connections:
            oci.parse(str(root)).deliver(assemble(platform, {}, layers[:count], RunSpec()), connections, ignore_event)
            if count < 127:
                below = resolve_existing(LayoutBase(root), platform, None, tmp_path, connections, python_needed=False)
                assert len(below.layers) == count
                assert len(records(config.cache)) == count
            else:
                with pytest.raises(UserError, match=f"has {count} layers, .* at most 127") as fault:
                    resolve_existing(LayoutBase(root), platform, None, tmp_path, connections)
                assert fault.value.where == str(root)
                assert not records(config.cache)


def test_a_layer_that_unpacks_to_too_much_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(codec, "UNPACK_LIMIT", codec.UnpackLimit(free=4 << 20))
    for size, refused in ((3 << 20, False), (8 << 20, True)):
        plain = layer(member("zeros", bytes(size)))
        tar = Literal(b"".join(codec.zstd().encode([plain.data], len(plain.data))), MediaType.LAYER_ZSTD)
        one = ImageLayer(
            "base", "", Layer(tar.descriptor, Digest.of(plain.data), -1, codec.Codec("zstd")), tar, "reused"
        )
        if not refused:
            assert scan(one, tmp_path).files == ()
            continue
        with pytest.raises(IntegrityError, match="unpacks to more than 4194304 bytes") as fault:
            scan(one, tmp_path)
        assert tar.descriptor.digest.short in fault.value.where
    assert len(records(tmp_path)) == 1


def test_a_layer_without_the_blocks_that_end_a_tar_is_read_where_an_image_has_its_digest(tmp_path: Path) -> None:
    members = 1 + max(number for number, byte in enumerate(DEBIAN.data) if byte)
    ends = image_layer(Literal(DEBIAN.data[: -(-members // 512) * 512], DEBIAN.descriptor.media_type))
    assert [each.path for each in scan(ends, tmp_path).files] == [
        each.path for each in scan(image_layer(DEBIAN), tmp_path).files
    ]
    with pytest.raises(IntegrityError, match="cut short"):
        scan(ends, tmp_path / "anew", held=False)
