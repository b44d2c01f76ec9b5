"""A registered model, as the original's class has it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from modelcrate.azureml.inference_config import InferenceConfig
from modelcrate.azureml.resources import ResourceConfiguration
from modelcrate.azureml.workspace import Workspace
from modelcrate.events import ignore_event
from modelcrate.pipeline import register_model
from modelcrate.project.values import model_name as name_of_path
from modelcrate.workspace import find
from modelcrate.workspace.download import download
from modelcrate.workspace.record import FRAMEWORKS, ModelRecord, parse_model_id
from modelcrate_layers.errors import UserError

if TYPE_CHECKING:
    from modelcrate.azureml.package import ModelPackage

Texts = Mapping[str, str] | Sequence[str | Sequence[str]]
"""A filter: keys, [key, value] pairs, or a mapping."""


class Framework:
    """The names of frameworks."""

    CUSTOM, TENSORFLOW, SCIKITLEARN, ONNX, TFKERAS, PYTORCH, MULTI = FRAMEWORKS


class Model:
    """A model of a workspace: by name (its latest version), by name and version, or by `id` (`NAME:VERSION`)."""

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
        **kwargs: object,
    ) -> None:
        _no_runs(run_id)
        self.workspace = workspace
        self._record = _chosen(workspace, name, id, version, _wanted(name, tags, properties, model_framework))

    def __repr__(self) -> str:
        return f"Model(workspace={self.workspace!r}, name={self.name}, id={self.id}, version={self.version}, tags={self.tags}, properties={self.properties})"

    @property
    def record(self) -> ModelRecord:
        """The same as a value."""
        return self._record

    @property
    def name(self) -> str:
        return self._record.name

    @property
    def version(self) -> int:
        return self._record.version

    @property
    def id(self) -> str:
        return self._record.id

    @property
    def tags(self) -> dict[str, str]:
        return dict(self._record.tags)

    @property
    def properties(self) -> dict[str, str]:
        return dict(self._record.properties)

    @property
    def description(self) -> str:
        return self._record.description

    @property
    def created_time(self) -> datetime:
        return self._record.created

    @property
    def model_framework(self) -> str | None:
        return self._record.framework or None

    @property
    def model_framework_version(self) -> str | None:
        return self._record.framework_version or None

    @property
    def resource_configuration(self) -> ResourceConfiguration | None:
        return ResourceConfiguration.of(dict(self._record.resources))

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
        """Register a file or folder under the next version of a name, and say so.

        `datasets` and the sample datasets belong to a service that isn't here; anything but None is refused.
        """
        for name, value in (
            ("datasets", datasets),
            ("sample_input_dataset", sample_input_dataset),
            ("sample_output_dataset", sample_output_dataset),
        ):
            if value is not None:
                raise UserError(f"{name}: there is no service of datasets here", hint="leave it out, or use properties")
        wanted = register_model.Registration(
            model_name,
            Path(model_path),
            dict(tags or {}),
            dict(properties or {}),
            description or "",
            model_framework or "",
            model_framework_version or "",
            tuple(map(str, child_paths or ())),
            resource_configuration.facts() if resource_configuration else {},
        )
        register_model.check(wanted)
        _say(f"Registering model {model_name}")
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
        """All models that fit, by name, the newest version first."""
        _no_runs(run_id or dataset_id)
        wanted = _wanted(name, tags, properties, model_framework, latest)
        return [Model._of(workspace, record) for record in find.list_models(workspace.backend, wanted)]

    @staticmethod
    def get_model_path(model_name: str, version: int | None = None, _workspace: Workspace | None = None) -> str:
        """Where a model is in a container (or in ./NAME); with a workspace, it is downloaded and its path here returned."""
        if _workspace is not None:
            model = Model(_workspace, model_name, version=version)
            return model.download(f"azureml-models/{model.name}/{model.version}", exist_ok=True)
        from modelcrate_server import model_path

        try:
            return model_path.Model.get_model_path(model_name, version)
        except (model_path.ModelNotFoundException, TypeError) as fault:
            raise UserError(str(fault)) from None

    @staticmethod
    def package(
        workspace: Workspace,
        models: Sequence[Model | str | Path],
        inference_config: InferenceConfig | None = None,
        generate_dockerfile: bool = False,
        image_name: str | None = None,
        image_label: str | None = None,
    ) -> ModelPackage:
        """Begin to build the image of these models, or the folder of a Dockerfile; the result is there at once and builds on.

        Models are Model objects, ids (`NAME:VERSION`), or paths, which are registered under their file's name. Without an inference
        config there is exactly one, of a framework that needs no entry script.
        """
        from modelcrate.azureml.package import ModelPackage

        if isinstance(models, str | Path | Model):
            raise UserError("models are a list", hint="Model.package(ws, [model], ...)")
        found = [Model._resolve(workspace, each).record for each in models]
        records = list({record.id: record for record in found}.values())  # a model that is named twice goes in once
        return ModelPackage.begin(
            workspace, records, inference_config, image_name, image_label, dockerfile=generate_dockerfile
        )

    @staticmethod
    def profile(*args: object, **kwargs: object) -> object:
        raise UserError("profiling asks a cloud service for machines", hint="run the image, and measure it there")

    @staticmethod
    def deploy(*args: object, **kwargs: object) -> object:
        raise UserError(
            "deploying asks a cloud service for machines",
            hint="package the model, and run the image: modelcrate run -p 6789:5001 IMAGE",
        )

    def download(self, target_dir: str = ".", exist_ok: bool = False, exists_ok: bool | None = None) -> str:
        """Write the model's file or folder below a folder, and return where it is."""
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
        """Other tags in the place of all there are, another description, other resources; what is None stays."""
        from dataclasses import replace

        if sample_input_dataset is not None or sample_output_dataset is not None:
            raise UserError("there is no service of datasets here")
        record = self._record
        if tags is not None:
            record = replace(record, tags={}).tagged(tags)
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
        """Tags come and go; properties are only added, and another value for a known one is refused."""
        record = self._record.tagged(add_tags or {}, tuple(remove_tags or ()))
        self._put(record.with_properties(add_properties or {}))

    def add_tags(self, tags: Mapping[str, str]) -> None:
        self.update_tags_properties(add_tags=tags)

    def remove_tags(self, tags: Sequence[str]) -> None:
        self.update_tags_properties(remove_tags=tags)

    def add_properties(self, properties: Mapping[str, str]) -> None:
        self.update_tags_properties(add_properties=properties)

    def serialize(self) -> dict[str, Any]:
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
        path = Path(model)
        if isinstance(model, str) and not path.exists():
            name, version = parse_model_id(model)
            return Model(workspace, name, version=version)
        return Model.register(workspace, str(model), name_of_path(path)[:30])

    def _put(self, record: ModelRecord) -> None:
        """What somebody else has changed meanwhile is overwritten; the last one wins, as in the original."""
        self._record = register_model.change(self.workspace.backend, record, ignore_event)


