"""Dependencies as projects declare them: every kind of file, what is taken of it, and what is refused with a way out."""

from __future__ import annotations

import json
import re
from dataclasses import replace
from pathlib import Path

import pytest

from modelcrate.project.values import Command, Conda, Dependencies, Entry, Project
from modelcrate.resolve.declared import Declaration, format_of, read_declaration
from modelcrate.resolve.declared.poetry_constraints import constraint_lines, specifier
from modelcrate.resolve.declared_needs import with_declared
from modelcrate.resolve.requirements import read_requirements
from modelcrate.resolve.target import Target
from modelcrate_layers.errors import CrateError, UserError

LINUX = dict(Target("3.11").environment())
A, B = "a" * 64, "b" * 64


def declared(folder: Path, name: str, text: str, **more: tuple[str, ...]) -> Declaration:
    (folder / name).write_text(text)
    return read_declaration(Dependencies(Path(name), **more), folder)  # type: ignore[arg-type]


def refused(folder: Path, name: str, text: str, **more: tuple[str, ...]) -> str:
    with pytest.raises(UserError) as caught:
        found = declared(folder, name, text, **more)
        assert found.requirements.locked is not None, "a lock may only fail for what the image needs"
        found.requirements.locked.select(LINUX)
    return str(caught.value).replace(str(folder), "")


def chosen(found: Declaration) -> list[str]:
    assert found.requirements.locked is not None
    return [f"{each.name}=={each.version}" for each in found.requirements.locked.select(LINUX)]


@pytest.mark.parametrize(
    ("name", "module"),
    [
        ("requirements.txt", "pip"),
        ("requirements-prod.txt", "pip"),
        ("pylock.toml", "pylock"),
        ("pylock.gpu.toml", "pylock"),
        ("uv.lock", "uv"),
        ("poetry.lock", "poetry"),
        ("pdm.lock", "pdm"),
        ("Pipfile.lock", "pipfile"),
        ("pixi.lock", "pixi"),
        ("pyproject.toml", "pyproject"),
        ("environment.yml", "environment"),
        ("conda.yaml", "environment"),
        ("Pipfile", "refused"),
        ("conda-lock.yml", "refused"),
        ("setup.py", "refused"),
        ("train.py.lock", "refused"),
        ("Cargo.lock", "refused"),
        ("pixi.toml", "refused"),
        ("requirements-dev.lock", "pip"),
    ],
)
def test_the_name_says_what_a_file_is(name: str, module: str) -> None:
    assert format_of(Path("a/b") / name)[0] == module


def test_what_an_option_line_includes_decides_as_pip_reads_it(tmp_path: Path) -> None:
    for name, line in (
        ("a.txt", "six"),
        ("my b.txt", "idna<4"),
        ("c.txt", "attrs"),
        ("d.txt", "pip"),
        ("e.txt", "wheel"),
    ):
        (tmp_path / name).write_text(f"{line}\n")
    text = "-ra.txt -c 'my b.txt'\n--requirement=c.txt\n-r \\\n  d.txt # a comment\n-rfile://e.txt\nx==1 \\\n  --hash=sha256:aa\n"
    found = declared(tmp_path, "requirements.txt", text.replace("file://e", f"file://{tmp_path}/e"))
    assert found.inputs["requirements"] == ["six", "idna<4", "attrs", "pip", "wheel", "x==1 \\", "--hash=sha256:aa"]


def test_an_included_file_that_is_not_there_is_told_with_the_line_that_names_it(tmp_path: Path) -> None:
    with pytest.raises(CrateError) as caught:
        declared(tmp_path, "requirements.txt", "six\n-r nope.txt\n")
    assert caught.value.where.endswith("nope.txt")
    assert caught.value.why.endswith("requirements.txt:2 names it")


