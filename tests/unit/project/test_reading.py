"""What a project file means, and how its faults are told."""

from __future__ import annotations

import subprocess
import sys
from datetime import UTC, datetime
from pathlib import Path, PurePosixPath

import pytest

from modelcrate.project.document import MAX_BYTES, MAX_DEPTH, MAX_FAULTS, MAX_NODES
from modelcrate.project.grammar import CONTRACTS
from modelcrate.project.reading import parse_project, read_project
from modelcrate.project.values import (
    Codecs,
    Conda,
    DebianBase,
    Dependencies,
    DockerArchiveBase,
    Entry,
    LayoutBase,
    Model,
    OciArchiveBase,
    Project,
    RegistryBase,
    RootfsBase,
    ScratchBase,
)
from modelcrate_layers.content import Platform
from modelcrate_layers.errors import SourceError, UserError

ROOT = Path(__file__).parents[3]

ISSUE_SAMPLE = """\
name: diabetes
python: "3.11"
platforms: [linux/amd64]            # also linux/arm64, or both
base: debian                        # default. Or debian:trixie, a registry reference, oci:DIR[:TAG], oci-archive:FILE, docker-archive:FILE,
                                    # rootfs:FILE.tar[.gz|.xz|.zst], scratch
dependencies: requirements.txt      # or a list; a pylock.toml; or {requirements: ..., wheelhouse: wheels/, index-url: ...}
models:
  - path: model/sklearn_regression_model.pkl     # file or folder; tree kept
    name: sklearn-regression-model
    version: 1
entry: {source: src/, script: score.py}
env: {LOG_LEVEL: info}
labels: {team: research}
user: "10001:0"                     # default: not root, group 0, group rights as the owner's, so that any uid in group 0 works (OpenShift)
"""


def read(text: str) -> Project:
    return parse_project(text.encode())


def refused(data: str | bytes) -> UserError:
    with pytest.raises(UserError) as caught:
        parse_project(data.encode() if isinstance(data, str) else data)
    return caught.value


def with_entry(text: str) -> Project:
    return read(f"name: x\nentry: score.py\n{text}")


def faults(text: str) -> list[str]:
    """Each fault's place and words, of a file with a good name and entry on its first two lines."""
    error = refused(f"name: x\nentry: score.py\n{text}")
    return [f"{one.where.removeprefix('modelcrate.yaml:')} {one.what}" for one in (error, *error.also)]


def test_the_sample_means_what_it_says() -> None:
    assert read(ISSUE_SAMPLE) == Project(
        name="diabetes",
        python="3.11",
        platforms=(Platform("linux", "amd64"),),
        base=DebianBase(),
        dependencies=Dependencies(Path("requirements.txt")),
        models=(Model(Path("model/sklearn_regression_model.pkl"), "sklearn-regression-model", 1),),
        entry=Entry(Path("score.py"), Path("src")),
        env={"LOG_LEVEL": "info"},
        labels={"team": "research"},
        user="10001:0",
    )


def test_the_demo_project_is_read() -> None:
    project = read_project(ROOT / "fixtures/projects/diabetes/modelcrate.yaml")
    assert project.entry is not None
    assert project.entry.file == Path("src/score.py")
    assert project.models[0].name == "sklearn-regression-model"


def test_the_shortest_file_has_the_defaults() -> None:
    assert with_entry("") == Project("x", Entry(Path("score.py")))
    assert with_entry("").user == "10001:0"
    assert with_entry("").codecs.of("models") == "auto"


