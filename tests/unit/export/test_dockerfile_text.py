"""The text of a Dockerfile: what is quoted, and in which order things stand."""

from __future__ import annotations

from dataclasses import replace

import pytest

from modelcrate.export.dockerfile_text import DockerfileParts, dockerfile_text
from modelcrate.project.dockerfile import instructions, pairs
from modelcrate_layers.errors import UserError

PARTS = DockerfileParts("x", "sha256:0", "scratch", "", ["base/a b.tar"], ["azureml-models/m/1"], ["score.py"], True)


def test_models_and_code_are_copied_apart_and_code_last() -> None:
    words = [line for _, line in instructions(dockerfile_text(PARTS, {}))]
    assert words == [
        "FROM scratch",
        'ADD ["base/a b.tar", "/"]',
        'COPY ["azureml-app/azureml-models/m/1/", "/var/azureml-app/azureml-models/m/1/"]',
        'COPY ["server/", "/opt/modelcrate/server/"]',
        'COPY ["azureml-app/score.py", "/var/azureml-app/score.py"]',
    ]


def test_values_come_back_as_they_were() -> None:
    """Docker's rules for double quotes are the shell's, as far as these characters go."""
    env = {"A": 'two "words"', "B": "back\\slash", "C": "", "D": "a=b"}
    text = dockerfile_text(PARTS, {"Env": [f"{name}={value}" for name, value in env.items()], "Labels": {"l l": "v v"}})
    found = [pairs(line.partition(" ")[2], 1) for _, line in instructions(text) if line.startswith("ENV")]
    assert {name: value for each in found for name, value in each.items()} == env
    assert 'LABEL "l l"="v v"\n' in text


def test_a_dollar_is_no_variable() -> None:
    config = {
        "Env": ["A=$HOME's"],
        "Labels": {"$a": "$b"},
        "User": "$u",
        "WorkingDir": "/a $b/'c\"",
        "ExposedPorts": {"$p": {}},
    }
    lines = dockerfile_text(replace(PARTS, code=["$a 'b.py"]), config).splitlines()
    assert lines[-7:] == [
        'COPY ["azureml-app/\\\\$a \\\\\'b.py", "/var/azureml-app/\\\\$a \\\\\'b.py"]',
        'ENV A="\\$HOME\'s"',
        "# add your RUN lines here: they run as root, in the image's environment",
        'LABEL "\\$a"="\\$b"',
        "USER \\$u",
        "WORKDIR /a \\$b/\\'c\\\"",
        "EXPOSE \\$p",
    ]


@pytest.mark.parametrize("name", ["a*.py", "a?.py", "[a].py", "a\\.py"])
def test_a_name_that_is_a_pattern_is_refused(name: str) -> None:
    with pytest.raises(UserError, match="no way to copy"):
        dockerfile_text(replace(PARTS, code=[name]), {})


def test_values_with_dollars_come_back_and_variables_are_refused() -> None:
    assert pairs('A="\\$HOME\\\\" B=\\$C', 1) == {"A": "$HOME\\", "B": "$C"}
    assert pairs("A \\$HOME x", 1) == {"A": "$HOME x"}
    for text in ("A=$HOME", 'A="${HOME}"', "A=\\\\$HOME", "A $HOME"):
        with pytest.raises(UserError, match="names a variable"):
            pairs(text, 1)


@pytest.mark.parametrize(
    "config",
    [
        {"Env": ["A=x\nRUN touch /x"]},
        {"Env": ["A=x\\\nRUN touch /x"]},
        {"Env": ["A\nRUN x=1"]},
        {"Env": ["A B=1"]},
        {"Labels": {"a": "x\rRUN touch /x"}},
        {"Labels": {"a\u2028RUN x": "x"}},
        {"User": "0\nRUN touch /x"},
        {"WorkingDir": "/x\nRUN touch /x"},
        {"WorkingDir": "/x\\"},
        {"StopSignal": "TERM\nRUN touch /x"},
        {"ExposedPorts": {"80\nRUN touch /x": {}}},
    ],
)
def test_no_setting_of_a_base_begins_an_instruction(config: dict[str, object]) -> None:
    with pytest.raises(UserError, match="a Dockerfile has no way"):
        dockerfile_text(PARTS, config)


def test_line_breaks_in_arrays_are_escaped() -> None:
    assert 'CMD ["a\\nRUN touch /x"]\n' in dockerfile_text(PARTS, {"Cmd": ["a\nRUN touch /x"]})
