"""Plug-ins under the packages that they plug into: Flyte, ZenML, Kubeflow Pipelines, MLflow and Ray, each in an environment of its own.

The packages of the images are tiny ones of an index of ours; those of the orchestrators are real.
"""

from __future__ import annotations

import json
import subprocess
import tomllib
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest

from support import real_registry
from support.azure import environment
from support.index import PackageIndex, serve
from support.shared_command import Modelcrate
from support.sources import REPOSITORY
from support.validator import assert_valid_layout
from support.waiting import HANG
from support.wheels import filename, wheel_bytes

pytestmark = [pytest.mark.interop, pytest.mark.network]

PROJECT = tomllib.loads((REPOSITORY / "pyproject.toml").read_text())["project"]
FLYTEKIT, KFP, MLFLOW, RAY, ZENML = "1.16.31", "2.17.3", "3.17.2", "2.60.0", "0.98.0"
OFFICIAL = {
    "flytekit": (f"flytekit=={FLYTEKIT}",),
    "kfp": (f"kfp=={KFP}", "pip"),
    "mlflow": (f"mlflow-skinny=={MLFLOW}", "pandas"),
    "ray": (f"ray=={RAY}",),
    "zenml": (f"zenml[local]=={ZENML}",),
}
TINY = {
    "flytekit": FLYTEKIT, "gunicorn": "23.0", "kfp": KFP, "mlflow": MLFLOW, "mlflow-skinny": MLFLOW, "numpy": "2.4", "packaging": "26.1", "pandas": "3.0", "ray": RAY,
    "tabulate": "0.9", "zenml": ZENML,
}  # fmt: skip

NEEDS = {"pandas": ("numpy",)}

Call = Callable[..., Any]


@pytest.fixture(scope="module")
def index() -> Iterator[PackageIndex]:
    modules = {name: {f"{name.removesuffix('-skinny')}/__init__.py": b"answer = 42\n"} for name in TINY}
    wheels = {
        filename(name, version): wheel_bytes(name, version, modules[name], requires=NEEDS.get(name, ()))
        for name, version in TINY.items()
    }
    with serve(PackageIndex(wheels)) as served:
        yield served


@pytest.fixture
def call(index: PackageIndex, modelcrate: Modelcrate, docker_registry: real_registry.Running, tmp_path: Path) -> Call:
    """Runs a script beside an official package, as a user who has installed modelcrate. Returns what it prints last, as JSON."""
    metadata = tmp_path / "site" / f"modelcrate-{PROJECT.get('version', '0')}.dist-info"
    metadata.mkdir(parents=True)
    (metadata / "METADATA").write_text("Metadata-Version: 2.1\nName: modelcrate\nVersion: 0\n")
    points = "".join(
        f"[{group}]\n" + "".join(f"{name} = {value}\n" for name, value in found.items())
        for group, found in PROJECT.get("entry-points", {}).items()
    )
    (metadata / "entry_points.txt").write_text(points)

    def run(package: str, script: str, **more: str) -> Any:
        python = environment(f"plugin-{package}", *OFFICIAL[package], *PROJECT["dependencies"], compiled=False)
        (tmp_path / "home").mkdir(exist_ok=True)
        env = {
            **modelcrate.environment, "PATH": "/usr/bin:/bin", "HOME": str(tmp_path / "home"), "REGISTRY": docker_registry.host,
            "UV_DEFAULT_INDEX": index.url, "PYTHONPATH": f"{modelcrate.environment['PYTHONPATH']}:{metadata.parent}", **more,
        }  # fmt: skip
        (tmp_path / "script.py").write_text(script)
        done = subprocess.run(
            [python, tmp_path / "script.py"], env=env, capture_output=True, text=True, timeout=HANG, cwd=tmp_path
        )
        assert done.returncode == 0, f"{done.stdout[-2000:]}\n{done.stderr[-4000:]}"
        return json.loads(done.stdout.splitlines()[-1])

    return run


def config_of(reference: str, modelcrate: Modelcrate, folder: Path) -> Mapping[str, Any]:
    """The settings of an image of a registry, after a look at all of it."""
    modelcrate.said("copy", f"registry:{reference}", f"oci:{folder}")
    assert_valid_layout(folder)
    (image,) = modelcrate.json("inspect", f"oci:{folder}")["images"]
    found: Mapping[str, Any] = image["config"]["config"]
    return found