@pytest.mark.parametrize(
    ("text", "base"),
    [
        ("debian:trixie", DebianBase("trixie")),
        ("{from: debian, mirror: 'http://mirror.example/debian', packages: [libgomp1]}",
         DebianBase(None, "http://mirror.example/debian", ("libgomp1",))),
        ("{from: debian, shell: true}", DebianBase(shell=True)),
        ("{from: debian, mirror: 'http://m.example/debian https://s.example/sec'}",
         DebianBase(None, "http://m.example/debian https://s.example/sec")),
        ("{from: debian, valid-until: ignored}", DebianBase(valid_until="ignored")),
        ("python:3.11-slim", RegistryBase("python:3.11-slim")),
        ("localhost:5000/a/b:1", RegistryBase("localhost:5000/a/b:1")),
        ("{from: registry.example/a/b, interpreter: /opt/bin/python3}",
         RegistryBase("registry.example/a/b", PurePosixPath("/opt/bin/python3"))),
        ("oci:../layout", LayoutBase(Path("../layout"))),
        ("oci:layout:1.0", LayoutBase(Path("layout"), "1.0")),
        ("oci:a:b/c", LayoutBase(Path("a:b/c"))),
        ("oci-archive:/srv/base.tar", OciArchiveBase(Path("/srv/base.tar"))),
        ("oci-archive:base.tar:1.0", OciArchiveBase(Path("base.tar"), "1.0")),
        ("docker-archive:base.tar", DockerArchiveBase(Path("base.tar"))),
        ("docker-archive:base.tar:team/x:1", DockerArchiveBase(Path("base.tar"), "team/x:1")),
        ("registry:registry.example/x:1", RegistryBase("registry.example/x:1")),
        ("registry:2", RegistryBase("registry:2")),
        ("rootfs:root.tar.zst", RootfsBase(Path("root.tar.zst"))),
        ("scratch", ScratchBase()),
    ],
)  # fmt: skip
def test_bases(text: str, base: object) -> None:
    assert with_entry(f"base: {text}").base == base


@pytest.mark.parametrize(
    ("text", "needs"),
    [
        ("requirements.txt", Dependencies(Path("requirements.txt"))),
        ("[numpy==2.4.6, joblib]", Dependencies(("numpy==2.4.6", "joblib"))),
        ("pylock.toml", Dependencies(pylock=Path("pylock.toml"))),
        ("locks/pylock.gpu.toml", Dependencies(pylock=Path("locks/pylock.gpu.toml"))),
        ("{requirements: [numpy], wheelhouse: ../wheels/, index-url: 'https://i.example/', extra-index-url: ['https://j.example/']}",
         Dependencies(("numpy",), None, Path("../wheels"), "https://i.example/", ("https://j.example/",))),
        ("{requirements: [numpy], layers: 60}", Dependencies(("numpy",), layers=60)),
        ("{conda: [gdal=3.9, 'proj >=9,<10']}", Dependencies(conda=Conda(("gdal=3.9", "proj >=9,<10")))),
        ("{requirements: [numpy], conda: {packages: ['main::gdal[build=py*]'], channels: [conda-forge, ./here, 'https://c.example/x']}}",
         Dependencies(("numpy",), conda=Conda(("main::gdal[build=py*]",), ("conda-forge", "./here", "https://c.example/x")))),
    ],
)  # fmt: skip
def test_dependencies(text: str, needs: object) -> None:
    assert with_entry(f"dependencies: {text}").dependencies == needs


def test_values_are_texts_as_written() -> None:
    project = with_entry(
        "python: 3.10\nenv: {A: 1, B: 0x1F, C: no, D: 1.50, E: 2026-01-01, F: '', G: true}\nuser: 10001:0"
    )
    assert project.python == "3.10"
    assert project.user == "10001:0"
    assert dict(project.env) == {"A": "1", "B": "0x1F", "C": "no", "D": "1.50", "E": "2026-01-01", "F": "", "G": "true"}


def test_models_are_named_after_their_files() -> None:
    project = with_entry("models: [m/fraud model.tar.gz, m/v1.5, {path: ./m/trees/, version: 7}]")
    assert [(model.name, model.version) for model in project.models] == [
        ("fraud-model.tar", 1),
        ("v1.5", 1),
        ("trees", 7),
    ]


