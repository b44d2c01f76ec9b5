"""What a script imports, and whether an image has it."""

from __future__ import annotations

import shutil
import subprocess
import sys
from collections.abc import Iterable
from pathlib import Path

import pytest
from packaging.specifiers import SpecifierSet

from modelcrate.modelfiles.framework_reading import PickleNames
from modelcrate.pipeline.known_failures import FAILURES, _within, binary_faults, loading_faults
from modelcrate.pipeline.start_check.import_graph import Reached, Sources, Start, reach
from modelcrate.resolve.import_names import is_namespace, modules_of, prefixes, proposal, provides
from modelcrate.resolve.standard_library import standard_library, versions_with
from support.wheels import make_wheel


def graph(folder: Path, script: str, files: dict[str, str] | None = None) -> dict[str, bool]:
    """The foreign modules by name, with whether they are always imported."""
    places = {"score.py": script, **(files or {})}
    for name, text in places.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(text)
    return {each.module: each.always for each in reached(folder, places).imports}


def reached(
    folder: Path, places: Iterable[str], python: str = "3.11", calls: tuple[str, ...] = ("init", "run")
) -> Reached:
    """What a score.py reaches."""
    sources = Sources.of({name: folder / name for name in places}, ("",), folder)
    return reach([Start("score.py", calls=calls)], sources, python)


@pytest.mark.parametrize(
    ("script", "found"),
    [
        ("import a.b, c as d", {"a.b": True, "c": True}),
        ("from a.b import c", {"a.b": True}),
        ("def init():\n import a", {"a": True}),
        ("def later():\n import a", {"a": False}),
        ("try:\n import a\nexcept ImportError:\n a = None", {"a": False}),
        ("if x:\n import a\nelse:\n import b", {"a": False, "b": False}),
        ("from typing import TYPE_CHECKING\nif TYPE_CHECKING:\n import a", {"typing": True}),
        ("if __name__ == '__main__':\n import a", {}),
        ("class A:\n import a", {"a": True}),
        ("with open('x'):\n import a", {"a": True}),
        ("import contextlib\nwith contextlib.suppress(ImportError):\n import a", {"contextlib": True, "a": False}),
        ("from .near import x", {".near": True}),
        ("try:\n from .near import x\nexcept ImportError:\n import a", {".near": False, "a": False}),
        ("import sys\nif sys.version_info >= (3, 11):\n import a\nelse:\n import b", {"sys": True, "a": True}),
        ("import sys\nif sys.version_info < (3, 11):\n import a\nelif x:\n import b", {"sys": True, "b": False}),
        ("if False:\n import a\nif True:\n import b", {"b": True}),
        ("from __future__ import annotations", {"__future__": True}),
    ],
)
def test_when_a_module_is_imported(tmp_path: Path, script: str, found: dict[str, bool]) -> None:
    assert graph(tmp_path, script) == found


def test_the_projects_own_modules_are_followed_and_are_not_foreign(tmp_path: Path) -> None:
    found = graph(
        tmp_path,
        "import helper\nfrom package import part\nfrom space.deep import x",
        {
            "helper.py": "import a",
            "package/__init__.py": "from . import other\nfrom .part import y",
            "package/part.py": "import b",
            "package/other.py": "import c",
            "space/deep.py": "import d",
            "unreached.py": "import e",
        },
    )
    assert found == {"a": True, "b": True, "c": True, "d": True}


def test_what_is_reached_on_a_condition_is_imported_on_it(tmp_path: Path) -> None:
    files = {
        "heavy.py": "import a\nimport both\n",
        "both.py": "import b",
        "package/__init__.py": "",
        "package/part.py": "import c",
    }
    assert graph(tmp_path, "def later(data):\n import heavy\n", files) == {"a": False, "b": False}
    assert graph(tmp_path, "def later(data):\n import heavy\nimport both", files) == {"a": False, "b": True}
    assert graph(tmp_path, "from package import part", files) == {"c": True}


