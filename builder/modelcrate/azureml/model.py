"""A registered model, with the interface of the original's class."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from modelcrate.arguments import as_one_of, as_path
from modelcrate.azureml.absent import CLOUD, DATA, PROFILE, RUNS, SAS, refusing
from modelcrate.azureml.deployment import DeploymentConfiguration, local_configuration
from modelcrate.azureml.exceptions import ModelNotFoundException
from modelcrate.azureml.inference_config import InferenceConfig
from modelcrate.azureml.resources import ResourceConfiguration
from modelcrate.azureml.workspace import Workspace
from modelcrate.events import ignore_event
from modelcrate.images.modelpack import ARTIFACT
from modelcrate.pipeline import register_model
from modelcrate.project.values import model_name as name_of_path
from modelcrate.render.stdout import print_text
from modelcrate.workspace import find
from modelcrate.workspace.backend import REPOSITORY, format_tag
from modelcrate.workspace.deleting import delete
from modelcrate.workspace.download import download
from modelcrate.workspace.record import FRAMEWORKS, ModelRecord, parse_model_id
from modelcrate_layers.errors import UserError
from modelcrate_layers.frozen import replace

if TYPE_CHECKING:
    from modelcrate.azureml.local_service import LocalWebservice
    from modelcrate.azureml.package import ModelPackage

Texts = Mapping[str, str] | Sequence[str | Sequence[str]]
"""A filter: keys, [key, value] pairs, or a mapping."""


class Framework:
    """The names of frameworks."""

    CUSTOM, TENSORFLOW, SCIKITLEARN, ONNX, TFKERAS, PYTORCH, MULTI = FRAMEWORKS


@refusing({PROFILE: "profile", SAS: "get_sas_urls", DATA: "add_dataset_references"})
class Model:
    """A model of a workspace. It is found by name (the latest version), by name and version, or by `id` (`NAME:VERSION`)."""

    Framework = Framework

    def __init__(
        self,
        workspace: Workspace,
        name: str | None = None,
        id: str | None = None,  # noqa: A002 - the original's name
        tags: Texts | None = None,
        properties: Texts | None = None,
        version: int | None = None,
        run_id: str | None = None,
        model_framework: str | None = None,
        expand: bool = True,
        **kwargs: object,
    ) -> None:
        _no_runs(run_id)
        self.workspace = workspace
        self._record = _chosen(workspace, name, id, version, _wanted(name, tags, properties, model_framework))

    def __repr__(self) -> str:
        return f"Model(workspace={self.workspace!r}, name={self.name}, id={self.id}, version={self.version}, tags={self.tags}, properties={self.properties})"

    @property
    def record(self) -> ModelRecord:
        """The model as a value."""
        return self._record

    @property
    def name(self) -> str:
        """The name."""
        return self._record.name

    @property
    def version(self) -> int:
        """The version."""
        return self._record.version

    @property
    def id(self) -> str:
        """`NAME:VERSION`."""
        return self._record.id

    @property
    def tags(self) -> dict[str, str]:
        """A copy of the tags."""
        return dict(self._record.tags)

    @property
    def properties(self) -> dict[str, str]:
        """A copy of the properties."""
        return dict(self._record.properties)

    @property
    def description(self) -> str:
        """The description; empty if there is none."""
        return self._record.description

    @property
    def created_time(self) -> datetime:
        """The time of registration."""
        return self._record.created

    @property
    def model_framework(self) -> str | None:
        """The framework, if one was given."""
        return self._record.framework or None

    @property
    def model_framework_version(self) -> str | None:
        """The version of the framework, if one was given."""
        return self._record.framework_version or None

    @property
    def resource_configuration(self) -> ResourceConfiguration | None:
        """The machine that the model needs, if it was given."""
        return ResourceConfiguration.of(dict(self._record.resources))

    @property
    def created_by(self) -> None:
        """None: nobody logs in here."""

    @property
    def run(self) -> None:
        """None: there are no runs here; a property may keep the id of one."""

    run_id = experiment_name = parent_id = sample_input_dataset = sample_output_dataset = run

    @property
    def datasets(self) -> dict[str, Any]:
        """Empty: there are no datasets here; properties may keep their ids."""
        return {}

    @property
    def derived_model_ids(self) -> list[str]:
        """Empty: it is not kept which model came from which."""
        return []

    @property
    def mime_type(self) -> str:
        """The type of the artifact that the model is kept as."""
        return ARTIFACT

    @property
    def unpack(self) -> bool:
        """False: a model is a tree of files already."""
        return False

    @property
    def url(self) -> str:
        """The address of the artifact: any OCI client can fetch it."""
        place = self.workspace.address
        tag = f"{REPOSITORY}:{format_tag(self.name, self.version)}"
        if place.startswith("registry:"):
            return f"{place.removeprefix('registry:')}/{tag}"
        return f"oci:{place.removeprefix('folder:')}:{tag}"

    @staticmethod
    def register(
        workspace: Workspace,
        model_path: str,
        model_name: str,
        tags: Mapping[str, str] | None = None,
        properties: Mapping[str, str] | None = None,
        description: str | None = None,
        datasets: object = None,
        model_framework: str | None = None,
        model_framework_version: str | None = None,
        child_paths: Sequence[str] | None = None,
        sample_input_dataset: object = None,
        sample_output_dataset: object = None,
        resource_configuration: ResourceConfiguration | None = None,
        **kwargs: object,
    ) -> Model:
        """Registers a file or folder under the next version of a name, and prints that it does.

        Args:
            workspace: The workspace.
            model_path: The file or folder.
            model_name: The name.
            tags: Tags, which may change later.
            properties: Properties, which may not change later.
            description: A text for people.
            datasets: Must be None: there is no service for datasets.
            model_framework: A name of `Model.Framework`, or another text.
            model_framework_version: The version of the framework.
            child_paths: Paths in the folder to register instead of all of it.
            sample_input_dataset: Must be None.
            sample_output_dataset: Must be None.
            resource_configuration: The machine that the model needs.
            **kwargs: Ignored.

        Returns:
            The registered model.

        Raises:
            UserError: A name or text is not valid, or datasets are given.
            SourceError: The file or folder can't be read.
        """
        _no_data(datasets, sample_input_dataset, sample_output_dataset)
        wanted = register_model.Registration(
            model_name,
            Path(model_path),
            _texts(tags),
            _texts(properties),
            description or "",
            model_framework or "",
            model_framework_version or "",
            tuple(map(str, child_paths or ())),
            resource_configuration.facts() if resource_configuration else {},
        )
        register_model.check(wanted)
        print_text(f"Registering model {model_name}")
        record = register_model.register(workspace.backend, wanted, workspace.settings, datetime.now(UTC), ignore_event)
        return Model._of(workspace, record)

    @staticmethod
    def list(
        workspace: Workspace,
        name: str | None = None,
        tags: Texts | None = None,
        properties: Texts | None = None,
        run_id: str | None = None,
        latest: bool = False,
        dataset_id: str | None = None,
        expand: bool = True,
        page_count: int = 255,
        model_framework: str | None = None,
    ) -> list[Model]:
        """Returns the models that meet the conditions, ordered by name, the newest version first."""
        _no_runs(run_id)
        _no_data(dataset_id)
        wanted = _wanted(name, tags, properties, model_framework, latest)
        return [Model._of(workspace, record) for record in find.list_models(workspace.backend, wanted)]

    @staticmethod
    def get_model_path(model_name: str, version: int | None = None, _workspace: Workspace | None = None) -> str:
        """Returns the path of a model in a container, or in ./NAME. With a workspace, the model is downloaded first.

        Raises:
            UserError: There is no such model.
        """
        if _workspace is not None:
            model = Model(_workspace, model_name, version=version)
            return model.download(f"azureml-models/{model.name}/{model.version}", exist_ok=True)
        from modelcrate_server import model_path

        try:
            return model_path.Model.get_model_path(model_name, version)
        except (model_path.ModelNotFoundException, TypeError) as fault:
            raise ModelNotFoundException(str(fault)) from None

    @staticmethod
    def package(
        workspace: Workspace,
        models: Sequence[Model | str | Path],
        inference_config: InferenceConfig | None = None,
        generate_dockerfile: bool = False,
        image_name: str | None = None,
        image_label: str | None = None,
    ) -> ModelPackage:
        """Begins to build the image of models, or a folder with a Dockerfile, and returns at once.

        Args:
            workspace: The workspace, which gets the image.
            models: Models, ids (`NAME:VERSION`), or paths, which are registered under the name of the file. Without an inference
                config it is exactly one, of a framework that needs no entry script.
            inference_config: The entry script and its environment.
            generate_dockerfile: Whether a folder with a Dockerfile is made instead of an image.
            image_name: The name of the image; by default `package`.
            image_label: The tag of the image; by default the current time.

        Returns:
            The package. Its `wait_for_creation` waits for the end.

        Raises:
            CrateError: The package can't be built; the class is the kind of cause.
        """
        from modelcrate.azureml.package import ModelPackage

        _check_scope(workspace, inference_config)
        found = [Model._resolve(workspace, each).record for each in _listed(models)]
        records = list({record.id: record for record in found}.values())  # a model that is named twice goes in once
        return ModelPackage.begin(
            workspace, records, inference_config, image_name, image_label, dockerfile=generate_dockerfile
        )

    @staticmethod
    def deploy(
        workspace: Workspace,
        name: str,
        models: Sequence[Model | str | Path],
        inference_config: InferenceConfig | None = None,
        deployment_config: DeploymentConfiguration | None = None,
        deployment_target: object = None,
        overwrite: bool = False,
        show_output: bool = False,
    ) -> LocalWebservice:
        """Builds the image of models, and starts it as a container of this machine, under the name of the service.

        Args:
            workspace: The workspace of the models.
            name: The name of the service, and of its container and image.
            models: Models, ids (`NAME:VERSION`), or paths, which are registered.
            inference_config: The entry script and its environment; None for one model that needs none.
            deployment_config: `LocalWebservice.deploy_configuration(port)`; None for any free port.
            deployment_target: Must be None: it is a machine of a cloud.
            overwrite: Whether a service of this name is replaced.
            show_output: Whether the steps of the build are printed.

        Returns:
            The service. Its `wait_for_deployment` waits until it answers.

        Raises:
            UserError: A configuration is one of a cloud, or the service exists and `overwrite` is false.
            CrateError: The image can't be built or started.
        """
        from modelcrate.azureml.local_service import LocalWebservice

        _check_scope(workspace, inference_config)
        if deployment_target is not None:
            raise CLOUD.error("a deployment target")
        config = local_configuration(deployment_config)
        found = [Model._resolve(workspace, each) for each in _listed(models)]
        return LocalWebservice.create(workspace, name, found, inference_config, config, overwrite, show_output)

    @staticmethod
    def print_configuration(
        models: Sequence[Model | str],
        inference_config: InferenceConfig | None,
        deployment_config: DeploymentConfiguration | None,
        deployment_target: object = None,
    ) -> None:
        """Prints what `deploy` would be given."""
        names = ", ".join(each.id if isinstance(each, Model) else str(each) for each in models)
        print_text(f"Models: {names or 'none'}")
        if inference_config is not None:
            print_text(f"Entry script: {inference_config.script}\nEnvironment: {inference_config.environment!r}")
        print_text(f"Deployment: {deployment_config!r}")

    def delete(self) -> None:
        """Deletes this version. Its number is not given again; images that were made of it keep its layers."""
        delete(self.workspace.backend, self.name, self.version, ignore_event)

    @staticmethod
    def deserialize(workspace: Workspace, model_payload: Mapping[str, Any]) -> Model:
        """Returns the model that `serialize` described.

        Raises:
            SourceError: The workspace has no such model.
        """
        return Model(workspace, id=str(model_payload["id"]))

    def download(self, target_dir: str = ".", exist_ok: bool = False, exists_ok: bool | None = None) -> str:
        """Writes the model's file or folder into a folder, and returns its path.

        Raises:
            UserError: The path exists, and `exist_ok` is false.
        """
        allowed = exist_ok if exists_ok is None else exists_ok
        return str(download(self.workspace.backend, self._record, Path(target_dir), exist_ok=allowed))

    def update(
        self,
        tags: Mapping[str, str] | None = None,
        description: str | None = None,
        sample_input_dataset: object = None,
        sample_output_dataset: object = None,
        resource_configuration: ResourceConfiguration | None = None,
    ) -> None:
        """Replaces all tags, the description, or the resources. Arguments that are None change nothing."""
        _no_data(sample_input_dataset, sample_output_dataset)
        record = self._record
        if tags is not None:
            record = replace(record, tags={}).tagged(_texts(tags))
        if description is not None:
            record = replace(record, description=description)
        if resource_configuration is not None:
            record = replace(record, resources=resource_configuration.facts())
        self._put(record)

    def update_tags_properties(
        self,
        add_tags: Mapping[str, str] | None = None,
        remove_tags: Sequence[str] | None = None,
        add_properties: Mapping[str, str] | None = None,
    ) -> None:
        """Adds and removes tags, and adds properties.

        Raises:
            UserError: A tag to remove does not exist, or a property exists with another value.
        """
        record = self._record.tagged(_texts(add_tags), tuple(remove_tags or ()))
        self._put(record.with_properties(_texts(add_properties)))

    def add_tags(self, tags: Mapping[str, str]) -> None:
        """Adds tags, or changes their values."""
        self.update_tags_properties(add_tags=tags)

    def remove_tags(self, tags: Sequence[str]) -> None:
        """Removes tags.

        Raises:
            UserError: The model has no such tag.
        """
        self.update_tags_properties(remove_tags=tags)

    def add_properties(self, properties: Mapping[str, str]) -> None:
        """Adds properties.

        Raises:
            UserError: A property exists with another value.
        """
        self.update_tags_properties(add_properties=properties)

    def serialize(self) -> dict[str, Any]:
        """Returns the model as a dictionary for JSON."""
        record = self._record
        return {
            "id": record.id,
            "name": record.name,
            "version": record.version,
            "description": record.description,
            "tags": self.tags,
            "properties": self.properties,
            "framework": self.model_framework,
            "frameworkVersion": self.model_framework_version,
            "createdTime": record.created.isoformat(),
        }

    @classmethod
    def _of(cls, workspace: Workspace, record: ModelRecord) -> Model:
        made = cls.__new__(cls)
        made.workspace, made._record = workspace, record
        return made

    @staticmethod
    def _resolve(workspace: Workspace, model: Model | str | Path) -> Model:
        if isinstance(model, Model):
            return model
        path = as_path("an item of models", model)
        if isinstance(model, str) and not path.exists():
            name, version = parse_model_id(model)
            return Model(workspace, name, version=version)
        return Model.register(workspace, str(model), name_of_path(path)[:30])

    def _put(self, record: ModelRecord) -> None:
        """Writes the record. Changes that another process made meanwhile are overwritten, as in the original."""
        self._record = register_model.change(self.workspace.backend, record, ignore_event)


def _listed(models: Iterable[Model | str | Path]) -> Iterable[Model | str | Path]:
    if isinstance(models, str | Path | Model) or not isinstance(models, Iterable):
        raise UserError("models are a list", hint="[model]")
    return models


def _check_scope(workspace: Workspace, config: InferenceConfig | None) -> None:
    as_one_of("workspace", workspace, Workspace, "a Workspace, such as Workspace.from_config()")
    if config is not None:
        as_one_of("inference_config", config, InferenceConfig, "InferenceConfig(entry_script='score.py', ...)")


def _chosen(
    workspace: Workspace, name: str | None, model_id: str | None, version: int | None, wanted: find.ModelQuery
) -> ModelRecord:
    if model_id is not None:
        name, version = parse_model_id(model_id)
    if name is None:
        raise UserError(
            "a model needs a name or an id", hint='expected: Model(workspace, name="my-model") or id="my-model:1"'
        )
    if version is not None or not (wanted.tags or wanted.properties or wanted.framework):
        record = find.get_model(workspace.backend, name, version)
        if not wanted.fits(record):
            raise UserError(
                f"the model {record.id} has other tags, properties or another framework",
                hint="leave them out, or name another version",
            )
        return record
    found = find.list_models(workspace.backend, wanted)
    if not found:
        raise UserError(
            f"no version of {name} has these tags, properties and framework",
            hint="Model.list(workspace, name) shows what is registered",
        )
    return found[0]


def _wanted(
    name: str | None, tags: Texts | None, properties: Texts | None, framework: str | None, latest: bool = False
) -> find.ModelQuery:
    return find.ModelQuery(name, _filter(tags), _filter(properties), framework, latest)


def _filter(texts: Texts | None) -> dict[str, str | None]:
    """Returns a filter as a mapping: `["a", ["b", "1"]]` becomes `{"a": None, "b": "1"}`."""
    if isinstance(texts, Mapping):
        return dict(texts)
    out: dict[str, str | None] = {}
    for each in texts or ():
        key, *value = [each] if isinstance(each, str) else each
        out[key] = value[0] if value else None
    return out


def _texts(values: Mapping[str, object] | None) -> dict[str, Any]:
    """Returns tags or properties whose numbers are texts: scripts give metrics as they are."""
    given = as_one_of("tags or properties", values or {}, Mapping, "a dictionary of texts")  # type: ignore[type-abstract]
    return {key: value if isinstance(value, str | Mapping | Sequence) else str(value) for key, value in given.items()}


def _no_runs(run_id: str | None) -> None:
    if run_id is not None:
        raise RUNS.error("the id of a run")


def _no_data(*datasets: object) -> None:
    if any(each is not None for each in datasets):
        raise DATA.error("a dataset of a model")