class TestPyproject:
    TEXT = """\
[project]
name = "demo"
requires-python = ">=3.10"
dependencies = ["joblib>=1.3", "colorama; sys_platform == 'win32'"]
[project.optional-dependencies]
fast = ["idna"]
[dependency-groups]
serve = ["six", {include-group = "more"}]
more = ["attrs"]
"""

    def test_extras_and_groups_are_taken_where_they_are_named(self, tmp_path: Path) -> None:
        found = declared(tmp_path, "pyproject.toml", self.TEXT)
        assert found.inputs["requirements"] == ["joblib>=1.3", "colorama; sys_platform == 'win32'"]
        assert found.requires_python == ">=3.10"
        more = declared(tmp_path, "pyproject.toml", self.TEXT, extras=("fast",), groups=("serve",))
        assert more.inputs["requirements"][2:] == ["idna", "six", "attrs"]
        assert more.requirements.options == ("--extra", "fast", "--group", f"{tmp_path}/pyproject.toml:serve")

    def test_what_an_extra_takes_of_the_project_itself_decides_too(self, tmp_path: Path) -> None:
        text = self.TEXT.replace(
            'fast = ["idna"]', 'fast = ["idna"]\nslow_one = ["six", "Demo[all]"]\nall = ["demo[fast,slow-one]"]'
        )
        found = declared(tmp_path, "pyproject.toml", text, extras=("all",))
        assert found.inputs["requirements"][2:] == ["demo[fast,slow-one]", "idna", "six", "Demo[all]"]

    @pytest.mark.parametrize(
        ("text", "words"),
        [
            ("[project]\ndynamic = ['dependencies']\n", ["pyproject.toml:2", "dynamic", "requirements.txt"]),
            ("[project]\ndependencies = [\n 'a',\n 'x @ git+https://h.invalid/x',\n]\n", [":4", "version control"]),
            ("[project]\ndependencies = 'numpy'\n", ["not a list"]),
            ("[tool.black]\nline-length = 88\n", ["declares no dependencies", "requirements.txt"]),
            ("[project]\ndependencies = ['x']\n[tool.uv.sources]\nx = {path = '../x'}\n", [":4", "path = '../x'"]),
            ("[[[", ["not TOML"]),
        ],
    )
    def test_what_can_not_be_had_is_named_with_its_line(self, tmp_path: Path, text: str, words: list[str]) -> None:
        with pytest.raises(UserError) as caught:
            declared(tmp_path, "pyproject.toml", text)
        assert all(word in str(caught.value) for word in words)

    @pytest.mark.parametrize("more", [{"extras": ("no",)}, {"groups": ("no",)}])
    def test_unknown_parts_are_refused_with_what_there_is(self, tmp_path: Path, more: dict[str, tuple[str]]) -> None:
        with pytest.raises(UserError, match=r"has no (extra|group) no"):
            declared(tmp_path, "pyproject.toml", self.TEXT, **more)

    def test_poetrys_older_tables_are_read(self, tmp_path: Path) -> None:
        text = """\
[tool.poetry.dependencies]
python = "^3.10"
numpy = "^1.26.4"
pandas = [{version = "<2", python = "<3.11"}, {version = "^2.1", python = ">=3.11", extras = ["excel"]}]
scipy = {version = "~1.11", optional = true}
[tool.poetry.extras]
sci = ["scipy"]
[tool.poetry.group.serve.dependencies]
six = "*"
"""
        found = declared(tmp_path, "pyproject.toml", text, extras=("sci",), groups=("serve",))
        assert found.requirements.lines == (
            "numpy>=1.26.4,<2",
            "pandas<2 ; (python_version < '3.11')",
            "pandas[excel]>=2.1,<3 ; (python_version >= '3.11')",
            "scipy>=1.11,<1.12",
            "six",
        )
        assert found.requires_python == ">=3.10,<4"