@pytest.mark.parametrize(
    ("script", "python", "fault", "always"),
    [
        ("match x:\n case 1: pass", "3.9", "is not of Python 3.9", True),
        ("match x:\n case 1: pass", "3.10", "", True),
        ("def x(:", "3.9", "is no Python", True),
        ("def x(:", f"3.{sys.version_info.minor}", "is no Python", True),
        ("def x(:", f"3.{sys.version_info.minor + 1}", "can't be read by Python", False),
    ],
)
def test_files_that_are_not_of_the_images_python(
    tmp_path: Path, script: str, python: str, fault: str, always: bool
) -> None:
    (tmp_path / "score.py").write_text(script)
    found = reached(tmp_path, ["score.py"], python).faults
    assert [(each.text.partition(":")[0][: len(fault)], each.always) for each in found] == (
        [(fault, always)] if fault else []
    )


def test_modules_are_found_from_the_source_folder_and_from_above_it(tmp_path: Path) -> None:
    files = {"src/score.py": "import near\nimport src.near\nimport top\nimport far\n", "src/near.py": "", "top.py": ""}
    for name, text in files.items():
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text(text)
    sources = Sources.of({name: tmp_path / name for name in files}, ("src", ""), tmp_path)
    assert [(each.module, each.where) for each in reach([Start("src/score.py")], sources, "3.11").imports] == [
        ("far", "src/score.py:4")
    ]


def test_the_standard_library_is_that_of_the_images_python() -> None:
    here = f"{sys.version_info[0]}.{sys.version_info[1]}"
    assert standard_library(here) == sys.stdlib_module_names
    assert "distutils" in standard_library("3.11")
    assert "distutils" not in standard_library("3.12")
    assert "tomllib" not in standard_library("3.10")
    assert "cgi" not in standard_library("3.13")


def _installed(minor: int) -> str:
    """The command of an interpreter: on the path, or one of pyenv's."""
    program = f"python3.{minor}"
    pyenv = sorted(Path.home().glob(f".pyenv/versions/3.{minor}.*/bin/python"))
    if pyenv:
        return str(pyenv[-1])
    if shutil.which(program) is None or subprocess.run([program, "-V"], capture_output=True, check=False).returncode:
        pytest.skip(f"{program} is not installed")
    return program


@pytest.mark.parametrize("minor", [10, 11, 12, 13, 14])
def test_the_standard_library_of_other_pythons_is_as_they_say(minor: int) -> None:
    code = "import sys; print(*sys.stdlib_module_names)"
    done = subprocess.run([_installed(minor), "-c", code], capture_output=True, text=True, check=True)
    public = {name for name in done.stdout.split() if not name.startswith("_")}
    assert {name for name in standard_library(f"3.{minor}") if not name.startswith("_")} == public


@pytest.mark.parametrize("minor", [9, 10, 11, 12, 13, 14])
def test_names_of_the_standard_library_are_where_the_list_says(minor: int) -> None:
    asked = [
        *("datetime.UTC", "typing.Self", "typing.override", "enum.StrEnum", "itertools.batched", "itertools.pairwise"),
        *(
            "collections.Mapping",
            "inspect.getargspec",
            "asyncio.TaskGroup",
            "asyncio.coroutine",
            "ast.Num",
            "math.cbrt",
        ),
        *("hashlib.file_digest", "contextlib.chdir", "warnings.deprecated", "unittest.makeSuite", "builtins.aiter"),
    ]
    code = "import importlib, sys\nfor each in sys.argv[1:]:\n m, _, n = each.rpartition('.')\n print(int(hasattr(importlib.import_module(m), n)))"
    done = subprocess.run(
        [_installed(minor), "-W", "ignore", "-c", code, *asked], capture_output=True, text=True, check=True
    )
    for name, there in zip(asked, done.stdout.split(), strict=True):
        found = versions_with(name)
        assert found is not None, name
        assert (found[0] <= minor <= found[1]) == (there == "1"), name


@pytest.mark.parametrize(
    ("module", "distribution"),
    [
        ("numpy", "numpy"),
        ("sklearn.tree", "scikit-learn"),
        ("cv2", "opencv-python"),
        ("PIL.Image", "pillow"),
        ("google.protobuf.message", "protobuf"),
        ("google.cloud.storage", "google-cloud-storage"),
        ("azureml.core", "azureml-core"),
        ("dateutil", "python-dateutil"),
        ("my_package", "my-package"),
        ("_loss", "scikit-learn"),
    ],
)
def test_a_package_is_known_by_its_name_before_it_is_here(module: str, distribution: str) -> None:
    assert provides(module, {distribution: None})
    assert not provides(module, {"six": None})