def paths_of(folder: Path) -> str:
    """What tar lists in all layers of a layout."""
    from modelcrate.transports import oci

    (image,) = oci.find(folder, None).read().images
    texts = []
    for layer in image.layers:
        blob = folder / "blobs" / str(layer.descriptor.digest).replace(":", "/")
        if layer.role == "entry":
            texts.append(subprocess.run(["tar", "-tvf", blob], capture_output=True, text=True, check=True).stdout)
    return "".join(texts)


FLYTE = """
import json, os, sys
from pathlib import Path
from flytekit import ImageSpec
from flytekit.image_spec.image_spec import ImageBuildEngine

Path("code").mkdir(); Path("code/flow.py").write_text("X = 1\\n"); Path("data.txt").write_text("data")
builders = {name: priority for name, (_, priority) in ImageBuildEngine.get_registry().items()}
base = dict(name="Thing", builder="modelcrate", registry=os.environ["REGISTRY"] + "/flyte")
spec = ImageSpec(**base, packages=["tabulate"], env={"A": "b c"}, source_root="code", source_copy_mode=CopyFileDetection.ALL,
                 copy=["data.txt"], apt_packages=["libgomp1"], platform="linux/amd64")
ImageBuildEngine.build(spec)
ImageBuildEngine.build.cache_clear()
builder = ImageBuildEngine.get_registry()["modelcrate"][0]
again = builder.should_build(spec)
refused = {}
for name, value in dict(commands=["make"], cuda="12", cudnn="9", pip_extra_args="--pre", pip_secret_mounts=[("a", "b")],
                        registry_config="x", runtime_packages=["a"], builder_options={"a": 1}, builder_config={"uv_image": "x"},
                        ).items():
    try:
        builder.build_image(ImageSpec(**base, **{name: value}))
    except Exception as fault:
        refused[name] = f"{type(fault).__name__} {fault}"
try:
    builder.build_image(ImageSpec(**base, apt_packages=["make"], base_image="python:3.11"))
except Exception as fault:
    refused["apt_packages"] = f"{type(fault).__name__} {fault}"
print(json.dumps([builders, spec.image_name(), again, refused, spec.id]))
""".replace("from flytekit.image_spec", "from flytekit.constants import CopyFileDetection\nfrom flytekit.image_spec", 1)


def test_flyte(call: Call, modelcrate: Modelcrate, tmp_path: Path) -> None:
    builders, name, again, refused, spec_id = call("flytekit", FLYTE)
    assert builders["modelcrate"] < builders["default"]
    assert again is False
    for field, said in refused.items():
        assert said.startswith("UserError "), said
        assert field in said or field == "apt_packages", said
    assert len(refused) == 10
    config = config_of(name, modelcrate, tmp_path / "layout")
    assert "Entrypoint" not in config
    assert {"A=b c", f"_F_IMG_ID={spec_id}", "PYTHONPATH=/var/azureml-app/root:/tmp"} <= set(config["Env"])
    listed = paths_of(tmp_path / "layout")
    assert "var/azureml-app/root/flow.py" in listed
    assert "var/azureml-app/root/data.txt" in listed