@pytest.mark.parametrize(
    ("text", "meant"),
    [
        ("*", ""),
        ("^1.2.3", ">=1.2.3,<2"),
        ("^0.2.3", ">=0.2.3,<0.3"),
        ("^0.0.3", ">=0.0.3,<0.0.4"),
        ("^0", ">=0,<1"),
        ("~1.2.3", ">=1.2.3,<1.3"),
        ("~1", ">=1,<2"),
        ("~=1.4", "~=1.4"),
        ("1.2", "==1.2"),
        ("1.*", "==1.*"),
        ("=1.0", "==1.0"),
        (">=1, <2,!=1.5", ">=1,<2,!=1.5"),
        (">=2.7 || >=3.3", ""),
    ],
)
def test_poetrys_constraints_in_the_common_spelling(text: str, meant: str) -> None:
    from packaging.specifiers import SpecifierSet

    assert specifier(text) == meant
    SpecifierSet(meant)


def test_all_that_poetry_alone_understands_is_refused_with_its_lines(tmp_path: Path) -> None:
    path = tmp_path / "pyproject.toml"
    path.write_text(
        '[tool.poetry]\nname = "x"\n[tool.poetry.dependencies]\npython = "^3.11"\nfine = "^1"\n'
        'either = "^1 || ^3"\nthing = {git = "https://me:s3cret@h.invalid/x"}\nloc = {path = "../loc"}\n'
    )
    with pytest.raises(UserError) as caught:
        read_declaration(Dependencies(Path("pyproject.toml")), tmp_path)
    said = str(caught.value)
    assert f"{path}:6: either has alternatives of versions" in said
    assert f"{path}:7: thing is not from an index: git https://h.invalid/x" in said
    assert f"{path}:8: loc is not from an index: path ../loc" in said
    assert "s3cret" not in said


def test_members_of_a_workspace_of_uv_that_are_left_out_are_said(tmp_path: Path) -> None:
    (tmp_path / "uv.lock").write_text(
        """\
version = 1
requires-python = ">=3.11"
[[package]]
name = "top"
version = "1"
source = { virtual = "." }
dependencies = [{ name = "lib" }]
[package.dev-dependencies]
dev = [{ name = "tool" }]
[[package]]
name = "lib"
version = "1"
source = { editable = "packages/lib" }
dependencies = [{ name = "deep" }]
[[package]]
name = "deep"
version = "1"
source = { virtual = "packages/deep" }
[[package]]
name = "tool"
version = "1"
source = { editable = "packages/tool" }
"""
    )
    (said,) = read_declaration(Dependencies(Path("uv.lock")), tmp_path).notices
    assert "deep (packages/deep), lib (packages/lib) is not installed" in said
    assert "tool" not in said
    (said,) = read_declaration(Dependencies(Path("uv.lock"), groups=("dev",)), tmp_path).notices
    assert "tool (packages/tool)" in said
    with pytest.raises(UserError, match="has no group nope") as caught:
        read_declaration(Dependencies(Path("uv.lock"), groups=("nope",)), tmp_path)
    assert caught.value.hint == "it has dev"


def test_a_dependency_of_poetry_that_no_index_has_is_refused() -> None:
    with pytest.raises(UserError, match="not from an index: git"):
        list(constraint_lines("x", {"git": "https://h.invalid/x"}, Path("pyproject.toml"), locked=False))


POETRY = f"""\
[[package]]
name = "Needed"
version = "1.0"
groups = ["main", "dev"]
markers = {{dev = "sys_platform == 'win32'"}}
files = [{{file = "needed-1.0-py3-none-any.whl", hash = "sha256:{A}"}}]
[[package]]
name = "windows"
version = "1.0"
groups = ["main"]
markers = "sys_platform == 'win32'"
files = []
[[package]]
name = "extra"
version = "1.0"
optional = true
groups = ["main"]
markers = "extra == 'more'"
files = [{{file = "e.whl", hash = "sha256:{B}"}}]
[[package]]
name = "tool"
version = "2.0"
groups = ["dev"]
files = [{{file = "t.whl", hash = "sha256:{B}"}}]
[package.source]
type = "git"
url = "https://h.invalid/tool"
[extras]
more = ["extra"]
[metadata]
lock-version = "2.1"
python-versions = "^3.10"
"""


