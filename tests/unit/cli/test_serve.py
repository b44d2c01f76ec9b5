"""The watch over a project's files: a change of content, a new file and a removed one count; bytecode does not."""

from __future__ import annotations

from pathlib import Path

from modelcrate.cli.serve import _declarations, _Watch


def test_what_changes(tmp_path: Path) -> None:
    (tmp_path / "a.py").write_text("1")
    (tmp_path / "deep").mkdir()
    watch = _Watch([tmp_path])
    assert watch.usable
    assert not watch.changed()
    (tmp_path / "__pycache__").mkdir()
    (tmp_path / "__pycache__/a.pyc").write_text("1")
    assert not watch.changed()
    (tmp_path / "a.py").write_text("22")
    assert (watch.changed(), watch.name) == (True, "a.py")
    again = _Watch([tmp_path])
    (tmp_path / "deep/b.py").write_text("1")
    assert (again.changed(), again.name) == (True, "b.py")
    third = _Watch([tmp_path])
    (tmp_path / "deep/b.py").unlink()
    assert third.changed()


def test_a_file_that_is_absent_may_come(tmp_path: Path) -> None:
    watch = _Watch([tmp_path / "a"])
    assert not watch.usable
    (tmp_path / "a").write_text("1")
    assert watch.changed()


def test_files_that_declare_a_project(tmp_path: Path) -> None:
    for name in ("modelcrate.yaml", "requirements.txt", "uv.lock", "score.py"):
        (tmp_path / name).write_text("")
    names = ["modelcrate.yaml", "requirements.txt", "uv.lock"]
    assert [path.name for path in _declarations(tmp_path)] == names
    assert [path.name for path in _declarations(tmp_path / "modelcrate.yaml")] == names
    assert _declarations(tmp_path / "absent" / "deep") == ()
