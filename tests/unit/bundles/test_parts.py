from __future__ import annotations

import hashlib
import random
import subprocess
from pathlib import Path

import pytest

from modelcrate.bundles import parts
from modelcrate.bundles.parts import find_parts, write_parts
from modelcrate_layers.errors import SourceError, UserError

DATA = random.Random(1).randbytes(10_000)


def written(folder: Path, size: int = 3_000, chunk: int = 777) -> Path:
    path = folder / "a.bundle"
    write_parts(path, [DATA[at : at + chunk] for at in range(0, len(DATA), chunk)], size)
    return path


def test_parts_are_read_as_one_file(tmp_path: Path) -> None:
    found = find_parts(written(tmp_path))
    assert [each.size for each in found.files] == [3_000, 3_000, 3_000, 1_000]
    assert b"".join(found.chunks(0, len(DATA))) == DATA
    assert b"".join(found.chunks(2_990, 3_020)) == DATA[2_990:6_010]
    with found.open() as file:
        file.seek(5_995)
        assert file.read(10) == DATA[5_995:6_005]
        assert file.read() == DATA[6_005:]


@pytest.mark.parametrize("name", ["a.bundle", "a.bundle.001", "a.bundle.003"])
def test_any_part_names_the_bundle(name: str, tmp_path: Path) -> None:
    written(tmp_path)
    assert find_parts(tmp_path / name).size == len(DATA)


def test_sha256sum_checks_the_parts_and_cat_puts_them_together(tmp_path: Path) -> None:
    written(tmp_path)
    subprocess.run(["sha256sum", "--check", "--strict", "a.bundle.sha256"], cwd=tmp_path, check=True)
    whole = subprocess.run("cat a.bundle.0*", shell=True, cwd=tmp_path, check=True, capture_output=True).stdout
    assert hashlib.sha256(whole).digest() == hashlib.sha256(DATA).digest()


@pytest.mark.parametrize("number", [1, 2, 4])
def test_a_missing_part_is_named(number: int, tmp_path: Path) -> None:
    path = written(tmp_path)
    (tmp_path / f"a.bundle.00{number}").unlink()
    with pytest.raises(SourceError, match=f"parts of the bundle are missing: a.bundle.00{number}"):
        find_parts(path)


def test_fewer_parts_over_more(tmp_path: Path) -> None:
    (tmp_path / "a.bundle.100").write_text("of the user, not of a bundle")
    path = written(tmp_path, 1_500)
    assert len(find_parts(path).files) == 7
    written(tmp_path, 6_000)
    names = ["a.bundle.001", "a.bundle.002", "a.bundle.100", "a.bundle.sha256"]
    assert sorted(each.name for each in tmp_path.iterdir()) == names
    found = find_parts(path)
    assert b"".join(found.chunks(0, found.size)) == DATA


def test_parts_that_the_hashes_do_not_name_are_not_read(tmp_path: Path) -> None:
    path = written(tmp_path)
    (tmp_path / "a.bundle.005").write_bytes(b"of an earlier bundle")
    with (tmp_path / "a.bundle.sha256").open("a") as sums:
        sums.write(f"{hashlib.sha256(b'').hexdigest()}  notes.txt\n")
    assert find_parts(path).size == len(DATA)
    (tmp_path / "a.bundle.sha256").unlink()
    assert find_parts(path).size == len(DATA) + 20


def test_parts_beside_a_whole_bundle_of_the_name(tmp_path: Path) -> None:
    (tmp_path / "a.bundle").write_bytes(b"earlier")
    with pytest.raises(UserError, match="would be read instead of its parts"):
        written(tmp_path)
    assert [each.name for each in tmp_path.iterdir()] == ["a.bundle"]


def test_no_bundle(tmp_path: Path) -> None:
    with pytest.raises(SourceError, match="there is no such bundle"):
        find_parts(tmp_path / "a[1].bundle")


def test_too_many_parts_leave_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(parts, "MAX_PARTS", 3)
    with pytest.raises(UserError, match="more than 3 parts"):
        written(tmp_path)
    assert list(tmp_path.iterdir()) == []
