"""The store: all of a blob or nothing, whoever else works on the folder, and nothing believed of a layout that others made."""

from __future__ import annotations

import json
import os
import shutil
import stat
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from modelcrate_layers import store
from modelcrate_layers.content import MAX_JSON, Descriptor, Digest, MediaType
from modelcrate_layers.errors import CrateError, IntegrityError, MachineError, SourceError
from modelcrate_layers.store import REF_NAME, Layout
from support.waiting import HANG

DATA = b"some bytes of a blob"
BLOB = Descriptor.of(DATA, MediaType.LAYER)


def named(text: str) -> Descriptor:
    return Descriptor.of(text.encode(), MediaType.MANIFEST)


def files(root: Path) -> set[str]:
    return {str(path.relative_to(root)) for path in root.rglob("*") if path.is_file()}


@pytest.fixture
def layout(tmp_path: Path) -> Layout:
    return Layout.create(tmp_path / "store")


def test_a_new_layout_is_one(layout: Layout) -> None:
    assert (layout.root / "oci-layout").read_bytes() == b'{"imageLayoutVersion":"1.0.0"}'
    assert Layout.open(layout.root) == layout == Layout.create(layout.root)
    assert layout.manifests() == []


def test_a_blob_is_kept_and_read_back(layout: Layout) -> None:
    assert layout.add([DATA[:5], DATA[5:]], BLOB) == len(DATA)
    assert layout.has(BLOB)
    assert layout.read(BLOB) == DATA
    assert b"".join(layout.blob(BLOB).chunks(5)) == DATA[5:]
    assert stat.S_IMODE(layout.path(BLOB.digest).stat().st_mode) == 0o644


def test_a_blob_that_is_there_is_not_read_again(layout: Layout) -> None:
    layout.add([DATA], BLOB)

    def never() -> Iterator[bytes]:
        raise AssertionError("was read")
        yield b""

    assert layout.add(never(), BLOB) == 0


@pytest.mark.parametrize("chunks", [[DATA[:-1]], [DATA, b"x"], [DATA[:-1] + b"X"], []])
def test_wrong_bytes_leave_nothing_behind(layout: Layout, chunks: list[bytes]) -> None:
    before = files(layout.root)
    with pytest.raises(IntegrityError):
        layout.add(chunks, BLOB)
    assert files(layout.root) == before
    assert not layout.has(BLOB)


def test_a_stream_that_breaks_leaves_nothing_behind(layout: Layout) -> None:
    def breaking() -> Iterator[bytes]:
        yield DATA[:5]
        raise KeyboardInterrupt

    before = files(layout.root)
    for keep in (lambda: layout.add(breaking(), BLOB), lambda: layout.take(breaking(), lambda: BLOB)):
        with pytest.raises(KeyboardInterrupt):
            keep()
    assert files(layout.root) == before


def test_a_blob_can_be_named_when_it_has_passed(layout: Layout) -> None:
    assert layout.take([DATA], lambda: BLOB) == BLOB
    assert layout.read(BLOB) == DATA


def test_a_blob_of_the_wrong_size_counts_as_missing_and_is_replaced(layout: Layout) -> None:
    layout.path(BLOB.digest).write_bytes(b"short")
    assert not layout.has(BLOB)
    with pytest.raises(IntegrityError, match="has no blob"):
        layout.blob(BLOB)
    assert layout.add([DATA], BLOB) == len(DATA)
    assert layout.read(BLOB) == DATA


@pytest.mark.parametrize("change", ["flipped", "cut", "longer", "link", "pipe", "gone"])
def test_a_blob_that_was_damaged_since_is_refused(layout: Layout, change: str) -> None:
    layout.add([DATA], BLOB)
    blob, path = layout.blob(BLOB), layout.path(BLOB.digest)
    if change == "flipped":
        path.write_bytes(DATA[:-1] + b"X")
    elif change == "cut":
        path.write_bytes(DATA[:-1])
    elif change == "longer":
        path.write_bytes(DATA + b"X")  # what follows is no part of the blob, so this one still reads
    else:
        path.unlink()
    if change == "link":
        path.symlink_to("/etc/passwd")
    elif change == "pipe":
        os.mkfifo(path)
    if change == "longer":
        assert b"".join(blob.chunks()) == DATA
        assert not layout.has(BLOB)
    else:
        with pytest.raises((IntegrityError, SourceError)) as refused:
            list(blob.chunks())
        assert refused.value.where == str(path)


