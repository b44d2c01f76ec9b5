"""docs/library.md: every block is executed, one after the other in one process, against a real registry."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from support import real_registry
from support.pages import blocks
from support.ports import free_port
from support.shared_command import Modelcrate
from support.sources import REPOSITORY
from support.waiting import HANG

pytestmark = [pytest.mark.network, pytest.mark.slow]


def test_every_block_of_the_page_runs(tmp_path: Path, modelcrate: Modelcrate) -> None:
    if why := real_registry.missing():
        pytest.skip(why)
    shutil.copytree(REPOSITORY / "fixtures" / "projects" / "diabetes", tmp_path / "diabetes")
    with real_registry.running(tmp_path / "registry") as registry:
        port = str(free_port())
        script = (
            "\n".join(block.text for block in blocks("library.md"))
            .replace("registry.example", registry.host)
            .replace("18080", port)
        )
        (tmp_path / "page.py").write_text(script)
        done = subprocess.run(
            [sys.executable, "page.py"],
            cwd=tmp_path,
            env=modelcrate.environment,
            capture_output=True,
            text=True,
            timeout=HANG,
        )
    assert done.returncode == 0, done.stderr[-3000:]
    lines = done.stdout.splitlines()
    assert re.fullmatch(r"<image diabetes sha256:[0-9a-f.]+: \d+ layers, [0-9.]+ MB>|<image diabetes .*>", lines[0])
    assert lines[-1] == "['1', '2', '3']" or "'3'" in lines[-1]
    assert any(line.startswith("b'[") for line in lines), "the container has answered"
    assert done.stderr == "", "nothing is printed"


def test_it_works_inside_a_running_event_loop(tmp_path: Path, modelcrate: Modelcrate) -> None:
    shutil.copytree(REPOSITORY / "fixtures" / "projects" / "diabetes", tmp_path / "diabetes")
    script = (
        "import asyncio, modelcrate\n"
        "async def main():\n"
        "    print(modelcrate.build('diabetes').digest, modelcrate.lock('diabetes').pins != {})\n"
        "asyncio.run(main())\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", script], cwd=tmp_path, env=modelcrate.environment, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr[-3000:]
    assert done.stdout.startswith("sha256:")