ZENML_SCRIPT = """
import json, os
from pathlib import Path
from zenml.client import Client
from zenml.enums import StackComponentType as Kind
from zenml.config import DockerSettings
from zenml.stack import Stack
from zenml.utils.pipeline_docker_image_builder import PipelineDockerImageBuilder

Path("helper.py").write_text("X = 1\\n")
client = Client()
client.create_flavor("modelcrate.plugins.zenml.Flavor", Kind.IMAGE_BUILDER)
client.create_stack_component("crate", "modelcrate", Kind.IMAGE_BUILDER, configuration={})
client.create_stack_component("place", "default", Kind.CONTAINER_REGISTRY, configuration={"uri": os.environ["REGISTRY"]})
client.create_stack("all", {Kind.ORCHESTRATOR: "default", Kind.ARTIFACT_STORE: "default", Kind.IMAGE_BUILDER: "crate",
                            Kind.CONTAINER_REGISTRY: "place"})
client.activate_stack("all")
stack = Stack.from_model(client.active_stack_model)

def build(tag, **settings):
    entry = '["python", "-m", "helper"]'
    return PipelineDockerImageBuilder().build_docker_image(
        DockerSettings(**settings), tag=tag, stack=stack, include_files=True, extra_files={"extra/x.txt": "hello"}, entrypoint=entry)[0]

made = build("one", requirements=["tabulate"], environment={"A": "b c"}, user="1000:0", build_config={"build_options": {"labels": {"l": "1"}}})
refused = {}
Path("D").write_text("FROM x\\nRUN make\\n")
for name, settings in dict(
    apt_packages=dict(apt_packages=["make"], parent_image="python:3.11"), dockerfile=dict(dockerfile="D"),
    local_project_install_command=dict(local_project_install_command="make"), user=dict(user="bob"),
    python_package_installer_args=dict(python_package_installer_args={"foo": 1}, requirements=["tabulate"]),
    build_args=dict(build_config={"build_options": {"build_args": {"a": 1}}}),
    unknown=dict(build_config={"build_options": {"sleep": 1}}),
).items():
    try:
        build("two", **settings)
    except Exception as fault:
        refused[name] = f"{type(fault).__name__} {fault}"
print(json.dumps([made, refused]))
"""


def test_zenml(call: Call, modelcrate: Modelcrate, tmp_path: Path) -> None:
    made, refused = call(
        "zenml", ZENML_SCRIPT, ZENML_CONFIG_PATH=str(tmp_path / "zenml"), ZENML_ANALYTICS_OPT_IN="false"
    )
    assert all(said.startswith("UserError ") for said in refused.values()), refused
    assert set(refused) == {
        "apt_packages", "dockerfile", "local_project_install_command", "user", "python_package_installer_args", "build_args", "unknown",
    }  # fmt: skip
    config = config_of(made, modelcrate, tmp_path / "layout")
    assert config["Entrypoint"] == ["python", "-m", "helper"]
    assert (config["User"], config["WorkingDir"]) == ("1000:0", "/var/azureml-app/app")
    assert {"A=b c", "ZENML_CONFIG_PATH=/tmp/.zenconfig"} <= set(config["Env"])
    assert config["Labels"] == {"l": "1"}
    listed = paths_of(tmp_path / "layout")
    assert "app -> /var/azureml-app/app" in listed
    assert "var/azureml-app/app/extra/x.txt" in listed
    assert "var/azureml-app/app/helper.py" in listed


KFP_SCRIPT = """
import json, os, sys
from pathlib import Path
from kfp import compiler, dsl, local
from modelcrate.plugins.kubeflow import build_component, build_containerized

component = build_component(requirement="")

@dsl.component(base_image="python:3.11", install_kfp_package=False)
def train(out: dsl.Output[dsl.Artifact]):
    from pathlib import Path
    Path(out.path).mkdir(parents=True)
    (Path(out.path) / "model.bin").write_bytes(b"weights")
    (Path(out.path) / "modelcrate.yaml").write_text("name: alone\\nbase: scratch\\nmodels: [{path: model.bin, name: alone, version: 1}]\\n")

@dsl.pipeline
def pipeline(push: str) -> str:
    return component(project=train().outputs["out"], push=push).outputs["reference"]

if __name__ == "__main__":
    compiler.Compiler().compile(pipeline, "pipeline.yaml")
    Path("steps").mkdir()
    Path("steps/step.py").write_text(
        "from kfp import dsl\\n"
        f"@dsl.component(base_image='python:3.11-slim', target_image='{os.environ['REGISTRY']}/kfp/steps:1', packages_to_install=['tabulate'])\\n"
        "def double(n: int) -> int:\\n    return 2 * n\\n")
    steps = build_containerized("steps", base="debian").references
    local.init(local.SubprocessRunner(use_venv=False), pipeline_root="runs")
    component = build_component(requirement="", install_kfp_package=False)
    done = pipeline(push=os.environ["REGISTRY"] + "/kfp/alone:1")
    print()
    print(json.dumps([done.output, steps]))
"""


