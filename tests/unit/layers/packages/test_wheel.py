"""Wheels are read without being unpacked, and hostile ones are refused by name."""

from __future__ import annotations

import base64
import hashlib
import struct
import zipfile
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from packaging.version import Version

from modelcrate_layers.errors import CrateError, IntegrityError, SourceError
from modelcrate_layers.kinds.wheels import WheelsLayer
from modelcrate_layers.packages import wheel
from modelcrate_layers.packages.wheel import Wheel
from modelcrate_layers.tar import sources
from support.wheels import filename, make_wheel, rich, store, wheel_bytes

HASH_OF_DEMO = base64.urlsafe_b64encode(hashlib.sha256(b"answer = 42\n").digest()).decode().rstrip("=")


def test_members_come_with_records_hash_and_without_being_read(tmp_path: Path) -> None:
    contents = wheel.read(rich(tmp_path))
    by_name = {member.name: member for member in contents.members}
    assert contents.dist_info == "rich_wheel-2.0.dist-info"
    assert by_name["rich_wheel/native.so"].source.size == 64 * 256
    assert by_name["rich_wheel/native.so"].hash.startswith("sha256=")
    assert by_name["rich_wheel/tool.sh"].executable
    assert not by_name["rich_wheel/__init__.py"].executable
    assert by_name["rich_wheel-2.0.dist-info/RECORD"].hash == ""
    assert "console_scripts" in (contents.text("entry_points.txt") or "")
    assert contents.text("nothing.txt") is None


def test_the_place_of_a_wheel_is_no_part_of_it(tmp_path: Path) -> None:
    assert make_wheel(tmp_path / "a", "demo") == make_wheel(tmp_path / "b", "demo")


def test_a_zip64_wheel_is_read(tmp_path: Path) -> None:
    path = tmp_path / filename("demo", "1.0")
    plain = make_wheel(tmp_path / "plain", "demo")
    with zipfile.ZipFile(plain.path) as old, zipfile.ZipFile(path, "w") as new:
        for info in old.infolist():
            with new.open(zipfile.ZipInfo(info.filename), "w", force_zip64=True) as out:
                out.write(old.read(info))
    found = wheel.read(store(tmp_path / "zip64", "demo", "1.0", path.read_bytes()))
    assert [member.name for member in found.members] == [member.name for member in wheel.read(plain).members]


def test_folders_of_the_zip_are_no_members(tmp_path: Path) -> None:
    made = make_wheel(tmp_path, "demo", extra={"demo_folder/": b""})
    assert all(not member.name.endswith("/") for member in wheel.read(made).members)


def test_a_signature_of_the_old_record_is_left_out(tmp_path: Path) -> None:
    made = make_wheel(tmp_path, "demo", extra={"demo-1.0.dist-info/RECORD.jws": b"{}"})
    assert all("jws" not in member.name for member in wheel.read(made).members)


@pytest.mark.parametrize(
    "name",
    ["../evil.py", "/etc/evil", "a/../../evil", "a//b", "./a", "a/./b", "..", "a\\b", "x" * 5000],
)
def test_a_name_that_could_escape_is_refused(tmp_path: Path, name: str) -> None:
    made = make_wheel(tmp_path, "demo", files={name: b"evil"})
    with pytest.raises(SourceError, match="not a clean relative path") as caught:
        wheel.read(made)
    assert caught.value.where == made.filename


def test_a_name_with_a_nul_is_refused(tmp_path: Path) -> None:
    data = wheel_bytes("demo", files={"demo_XX_tail": b"evil"}).replace(b"demo_XX_tail", b"demo.py\0tail")
    with pytest.raises(SourceError, match="not a clean relative path"):
        wheel.read(store(tmp_path, "demo", "1.0", data))


@pytest.mark.parametrize("kind", [0o120777, 0o020666, 0o010666, 0o140777])
def test_symlinks_and_devices_are_refused(tmp_path: Path, kind: int) -> None:
    def mark(name: str, info: zipfile.ZipInfo) -> None:
        if name == "demo.py":
            info.external_attr = kind << 16

    with pytest.raises(SourceError, match="symlink or a device"):
        wheel.read(make_wheel(tmp_path, "demo", infos=mark))


@pytest.mark.parametrize(
    ("offset", "value", "words"), [(8, 1, "encrypted"), (10, 12, "compressed by a method"), (10, 99, "compressed by")]
)
def test_what_zip_allows_and_wheels_do_not_is_refused(tmp_path: Path, offset: int, value: int, words: str) -> None:
    data = bytearray(wheel_bytes("demo"))
    at = data.index(b"PK\x01\x02")
    data[at + offset : at + offset + 2] = struct.pack("<H", value)
    with pytest.raises(SourceError, match=words):
        wheel.read(store(tmp_path, "demo", "1.0", bytes(data)))