@pytest.mark.parametrize("damage", ["flipped", "cut", "longer", "link", "folder", "gone"])
def test_a_damaged_blob_is_removed_when_it_is_looked_at_and_can_be_added_again(tmp_path: Path, damage: str) -> None:
    kept = Layout.create(tmp_path / "store", tmp_path / "records")
    kept.add([DATA], BLOB)
    assert kept.intact(BLOB)
    path = kept.path(BLOB.digest)
    if damage in ("flipped", "cut", "longer"):
        path.write_bytes({"flipped": b"X" + DATA[1:], "cut": DATA[:-1], "longer": DATA + b"X"}[damage])
    else:
        path.unlink()
    if damage == "link":
        path.symlink_to(tmp_path / "elsewhere")
        (tmp_path / "elsewhere").write_bytes(DATA)
    if damage == "folder":
        path.mkdir()
    assert not kept.intact(BLOB)
    assert not os.path.lexists(path)
    assert kept.add([DATA], BLOB) == len(DATA)
    assert kept.intact(BLOB)


def test_a_blob_is_hashed_once_and_again_when_its_file_is_another(tmp_path: Path) -> None:
    kept = Layout.create(tmp_path / "store", tmp_path / "records")
    kept.add([DATA], BLOB)
    path = kept.path(BLOB.digest)
    record = tmp_path / "records" / BLOB.digest.hex
    first = record.read_bytes()
    path.unlink()
    path.write_bytes(DATA)
    assert kept.intact(BLOB)
    assert record.read_bytes() != first
    shutil.copytree(tmp_path / "records", tmp_path / "copy")
    (tmp_path / "copy" / BLOB.digest.hex).write_bytes(record.read_bytes())
    path.write_bytes(b"X" + DATA[1:])
    assert not Layout.create(tmp_path / "store", tmp_path / "copy").intact(BLOB)


def test_damage_is_replaced_when_the_blob_is_added(tmp_path: Path) -> None:
    kept = Layout.create(tmp_path / "store", tmp_path / "records")
    kept.add([DATA], BLOB)
    kept.path(BLOB.digest).write_bytes(b"X" + DATA[1:])
    assert kept.add([DATA], BLOB) == len(DATA)
    assert kept.path(BLOB.digest).read_bytes() == DATA
    assert kept.add([DATA], BLOB) == 0


def test_a_link_is_no_blob(layout: Layout) -> None:
    (layout.root / "elsewhere").write_bytes(DATA)
    layout.path(BLOB.digest).symlink_to(layout.root / "elsewhere")
    assert not layout.has(BLOB)


def test_a_document_has_a_largest_size(layout: Layout) -> None:
    with pytest.raises(IntegrityError, match="the limit is"):
        layout.read(Descriptor(MediaType.MANIFEST, BLOB.digest, MAX_JSON + 1))


def test_what_is_no_layout_is_refused(tmp_path: Path) -> None:
    with pytest.raises(SourceError, match="is not an OCI image layout"):
        Layout.open(tmp_path)
    (tmp_path / "oci-layout").mkdir()
    with pytest.raises(SourceError, match="is not an OCI image layout"):
        Layout.open(tmp_path)


@pytest.mark.parametrize("text", ["{}", '{"imageLayoutVersion":"2.0.0"}', "[]", "x"])
def test_a_layout_of_another_version_is_refused(tmp_path: Path, text: str) -> None:
    (tmp_path / "oci-layout").write_text(text)
    with pytest.raises(IntegrityError):
        Layout.open(tmp_path)


@pytest.mark.parametrize("text", ["{}", '{"manifests":7}', "[]", "", "x" * 9, "[" * 9])
def test_an_index_that_is_none_is_refused(layout: Layout, text: str) -> None:
    (layout.root / "index.json").write_text(text)
    with pytest.raises(IntegrityError):
        layout.manifests()


