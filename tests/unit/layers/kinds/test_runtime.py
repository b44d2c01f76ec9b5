"""The environment that is made of a base's Python and our prefix really runs."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from modelcrate_layers.errors import UserError
from modelcrate_layers.kinds.runtime import RuntimeLayer
from modelcrate_layers.kinds.wheels import WheelsLayer
from modelcrate_layers.packages.venv import Venv
from modelcrate_layers.tar.tree import Kind
from support.installed import unpack
from support.wheels import make_wheel, rich


def base_interpreter() -> str:
    return str(Path(sys.base_prefix, "bin", f"python3.{sys.version_info[1]}"))


def test_links_and_configuration_point_to_the_base() -> None:
    tree = RuntimeLayer("3.11").tree()
    links = {entry.path.decode(): entry.link.decode() for entry in tree.entries if entry.kind is Kind.SYMLINK}
    assert links == {
        "opt/modelcrate/bin/python": "/usr/bin/python3.11",
        "opt/modelcrate/bin/python3": "python",
        "opt/modelcrate/bin/python3.11": "python",
    }
    assert tree.entries[0].path == b"opt/modelcrate"


def test_python_finds_the_packages_and_not_the_bases(tmp_path: Path) -> None:
    python = f"3.{sys.version_info[1]}"
    prefix = tmp_path / "opt" / "env"
    inside = str(prefix)
    wheels = (rich(tmp_path), make_wheel(tmp_path, "other", files={"shared_namespace/other.py": b"part = 'other'\n"}))
    unpack(RuntimeLayer(python, base_interpreter(), inside).tree(), Path("/"))
    unpack(WheelsLayer(wheels, python, inside).tree(), Path("/"))
    program = (
        "import json, sys, rich_wheel, rich_pure, rich_plat, shared_namespace.rich, shared_namespace.other\n"
        "from importlib.metadata import distribution, files\n"
        "print(json.dumps([sys.prefix, rich_wheel.__file__, distribution('rich.wheel').version,"
        " all(f.locate().exists() for f in files('rich-wheel')),"
        " [p for p in sys.path if 'site-packages' in p or 'dist-packages' in p]]))"
    )
    done = subprocess.run([prefix / "bin" / "python", "-B", "-c", program], env={}, capture_output=True, check=True)
    site = f"{prefix}/lib/python{python}/site-packages"
    assert json.loads(done.stdout) == [str(prefix), f"{site}/rich_wheel/__init__.py", "2.0", True, [site]]


@pytest.mark.parametrize("script", ["rich", "rich-tool", "rich-window", "rich-script"])
def test_scripts_run_with_the_environments_python(tmp_path: Path, script: str) -> None:
    python, prefix = f"3.{sys.version_info[1]}", tmp_path / "env"
    unpack(RuntimeLayer(python, base_interpreter(), str(prefix)).tree(), Path("/"))
    unpack(WheelsLayer((rich(tmp_path),), python, str(prefix)).tree(), Path("/"))
    done = subprocess.run(
        [prefix / "bin" / script], env={"PYTHONDONTWRITEBYTECODE": "1"}, capture_output=True, check=True
    )
    assert done.stdout == b"hello from rich\n"


def test_the_key_is_of_what_the_layer_is_made_of() -> None:
    assert RuntimeLayer("3.11").key() == RuntimeLayer("3.11", "/usr/bin/python3.11").key()
    assert RuntimeLayer("3.11").key() != RuntimeLayer("3.11", "/usr/local/bin/python3.11").key()
    assert (RuntimeLayer("3.11").role, RuntimeLayer("3.11").name) == ("dependencies", "python 3.11 environment")


@pytest.mark.parametrize("path", ["python", "/usr/../bin/python", "/usr//python", "/usr/bin/py\nthon", "/"])
def test_an_interpreter_has_a_clean_absolute_path(path: str) -> None:
    with pytest.raises(UserError, match="not the path of an interpreter"):
        RuntimeLayer("3.11", path).tree()


@pytest.mark.parametrize("prefix", ["opt", "/", "/opt/", "/opt/../etc", "/with space", "/" + "x" * 100])
def test_a_prefix_is_a_plain_short_absolute_path(prefix: str) -> None:
    with pytest.raises(UserError, match="not a place for an environment"):
        Venv("3.11", prefix)


@pytest.mark.parametrize("python", ["3", "2.7", "3.11.2", "three"])
def test_a_python_version_is_major_and_minor(python: str) -> None:
    with pytest.raises(UserError, match="not a Python version"):
        Venv(python)