def _chosen(
    workspace: Workspace, name: str | None, model_id: str | None, version: int | None, wanted: find.ModelQuery
) -> ModelRecord:
    if model_id is not None:
        name, version = parse_model_id(model_id)
    if name is None:
        raise UserError("a model is asked for by name or id")
    if version is not None or not (wanted.tags or wanted.properties or wanted.framework):
        record = find.get_model(workspace.backend, name, version)
        if not wanted.fits(record):
            raise UserError(f"the model {record.id} has other tags, properties or another framework")
        return record
    found = find.list_models(workspace.backend, wanted)
    if not found:
        raise UserError(f"no version of {name} has these tags, properties and framework")
    return found[0]


def _wanted(
    name: str | None, tags: Texts | None, properties: Texts | None, framework: str | None, latest: bool = False
) -> find.ModelQuery:
    return find.ModelQuery(name, _filter(tags), _filter(properties), framework, latest)


def _filter(texts: Texts | None) -> dict[str, str | None]:
    """`["a", ["b", "1"]]` as `{"a": None, "b": "1"}`."""
    if isinstance(texts, Mapping):
        return dict(texts)
    out: dict[str, str | None] = {}
    for each in texts or ():
        key, *value = [each] if isinstance(each, str) else each
        out[key] = value[0] if value else None
    return out


def _no_runs(asked: str | None) -> None:
    if asked is not None:
        raise UserError("there are no runs and datasets here", hint="keep their ids in the properties of a model")


def _say(text: str) -> None:
    from modelcrate.render.stdout import print_text

    print_text(text)