def test_a_declared_bomb_is_refused_before_a_byte_is_inflated(tmp_path: Path) -> None:
    data = bytearray(wheel_bytes("demo", files={f"{n}.bin": b"" for n in range(20)}))
    at = 0
    while (at := data.find(b"PK\x01\x02", at)) >= 0:
        data[at + 24 : at + 28] = struct.pack("<I", 0xFFFFFFF0)
        at += 4
    with pytest.raises(SourceError, match="unpacks to more than"):
        wheel.read(store(tmp_path, "demo", "1.0", bytes(data)))


def test_members_that_share_bytes_are_refused(tmp_path: Path) -> None:
    data = bytearray(wheel_bytes("demo", files={"a.py": b"one" * 40, "b.py": b"two" * 40}))
    first = data.index(b"PK\x01\x02")
    second = data.index(b"PK\x01\x02", first + 4)
    data[second + 42 : second + 46] = data[first + 42 : first + 46]
    with pytest.raises(IntegrityError, match="overlaps"):
        wheel.read(store(tmp_path, "demo", "1.0", bytes(data)))


def test_a_member_that_reaches_into_the_directory_is_refused(tmp_path: Path) -> None:
    data = bytearray(wheel_bytes("demo"))
    last = data.rindex(b"PK\x01\x02")
    data[last + 20 : last + 24] = struct.pack("<I", 5000)
    with pytest.raises(IntegrityError, match="reaches into"):
        wheel.read(store(tmp_path, "demo", "1.0", bytes(data)))


@pytest.mark.filterwarnings("ignore:Duplicate name")
def test_a_name_that_stands_twice_is_refused(tmp_path: Path) -> None:
    data = wheel_bytes("demo", files={"a.py": b"1", "b.py": b"2"}).replace(b"b.py", b"a.py")
    with pytest.raises(IntegrityError, match=r"a\.py stands twice"):
        wheel.read(store(tmp_path, "demo", "1.0", data))


def test_a_file_that_is_also_a_folder_is_refused(tmp_path: Path) -> None:
    with pytest.raises(IntegrityError, match="a is a file and a folder"):
        wheel.read(make_wheel(tmp_path, "demo", files={"a": b"1", "a/b/c": b"2"}))


@pytest.mark.parametrize("cut", [1, 20, 200])
def test_a_wheel_cut_short_is_damaged(tmp_path: Path, cut: int) -> None:
    with pytest.raises(IntegrityError):
        wheel.read(store(tmp_path, "demo", "1.0", wheel_bytes("demo")[:-cut]))


def test_a_missing_wheel_is_named(tmp_path: Path) -> None:
    made = make_wheel(tmp_path, "demo")
    Path(made.path).unlink()
    with pytest.raises(SourceError, match="can't be read"):
        wheel.read(made)


@pytest.mark.parametrize(
    ("falsify", "words"),
    [
        (lambda rows: [(rows[0][0], rows[0][1], "7"), *rows[1:]], "and 7 in its RECORD"),
        (lambda rows: [("one", 'bad"\n"', "1,2,3"), *rows], "RECORD can't be read"),
    ],
)
def test_a_record_that_contradicts_the_zip_is_refused(tmp_path: Path, falsify: object, words: str) -> None:
    with pytest.raises(IntegrityError, match=words):
        wheel.read(make_wheel(tmp_path, "demo", record=falsify))


@pytest.mark.parametrize(
    ("change", "noticed"),
    [
        (lambda rows: rows[1:], True),
        (lambda rows: [(rows[0][0], "", ""), *rows[1:]], True),
        (lambda rows: [(rows[0][0], "md5=abcd", rows[0][2]), *rows[1:]], True),
        (lambda rows: [(rows[0][0], "sha256=short", rows[0][2]), *rows[1:]], True),
        (lambda rows: [(rows[0][0], rows[0][1], ""), *rows[1:]], False),
        (lambda rows: [("too,many,columns", "x", "y"), *rows], False),
    ],
)
def test_a_record_that_lacks_something_is_completed_and_its_wheel_named(
    tmp_path: Path, change: object, noticed: bool
) -> None:
    """pip and uv take such wheels, and there are many: catboost, selenium, xgboost had one."""
    layer = WheelsLayer((make_wheel(tmp_path, "demo", record=change),), "3.11")
    notices = list(layer.notices())
    assert len(notices) == noticed
    assert all("demo 1.0: its RECORD has no hash of demo.py" in each for each in notices)
    record = next(each for each in layer.tree().entries if each.path.endswith(b"/RECORD"))
    assert "demo.py,sha256=" + HASH_OF_DEMO in sources.read(record.source).decode()