def test_kubeflow_pipelines(call: Call, modelcrate: Modelcrate, tmp_path: Path) -> None:
    reference, (steps,) = call("kfp", KFP_SCRIPT)
    assert "/kfp/alone@sha256:" in reference
    config_of(reference, modelcrate, tmp_path / "alone")
    assert "modelcrate-build" in (tmp_path / "pipeline.yaml").read_text()
    config = config_of(steps, modelcrate, tmp_path / "steps-layout")
    assert config["WorkingDir"] == "/var/azureml-app/components"
    listed = paths_of(tmp_path / "steps-layout")
    assert "usr/local/src/kfp/components -> /var/azureml-app/components" in listed
    assert "var/azureml-app/components/kfp_config.ini" in listed
    assert "component_metadata" not in listed


MLFLOW_SCRIPT = """
import json, os
from pathlib import Path
import mlflow.pyfunc
import modelcrate
from modelcrate.plugins.mlflow import build_docker

Path("sums.py").write_text("class Sums:\\n    def predict(self, data, params=None):\\n        return 3\\n\\ndef _load_pyfunc(path):\\n    return Sums()\\n")
mlflow.pyfunc.save_model("model", loader_module="sums", code_paths=["sums.py"], pip_requirements=["mlflow==3.17.2"])
made = build_docker("model", name="plugin-mlflow:1", push=os.environ["REGISTRY"] + "/mlflow:1")
refused = {}
for name, value in dict(model_uri=None, env_manager="conda", mlflow_home=".", install_java=True).items():
    try:
        build_docker(**{"model_uri": "model", name: value})
    except modelcrate.UserError as fault:
        refused[name] = str(fault)
print(json.dumps([str(made.digest), sorted(refused)]))
"""


def test_mlflow(call: Call, modelcrate: Modelcrate, docker_registry: real_registry.Running, tmp_path: Path) -> None:
    digest, refused = call("mlflow", MLFLOW_SCRIPT, MLFLOW_DISABLE_TELEMETRY="true", DO_NOT_TRACK="true")
    assert refused == ["env_manager", "install_java", "mlflow_home", "model_uri"]
    assert modelcrate.said("digest", f"{docker_registry.host}/mlflow:1").strip() == digest
    config = config_of(f"{docker_registry.host}/mlflow:1", modelcrate, tmp_path / "layout")
    assert list(config["ExposedPorts"]) == ["8080/tcp"]


RAY_SCRIPT = """
import json, os
from pathlib import Path
from ray.runtime_env import RuntimeEnv
import modelcrate
from modelcrate.plugins.ray import as_image

Path("work").mkdir(); Path("work/mine.py").write_text("X = 1\\n")
place = os.environ["REGISTRY"] + "/ray"
first = as_image(RuntimeEnv(pip=["tabulate"], env_vars={"A": "1"}), place)
same = as_image({"pip": {"packages": ["tabulate"]}}, place)
other = as_image({"uv": ["tabulate"], "working_dir": "work"}, place)
RuntimeEnv(**first), RuntimeEnv(**other)
refused = []
for env in ({"java_jars": ["x"]}, {"conda": "mine"}, {"pip": {"packages": ["a"], "pip_version": "==20"}}, {"working_dir": "s3://x/y.zip"},
            {"unheard": 1}, {"image_uri": "x"}, {"pip": 3}):
    try:
        as_image(env, place)
    except modelcrate.UserError as fault:
        refused.append(str(fault))
print(json.dumps([first, same, other, refused]))
"""


def test_ray(call: Call, modelcrate: Modelcrate, tmp_path: Path) -> None:
    first, same, other, refused = call("ray", RAY_SCRIPT)
    assert len(refused) == 7
    assert first["env_vars"] == {"A": "1"}
    assert same == {"image_uri": first["image_uri"]}
    assert other["image_uri"] != first["image_uri"]
    config = config_of(first["image_uri"], modelcrate, tmp_path / "first")
    assert "Entrypoint" not in config
    assert config["WorkingDir"] == "/tmp"
    config_of(other["image_uri"], modelcrate, tmp_path / "other")
    assert "var/azureml-app/code/mine.py" in paths_of(tmp_path / "other")