def test_codecs_by_role() -> None:
    codecs = with_entry("codec: {models: none, default: gzip}").codecs
    assert codecs == Codecs("gzip", models="none")
    assert (codecs.of("models"), codecs.of("entry")) == ("none", "gzip")


def test_creation_time_is_utc() -> None:
    assert with_entry("created: 2026-01-01T02:00:00+02:00").created == datetime(2026, 1, 1, tzinfo=UTC)


@pytest.mark.parametrize("base", ["scratch", "registry.example/modelcar:1", "oci:../layout", "rootfs:base.tar"])
def test_models_alone_over_a_base_that_is_not_ours_need_no_entry(base: str) -> None:
    assert read(f"name: x\nbase: {base}\nmodels: [m.bin]").entry is None


@pytest.mark.parametrize("base", ["debian", "scratch", "registry.example/modelcar:1"])
def test_packages_are_for_an_entry_script(base: str) -> None:
    assert refused(f"name: x\nbase: {base}\ndependencies: [numpy]").what == "'entry' is missing"
    assert refused(f"name: x\nbase: {base}\ndependencies: {{conda: [numpy]}}").what == "'entry' is missing"


def test_a_server_is_for_an_entry_script() -> None:
    assert with_entry("server: azureml").server == "azureml"
    assert (
        refused("name: x\nbase: scratch\nmodels: [m.bin]\nserver: azureml").what
        == "a server, and no entry script for it"
    )


def test_microsofts_server_keeps_its_own_contract_only() -> None:
    assert with_entry("server: azureml\ncontracts: [azureml]").server == "azureml"
    assert refused("name: x\nentry: s.py\nserver: azureml\ncontracts: [azureml, oip]").what.startswith(
        "Microsoft's server"
    )


def test_a_byte_order_mark_is_no_matter() -> None:
    assert parse_project(b"\xef\xbb\xbfname: x\r\nentry: score.py\r\n") == with_entry("")


def test_three_faults_are_told_at_once_in_the_order_of_the_file() -> None:
    error = refused(
        "name: diabetes\npython: three\nmodels:\n  - path: model/x.pkl\n    versoin: 2\nentry: ../score.py\n"
    )
    assert error.faults == 3
    assert error.exit_code == 2
    assert str(error) == (
        "modelcrate.yaml:2:9: 'three' is not a Python version with two numbers, such as 3.11\n"
        "    2 | python: three\n"
        "      |         ~~~~~\n"
        "modelcrate.yaml:5:5: unknown key 'versoin' in a model\n"
        "    5 |     versoin: 2\n"
        "      |     ~~~~~~~ did you mean 'version'?\n"
        "modelcrate.yaml:6:8: '../score.py' leads out of the project\n"
        "    6 | entry: ../score.py\n"
        "      |        ~~~~~~~~~~~ paths stay in the folder of the project file"
    )


def test_a_misspelt_key_is_one_fault_even_where_it_is_required() -> None:
    error = refused("nmae: x\nentyr: score.py\nmodle: []\n")
    assert [(one.what, one.hint) for one in (error, *error.also)] == [
        ("unknown key 'nmae' in the project", "did you mean 'name'?"),
        ("unknown key 'entyr' in the project", "did you mean 'entry'?"),
        ("unknown key 'modle' in the project", "did you mean 'models'?"),
    ]


def test_a_strange_key_gets_the_known_ones() -> None:
    error = refused("name: x\nentry: {script: score.py, zzz: 1}")
    assert error.what == "unknown key 'zzz' in the entry"
    assert error.hint == "known keys: script, source"


def test_a_fault_doesnt_hide_a_broken_rule_between_other_keys() -> None:
    error = refused("name: X!\nplatforms: [linux/s390x]\nmodels: [a/m.pkl, b/m.pkl]\n")
    assert [one.what for one in (error, *error.also)] == [
        "'entry' is missing",
        "'X!' is not a name: lower-case letters and digits, with . _ or - between",
        "a Debian base can't be made for linux/s390x",
        "a second model called m, version 1",
    ]