def test_a_wheel_that_is_here_says_itself_what_it_has(tmp_path: Path) -> None:
    wheel = make_wheel(tmp_path, "strange", files={"other/__init__.py": b"", "single.py": b""})
    path = Path(wheel.path)
    assert modules_of(str(path)) == {"other", "single"}
    assert provides("other.part", {"strange": path})
    assert not provides("another", {"strange": path})
    assert not provides("other", {"strange": tmp_path / "not-here.whl"})


def test_a_file_of_data_makes_no_wheel_the_owner_of_a_namespace(tmp_path: Path) -> None:
    """googleapis-common-protos has google/cloud/extended_operations.proto, and google.cloud.storage is not in it for that."""
    data = Path(make_wheel(tmp_path, "protos", files={"google/cloud/a.proto": b"", "google/cloud/a_pb2.py": b""}).path)
    part = Path(make_wheel(tmp_path, "part", files={"google/cloud/part/__init__.py": b""}).path)
    both = {"protos": data, "part": part}
    for module in ("google.cloud", "google.cloud.a_pb2", "google.cloud.part.x"):
        assert provides(module, both), module
    assert not provides("google.cloud.storage", both)
    assert is_namespace("google.cloud", both)
    for module in ("google.cloud.part", "google.other", "", "part"):
        assert not is_namespace(module, both), module
    assert not is_namespace("google.cloud", {**both, "away": None})
    assert [proposal(each) for each in ("google.cloud.storage.x", "google.genai", "azure.cosmos", "a.b")] == [
        "google-cloud-storage", "google-genai", "azure-cosmos", "a",
    ]  # fmt: skip


def test_of_a_namespace_a_wheel_has_its_own_part_alone(tmp_path: Path) -> None:
    shared = b"__path__ = __import__('pkgutil').extend_path(__path__, __name__)\n"
    files = {"azureml/__init__.py": shared, "azureml/mlflow/__init__.py": b"", "google/api/one.py": b""}
    path = Path(make_wheel(tmp_path, "parts", files=files).path)
    assert modules_of(str(path)) == {"azureml.mlflow", "google.api.one"}
    for module in ("azureml", "azureml.mlflow.client", "google", "google.api", "google.api.one"):
        assert provides(module, {"parts": path}), module
    for module in ("azureml.ai.monitoring", "google.cloud", "google.api.two"):
        assert not provides(module, {"parts": path}), module


def test_what_to_add_is_proposed() -> None:
    assert [proposal(name) for name in ("sklearn.svm", "yaml", "My_Thing.x")] == ["scikit-learn", "pyyaml", "my-thing"]
    assert prefixes("a.b.c") == ["a.b.c", "a.b", "a"]