class TestPoetry:
    def test_groups_markers_and_extras_choose(self, tmp_path: Path) -> None:
        found = declared(tmp_path, "poetry.lock", POETRY)
        assert chosen(found) == ["needed==1.0"]
        assert found.requires_python == ">=3.10,<4"
        assert chosen(declared(tmp_path, "poetry.lock", POETRY, extras=("more",))) == ["extra==1.0", "needed==1.0"]

    def test_the_indexes_of_packages_are_known(self, tmp_path: Path) -> None:
        text = POETRY.replace('type = "git"\nurl', 'type = "legacy"\nurl')
        assert declared(tmp_path, "poetry.lock", text).requirements.indexes == ("https://h.invalid/tool",)

    def test_what_no_index_has_is_refused_where_it_is_needed(self, tmp_path: Path) -> None:
        said = refused(tmp_path, "poetry.lock", POETRY, groups=("dev",))
        assert "/poetry.lock:21: tool 2.0 is not from an index: git https://h.invalid/tool" in said
        assert "wheelhouse" in said

    def test_the_needed_without_a_hash_is_refused(self, tmp_path: Path) -> None:
        assert "windows 1.0 has no sha256" in refused(tmp_path, "poetry.lock", POETRY.replace("'win32'", "'linux'"))

    def test_a_lock_before_1_3_has_the_files_in_one_table(self, tmp_path: Path) -> None:
        (tmp_path / "pyproject.toml").write_text("[tool.poetry.dependencies]\npython = '^3.10'\napp = '^1'\n")
        entry = '[[package]]\nname = "app"\nversion = "1.0"\ncategory = "main"\n'
        files = f'[metadata.files]\napp = [{{file = "app-1.0-py3-none-any.whl", hash = "sha256:{A}"}}]\n'
        assert chosen(declared(tmp_path, "poetry.lock", entry + files)) == ["app==1.0"]

    def test_a_lock_that_is_older_than_a_line_of_the_project_is_refused(self, tmp_path: Path) -> None:
        text = "[tool.poetry.dependencies]\npython = '^3.10'\nNeeded = '*'\nnewer = '^1'\nlimited = {version='*', python='<3'}\n"
        (tmp_path / "pyproject.toml").write_text(text)
        said = refused(tmp_path, "poetry.lock", POETRY)
        assert "/poetry.lock: has no newer, which pyproject.toml requires" in said
        assert "/pyproject.toml:4" in said
        assert "poetry lock" in said
        (tmp_path / "pyproject.toml").write_text(text.replace("newer", "extra"))
        assert chosen(declared(tmp_path, "poetry.lock", POETRY)) == ["needed==1.0"]
        (tmp_path / "pyproject.toml").write_text(
            "[project]\nname = 'x'\ndependencies = ['newer', 'older; python_version < \"3\"']\n"
        )
        assert "has no newer" in refused(tmp_path, "poetry.lock", POETRY)

    def test_an_older_lock_is_followed_from_the_projects_dependencies(self, tmp_path: Path) -> None:
        (tmp_path / "pyproject.toml").write_text(
            "[tool.poetry.dependencies]\npython = '^3.10'\nApp = {version = '^1', extras = ['x']}\n"
        )
        entry = '[[package]]\nname = "{}"\nversion = "1.0"\nfiles = [{{file = "f.whl", hash = "sha256:' + A + '"}}]\n'
        text = (
            entry.format("app")
            + "[package.dependencies]\nlib = '>=1'\nwin = {version = '*', markers = \"sys_platform == 'win32'\"}\n"
            + "opt = {version = '*', optional = true, markers = \"extra == 'x'\"}\n"
            + "".join(map(entry.format, ("lib", "win", "opt", "stray")))
        )
        assert chosen(declared(tmp_path, "poetry.lock", text)) == ["app==1.0", "lib==1.0", "opt==1.0"]
        (tmp_path / "pyproject.toml").unlink()
        with pytest.raises(UserError, match=r"no pyproject.toml beside it"):
            declared(tmp_path, "poetry.lock", text)


