"""An image whose Python and packages are conda's, with wheels over them: built offline but for the base, run without an engine."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
import urllib.request
from dataclasses import dataclass
from pathlib import Path

import pytest

from modelcrate.resolve.lock import read_lock
from support import conda, demo
from support.conda import greeting, native, real_python
from support.shared_command import Modelcrate
from support.validator import assert_valid_layout
from support.waiting import HANG
from support.wheels import make_wheel

pytestmark = [pytest.mark.network, pytest.mark.slow]

PYTHON = f"{sys.version_info[0]}.{sys.version_info[1]}"
PROJECT = f"""\
name: with-conda
python: "{PYTHON}"
dependencies:
  requirements: [tiny-answer, greeting]
  wheelhouse: wheels
  conda:
    packages: [greeting=1.0, native]
    channels: [./channel]
entry: score.py
"""
SCORE = """\
import subprocess
import sys

import greeting
import tiny_answer


def init():
    pass


def run(data):
    call = [sys.prefix + "/bin/greet"]
    return {
        "python": [sys.prefix, "%d.%d" % sys.version_info[:2]],
        "greeting": greeting.__file__,
        "wheel": tiny_answer.__file__,
        "launched": subprocess.run(call, capture_output=True, text=True).stdout,
        "native": open(sys.prefix + "/lib/pkgconfig/native.pc").read(),
    }
"""


@dataclass(frozen=True)
class Built:
    project: Path
    layout: Path
    digest: str
    said: str


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory, modelcrate: Modelcrate) -> Built:
    if sys.base_prefix == "/usr":
        pytest.skip("the Python of the tests is Debian's, which looks for packages in folders of its own")
    project = tmp_path_factory.mktemp("conda") / "project"
    conda.write_channel(project / "channel", [greeting(), native(ending=".tar.bz2"), real_python()])
    make_wheel(project / "wheels", "tiny-answer", requires=["greeting"])
    fetched = [
        sys.executable,
        "-m",
        "pip",
        "download",
        "-q",
        "--no-deps",
        "-d",
        str(project / "wheels"),
        "gunicorn",
        "packaging",
    ]
    if subprocess.run(fetched, capture_output=True).returncode:
        pytest.skip("no package index answers")
    (project / "modelcrate.yaml").write_text(PROJECT)
    (project / "score.py").write_text(SCORE)
    locked = modelcrate.run("lock", project, "--progress", "lines")
    assert locked.returncode == 0, locked.stderr
    layout = project.parent / "oci"
    made = modelcrate.run("build", project, "--locked", "-o", f"oci:{layout}:1", "--json", "--progress", "lines")
    assert made.returncode == 0, made.stderr
    return Built(project, layout, json.loads(made.stdout)["digest"], made.stderr)


def test_the_image_is_valid_and_it_is_said_what_nobody_ran(built: Built) -> None:
    """Where its layer is made."""
    assert assert_valid_layout(built.layout).members > 1000
    assert "not run: native: bin/.native-post-link.sh" in built.said


def test_the_lock_pins_conda_packages_and_no_wheel_of_theirs(built: Built) -> None:
    lock = read_lock(built.project / "modelcrate.lock")
    assert lock is not None
    (pins,) = lock.pins.values()
    assert [each.name for each in pins.conda] == ["greeting", "native", "python"]
    assert [each.name for each in pins.wheels] == ["gunicorn", "tiny-answer"]


def test_the_container_runs_on_condas_python_with_wheels_over_it(built: Built, modelcrate: Modelcrate) -> None:
    started = modelcrate.json("run", "-d", "--name", "with-conda", "-p", "0:5001", f"oci:{built.layout}:1")
    try:
        url = f"http://127.0.0.1:{started['ports']['5001']}/score"
        asked = urllib.request.Request(url, b"{}", {"Content-Type": "application/json"})
        with urllib.request.urlopen(asked, timeout=HANG) as answer:
            told = json.loads(answer.read())
    finally:
        modelcrate.said("kill", "with-conda")
    site = f"/opt/modelcrate/lib/python{PYTHON}/site-packages"
    assert told == {
        "python": ["/opt/modelcrate", PYTHON],
        "greeting": f"{site}/greeting/__init__.py",
        "wheel": f"{site}/tiny_answer.py",
        "launched": "hello from greet\n",
        "native": "prefix=/opt/modelcrate\nlibdir=/opt/modelcrate/lib\n",
    }


def test_a_second_machine_needs_no_solver_and_gives_the_same_digest(
    built: Built, modelcrate: Modelcrate, tmp_path: Path
) -> None:
    """Another home, no rattler, no network but the cache's: the lock and the channel are enough."""
    home = demo.home(tmp_path / "home")
    shutil.copytree(built.project, tmp_path / "project")
    script = "import sys; sys.modules['rattler'] = None; from modelcrate.cli import main; sys.exit(main(sys.argv[1:]))"
    words = ["build", str(tmp_path / "project"), "--locked", "--offline", "-o", f"oci:{tmp_path / 'oci'}:1", "--json"]
    done = subprocess.run(
        [sys.executable, "-c", script, *words],
        env={**modelcrate.environment, "MODELCRATE_HOME": str(home)},
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["digest"] == built.digest


def test_the_folder_of_a_dockerfile_has_the_packages_as_a_channel(
    built: Built, modelcrate: Modelcrate, tmp_path: Path
) -> None:
    folder = tmp_path / "imagefiles"
    modelcrate.said("build", built.project, "--locked", "-o", f"dockerfile:{folder}")
    assert (folder / "conda/noarch/greeting-1.0-0.conda").is_file()
    again = modelcrate.json("build", folder, "--offline", "-o", "store:again")
    assert again["digest"] == built.digest
    modelcrate.said("lock", folder)  # by the solver, over the channel in the folder
    lock = read_lock(folder / "modelcrate.lock")
    assert lock is not None
    assert [each.name for each in next(iter(lock.pins.values())).conda] == ["greeting", "native", "python"]


def test_a_bill_of_materials_names_them(built: Built, modelcrate: Modelcrate) -> None:
    bill = json.loads(modelcrate.said("sbom", f"oci:{built.layout}:1", "--format", "cyclonedx"))
    urls = {each.get("purl") for each in bill["components"]}
    assert "pkg:conda/greeting@1.0?build=0&subdir=noarch" in urls
    assert "pkg:conda/native@2.1?build=h1_0&subdir=linux-64" in urls
