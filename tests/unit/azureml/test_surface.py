"""Every public name of the original's modules is here: it works, or says what to do instead. The names come from tools/azure_surface.py."""

from __future__ import annotations

import importlib
import inspect
import json
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from modelcrate.azureml import (
    CondaDependencies,
    ContainerRegistry,
    Environment,
    InferenceConfig,
    Model,
    ModelPackage,
    RegistryIdentity,
    ResourceConfiguration,
    Workspace,
    absent,
    exceptions,
    importing,
    sections,
)
from modelcrate.azureml.environment import EnvironmentReference
from modelcrate.azureml.images import Image
from modelcrate.azureml.local_service import LocalWebservice
from modelcrate.config import Config
from modelcrate_layers.errors import CrateError, UserError

SURFACE: dict[str, dict[str, Any]] = json.loads(Path(__file__).with_name("surface.json").read_text())
CLASSES = [(module, name) for module, names in SURFACE.items() for name in names]
MEMBERS = [
    (module, name, member)
    for module, name in CLASSES
    for member in sorted({*SURFACE[module][name].get("members", ()), *SURFACE[module][name].get("attributes", ())})
]


@pytest.fixture(scope="module", autouse=True)
def mapped() -> Iterator[None]:
    """The original's imports are ours."""
    before = list(sys.meta_path)
    importing.install()
    yield
    sys.meta_path[:] = before
    for name in [each for each in sys.modules if each.partition(".")[0] == importing.TOP]:
        del sys.modules[name]


def found(module: str, name: str) -> Any:
    return getattr(importlib.import_module(module), name)


def is_absent(value: object) -> bool:
    return isinstance(value, absent.Absent)


@pytest.mark.parametrize(("module", "name"), CLASSES)
def test_every_class_can_be_imported_where_the_original_has_it(module: str, name: str) -> None:
    value = found(module, name)
    if is_absent(value):
        with pytest.raises(UserError) as fault:
            value()
        assert name in fault.value.what
        assert fault.value.hint, "it says what to do"
    elif SURFACE[module][name]["kind"] == "exception":
        told = SURFACE[module][name]
        assert issubclass(value, CrateError)
        if name in exceptions.NEVER_RAISED:
            told = SURFACE[module]["AzureMLException"]  # nobody ever has one
        assert [each for each in (*told["members"], *told["attributes"]) if not hasattr(value("what"), each)] == []


@pytest.mark.parametrize(("module", "name"), [each for each in CLASSES if SURFACE[each[0]][each[1]]["kind"] == "class"])
def test_every_class_takes_the_originals_parameters(module: str, name: str) -> None:
    value = found(module, name)
    if not is_absent(value) and value is not ModelPackage:  # that is what Model.package returns
        takes(value, SURFACE[module][name]["parameters"])


def takes(value: Any, wanted: list[str]) -> None:
    known = inspect.signature(value).parameters
    if not any(each.kind is inspect.Parameter.VAR_KEYWORD for each in known.values()):
        assert [each for each in wanted if each not in known] == []


@pytest.mark.parametrize(
    ("module", "name", "member"), [each for each in MEMBERS if SURFACE[each[0]][each[1]]["kind"] == "class"]
)
def test_every_member_works_or_says_what_to_do(module: str, name: str, member: str, objects: dict[str, Any]) -> None:
    cls, told = found(module, name), SURFACE[module][name]
    if is_absent(cls) and member not in vars(cls):
        with pytest.raises(UserError) as fault:
            getattr(cls, member)
        assert fault.value.hint
        return
    if member in told["members"]:
        value = getattr(cls, member)
        if told["members"][member] is not None and callable(value):
            takes(value, told["members"][member])
        return
    if cls.__name__ not in objects:
        assert issubclass(cls, (found("azureml.core.webservice", "Webservice"))), f"there is no {name} to look at"
        return  # a cloud's service can't be made, so nobody has one
    assert said_by(objects[cls.__name__], member) != "", "it says what to do"


def said_by(value: object, member: str) -> str | None:
    """What an attribute that is not here says to do; None for one that works."""
    try:
        getattr(value, member)
    except CrateError as fault:
        return fault.hint
    return None


@pytest.fixture(scope="module")
def objects(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """An object of every class that can be made."""
    folder = tmp_path_factory.mktemp("surface")
    settings = Config(folder / "home", {"HOME": str(folder), "PATH": "/usr/bin:/bin"})
    ws = Workspace(address=folder / "workspace", settings=settings)
    (folder / "model.bin").write_bytes(b"1")
    (folder / "score.py").write_text("def init():\n    pass\n\n\ndef run(data):\n    return data\n")
    model = Model.register(ws, str(folder / "model.bin"), "one", model_framework="Custom")
    environment = Environment("one")
    package = ModelPackage.__new__(ModelPackage)
    vars(package).update(workspace=ws, generate_dockerfile=False, state="Running", error=None, location=None)
    package.package_build_log_uri = None
    image = Image.__new__(Image)
    image._set(ws, "oci:workspace:one.1")
    made = [
        ws,
        model,
        environment,
        package,
        image,
        InferenceConfig("score.py", source_directory=str(folder), environment=environment),
        LocalWebservice(ws, "nobody", must_exist=False),
        CondaDependencies(),
        ContainerRegistry(),
        RegistryIdentity(),
        ResourceConfiguration(),
        EnvironmentReference("one"),
        *(
            each()
            for each in (sections.DockerSection, sections.PythonSection, sections.SparkSection, sections.RSection)
        ),
        *(each() for each in (sections.DatabricksSection, sections.DockerImagePlatform)),
        found("azureml.core.webservice.local", "LocalWebserviceDeploymentConfiguration")(),
        found("azureml.core.webservice.webservice", "WebserviceDeploymentConfiguration")(),
        *(
            found("azureml.core.webservice", each).deploy_configuration()
            for each in ("AciWebservice", "AksWebservice", "AksEndpoint")
        ),
    ]
    by_name = {type(each).__name__: each for each in made}
    from modelcrate.azureml.images import ContainerImage, UnknownImage

    for other in (ContainerImage, UnknownImage):
        by_name[other.__name__] = other.__new__(other)
        by_name[other.__name__]._set(ws, "oci:workspace:one.1")
    return by_name


def test_a_name_that_the_original_has_not_is_an_import_error() -> None:
    with pytest.raises(ImportError, match="Workspaces"):
        exec("from azureml.core import Workspaces")


@pytest.mark.parametrize(
    ("module", "said"),
    [
        ("azureml.train.dnn", "train with the framework itself"),
        ("azureml.pipeline.core", "Model.package are steps of it"),
        ("azureml.widgets", "show_output=True"),
        ("azureml.core.compute.amlcompute", "an image runs anywhere"),
    ],
)
def test_a_package_that_is_not_here_says_what_to_do_where_it_is_used(module: str, said: str) -> None:
    imported = importlib.import_module(module)
    assert issubclass(imported.AnyException, CrateError), "a script may name it in except"
    for use in (imported.Anything, lambda: imported.Anything.member):
        with pytest.raises(UserError) as fault:
            use()
        assert fault.value.what.startswith("Anything")
        assert said in fault.value.hint


@pytest.mark.parametrize("module", ["azureml.core.nothing", "azureml._restclient", "azureml.trainer"])
def test_a_module_that_the_original_has_not_is_an_import_error(module: str) -> None:
    with pytest.raises(ModuleNotFoundError, match=r"has azureml\.core's models"):
        importlib.import_module(module)