def test_a_lock_of_pdm(tmp_path: Path) -> None:
    text = f"""\
[metadata]
groups = ["default", "serve"]
[[metadata.targets]]
requires_python = ">=3.11"
[[package]]
name = "needed"
version = "1.0"
groups = ["default"]
marker = "python_version >= '3.9'"
files = [{{file = "n.whl", hash = "sha256:{A}"}}]
[[package]]
name = "more"
version = "2.0"
groups = ["serve"]
files = [{{url = "https://h.invalid/m.whl", hash = "sha256:{B}"}}]
"""
    found = declared(tmp_path, "pdm.lock", text)
    assert (chosen(found), found.requires_python) == (["needed==1.0"], ">=3.11")
    assert chosen(declared(tmp_path, "pdm.lock", text, groups=("serve",))) == ["more==2.0", "needed==1.0"]
    with pytest.raises(UserError, match="inherit_metadata"):
        declared(tmp_path, "pdm.lock", text.replace('groups = ["default"]\n', ""))


PIPFILE_LOCK = {
    "_meta": {"requires": {"python_version": "3.11"}},
    "default": {
        "needed": {"version": "==1.0", "hashes": [f"sha256:{A}"], "markers": "python_version >= '3.9'"},
        "unneeded": {"version": "*"},
    },
    "develop": {"tool": {"version": "==2.0", "hashes": [f"sha256:{B}"]}},
}


class TestPipfile:
    def test_sections_are_groups_and_the_pipfile_knows_markers(self, tmp_path: Path) -> None:
        (tmp_path / "Pipfile").write_text("[packages]\nunneeded = {version = '*', sys_platform = \"== 'win32'\"}\n")
        found = declared(tmp_path, "Pipfile.lock", json.dumps(PIPFILE_LOCK))
        assert (chosen(found), found.requires_python) == (["needed==1.0"], "==3.11.*")
        assert chosen(declared(tmp_path, "Pipfile.lock", json.dumps(PIPFILE_LOCK), groups=("develop",)))[1:] == [
            "tool==2.0"
        ]

    def test_a_lock_that_is_older_than_a_line_of_the_pipfile_is_refused(self, tmp_path: Path) -> None:
        lines = "[packages]\nNeeded = '*'\nlimited = {version = '*', os_name = \"== 'nt'\"}\nmine = {path = '.'}\n"
        (tmp_path / "Pipfile").write_text(lines)
        assert declared(tmp_path, "Pipfile.lock", json.dumps(PIPFILE_LOCK)).requirements.locked is not None
        (tmp_path / "Pipfile").write_text(lines + "newer = {version = '>=1', extras = ['x']}\n")
        said = refused(tmp_path, "Pipfile.lock", json.dumps(PIPFILE_LOCK))
        assert "/Pipfile.lock: has no newer, which Pipfile requires" in said
        assert "/Pipfile:5" in said

    def test_what_has_no_version_and_is_needed_is_refused(self, tmp_path: Path) -> None:
        assert "unneeded has no version" in refused(tmp_path, "Pipfile.lock", json.dumps(PIPFILE_LOCK))

    @pytest.mark.parametrize("text", ["", "[]", "{}", '{"default": 1}'])
    def test_what_is_none_is_refused(self, tmp_path: Path, text: str) -> None:
        with pytest.raises(UserError):
            declared(tmp_path, "Pipfile.lock", text)


