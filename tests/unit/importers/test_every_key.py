"""Every key of another tool's configuration is taken over or named with a reason, and what comes out is a project file."""

from __future__ import annotations

from pathlib import Path

import pytest

from modelcrate.importers.keys import MAX_LINES, UNUSED
from modelcrate.importers.reading import Reading
from modelcrate_layers.errors import UserError
from support import configurations
from support.configurations import read, untold, write

YAML = [kind for kind in configurations.FILES if kind != "ollama"]


@pytest.mark.parametrize("kind", YAML)
def test_nothing_is_passed_over(tmp_path: Path, kind: str) -> None:
    found = read(write(tmp_path, kind))
    assert untold(found) == []
    assert not any(each.endswith(UNUSED) for each in found.not_taken), "each has a reason of its own"
    assert all("; " in each for each in found.not_taken), "each has what to do, or why"
    taken, left = (
        {line.partition(": ")[0].partition("; ")[0] for line in lines} for lines in (found.taken, found.not_taken)
    )
    in_parts = {
        "environment",
        "environment_variables",
        "docker.env",
        "environment.environmentVariables",
    }  # some variables are taken, and some are not
    assert taken & left <= in_parts
    assert not any(each.startswith(f"{key}[") for key in taken - in_parts for each in left)


@pytest.mark.parametrize("kind", YAML)
def test_what_the_tool_does_not_know_is_named(tmp_path: Path, kind: str) -> None:
    name, text = next(iter(configurations.FILES[kind].items()))
    assert isinstance(text, str)
    found = read(write(tmp_path, kind, **{name.replace(".", "__"): f"{text}\nsurprise: {{a: [1]}}\n"}))
    assert [each for each in found.not_taken if each.startswith("surprise: (1 key); it is unknown; ")]


def reading(tmp_path: Path, text: str) -> Reading:
    (tmp_path / "x.yaml").write_text(text)
    return Reading(tmp_path / "x.yaml", "X")


def test_a_mistyped_key_is_named_with_the_right_one(tmp_path: Path) -> None:
    found = reading(tmp_path, "sevice: a")
    keys = found.keys(found.load())
    keys.text("service")
    found.close()
    assert found.not_taken == ["sevice: a; it is unknown; did you mean 'service'?"]


def test_a_key_that_was_read_and_came_to_nothing_is_named(tmp_path: Path) -> None:
    found = reading(tmp_path, "a: 1")
    found.keys(found.load()).text("a")
    found.close()
    assert found.not_taken == [f"a: 1; {UNUSED}"]


def test_a_key_that_stands_twice_is_told(tmp_path: Path) -> None:
    found = reading(tmp_path, "a: {b: 1, c: 2, b: 3}\na: 4\n")
    found.load()
    assert found.notices == [
        "the key a (line 2) stands twice: the last one counts",
        "the key b (line 1) stands twice: the last one counts",
    ]


def test_faults_come_together_and_say_what_the_other_keys_would_be(tmp_path: Path) -> None:
    text = configurations.COG.replace("predict: predict.py:Predictor", "predict: 3").replace("gpu: false", "gpu: maybe")
    with pytest.raises(UserError) as raised:
        read(write(tmp_path, "cog", cog__yaml=text))
    said = str(raised.value)
    assert "'predict' is no reference to a class" in said
    assert "'build.gpu' is neither true nor false" in said
    assert "taken over: build.python_version" in said
    assert "not taken over: build.run[0]: pip ...; no command runs" in said


@pytest.mark.parametrize("text", ["", "[]", "a: [", "- a", "just text", "a: &a [*a]\nb: *a\n" * 2])
def test_a_file_that_is_no_mapping_is_refused_by_name(tmp_path: Path, text: str) -> None:
    (tmp_path / "cog.yaml").write_text(text)
    with pytest.raises(UserError, match=r"cog\.yaml|is not YAML|is empty|has no keys|names nothing"):
        read(tmp_path / "cog.yaml")


@pytest.mark.parametrize("kind", YAML)
def test_endless_aliases_end(tmp_path: Path, kind: str) -> None:
    bomb = "a0: &a0 [x, x]\n" + "".join(f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 9)}]\n" for n in range(1, 12))
    name, text = next(iter(configurations.FILES[kind].items()))
    assert isinstance(text, str)
    file = write(
        tmp_path, kind, **{name.replace(".", "__"): bomb + text + "model_metadata: *a11\n" * (kind == "truss")}
    )
    if kind == "truss":  # its class takes the configuration, which is written out for it
        with pytest.raises(UserError, match=r"more than [0-9]+ values"):
            read(file)
    else:
        assert len("".join(read(file).not_taken)) < 100_000


@pytest.mark.parametrize("value", ["&a [*a]", "[" * 250 + "]" * 250])
def test_values_without_a_bottom_are_refused(tmp_path: Path, value: str) -> None:
    with pytest.raises(UserError, match="in one another"):
        read(write(tmp_path, "truss", config__yaml=f"model_name: m\nmodel_metadata: {value}\n"))


def test_too_many_keys_are_refused(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=f"more than {MAX_LINES} keys"):
        read(write(tmp_path, "cog", cog__yaml=configurations.COG + "".join(f"k{n}: 1\n" for n in range(MAX_LINES + 1))))


@pytest.mark.parametrize("kind", ["cog", "bento", "truss"])
def test_secrets_are_named_and_never_repeated(tmp_path: Path, kind: str) -> None:
    secret = "hf_" + "abcDE" * 7
    more = {
        "cog": f"environment: [WEIGHTS={secret}, MY_PASSWORD=x1]\n",
        "bento": f"envs: [{{name: WEIGHTS, value: {secret}}}, {{name: MY_PASSWORD, value: x1}}]\nmystery: {secret}\n",
        "truss": f"environment_variables: {{WEIGHTS: {secret}, MY_PASSWORD: x1}}\nsecrets: {{key: {secret}}}\n",
    }[kind]
    name, text = next(iter(configurations.FILES[kind].items()))
    assert isinstance(text, str)
    kept = [line for line in text.splitlines(keepends=True) if not line.startswith(("environment", "envs", "secrets"))]
    found = read(write(tmp_path, kind, **{name.replace(".", "__"): "".join(kept) + more}))
    said = "\n".join([*found.lines(), *found.files.values(), str(found.project)])
    assert secret not in said
    assert "WEIGHTS" in said
    assert not {"WEIGHTS", "MY_PASSWORD"} & set(found.project.env)