@pytest.mark.parametrize(
    ("text", "fault"),
    [
        ("python: [3]", "3:9 'python' has to be a text, not a list"),
        ("python:", "3:8 'python' has no value"),
        ("base: 7.x!", "3:7 '7.x!' is not a base"),
        ("base: debian:12", "3:7 '12' is not the name of a Debian release"),
        ("base: 'oci:'", "3:7 'oci:' names no file or folder"),
        ("base: debain", "3:7 'debain' is not a base"),
        ("base: bookworm", "3:7 'bookworm' is not a base"),
        ("base: oci-achive:x.tar", "3:7 'oci-achive:x.tar' is not a base"),
        ("base: rootfs.tar.gz", "3:7 'rootfs.tar.gz' is not a base"),
        ("base: {from: scratch, mirror: 'http://m.example'}", "3:31 'mirror' is for a Debian base only"),
        ("base: {from: scratch, shell: true}", "3:30 'shell' is for a Debian base only"),
        ("base: {from: scratch, valid-until: ignored}", "3:36 'valid-until' is for a Debian base only"),
        ("base: {from: debian, shell: maybe}", "3:29 'maybe' is not true or false"),
        ("dependencies: {conda: []}", "3:23 'packages' is empty"),
        ("dependencies: {conda: {channels: [x]}}", "3:23 'packages' is missing in the conda packages"),
        ("dependencies: {conda: ['; rm']}",
         "3:24 '; rm' is not the specification of a conda package, such as numpy=1.26 or python>=3.11"),
        ("dependencies: {conda: {packages: [a], channels: ['https://u:p@c.example/x']}}",
         "3:50 'https://***@c.example/x' is not a channel: a name, an http, https or file URL without a password, or a folder"),
        ("server: flask", "3:9 'flask' is not a server: modelcrate, azureml or none"),
        ("base: {packages: [libgomp1]}", "3:7 'from' is missing in the base"),
        ("base: {from: debian, mirror: 'ftp://m.example'}",
         "3:30 'ftp://m.example' is not the address of a mirror such as http://host/debian, or two with a space between"),
        ("base: {from: debian, mirror: 'deb http://m.example/debian bookworm main'}",
         "3:30 'deb http://m.example/debian bookworm main' is not the address of a mirror such as http://host/debian, or two with a space between"),
        ("base: {from: debian, packages: [A]}", "3:33 'A' is not the name of a Debian package"),
        ("base: {from: debian, interpreter: python3}", "3:35 'python3' is not an absolute path in the image"),
        ("platforms: []", "3:12 'platforms' is empty"),
        ("platforms: linux/amd64", "3:12 'platforms' has to be a list, not a text"),
        ("platforms: [linux]", "3:13 'linux' is not a platform such as linux/amd64"),
        ("platforms: [linux/arm64, linux/arm64]", "3:26 linux/arm64 stands twice"),
        ("dependencies: ['a b c']", "3:16 'a b c' is not a requirement"),
        ("dependencies: {requirements: {}}", "3:30 'requirements' has to be a text or a list, not a mapping"),
        ("dependencies: {requirements: [a], pylock: pylock.toml}", "3:43 requirements and a pylock at once"),
        ("models: [/etc/passwd]", "3:10 '/etc/passwd' is an absolute path"),
        ("models: [a/../../b]", "3:10 'a/../../b' leads out of the project"),
        ('models: ["a\\u0007b"]', "3:10 'a\\x07b' is not a path"),
        ("models: [{}]", "3:10 'path' is missing in a model"),
        ("models: [~]", "3:10 an item of 'models' has no value"),
        ("models: [[a]]", "3:10 an item of 'models' has to be a text or a mapping, not a list"),
        ("models: [{path: a, version: 0}]", "3:29 '0' is not a version: a whole number from 1"),
        ("models: [{path: a, version: 1.0}]", "3:29 '1.0' is not a version: a whole number from 1"),
        ("models: [{path: a, name: -x}]",
         "3:26 '-x' is not a model name: letters, digits, - . and _, a letter or digit first"),
        ("models: ['...']", "3:10 no name can be made of '...'"),
        ("env: {1X: y}", "3:7 '1X' is not the name of a variable: letters, digits and _"),
        ("env: {X: }", "3:9 'X' has no value"),
        ("env: {X: {}}", "3:10 'X' has to be a text, not a mapping"),
        ("env: [X]", "3:6 'env' has to be a mapping, not a list"),
        ("labels: {' ': y}", "3:10 ' ' is not a label: no spaces at its ends, no line breaks"),
        ("user: a b", "3:7 'a b' is not uid[:gid], numbers or names"),
        ("user: 4294967295", "3:7 '4294967295' is not a user: ids go up to 4294967294"),
        ("codec: brotli", "3:8 'brotli' is not a codec: auto, fast, small, auto-gzip, gzip, stored, zstd, zstd:chunked, estargz or none"),
        ("codec: {models: lz4}", "3:17 'lz4' is not a codec: auto, fast, small, auto-gzip, gzip, stored, zstd, zstd:chunked, estargz or none"),
        ("modelcar: true", "3:11 a modelcar without models"),
        ("modelcar: true\nmodels: [m]\ncodec: zstd", "5:8 a modelcar with models in zstd: KServe reads no zstd"),
        ("modelcar: true\nmodels: [m]\ncodec: {models: small}", "5:8 a modelcar with models in small: KServe reads no zstd"),
        ("modelcar: true\nworkspace: w\nmodels: [{registered: m:1}]",
         "3:11 a registered model has layers already, and none is for a modelcar"),
        ("contracts: []", "3:12 'contracts' is empty"),
        ("contracts: oip", "3:12 'contracts' has to be a list, not a text"),
        ("contracts: [oip, azureml, oip]", "3:27 the contract oip stands twice"),
        ("contracts: [oip, sagemakr]", f"3:18 'sagemakr' is not a contract: {', '.join(CONTRACTS)}"),
        ("contracts: [~]", "3:13 an item of 'contracts' has no value"),
        ("created: 2026-13-01T00:00:00Z", "3:10 '2026-13-01T00:00:00Z' is not a time of the calendar"),
        ("created: 9999-12-31T23:59:59-12:00", "3:10 '9999-12-31T23:59:59-12:00' is not a time of the calendar"),
        ("created: 1969-12-31T00:00:00Z", "3:10 '1969-12-31T00:00:00Z' is before 1970"),
        ("created: yesterday", "3:10 'yesterday' is not a time such as 2026-01-01T00:00:00Z"),
        ("python: 3.11\npython: 3.12", "4:1 'python' stands twice; first on line 3"),
        ("? [a]\n: b", "3:3 a key has to be a text"),
        ('env: {X: "\\0"}', "3:10 the character U+0000 can't stand in a value"),
        ('env: {X: "\\ud800"}', "3:10 the character U+D800 can't stand in a value"),
    ],
)  # fmt: skip
def test_a_fault_is_told_in_words_where_it_stands(text: str, fault: str) -> None:
    assert faults(text) == [fault]


