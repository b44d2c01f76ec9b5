"""`variants:` of a project file: what each of them is made of, and every mistake with its place."""

from __future__ import annotations

from pathlib import Path

import pytest

from modelcrate.project.reading import parse_project
from modelcrate.project.remembered import decode, encode
from modelcrate.project.values import DebianBase, Dependencies, Project, RegistryBase
from modelcrate.project.writing import project_text
from modelcrate_layers.content import Platform
from modelcrate_layers.errors import CrateError, UserError

HEAD = """\
name: sums
platforms: [linux/amd64, linux/arm64]
models: [model.bin]
entry: score.py
dependencies: {requirements: requirements.txt, torch: cpu, wheelhouse: wheels}
env: {A: "1", B: "1"}
server: {workers: 2, metrics: true}
"""

BOTH = f"""{HEAD}
variants:
  - name: gpu
    platforms: [linux/amd64]
    dependencies: {{torch: cu126}}
    env: {{B: "2"}}
    server: {{workers: 1}}
  - name: onnx
    base: python:3.12
    dependencies: [onnxruntime-gpu]
    labels: {{kind: onnx}}
"""


def project(text: str) -> Project:
    return parse_project(text.encode())


def faults(variants: str) -> list[str]:
    with pytest.raises(UserError) as refused:
        project(f"{HEAD}variants:\n{variants}")
    found: list[CrateError] = [refused.value, *refused.value.also]
    return [each.what for each in found]


def test_what_a_variant_gives_is_laid_over_the_project() -> None:
    gpu, onnx = (each.of(project(BOTH)) for each in project(BOTH).variants)
    assert gpu.dependencies == Dependencies(Path("requirements.txt"), wheelhouse=Path("wheels"), torch="cu126")
    assert (gpu.base, gpu.env, gpu.variants) == (DebianBase(), {"A": "1", "B": "2"}, ())
    assert (gpu.serving.workers, gpu.serving.metrics) == (1, True)
    assert gpu.platforms == (Platform("linux", "amd64"),)
    assert (gpu.models, gpu.entry) == (project(HEAD).models, project(HEAD).entry)
    assert onnx.dependencies == Dependencies(("onnxruntime-gpu",), wheelhouse=Path("wheels"), torch="cpu")
    assert (onnx.base, onnx.labels, onnx.env) == (RegistryBase("python:3.12"), {"kind": "onnx"}, {"A": "1", "B": "1"})
    assert onnx.platforms == project(HEAD).platforms


def test_other_requirements_leave_what_belonged_to_the_projects_file() -> None:
    text = "name: a\nentry: s.py\ndependencies: {requirements: pyproject.toml, extras: [cpu]}\n"
    one, other = project(
        f"{text}variants:\n- {{name: a, dependencies: {{extras: [gpu]}}}}\n- {{name: b, dependencies: pylock.toml}}\n"
    ).variants
    assert one.dependencies == Dependencies(Path("pyproject.toml"), extras=("gpu",))
    assert other.dependencies == Dependencies(pylock=Path("pylock.toml"))


def test_a_project_with_variants_is_written_and_remembered_as_it_is() -> None:
    made = project(BOTH)
    assert parse_project(project_text(made).encode()) == made
    assert decode(encode(made)) == made


@pytest.mark.parametrize(
    ("variants", "wanted"),
    [
        ("  - {name: gpu, base: scratch}\n  - {name: gpu, env: {X: y}}", "a second variant called gpu"),
        ("  - {name: gpu}", "the variant gpu differs in nothing from the project"),
        ('  - {name: gpu, env: {A: "1"}, base: debian}', "the variant gpu differs in nothing from the project"),
        ("  - {name: default, base: scratch}", "'default' is what the image without a variant is called"),
        ("  - {name: GPU, base: scratch}", "'GPU' is not a name such as gpu"),
        ("  - {name: -gpu, base: scratch}", "'-gpu' is not a name such as gpu"),
        ("  - {name: a--b, base: scratch}", "'a--b' is not a name such as gpu"),
        (f"  - {{name: {'a' * 33}, base: scratch}}", f"'{'a' * 33}' can't be the end of a tag"),
        ("  - {base: scratch}", "'name' is missing in a variant"),
        ("  - {name: gpu, models: [x]}", "unknown key 'models' in a variant"),
        ("  - {name: gpu, base: x, dependencies: {torchh: cpu}}", "unknown key 'torchh' in the dependencies"),
        ("  - {name: gpu, platforms: [linux/s390x], base: x}", "linux/s390x is no platform of the project"),
        ("  - {name: gpu, platforms: [], base: x}", "'platforms' is empty"),
        ("  - {name: gpu, base: {from: x, shell: true}}", "the variant gpu: 'shell' is for a Debian base only"),
        ("  - {name: gpu, server: none}", "the variant gpu: no server, and no command"),
        ("  - gpu", "an item of 'variants' has to be a mapping, not a text"),
        ("    gpu: {base: x}", "'variants' has to be a list, not a mapping"),
    ],
)
def test_mistakes_are_named(variants: str, wanted: str) -> None:
    assert wanted in faults(f"{variants}\n")


def test_what_is_wrong_with_the_project_is_not_said_again_of_each_variant() -> None:
    with pytest.raises(UserError) as refused:
        project(f"{HEAD.replace('metrics: true', 'from: none')}variants:\n  - {{name: gpu, env: {{X: y}}}}\n")
    assert [each.what for each in (refused.value, *refused.value.also)] == ["no server, and no command"]
