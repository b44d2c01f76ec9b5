"""What faults of other tools' files say, and odd values in them."""

from __future__ import annotations

import time
from dataclasses import replace
from pathlib import Path

import pytest

from modelcrate.importers.imported import write_imported
from modelcrate_layers.errors import UserError
from support import configurations
from support.configurations import read, write

BOMB = "a0: &a0 [x, x]\n" + "".join(f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 9)}]\n" for n in range(1, 12))


@pytest.mark.parametrize(
    ("kind", "text"),
    [
        ("cog", f"{BOMB}build: {{run: *a11, pre_install: [*a11], python_packages: *a11}}\npredict: predict.py:P\n"),
        ("cog", f"{BOMB}build: {{run: [{{command: *a11}}], system_packages: !!pairs [a: *a11]}}\npredict: predict.py:P\n"),
        ("cog", f"{BOMB}build: {{python_version: !!omap [a: *a11]}}\nodd: !!pairs [a: *a11]\npredict: predict.py:P\n"),
        ("bento", f"{BOMB}service: service:Sums\ndescription: *a11\nlabels: {{a: *a11}}\n"),
        ("bento", f"{BOMB}service: service:Sums\nconda: {{dependencies: *a11}}\n"),
        ("truss", f"{BOMB}model_name: m\nbuild_commands: *a11\npython_version: *a11\n"),
    ],
)  # fmt: skip
def test_aliases_in_aliases_are_not_written_out(tmp_path: Path, kind: str, text: str) -> None:
    name = {"cog": "cog__yaml", "bento": "bentofile__yaml", "truss": "config__yaml"}[kind]
    before = time.process_time()
    try:
        said = "".join(read(write(tmp_path, kind, **{name: text})).lines())
    except UserError as fault:
        said = str(fault)
    assert len(said) < 100_000
    assert time.process_time() - before < 20


def test_a_fault_says_what_is_missing_too(tmp_path: Path) -> None:
    file = write(tmp_path, "kit", Kitfile="manifestVersion: 1.0.0\nmodel: {path: jozu.ml/jozu/llama3:8b}\n")
    with pytest.raises(UserError) as raised:
        read(file)
    assert "before a build: the model is in the ModelKit jozu.ml/jozu/llama3:8b: kit unpack" in str(raised.value)


def test_an_exclusion_in_include_is_a_plain_line(tmp_path: Path) -> None:
    text = "service: service:Sums\ninclude: ['*.py', '!test_a.py']\nexclude: ['#a']\n"
    lines = read(write(tmp_path, "bento", bentofile__yaml=text)).files[".modelcrateignore"].splitlines()
    assert "test_a.py" in lines
    assert "\\#a" in lines
    assert "!*.py" in lines
    assert not [each for each in lines if each.startswith("!!")]


def test_a_secret_among_envs_is_not_told_as_taken(tmp_path: Path) -> None:
    envs = "envs: [{name: MAX_TOKENS, value: '5'}, {name: DB_PASS, value: x}, {name: TOKENIZER_PATH, value: /a}]\n"
    found = read(write(tmp_path, "bento", bentofile__yaml=f"service: service:Sums\n{envs}"))
    assert dict(found.project.env) == {"MAX_TOKENS": "5", "TOKENIZER_PATH": "/a"}
    assert not [each for each in found.taken if each.startswith("envs[1].value")]
    assert "envs[1].value; as its name" in found.not_taken


def test_a_project_that_cannot_be_written_is_a_fault_of_the_file(tmp_path: Path) -> None:
    found = read(write(tmp_path, "cog"))
    assert found.project.command is not None
    bad = replace(found, project=replace(found.project, command=replace(found.project.command, ports=(0,))))
    with pytest.raises(UserError) as raised:
        write_imported(bad)
    assert raised.value.where == str(found.file)
    assert "modelcrate.yaml" not in str(raised.value)
    assert "taken over: build.python_version" in str(raised.value)
    assert not (found.folder / "modelcrate.yaml").exists()


def test_a_static_method_gets_the_request(tmp_path: Path) -> None:
    model = "class Model:\n    @staticmethod\n    def predict(x):\n        return x\n"
    file = write(tmp_path, "truss", config__yaml="model_name: m\nspec_version: '2.0'\n")
    (file.parent / "model" / "model.py").write_text(model)
    assert "value = model.predict(value)" in read(file).files["truss_score.py"]


def test_a_configuration_is_without_secrets_and_building(tmp_path: Path) -> None:
    more = "max_tokens: 7\n"
    text = configurations.TRUSS_CONFIG.replace("{factor: 2,", "{factor: 2, api_key: x1y2,") + more
    found = read(write(tmp_path, "truss", config__yaml=text))
    script = found.files["truss_score.py"]
    assert "x1y2" not in script
    assert "build_commands" not in script
    assert "'max_tokens': 7" in script
    said = next(each for each in found.notices if each.startswith("CONFIG in truss_score.py is without"))
    assert "model_metadata.api_key" in said
    assert "build_commands" in said