@pytest.mark.parametrize("script", ["score.txt", "score", "''", ".py"])
def test_the_entry_script_is_a_python_file(script: str) -> None:
    assert refused(f"name: x\nentry: {script}").where == "modelcrate.yaml:2:8"


def test_a_contract_that_was_probably_meant_is_named() -> None:
    assert refused("name: x\nentry: score.py\ncontracts: [sagemakr]").hint == "did you mean 'sagemaker'?"
    assert read("name: x\nentry: score.py\ncontracts: [oip, azureml]").contracts == ("oip", "azureml")
    assert with_entry("").contracts == ("azureml",)


def test_contracts_need_somebody_who_serves_them() -> None:
    assert refused("name: x\nbase: scratch\ncontracts: [oip]").what == "contracts without an entry script"


def test_a_missing_entry_is_a_fault() -> None:
    assert refused("name: x").what == "'entry' is missing"
    assert refused("name: x\nentry:\n").what == "'entry' has no value"


@pytest.mark.parametrize("text", ["", "\n\n", "# only words\n", "~"])
def test_an_empty_file(text: str) -> None:
    assert refused(text).what == "the file is empty"


def test_a_list_or_a_text_is_no_project() -> None:
    assert refused("- name: x").what == "a project file is a mapping, not a list"
    assert refused("diabetes").what == "a project file is a mapping, not a text"


