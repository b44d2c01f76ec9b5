"""Shells complete what was begun on a terminal, where the tabulator is pressed; man shows the manual page."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from modelcrate.cli import VERBS
from support.command import ROOT, Crate
from support.small_projects import model_only
from support.terminal import Terminal
from support.tools import call, need

pytestmark = pytest.mark.interop

READY = "ready$ "


def bash(script: Path) -> list[str]:
    script.with_name(".bashrc").write_text(f"PS1='{READY}'\nbind 'set enable-bracketed-paste off'\n. {script}\n")
    return ["bash", "--noprofile", "--rcfile", str(script.with_name(".bashrc")), "-i"]


def zsh(script: Path) -> list[str]:
    script.rename(script.with_name("_modelcrate"))
    script.with_name(".zshrc").write_text(
        f"PS1='{READY}'\nunsetopt zle_bracketed_paste\nfpath=({script.parent} $fpath)\nautoload -Uz compinit\ncompinit -u -D\n"
    )
    return ["zsh", "-d", "-i"]


def fish(script: Path) -> list[str]:
    own_terminal = ["setsid", "--ctty", "--wait"]  # it reads from no other
    return [
        *own_terminal,
        *("fish", "--private", "--init-command", f"source {script}; function fish_prompt; echo '{READY}'; end"),
    ]


@pytest.mark.parametrize("shell", [bash, zsh, fish])
def test_a_word_is_completed(tmp_path: Path, shell: Callable[[Path], list[str]]) -> None:
    name = shell.__name__
    need(name, "setsid")
    crate = Crate.at(tmp_path, ZDOTDIR=str(tmp_path), TERM="dumb")
    program = tmp_path / "bin" / "modelcrate"
    program.parent.mkdir()
    program.write_text(f'#!/bin/sh\nexec "{sys.executable}" -m modelcrate "$@"\n')
    program.chmod(0o755)
    crate("build", model_only(tmp_path / "alone"), "-t", "alone:1").succeeded()
    script = tmp_path / "completion"
    script.write_text(crate("completion", name).succeeded().out)
    path = f"{program.parent}:{crate.environment['PATH']}"
    with Terminal(shell(script), {**crate.environment, "PATH": path}) as terminal:
        terminal.read_until(READY)
        terminal.write("modelcrate inspect alo\t")
        terminal.read_until("alone:1")
        terminal.write(" --js\t")
        terminal.read_until("--json")
        terminal.write("\r")
        terminal.read_until('"digest"')


def test_the_manual_page_is_without_fault() -> None:
    need("man", "lexgrog")
    page = ROOT / "docs" / "reference" / "modelcrate.1"
    assert str(call("lexgrog", page)).count("modelcrate - turns a trained model") == 1
    done = subprocess.run(
        ["man", "--warnings", "--local-file", page], env={**os.environ, "MANWIDTH": "100"}, capture_output=True
    )
    assert done.returncode == 0
    assert not done.stderr
    shown = done.stdout.decode()
    assert all(f"modelcrate {verb}" in shown for verb in VERBS)
    assert "modelcrate.yaml" in shown


def test_fish_finds_files_behind_an_option_with_its_value(tmp_path: Path) -> None:
    need("fish")
    crate = Crate.at(tmp_path, TERM="dumb")
    script = tmp_path / "modelcrate.fish"
    script.write_text(crate("completion", "fish").succeeded().out)
    (tmp_path / "page.html").touch()
    line = f"source {script}; complete -C 'modelcrate inspect --html={tmp_path}/pa'"
    found = subprocess.run(
        ["fish", "--private", "-c", line], env=crate.environment, capture_output=True, text=True, check=True
    )
    assert found.stdout.split("\t")[0].strip() == f"--html={tmp_path}/page.html"