def test_a_record_whose_hash_is_another_files_is_refused_when_the_file_is_read(tmp_path: Path) -> None:
    made = make_wheel(tmp_path, "demo", record=lambda rows: [(rows[0][0], rows[1][1], rows[0][2]), *rows[1:]])
    entry = next(each for each in WheelsLayer((made,), "3.11").tree().entries if each.path.endswith(b"/demo.py"))
    with pytest.raises(IntegrityError, match="RECORD lists"):
        sources.read(entry.source)


def test_a_wheel_of_another_version_inside_is_refused(tmp_path: Path) -> None:
    data = wheel_bytes("demo", metadata_version="1.1")
    with pytest.raises(IntegrityError, match=r"should be version 1\.0, and its METADATA says '1\.1'"):
        wheel.read(store(tmp_path, "demo", "1.0", data))
    assert wheel.read(store(tmp_path, "demo", "1.0", wheel_bytes("demo", metadata_version="v1.0.0"))).members


pieces = st.tuples(
    st.sampled_from(["", "v", "1!", "0!"]),
    st.lists(st.integers(0, 12).map(str), min_size=1, max_size=4).map(".".join),
    st.sampled_from(["", "a1", ".alpha", "-beta.2", "c3", "rc", "_pre4", ".preview_5"]),
    st.sampled_from(["", ".post1", "-2", "-r3", "_rev", "post"]),
    st.sampled_from(["", ".dev1", "dev", "-dev.7"]),
    st.sampled_from(["", "+cu118", "+1.a", "+1-a", "+01_A"]),
).map("".join)


@given(pieces, pieces)
def test_versions_mean_the_same_where_packaging_says_so(one: str, other: str) -> None:
    same = wheel.normal_version(one) == wheel.normal_version(other)
    assert same is (Version(one) == Version(other))


def test_what_is_no_version_is_compared_as_it_is() -> None:
    assert wheel.normal_version("2004d_1") == wheel.normal_version("2004D-1") != wheel.normal_version("2004d-2")


@pytest.mark.parametrize("missing", ["METADATA", "WHEEL", "RECORD"])
def test_a_wheel_without_its_papers_is_refused(tmp_path: Path, missing: str) -> None:
    data = wheel_bytes("demo").replace(f".dist-info/{missing}".encode(), b".dist-info/" + b"x" * len(missing))
    with pytest.raises(IntegrityError, match=f"has no .*{missing}"):
        wheel.read(store(tmp_path, "demo", "1.0", data))


def test_a_wheel_that_is_another_package_inside_is_refused(tmp_path: Path) -> None:
    with pytest.raises(IntegrityError, match="should be demo"):
        wheel.read(store(tmp_path, "demo", "1.0", wheel_bytes("other")))
    with pytest.raises(IntegrityError, match="METADATA says 'other'"):
        wheel.read(make_wheel(tmp_path, "demo", metadata_name="other"))


def test_two_dist_infos_are_refused(tmp_path: Path) -> None:
    with pytest.raises(IntegrityError, match=r"has 2 \.dist-info"):
        wheel.read(make_wheel(tmp_path, "demo", files={"other-1.dist-info/METADATA": b""}))


def test_a_text_that_is_not_utf8_is_refused(tmp_path: Path) -> None:
    made = make_wheel(tmp_path, "demo", files={"demo-1.0.dist-info/entry_points.txt": b"\xff"})
    with pytest.raises(IntegrityError, match="not UTF-8"):
        wheel.read(made).text("entry_points.txt")


def test_a_text_over_the_limit_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(wheel, "MAX_TEXT", 10)
    with pytest.raises(SourceError, match="the limit is 10"):
        wheel.read(make_wheel(tmp_path, "demo"))


@pytest.mark.parametrize(
    ("name", "version", "file"),
    [
        ("demo", "1.0", "demo.zip"),
        ("demo", "1.0", "a/b-1-py3-none-any.whl"),
        ("demo\n--index-url=x", "1.0", "demo-1.0-py3-none-any.whl"),
        ("demo", "1.0 --no-index", "demo-1.0-py3-none-any.whl"),
        ("Demo", "1.0", "demo-1.0-py3-none-any.whl"),
    ],
)
def test_a_pin_that_is_unsafe_in_paths_or_lines_does_not_exist(name: str, version: str, file: str) -> None:
    with pytest.raises(CrateError):
        Wheel(name, version, file, "0" * 64, 1, "")