@pytest.mark.parametrize(
    ("data", "where", "what"),
    [
        (b"name: x\nentry: \xff\n", "2:8", "not UTF-8: the byte 0xff can't stand here"),
        (b"\xff\xfen\x00a\x00", "1:1", "not UTF-8: the byte 0xff can't stand here"),
        (b"name: a\x01b", "1:8", "the character U+0001 can't stand in YAML"),
        (b"env:\n\tA: b", "2:1", "a tab can't indent YAML"),
        (b"name: a: b", "1:8", "a colon where no key can stand"),
        (b"models: [a", "1:11", "not valid YAML: expected ',' or ']', but got '<stream end>'"),
        (b"name: &x 1", "1:7", "anchors and aliases are not used here"),
        (b"name: *x", "1:7", "anchors and aliases are not used here"),
        (b"name: !!python/object:os.system x", "1:7", "tags (!) are not used here"),
        (b"name: x\n---\nname: y", "2:1", "a second document"),
        (b'name: "\\UFFFFFFFF"', "1:1", "not valid YAML: an escaped character that doesn't exist"),
        (b"[" * 100_000, f"1:{MAX_DEPTH + 1}", f"nested deeper than {MAX_DEPTH} levels"),
        (b"models: [" + b"a," * MAX_NODES + b"]", "1:40004", f"more than {MAX_NODES} keys and values"),
    ],
)
def test_what_cant_be_a_tree_is_one_fault(data: bytes, where: str, what: str) -> None:
    error = refused(data)
    assert (error.where, error.what, error.also) == (f"modelcrate.yaml:{where}", what, ())


@pytest.mark.parametrize("key", ["name", "base", "python", "entry", "user", "dependencies"])
def test_an_endless_text_is_refused_in_a_short_message(key: str) -> None:
    rest = {"name": "x", "entry": "score.py"}
    for text in ("a" * 50_000 + "!", "debian:" + "A" * 50_000, "a." * 25_000):
        error = refused("".join(f"{k}: {v}\n" for k, v in {**rest, key: text}.items()))
        assert len(str(error)) < 400


def test_an_alias_bomb_is_refused_before_it_grows() -> None:
    lines = ["a0: &a0 [x]"] + [f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 9)}]" for n in range(1, 10)]
    assert refused("\n".join(lines)).what == "anchors and aliases are not used here"


def test_a_huge_file_is_refused_by_its_size(tmp_path: Path) -> None:
    path = tmp_path / "modelcrate.yaml"
    with open(path, "wb") as file:
        file.truncate(1 << 40)
    with pytest.raises(UserError, match=f"over {MAX_BYTES} bytes"):
        read_project(path)


def test_only_the_first_faults_are_shown() -> None:
    error = refused("".join(f"zz{n}: 1\n" for n in range(MAX_FAULTS + 9)))
    assert len(error.also) == MAX_FAULTS
    assert error.also[-1].what == "11 more faults"  # entry and name are missing too


def test_a_secret_in_a_url_is_refused_and_not_shown() -> None:
    error = refused(
        "name: x\nentry: a.py\ndependencies: {requirements: r.txt, index-url: 'https://me:hunter2@i.example/'}"
    )
    assert error.what == "a user or password stands in the URL"
    assert "hunter2" not in str(error)
    assert "https://**********@i.example/" in str(error)


