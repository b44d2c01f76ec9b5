"""Requirements files are looked through before uv sees them: every fault at once, and the hashes."""

from __future__ import annotations

from pathlib import Path

import pytest

from modelcrate.resolve import requirements
from modelcrate.resolve.requirements import Requirements, read_requirements
from modelcrate_layers.errors import CrateError, SourceError, UserError


def write(folder: Path, text: str, name: str = "requirements.txt") -> Requirements:
    (folder / name).write_text(text)
    return Requirements(files=(folder / name,))


def test_hashes_are_collected_by_normalised_name(tmp_path: Path) -> None:
    (tmp_path / "more.txt").write_text(f"Other.Name==1 --hash=sha256:{'c' * 64}\n")
    text = f"Some_Thing==1.0 ; python_version > '3' \\\n  --hash=sha256:{'A' * 64} \\\n  --hash sha256:{'b' * 64}\nplain\n-r more.txt\n"
    assert read_requirements(write(tmp_path, text)).hashes == {
        "some-thing": {"a" * 64, "b" * 64},
        "other-name": {"c" * 64},
    }


def test_options_for_indexes_are_left_to_uv(tmp_path: Path) -> None:
    assert (
        read_requirements(
            write(tmp_path, "--extra-index-url https://example.invalid/simple\n--pre\nplain[extra]>=1\n")
        ).hashes
        == {}
    )


def test_all_faults_are_shown_with_their_lines(tmp_path: Path) -> None:
    text = "good\n-e .\n\nbad !\n./local\nx @ https://user:secret@example.invalid/x.whl\n-r missing.txt\n"
    with pytest.raises(UserError, match="5 faults") as caught:
        read_requirements(write(tmp_path, text))
    where = [fault.where.removeprefix(str(tmp_path)) for fault in caught.value.also]
    assert where == [
        "/requirements.txt:2",
        "/requirements.txt:4",
        "/requirements.txt:5",
        "/requirements.txt:6",
        "/missing.txt",
    ]
    assert not [fault for fault in caught.value.also if "secret" in str(fault)]


def test_a_hash_that_can_not_be_checked_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="no sha256"):
        read_requirements(write(tmp_path, f"plain==1 --hash=md5:{'a' * 32}\n"))


def test_files_that_include_each_other_end(tmp_path: Path) -> None:
    (tmp_path / "b.txt").write_text("-r requirements.txt\n")
    assert read_requirements(write(tmp_path, "-r b.txt\n")).hashes == {}


def test_includes_from_the_network_are_refused(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="from the network"):
        read_requirements(write(tmp_path, "-r https://example.invalid/r.txt\n"))


def test_limits_hold(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(requirements, "MAX_FILE", 10)
    with pytest.raises(UserError, match="more than 10 bytes"):
        read_requirements(write(tmp_path, "a" * 11))
    monkeypatch.setattr(requirements, "MAX_FILES", 1)
    (tmp_path / "b.txt").write_text("b\n")
    with pytest.raises(UserError, match="more than 1 requirements files"):
        read_requirements(write(tmp_path, "-rb.txt\n"))


@pytest.mark.parametrize(("data", "error"), [(b"\xff\xfe\x00", UserError), (None, SourceError)])
def test_a_file_that_can_not_be_read_is_named(tmp_path: Path, data: bytes | None, error: type[CrateError]) -> None:
    path = tmp_path / "r.txt"
    if data is not None:
        path.write_bytes(data)
    with pytest.raises(error) as caught:
        read_requirements(Requirements(files=(path,)))
    assert caught.value.where == str(path)