@pytest.mark.parametrize(
    ("name", "versions", "pinned", "fails"),
    [
        ("numpy._core.multiarray.scalar", {}, {"numpy": "1.26.0"}, True),
        ("numpy._core.multiarray.scalar", {}, {"numpy": "1.26.4"}, False),
        ("numpy._core.multiarray.scalar", {}, {"numpy": "2.3.0"}, False),
        ("numpy.core.multiarray.scalar", {}, {"numpy": "1.20"}, False),
        ("numpy.random._pcg64.PCG64", {}, {"numpy": "1.26.4"}, True),
        ("sklearn.linear_model.ridge.Ridge", {}, {"scikit-learn": "1.6.1"}, True),
        ("sklearn.linear_model.ridge.Ridge", {}, {"scikit-learn": "0.22.2"}, False),
        ("sklearn.linear_model._ridge.Ridge", {}, {"scikit-learn": "1.6.1"}, False),
        ("sklearn.gaussian_process.kernels.RBF", {}, {"scikit-learn": "1.6.1"}, False),
        ("sklearn.externals.joblib.numpy_pickle.NumpyArrayWrapper", {}, {"scikit-learn": "1.0.2"}, True),
        ("sklearn.tree._tree.Tree", {"scikit-learn": "1.2.2"}, {"scikit-learn": "1.7.2"}, True),
        ("sklearn.tree._tree.Tree", {"scikit-learn": "1.5.2"}, {"scikit-learn": "1.2.2"}, True),
        ("sklearn.tree._tree.Tree", {"scikit-learn": "1.5.2"}, {"scikit-learn": "1.7.2"}, False),
        ("sklearn.tree._classes.DecisionTreeClassifier", {"scikit-learn": "1.3.2"}, {"scikit-learn": "1.4.2"}, True),
        ("sklearn.ensemble._gb_losses.BinomialDeviance", {"scikit-learn": "1.3.2"}, {"scikit-learn": "1.4.0"}, True),
        ("_loss.CyHalfBinomialLoss", {"scikit-learn": "1.6.1"}, {"scikit-learn": "1.4.2"}, True),
        ("_loss.CyHalfBinomialLoss", {"scikit-learn": "1.6.1"}, {"scikit-learn": "1.7.2"}, False),
        ("sklearn._loss._loss.__pyx_unpickle_CyHalfBinomialLoss", {}, {"scikit-learn": "1.6.1"}, True),
        ("sklearn._loss._loss.__pyx_unpickle_CyHalfMultinomialLoss", {}, {"scikit-learn": "1.9.1"}, False),
        ("sklearn._loss._loss.CyHalfBinomialLoss", {"scikit-learn": "1.9.1"}, {"scikit-learn": "1.9.1"}, False),
        ("sklearn._loss._loss.__pyx_unpickle_CyHuberLoss", {"scikit-learn": "1.9.0"}, {"scikit-learn": "1.9.1"}, False),
        ("_loss.CyHalfBinomialLoss", {"scikit-learn": "1.8.0"}, {"scikit-learn": "1.9.1"}, True),
        ("sklearn.tree._classes.DecisionTreeClassifier", {"scikit-learn": "1.3.2"}, {"scikit-learn": "1.9.1"}, False),
        ("sklearn.impute._base.SimpleImputer", {"scikit-learn": "1.7.2"}, {"scikit-learn": "1.8.0"}, True),
        ("sklearn.impute._base.SimpleImputer", {"scikit-learn": "1.8.0"}, {"scikit-learn": "1.7.2"}, False),
        ("sklearn.metrics._dist_metrics.EuclideanDistance", {"scikit-learn": "1.2.2"}, {"scikit-learn": "1.7.2"}, True),
        ("sklearn.metrics._dist_metrics.EuclideanDistance64", {}, {"scikit-learn": "1.7.2"}, False),
        ("pandas.core.indexes.numeric.Int64Index", {}, {"pandas": "2.2.0"}, True),
        ("pandas.core.frame.DataFrame", {}, {"pandas": "2.2.0"}, False),
    ],
)
def test_what_is_known_not_to_load(name: str, versions: dict[str, str], pinned: dict[str, str], fails: bool) -> None:
    pickle = PickleNames("m.pkl", (name,), (name.rpartition(".")[0],), tuple(versions.items()))
    faults = list(loading_faults([pickle], pinned))
    assert bool(faults) is fails
    for fault in faults:
        assert fault.where == "m.pkl"
        assert "in the dependencies" in fault.hint
        assert "==" in fault.hint or any(row.works and row.works in fault.hint for row in FAILURES)


def test_packages_that_are_built_for_another_numpy_are_refused() -> None:
    (fault,) = binary_faults({"scikit-learn": "1.2.2", "numpy": "2.4.6", "pandas": "2.0.3"})
    assert fault.what.startswith("pandas 2.0.3 and scikit-learn 1.2.2 can't be imported with numpy 2.4.6")
    assert "numpy<2" in fault.hint
    assert not list(binary_faults({"scikit-learn": "1.2.2", "numpy": "1.26.4"}))
    assert not list(binary_faults({"scikit-learn": "1.4.2", "numpy": "2.0.0"}))
    assert not list(binary_faults({"scikit-learn": "1.2.2"}))


CLAUSES = sorted({clause for row in FAILURES for text in (row.fails, row.model) if text for clause in text.split(",")})


@pytest.mark.parametrize("clause", [*CLAUSES, ">=2.dev0", "<0.8.37.dev0"])
def test_releases_are_compared_as_the_grammar_of_versions_compares_them(clause: str) -> None:
    bound = clause.lstrip("<>=").removesuffix(".dev0")
    near = [
        bound,
        f"{bound}.0",
        f"{bound}.0.1",
        "0",
        "0.0",
        "1",
        "1.2.99",
        "1.3",
        "1.10",
        "2.0.0",
        "99",
        "01.3",
        "1.3rc1",
    ]
    for version in near:
        assert _within(version, clause) == SpecifierSet(clause).contains(version, prereleases=True), (version, clause)
    assert not _within("1.3rc1", "<1.3.dev0")
    assert not _within("", "<1")
    assert not _within("not a version", "<1")