def test_the_underline_stands_under_wide_characters_and_in_long_lines() -> None:
    wide = refused("name: x\nentry: a.py\nlabels: {模型: y, b: []}")
    line, under = wide.excerpt.splitlines()
    assert line == "3 | labels: {模型: y, b: []}"
    assert under.index("~") == line.index("[") + 2
    long = refused(f"name: x\nentry: a.py\nenv: {{A: {'a' * 500}, B: []}}")
    assert len(long.excerpt.splitlines()[0]) < 120
    assert "B: [" in long.excerpt


def test_a_missing_file_says_how_to_make_one(tmp_path: Path) -> None:
    with pytest.raises(SourceError) as caught:
        read_project(tmp_path / "modelcrate.yaml")
    assert "modelcrate init" in str(caught.value)
    with pytest.raises(SourceError):
        read_project(tmp_path)


def test_a_link_out_of_the_project_is_a_fault(tmp_path: Path) -> None:
    (tmp_path / "outside").mkdir()
    project = tmp_path / "project"
    project.mkdir()
    (project / "src").symlink_to(tmp_path / "outside")
    (project / "loop").symlink_to("loop")
    (project / "fine").symlink_to("model")
    (project / "modelcrate.yaml").write_text(
        "name: x\nentry: {source: src, script: score.py}\nmodels: [src/m.pkl, loop, fine/m.pkl]\n"
    )
    with pytest.raises(UserError) as caught:
        read_project(project / "modelcrate.yaml")
    assert [(one.where.rpartition("yaml:")[2], one.what) for one in (caught.value, *caught.value.also)] == [
        ("2:17", "'src' is a link that leads out of the project"),
        ("3:10", "'src/m.pkl' is a link that leads out of the project"),
    ]


def test_nothing_heavy_is_imported_before_a_file_is_read() -> None:
    code = (
        "import sys; import modelcrate.project.reading, modelcrate.project.values, modelcrate.project.writing, "
        "modelcrate.pipeline.detection.detect; print([m for m in ('pydantic', 'yaml', 'packaging') if m in sys.modules])"
    )
    done = subprocess.run(
        [sys.executable, "-c", code],
        env={"PYTHONPATH": f"{ROOT / 'builder'}:{ROOT / 'layers'}"},
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout == "[]\n"


def test_a_word_that_is_near_a_base_is_said_with_both_readings() -> None:
    with pytest.raises(UserError) as caught:
        with_entry("base: debain:bookworm\n")
    assert "did you mean debian:bookworm?" in str(caught.value)
    assert "registry:docker.io/library/debain:bookworm" in str(caught.value)
    for reference in ("registry:docker.io/library/debain", "ubuntu", "python:3.11-slim", "team/debain:1"):
        assert isinstance(with_entry(f"base: {reference}\n").base, RegistryBase)


@pytest.mark.parametrize("url", ["http://[::1/x", "http://host:99999/x", "http://me:secret@[::1/x", "http://:80/"])
def test_an_address_that_no_parser_takes_is_a_fault_of_the_file(url: str) -> None:
    for text in (
        f"base: {{from: debian, mirror: '{url}'}}",
        f"dependencies: {{requirements: [numpy], index-url: '{url}'}}",
    ):
        fault = refused(f"name: x\nentry: a.py\n{text}")
        assert "is not a URL" in fault.what
        assert "secret" not in fault.what


def test_the_names_of_releases_are_those_that_a_base_can_be_made_of() -> None:
    """The project file is read without the table of releases, which knows more of them."""
    from modelcrate.project import grammar
    from modelcrate.resolve.debian import releases

    assert set(releases.RELEASES) >= grammar._RELEASES


@pytest.mark.parametrize("number", ["0", "101", "all", "-1", "1.5"])
def test_layers_that_no_image_has_room_for(number: str) -> None:
    (fault,) = faults(f"dependencies: {{requirements: [numpy], layers: {number}}}")
    assert "layers" in fault