class TestEnvironment:
    TEXT = "name: e\nchannels: [c]\ndependencies:\n- python=3.10\n- numpy=1.26\n- libgomp\n- pip:\n  - six\n  - -r more.txt\n"

    def test_python_and_the_pip_part_are_always_taken(self, tmp_path: Path) -> None:
        (tmp_path / "more.txt").write_text("idna\n")
        found = declared(tmp_path, "environment.yml", self.TEXT)
        assert found.requires_python == "==3.10.*"
        assert read_requirements(found.requirements).lines == ("six", "idna")
        assert found.conda == Conda(("numpy=1.26", "libgomp"), ("c",))
        assert found.inputs == {"requirements": ["six", "idna"], "conda": ["numpy=1.26", "libgomp"]}

    def test_keys_that_say_nothing_are_named(self, tmp_path: Path) -> None:
        found = declared(
            tmp_path, "environment.yml", "name: e\nprefix: /x\ndependencies: []\nvariables: {A: b}\ndependancies: [x]\n"
        )
        assert found.notices == (
            "environment.yml: the key 'variables' is not read; set them in modelcrate.yaml: env: {NAME: VALUE}",
            "environment.yml: the key 'dependancies' is not read; known are channels, dependencies, name, prefix",
        )

    def test_wheels_stand_for_condas_packages_and_it_is_said(self, tmp_path: Path) -> None:
        (tmp_path / "more.txt").write_text("idna\n")
        instead = declared(tmp_path, "environment.yml", self.TEXT).wheels_instead
        assert instead is not None
        lines, notices = instead()
        assert lines == ("numpy==1.26.*",)
        assert "as wheels from the package index: numpy==1.26.*" in notices[0]
        assert "libgomp" in notices[1]

    @pytest.mark.parametrize(("package", "line"), [("r-base", 5), ("cuda-nvcc_linux-64", 5), ("nodejs=20", 5)])
    def test_what_only_conda_has_is_refused_with_its_line(self, tmp_path: Path, package: str, line: int) -> None:
        text = self.TEXT.replace("numpy=1.26", package).replace("  - -r more.txt\n", "")
        instead = declared(tmp_path, "environment.yml", text).wheels_instead
        assert instead is not None
        with pytest.raises(UserError, match="not on the package index") as caught:
            instead()
        assert caught.value.where == f"{tmp_path}/environment.yml:{line}"
        assert "modelcrate[conda]" in caught.value.hint

    def test_options_of_the_pip_part_are_pips(self, tmp_path: Path) -> None:
        """People name PyTorch's index there, for instance. A lock names no host."""
        (tmp_path / "more.txt").write_text("idna\n")
        text = (
            self.TEXT
            + "  - --extra-index-url https://h.invalid/simple\n  - -f https://${ME}@h.invalid/x\n  - -c more.txt\n"
        )
        found = declared(tmp_path, "environment.yml", text)
        read = read_requirements(found.requirements, {"ME": "i:s3cret"})
        assert read.options.extra_index_urls == ("https://h.invalid/simple",)
        assert read.options.find_links == ("https://i:s3cret@h.invalid/x",)
        assert read.constraints == ("idna",)
        assert "h.invalid" not in str(found.inputs)

    @pytest.mark.parametrize("line", ["--no-such-option", "-e .", "x @ git+https://h.invalid/x"])
    def test_faults_of_the_pip_part_have_their_line(self, tmp_path: Path, line: str) -> None:
        with pytest.raises(CrateError) as caught:
            declared(tmp_path, "environment.yml", self.TEXT.replace("six", line).replace("  - -r more.txt\n", ""))
        assert caught.value.where.endswith("environment.yml:8")


