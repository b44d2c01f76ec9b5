"""Layers that a process of its own measures: they are what this process measures, whatever happens to that one."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import pytest

from modelcrate_layers import measuring_process
from modelcrate_layers.errors import SourceError
from modelcrate_layers.measuring_process import MeasuringProcess, MeasuringProcesses
from modelcrate_layers.tar.codec import NONE
from modelcrate_layers.tar.recipe import Recipe, measure
from modelcrate_layers.tar.sources import FileRange
from modelcrate_layers.tar.tree import Tree, file


def _recipe(folder: Path, count: int = 3) -> Recipe:
    for number in range(count):
        (folder / f"{number}").write_bytes(os.urandom(1 << 20))
    entries = (file(b"top/%d" % number, FileRange.of_file(str(folder / f"{number}"))) for number in range(count))
    return Recipe(Tree.of(entries, [b"top"]), NONE)


def test_a_process_measures_several_recipes_and_reports_every_byte(tmp_path: Path) -> None:
    recipe, passed = _recipe(tmp_path), list[int]()
    with MeasuringProcess() as process:
        assert process.measure(recipe, passed.append) == measure(recipe)
        assert sum(passed) == recipe.tar.size
        assert process.measure(recipe, passed.append) == measure(recipe)
        assert sum(passed) == 2 * recipe.tar.size


def test_what_is_wrong_with_a_file_is_raised_here_and_the_process_goes_on(tmp_path: Path) -> None:
    recipe = _recipe(tmp_path)
    with MeasuringProcess() as process:
        held = (tmp_path / "1").read_bytes()
        (tmp_path / "1").write_bytes(held[:-1])
        with pytest.raises(SourceError, match="changed while it was being packed") as fault:
            process.measure(recipe, lambda _: None)
        assert fault.value.where == str(tmp_path / "1")
        assert fault.value.hint
        again = _recipe(tmp_path)
        assert process.measure(again, lambda _: None) == measure(again)


def test_a_process_that_was_ended_is_replaced_by_this_one(tmp_path: Path) -> None:
    recipe, passed = _recipe(tmp_path), list[int]()

    def end(count: int) -> None:
        passed.append(count)
        process = processes._started[0]._running
        assert process is not None
        process.kill()
        process.wait()

    with MeasuringProcesses(1) as processes:
        assert processes.measure(recipe, end) == measure(recipe)
        assert sum(passed) >= recipe.tar.size


def test_an_interpreter_that_does_not_start_is_no_error(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "executable", str(tmp_path / "none"))
    recipe = _recipe(tmp_path)
    with MeasuringProcesses(1) as processes:
        assert processes.measure(recipe, lambda _: None) == measure(recipe)


def test_a_caller_that_stops_ends_the_process(tmp_path: Path) -> None:
    def stop(_: int) -> None:
        raise SourceError("something else has failed")

    with MeasuringProcess() as process:
        with pytest.raises(SourceError, match="something else"):
            process.measure(_recipe(tmp_path), stop)
        started = process._running
    assert started is not None
    assert started.returncode is not None


def test_nothing_is_imported_from_the_folder_that_the_build_runs_in(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "pickle.py").write_text(f"open({str(tmp_path / 'run')!r}, 'w')\n")
    (tmp_path / "modelcrate_layers.py").write_text(f"open({str(tmp_path / 'run')!r}, 'w')\n")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", [each for each in sys.path if each])
    recipe = _recipe(tmp_path)
    with MeasuringProcess() as process:
        assert process.measure(recipe, lambda _: None) == measure(recipe)
    assert not (tmp_path / "run").exists()


def test_a_program_that_is_one_file_starts_no_process(monkeypatch: pytest.MonkeyPatch) -> None:
    assert measuring_process.can_start()
    monkeypatch.setattr(sys, "frozen", True, raising=False)
    assert not measuring_process.can_start()
