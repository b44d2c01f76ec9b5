"""A machine that is no Linux builds the same image: the file system, the system's name and its lacks are laid over this one's.

That is a simulation: a real macOS has another libc and another uv. What it lacks of Linux's calls, how it finds names, and in which
order it lists them is as there.
"""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

from support.shared_command import REPOSITORY, Modelcrate
from support.small_projects import model_only, served
from support.validator import assert_valid_layout
from support.waiting import HANG


def on_macos(home: Path, *words: str | Path) -> subprocess.CompletedProcess[str]:
    program = REPOSITORY / "tests/support/macos.py"
    env = Modelcrate(home).environment
    return subprocess.run(
        [sys.executable, program, *map(str, words)], env=env, capture_output=True, text=True, timeout=HANG, cwd="/"
    )


def on_linux(home: Path, *words: str | Path) -> Any:
    return Modelcrate(home).json(*words)


def test_the_same_digest(tmp_path: Path) -> None:
    project = served(tmp_path / "project")
    (project / "src" / "tool.sh").write_text("#!/bin/sh\n")
    (project / "src" / "tool.sh").chmod(0o700)
    (project / "src" / "link").symlink_to("tool.sh")
    (project / "src" / "lines.txt").write_bytes(b"a\r\nb\r")
    for name in ("Zed.txt", "abc.txt", "\u00e9.txt", "e\u0301x.txt"):
        (project / "src" / name).write_text(name)
    here = on_linux(tmp_path / "here", "build", project, "-o", f"oci:{tmp_path / 'linux'}")
    done = on_macos(
        tmp_path / "there", "build", project, "--json", "--progress", "none", "-o", f"oci:{tmp_path / 'macos'}"
    )
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["digest"] == here["digest"]
    assert_valid_layout(tmp_path / "macos")


def test_a_name_in_another_case_is_refused_where_the_file_system_takes_it(tmp_path: Path) -> None:
    """macOS finds score.py as Score.py. Linux, on which the container runs, does not."""
    project = served(tmp_path / "project")
    path = project / "modelcrate.yaml"
    path.write_text(path.read_text().replace("score.py", "Score.py"))
    done = on_macos(tmp_path / "home", "build", project, "-o", f"oci:{tmp_path / 'out'}")
    assert done.returncode in (2, 3), done.stderr
    assert "Score.py" in done.stderr
    assert not (tmp_path / "out").exists()


def test_a_model_in_another_case_is_refused_too(tmp_path: Path) -> None:
    project = model_only(tmp_path / "project")
    path = project / "modelcrate.yaml"
    path.write_text(path.read_text().replace("model.bin", "Model.BIN"))
    done = on_macos(tmp_path / "home", "build", project, "-o", f"oci:{tmp_path / 'out'}")
    assert done.returncode in (2, 3), done.stderr
    assert "Model.BIN" in done.stderr