def test_a_lock_of_pixi(tmp_path: Path) -> None:
    text = f"""\
version: 6
environments:
  default:
    channels:
    - url: https://conda.invalid/conda-forge/
    packages:
      linux-64:
      - conda: https://conda.invalid/conda-forge/linux-64/python-3.11.9-hb806964_0_cpython.conda
      - conda: https://conda.invalid/conda-forge/noarch/six-1.16.0-pyh6c4a22f_0.tar.bz2
      - pypi: https://files.invalid/idna-3.7-py3-none-any.whl
packages:
- conda: https://conda.invalid/conda-forge/linux-64/python-3.11.9-hb806964_0_cpython.conda
  sha256: {A}
  size: 10
  depends: [libgcc-ng]
- conda: https://conda.invalid/conda-forge/noarch/six-1.16.0-pyh6c4a22f_0.tar.bz2
  sha256: {B}
  depends: [python]
  purls: ["pkg:pypi/six"]
- pypi: https://files.invalid/idna-3.7-py3-none-any.whl
  name: idna
  version: '3.7'
  sha256: {A}
"""
    found = declared(tmp_path, "pixi.lock", text)
    assert [str(each.filename) for each in found.solved["linux-64"].pinned] == [
        "python-3.11.9-hb806964_0_cpython.conda",
        "six-1.16.0-pyh6c4a22f_0.tar.bz2",
    ]
    assert found.solved["linux-64"].distributions == {"six": "1.16.0"}
    assert found.conda is not None
    assert found.conda.channels == ("https://conda.invalid/conda-forge",)
    from modelcrate.resolve.pylock import select

    (wheel,) = select(found.requirements.pylock_text, Target("3.11"), tmp_path, {}, "pixi.lock")
    assert (wheel.filename, wheel.sha256) == ("idna-3.7-py3-none-any.whl", A)
    with pytest.raises(UserError, match="has no environment gpu"):
        declared(tmp_path, "pixi.lock", text, groups=("gpu",))
    head, _, packages = text.partition("\npackages:\n")
    older = packages.replace("- conda: ", "- kind: conda\n  url: ").replace("- pypi: ", "- kind: pypi\n  url: ")
    assert declared(tmp_path, "pixi.lock", f"{head}\npackages:\n{older}").solved == found.solved
    itself = declared(tmp_path, "pixi.lock", f"{head}\n      - pypi: .\npackages:\n{packages}- pypi: .\n  name: own\n")
    assert (itself.solved, itself.requirements.pylock_text) == (found.solved, found.requirements.pylock_text)
    assert "the project's own package is left out" in itself.notices[0]
    alone = declared(tmp_path, "pixi.lock", re.sub("      - pypi: .*\n", "", text))
    assert select(alone.requirements.pylock_text, Target("3.11"), tmp_path, {}, "pixi.lock") == ()
    with pytest.raises(UserError, match="not a wheel with a sha256"):
        declared(tmp_path, "pixi.lock", text.replace("idna-3.7-py3-none-any.whl", "idna-3.7.tar.gz"))


@pytest.mark.parametrize("name", ["Pipfile", "pixi.toml", "setup.py", "setup.cfg", "conda-lock.yml"])
def test_what_is_not_read_names_another_file(tmp_path: Path, name: str) -> None:
    with pytest.raises(UserError, match="is not read for dependencies") as caught:
        declared(tmp_path, name, "x")
    assert caught.value.hint


@pytest.mark.parametrize("name", ["requirements.txt", "environment.yml", "pylock.toml"])
def test_a_file_without_parts_refuses_extras(tmp_path: Path, name: str) -> None:
    (tmp_path / name).write_text("dependencies: []\n")
    needs = Dependencies(Path(name), extras=("x",))
    if name == "pylock.toml":
        needs = replace(needs, requirements=(), pylock=Path(name))
    with pytest.raises(UserError, match="no extras and groups"):
        read_declaration(needs, tmp_path)


def test_a_python_that_no_base_of_ours_has() -> None:
    """Our server is the reason where it is in the image; in that of a command it is not, and a foreign base may have the Python."""
    declared = Declaration(requires_python="==3.7.*")
    with pytest.raises(UserError, match=r"need Python ==3\.7\.\*") as served:
        with_declared(Project("x", Entry(Path("score.py"))), declared)
    assert "the server of an image does not run on an older one" in served.value.hint
    with pytest.raises(UserError, match=r"need Python ==3\.7\.\*") as started:
        with_declared(Project("x", None, command=Command(("python3", "app.py"))), declared)
    assert started.value.hint == "name a base that has it: base: IMAGE"
