"""The text of a Dockerfile: what is quoted, and in which order things stand."""

from __future__ import annotations

from modelcrate.export.dockerfile_text import DockerfileParts, dockerfile_text
from modelcrate.project.dockerfile import instructions, pairs

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
    assert 'ENV A="\\$HOME"\n' in dockerfile_text(PARTS, {"Env": ["A=$HOME"]})