def test_an_index_that_is_too_large_is_refused(layout: Layout) -> None:
    with (layout.root / "index.json").open("wb") as index:
        index.truncate(MAX_JSON + 1)
    with pytest.raises(IntegrityError, match="is larger than"):
        layout.index()


def tags(layout: Layout) -> dict[str | None, str]:
    return {each.annotations.get(REF_NAME): each.digest.short for each in layout.manifests()}


def test_a_tag_moves_and_what_had_it_loses_it(layout: Layout) -> None:
    one, two = named("one"), named("two")
    layout.name(one, "a")
    layout.name(one, "b")
    layout.name(two, "a")
    assert tags(layout) == {"b": one.digest.short, "a": two.digest.short}
    assert len(layout.manifests()) == 2


def test_an_image_without_a_tag_stands_once(layout: Layout) -> None:
    layout.name(named("one"), None)
    layout.name(named("one"), None)
    layout.name(named("two"), None)
    assert len(layout.manifests()) == 2
    layout.name(named("one"), "a")
    assert tags(layout) == {None: named("two").digest.short, "a": named("one").digest.short}


def test_annotations_of_the_image_stay_beside_the_tag(layout: Layout) -> None:
    noted = Descriptor(MediaType.MANIFEST, BLOB.digest, 1, {"a": "b"})
    layout.name(noted, "t")
    assert layout.manifests()[0].annotations == {"a": "b", REF_NAME: "t"}


def test_members_of_an_index_that_we_do_not_know_are_kept(layout: Layout) -> None:
    index: dict[str, Any] = {"schemaVersion": 2, "manifests": [], "annotations": {"x": "y"}}
    (layout.root / "index.json").write_text(json.dumps(index))
    layout.name(named("one"), "a")
    assert layout.index()["annotations"] == {"x": "y"}


def test_names_given_at_the_same_time_are_all_kept(layout: Layout) -> None:
    def give(at: int) -> None:
        Layout.open(layout.root).name(named(str(at)), str(at))

    threads = [threading.Thread(target=give, args=(at,)) for at in range(16)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert set(tags(layout)) == {str(at) for at in range(16)}


def test_the_same_blob_added_at_the_same_time_is_whole(layout: Layout) -> None:
    barrier = threading.Barrier(4)
    faults: list[BaseException] = []

    def chunks() -> Iterator[bytes]:
        yield DATA[:3]
        barrier.wait(HANG)
        yield DATA[3:]

    def add() -> None:
        try:
            layout.add(chunks(), BLOB)
        except BaseException as fault:
            faults.append(fault)

    threads = [threading.Thread(target=add) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not faults
    assert layout.read(BLOB) == DATA
    assert files(layout.root) == {"oci-layout", f"blobs/sha256/{BLOB.digest.hex}"}


def test_what_the_machine_refuses_is_a_machine_error(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"")
    with pytest.raises(MachineError, match="can't be written"):
        Layout.create(tmp_path / "file" / "store")
    layout = Layout.create(tmp_path / "store")
    (layout.root / "blobs" / "sha256").rmdir()
    with pytest.raises(MachineError):
        layout.add([DATA], BLOB)


def test_a_full_disk_says_what_to_do(tmp_path: Path) -> None:
    with pytest.raises(MachineError) as refused, store.as_machine_error(tmp_path):
        raise OSError(28, "No space left on device")
    assert "free some space" in refused.value.hint
    with pytest.raises(CrateError) as passed, store.as_machine_error(tmp_path):
        raise SourceError("is passed on")
    assert passed.value.what == "is passed on"


def test_a_small_file_is_replaced_whole_or_not_at_all(tmp_path: Path) -> None:
    store.write_file(tmp_path / "f", b"one")
    store.write_file(tmp_path / "f", b"two")
    assert (tmp_path / "f").read_bytes() == b"two"
    (tmp_path / "d" / "full").mkdir(parents=True)
    with pytest.raises(OSError):
        store.write_file(tmp_path / "d", b"three")
    assert files(tmp_path) == {"f"}


def test_a_blob_under_another_algorithm_has_its_own_folder(layout: Layout) -> None:
    assert layout.path(Digest("sha512", "0" * 128)).parent.name == "sha512"
