"""What a project file may say: the keys and their help, as pydantic models that turn into values.

Only `breaches`, `reading` and `schema` import this module, and late, because pydantic takes a fifth of a second to load. Each key's
description is the help that editors show, since the JSON schema is generated from here. The rules between keys are in `breaches`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import fields
from typing import Annotated, TypeVar

from pydantic import BaseModel, BeforeValidator, ConfigDict, Discriminator, Field, Tag

from modelcrate.project import values
from modelcrate.project.contracts import DEFAULT
from modelcrate.project.grammar import (
    CONTRACTS,
    AnyText,
    BaseWords,
    Channel,
    Codec,
    CondaSpec,
    ContractName,
    EnvName,
    Flag,
    Gate,
    Inside,
    JsonOrFile,
    Label,
    LogFormat,
    Module,
    Name,
    OnConflict,
    OptionalAnywhere,
    OptionalCodec,
    OptionalColumns,
    OptionalCount,
    OptionalDuration,
    OptionalInside,
    OptionalInterpreter,
    OptionalJsonOrFile,
    OptionalLayers,
    OptionalMirror,
    OptionalModelName,
    OptionalPython,
    OptionalRegistered,
    OptionalRepo,
    OptionalRevision,
    OptionalSchema,
    OptionalSize,
    OptionalStatus,
    OptionalTime,
    OptionalTorch,
    OptionalUrl,
    OptionalVersion,
    OptionalWorkdir,
    OptionalWorkspace,
    Package,
    Part,
    Pattern,
    Port,
    Requirement,
    Script,
    Server,
    Target,
    Tolerance,
    Url,
    UrlPath,
    User,
    ValidUntil,
    VariantName,
    YesNo,
    refuse,
)
from modelcrate.project.request_schema import description_text
from modelcrate.project.serving import Batch, Serving
from modelcrate_layers.frozen import replace

V = TypeVar("V")

TAGS = ("<text>", "<list>")
"""How pydantic's places name the two shapes of `requirements`; they are no keys of the file."""


def _shape(value: object) -> str | None:
    return TAGS[0] if isinstance(value, str) else TAGS[1] if isinstance(value, list) else None


def _short(key: str, *shapes: type) -> Callable[[object], object]:
    """Returns a validator for the short form of a mapping: a value of one of these shapes stands for the mapping with this one key."""

    def spelt_out(value: object) -> object:
        if value is None:
            raise refuse("no value")  # also where the form's type has a None for a key that isn't there
        return {key: value} if isinstance(value, shapes or (str,)) else value

    return spelt_out


def _listed(value: object) -> object:
    """A single text stands for the list with it."""
    return [value] if isinstance(value, str) else value


def _dependencies(value: object) -> object:
    lock = isinstance(value, str) and values.is_pylock(value)
    return _short("pylock" if lock else "requirements", str, list)(value)


class Form(BaseModel):
    """A mapping of the file: frozen, and nothing but the keys it names."""

    model_config = ConfigDict(frozen=True, extra="forbid", defer_build=True)  # of all forms one is asked to validate


class BaseForm(Form):
    """What lies below our layers, with what its kind needs."""

    origin: BaseWords = Field(alias="from", description="The base, as in the short form.")
    mirror: OptionalMirror = Field(
        None,
        description="For debian: the URL of the mirror to fetch packages from; that of debian-security after a space, if it is elsewhere.",
    )
    packages: list[Package] = Field([], description="For debian: packages on top of what Python needs.")
    interpreter: OptionalInterpreter = Field(
        None, description="Where the base's Python is, for instance /usr/bin/python3.11; default: it is looked for."
    )
    shell: Flag = Field(
        False,
        description="For debian: a shell (dash, coreutils) and pip, for RUN lines of a Dockerfile; default: false.",
    )
    valid_until: ValidUntil = Field(
        "required",
        alias="valid-until",
        description="For debian: `ignored` takes a mirror's signed index after its own last day, which is said; default: required.",
    )


class CondaForm(Form):
    """Packages of conda, solved and linked for the image's platform; takes the extra `modelcrate[conda]`."""

    packages: list[CondaSpec] = Field(description="Specifications of conda packages, such as numpy=1.26.", min_length=1)
    channels: list[Channel] = Field(
        [], description="Where they are looked for, first to last: names, URLs, folders; default: conda-forge."
    )


class DependenciesForm(Form):
    """The packages of the image."""

    requirements: Annotated[
        Annotated[Inside, Tag(TAGS[0])] | Annotated[list[Requirement], Tag(TAGS[1])], Discriminator(_shape)
    ] = Field(
        [],
        description=(
            "The requirements themselves, or a file that declares them: requirements.txt, pyproject.toml, environment.yml, or a lock "
            "(uv.lock, poetry.lock, pdm.lock, Pipfile.lock, pixi.lock), which is taken as it is."
        ),
    )
    pylock: OptionalInside = Field(None, description="A lock file (pylock.toml, PEP 751) instead of requirements.")
    wheelhouse: OptionalAnywhere = Field(
        None, description="A folder of wheels that is asked instead of an index; may be outside of the project."
    )
    index_url: OptionalUrl = Field(None, alias="index-url", description="The package index; default: PyPI.")
    extra_index_urls: list[Url] = Field([], alias="extra-index-url", description="More package indexes.")
    extras: list[Part] = Field([], description="Extras of the file's project to install, too.")
    groups: list[Part] = Field(
        [], description="Groups of dependencies of the file to install, too; of a pixi.lock, its environment."
    )
    project: YesNo = Field(
        False,
        description="Whether the project's own package (pyproject.toml beside the project file) is built into a wheel and installed.",
    )
    torch: OptionalTorch = Field(
        None,
        description="Which builds of PyTorch: cpu, cu126, ... or auto, which looks at this machine; default: the index's.",
    )
    on_conflict: OnConflict = Field(
        "refuse",
        alias="on-conflict",
        description="What becomes of a file that two packages own with different bytes: refuse, or last, as pip does; default: refuse.",
    )
    layers: OptionalLayers = Field(
        None,
        description=(
            "The most layers of wheels: a layer for each wheel, and the last one for the lightest that are left; default: one for each "
            "wheel of 4 MiB and more, at most 24 in all."
        ),
    )
    conda: Annotated[
        CondaForm | None, BeforeValidator(_short("packages", list), json_schema_input_type=list[CondaSpec] | CondaForm)
    ] = Field(None, description="Packages of conda: a list, or a mapping with packages and channels.")


class ModelForm(Form):
    """One model: a file or folder, a registered one, or one of a hub."""

    model_config = ConfigDict(
        json_schema_extra={
            "oneOf": [{"required": ["path"]}, {"required": ["registered"]}, {"required": ["hf"]}]
        }  # else no editor would say so
    )
    path: OptionalInside = Field(None, description="The model's file or folder; a folder's tree is kept.")
    registered: OptionalRegistered = Field(
        None, description="Instead of a path: a model of the workspace, NAME or NAME:VERSION; default: its latest."
    )
    hf: OptionalRepo = Field(
        None, description="Instead of a path: a model of a hub, ORG/NAME; from its local cache, else from HF_ENDPOINT."
    )
    revision: OptionalRevision = Field(
        None, description="For hf: a commit, or a branch or tag that the lock pins to its commit; default: main."
    )
    files: list[Pattern] = Field(
        [],
        description="For hf: patterns of the files that are taken, such as *.json; default: one form of the weights and what belongs to it.",
    )
    name: OptionalModelName = Field(None, description="The registered name; default: from the file name.")
    version: OptionalVersion = Field(
        None, description="The registered version; default: 1.", json_schema_extra={"default": 1}
    )


class EntryForm(Form):
    """The entry script, and the folder that goes into the image with it."""

    script: Script = Field(description="The script that defines init() and run(data); relative to the source folder.")
    source: OptionalInside = Field(None, description="The folder to package; without one the script goes alone.")


class CodecForm(Form):
    """How layers are stored, by role."""

    default: Codec = Field("auto", description="For roles that are not named here; default: auto.")
    base: OptionalCodec = Field(None, description="For the base's layer, where we make it.")
    dependencies: OptionalCodec = Field(None, description="For the layers of wheels.")
    models: OptionalCodec = Field(None, description="For the layers of models.")
    entry: OptionalCodec = Field(None, description="For the layer of the entry script.")


class GatesForm(Form):
    """What is looked for before a build, and what becomes of it."""

    unsafe_pickle: Gate = Field(
        "warn",
        alias="unsafe-pickle",
        description="Pickles with names that no list has; default: warn. What runs code or can't be read to its end is refused, unless this is allow.",
    )
    secrets: Gate = Field("refuse", description="Keys, tokens and passwords in files of the image; default: refuse.")
    versions: Gate = Field(
        "warn",
        description="A model that names another version of its library than the image gets; default: warn. Where loading is known to fail, it is refused, unless this is allow.",
    )
    imports: Gate = Field(
        "refuse",
        description="A module that the entry script or a pickle imports, and nothing in the image has; default: refuse.",
    )
    allow: list[Module] = Field([], description="Modules, or module:Name, that pickles may name beyond the lists.")
    model_keys: list[Inside] = Field(
        [],
        alias="model-keys",
        description="Public keys, one of which has to have signed every model (OpenSSF model signatures).",
    )


class TestForm(Form):
    """A golden request: what the image is sent, and what it has to answer."""

    request: JsonOrFile = Field(
        description="JSON, a file of it, or a folder of pairs NAME.request.json and NAME.response.json."
    )
    answer: OptionalJsonOrFile = Field(
        None, alias="expect", description="The answer: JSON, or a file of it; without one, only the status counts."
    )
    tolerance: Tolerance = Field(
        values.DEFAULT_TOLERANCE,
        description="How far numbers may be off, relative, and absolute near zero; default: 1e-6.",
        json_schema_extra={"default": values.DEFAULT_TOLERANCE},
    )
    path: UrlPath = Field("", description="The path to send it to; default: that of the first contract.")
    status: OptionalStatus = Field(None, description="The status of the answer; default: any of 200 to 299.")


class BatchForm(Form):
    """Requests that are answered together: run() gets a list of inputs, and returns a list of results in the same order."""

    most: OptionalCount = Field(alias="max", description="How many requests at once, at most.")
    wait: OptionalDuration = Field(
        None, description="How long the first one waits for others, while more are likely; default: 5ms."
    )


class ServerForm(Form):
    """Who answers requests, and how."""

    origin: Server = Field("modelcrate", alias="from", description="The server, as in the short form.")
    workers: OptionalCount = Field(None, description="Processes, each with the model in memory; default: 1.")
    threads: OptionalCount = Field(
        None, description="Threads of each worker in which run is called at the same time; default: 1, the main thread."
    )
    timeout: OptionalDuration = Field(
        None,
        description="How long one run may take, such as 30s; then it is ended, and the answer is 500; default: 1h.",
    )
    max_requests: OptionalCount = Field(
        None,
        alias="max-requests",
        description="Requests after which a worker is replaced by a new one; default: never.",
    )
    preload: Flag = Field(
        False, description="init is called once, before the workers are forked, which share its memory; default: false."
    )
    batch: BatchForm | None = Field(None, description="Answers requests together that come at the same time.")
    validate_input: Flag = Field(
        False,
        alias="validate",
        description="Input that does not fit the script's schema is refused with 400 and the reason; default: false.",
    )
    metrics: Flag = Field(False, description="GET /metrics tells counts and times, for Prometheus; default: false.")
    log_format: LogFormat = Field("text", alias="log-format", description="text, or json: each line is an object.")


class SchemaForm(Form):
    """What the entry script takes and gives: shown at /docs and /swagger.json, and held with `server: {validate: true}`."""

    columns: OptionalColumns = Field(
        None,
        description='The columns of a table and their types, such as {age: integer, mass: number}: a request is {"data": [{"age": 42, "mass": 70.5}]}.',
    )
    takes: OptionalSchema = Field(
        None, alias="input", description="Instead of columns: the JSON schema of a request, an object."
    )
    gives: OptionalSchema = Field(None, alias="output", description="The JSON schema of an answer, for its readers.")


AnyBase = Annotated[BaseForm, BeforeValidator(_short("from"), json_schema_input_type=BaseWords | BaseForm)]
AnyDependencies = Annotated[
    DependenciesForm,
    BeforeValidator(_dependencies, json_schema_input_type=Inside | list[Requirement] | DependenciesForm),
]
AnyServer = Annotated[ServerForm, BeforeValidator(_short("from"), json_schema_input_type=Server | ServerForm)]


class VariantForm(Form):
    """Another image of the project, in the same index: what differs; all else is the project's."""

    name: VariantName = Field(
        description="What it is called: --variant NAME chooses it, and pushed to REF it has the tag REF-NAME, too."
    )
    platforms: list[Target] = Field(
        [], description="Those of the project's platforms that it is for; default: all.", min_length=1
    )
    python: OptionalPython = Field(None, description="Its Python version; default: the project's.")
    base: AnyBase = Field(
        default_factory=lambda: BaseForm.model_validate({"from": "debian"}),
        description="What lies below; default: the project's.",
    )
    dependencies: AnyDependencies = Field(
        default_factory=lambda: DependenciesForm.model_validate({}),
        description="Its packages, as in the project. Of a mapping, the keys that are given replace the project's.",
    )
    env: dict[EnvName, AnyText] = Field({}, description="Environment variables, over those of the project.")
    labels: dict[Label, AnyText] = Field({}, description="Labels, over those of the project.")
    server: AnyServer = Field(
        default_factory=lambda: ServerForm.model_validate({}),
        description="Settings of the server; the keys that are given replace the project's.",
    )


class ProjectForm(Form):
    """The project file of modelcrate: what goes into the image."""

    model_config = ConfigDict(title="modelcrate.yaml")

    name: Name = Field(description="The project's name; the image is named after it.")
    python: OptionalPython = Field(None, description="The Python version, such as 3.11; default: the base's.")
    platforms: list[Target] = Field(
        default_factory=lambda: [values.DEFAULT_PLATFORM],
        description="What to build for: linux/amd64 (default), linux/arm64, or both.",
        json_schema_extra={"default": ["linux/amd64"]},
        min_length=1,
    )
    base: AnyBase = Field(
        default_factory=lambda: BaseForm.model_validate({"from": "debian"}),
        description=(
            "What lies below: debian (default), debian:trixie, an image reference, oci:DIR[:TAG], oci-archive:FILE[:TAG], "
            "docker-archive:FILE[:NAME], rootfs:FILE.tar[.gz|.xz|.zst] or scratch; or a mapping with from and more."
        ),
        json_schema_extra={"default": "debian"},
    )
    dependencies: AnyDependencies = Field(
        default_factory=lambda: DependenciesForm.model_validate({}),
        description="A file that declares dependencies (of pip, uv, Poetry, PDM, Pipenv, conda or pixi), a list of requirements, or a mapping.",
        json_schema_extra={"default": []},
    )
    models: list[Annotated[ModelForm, BeforeValidator(_short("path"), json_schema_input_type=Inside | ModelForm)]] = (
        Field([], description="The model files and folders.")
    )
    entry: Annotated[EntryForm | None, BeforeValidator(_short("script"), json_schema_input_type=Script | EntryForm)] = (
        Field(
            None,
            description=(
                "The entry script, or a mapping with source and script. One model of a known framework does without; so do models "
                "alone, over another's base."
            ),
        )
    )
    command: list[AnyText] = Field(
        [],
        description="Instead of an entry script: the program that the container starts, and its arguments, such as [uvicorn, app:app].",
    )
    source: OptionalInside = Field(None, description="With a command: the folder that goes into the image with it.")
    ports: list[Port] = Field([], description="With a command: the ports that it listens on.")
    workdir: OptionalWorkdir = Field(
        None, description="With a command: the folder in which it starts; default: that of the sources."
    )
    health: UrlPath = Field(
        "", description="With a command: the path that answers with 200 to 299 once it is ready, such as /healthz."
    )
    server: AnyServer = Field(
        default_factory=lambda: ServerForm.model_validate({}),
        description=(
            "Who answers requests: modelcrate's server (default), azureml: Microsoft's azureml-inference-server-http, or none: a command; "
            "or a mapping with from, workers, threads, timeout and more."
        ),
        json_schema_extra={"default": "modelcrate"},
    )
    request_schema: SchemaForm | None = Field(
        None,
        alias="schema",
        description="What the entry script takes and gives, where it has no decorators that say so: columns, or JSON schemas.",
    )
    contracts: list[ContractName] = Field(
        default_factory=lambda: [DEFAULT],
        description=f"Whose protocols the container speaks: {', '.join(CONTRACTS)}; default: {DEFAULT}.",
        json_schema_extra={"default": [DEFAULT]},
        min_length=1,
    )
    env: dict[EnvName, AnyText] = Field({}, description="Environment variables of the image.")
    labels: dict[Label, AnyText] = Field({}, description="Labels of the image.")
    user: User = Field(values.DEFAULT_USER, description="Who runs in the container, uid[:gid]; default: 10001:0.")
    codec: Annotated[CodecForm, BeforeValidator(_short("default"), json_schema_input_type=Codec | CodecForm)] = Field(
        default_factory=lambda: CodecForm.model_validate({}),
        description="How layers are stored: auto (wheels as gzip of their own deflated files, which compresses nothing; else zstd for what compresses, and none), fast (nothing is compressed: wheels as under auto, else none), small (zstd of level 9 for what compresses, else none), gzip, zstd, none; or, for consumers that refuse plain tars and zstd, stored (gzip that packs nothing) and auto-gzip (wheels as under auto; else gzip for what compresses, and stored); estargz (wheels with a table of their files, for runtimes that fetch a file when it is opened; else as auto-gzip) and zstd:chunked (zstd with a table of the files, for runtimes that fetch what they lack of a layer); or by role.",
        json_schema_extra={"default": "auto"},
    )
    bytecode: YesNo = Field(
        False,
        description="Whether the image has bytecode of its modules, compiled by its own Python: it starts faster, and its first build takes longer; default: false. For Debian and Ubuntu bases of ours.",
    )
    modelcar: YesNo = Field(
        False,
        description="Whether the models are below /models, too, so that -o modelcar:REF and -o modelpack-tar:REF have the image's own layers; default: false. Layers of models are not compressed then, unless codec says gzip.",
    )
    created: OptionalTime = Field(None, description="The image's creation time; it never touches a layer.")
    workspace: OptionalWorkspace = Field(
        None, description="Where registered models are: a folder, or HOST/PREFIX of a registry."
    )
    max_size: OptionalSize = Field(
        None,
        alias="max-size",
        description="The most that the image may have, such as 2GB: a larger one is refused, before anything is fetched where sizes are known.",
    )
    max_layer_growth: OptionalSize = Field(
        None,
        alias="max-layer-growth",
        description="The most by which a layer may be larger than in the image before, such as 50MB; all of a new layer counts. The image before is what the target has, or --against.",
    )
    tests: Annotated[
        list[Annotated[TestForm, BeforeValidator(_short("request"), json_schema_input_type=JsonOrFile | TestForm)]],
        BeforeValidator(_listed, json_schema_input_type=JsonOrFile | list[JsonOrFile | TestForm]),
    ] = Field(
        [],
        description="Golden requests, which travel beside the image: a folder of them, or a list. `modelcrate test` sends them to the image.",
    )
    variants: list[VariantForm] = Field(
        [],
        description="Other images of the project, such as one for GPUs, in one index with it; the project itself comes first, and is what an engine takes.",
    )
    gates: GatesForm = Field(
        default_factory=lambda: GatesForm.model_validate({}),
        description="What is looked for before a build: unsafe pickles, secrets, versions that don't go together.",
        json_schema_extra={"default": {}},
    )


FORMS: Mapping[tuple[str, ...], tuple[str, type[Form]]] = {
    (): ("the project", ProjectForm),
    ("base",): ("the base", BaseForm),
    ("dependencies",): ("the dependencies", DependenciesForm),
    ("dependencies", "conda"): ("the conda packages", CondaForm),
    ("models",): ("a model", ModelForm),
    ("entry",): ("the entry", EntryForm),
    ("codec",): ("the codec", CodecForm),
    ("server",): ("the server", ServerForm),
    ("server", "batch"): ("the batch", BatchForm),
    ("schema",): ("the schema", SchemaForm),
    ("tests",): ("a test", TestForm),
    ("gates",): ("the gates", GatesForm),
    ("variants",): ("a variant", VariantForm),
    ("variants", "base"): ("the base", BaseForm),
    ("variants", "dependencies"): ("the dependencies", DependenciesForm),
    ("variants", "dependencies", "conda"): ("the conda packages", CondaForm),
    ("variants", "server"): ("the server", ServerForm),
    ("variants", "server", "batch"): ("the batch", BatchForm),
}
"""The mappings of the file by where they stand (positions in lists left out), and what they are called in a message."""


def keys(form: type[Form]) -> tuple[str, ...]:
    """Returns the keys that a mapping may have, as the file spells them."""
    return tuple(field.alias or name for name, field in form.model_fields.items())


def model_value(form: ModelForm) -> values.AnyModel:
    """Returns what one model of a form without violations means."""
    if form.hf is not None:
        name = form.name or form.hf.rpartition("/")[2]
        return values.HubModel(form.hf, name, form.revision, tuple(form.files), form.version or 1)
    if form.registered is not None:
        return form.registered
    assert form.path is not None, "the rules between keys have seen to it"
    return values.Model(form.path, form.name or values.model_name(form.path), form.version or 1)


def variant_form(form: ProjectForm, variant: VariantForm) -> ProjectForm:
    """Returns the form of the project that a variant is: what the variant gives, over the project."""
    given = {key: getattr(variant, key) for key in variant.model_fields_set - {"name"}}
    for key in given.keys() & {"env", "labels"}:
        given[key] = {**getattr(form, key), **given[key]}
    if "server" in given:
        given["server"] = _over(form.server, given["server"])
    if "dependencies" in given:
        needs: Form = form.dependencies
        if given["dependencies"].model_fields_set & {
            "requirements",
            "pylock",
        }:  # what belongs to the project's own file
            file: dict[str, object] = {"requirements": [], "pylock": None, "extras": [], "groups": []}
            needs = needs.model_copy(update=file)
        given["dependencies"] = _over(needs, given["dependencies"])
    return form.model_copy(update={**given, "variants": []})


def _over(form: Form, other: Form) -> Form:
    """Returns a mapping with the keys that another one gives in the place of its own."""
    return form.model_copy(update={key: getattr(other, key) for key in other.model_fields_set})


def _variant_value(form: ProjectForm, variant: VariantForm) -> values.Variant:
    made = value_of(variant_form(form, variant))
    of_project = (each.name for each in fields(values.Variant) if each.name != "name")
    return values.Variant(variant.name, **{name: getattr(made, name) for name in of_project})


def value_of(form: ProjectForm) -> values.Project:
    """Returns what a form without violations means."""
    needs = form.dependencies
    conda = _value(values.Conda, needs.conda) if needs.conda else None
    return _value(
        values.Project,
        form,
        entry=_value(values.Entry, form.entry) if form.entry else None,
        models=tuple(map(model_value, form.models)),
        base=_base_value(form.base),
        dependencies=_value(values.Dependencies, needs, conda=conda),
        codecs=_value(values.Codecs, form.codec),
        gates=_value(values.Gates, form.gates),
        tests=tuple(_value(values.GoldenTest, each) for each in form.tests),
        server=form.server.origin,
        serving=_serving(form.server, form.request_schema),
        command=_value(values.Command, form, argv=tuple(form.command), alias=None) if form.command else None,
        variants=tuple(_variant_value(form, each) for each in form.variants),
    )


def _value(kind: type[V], form: Form, **given: object) -> V:
    """Returns the value whose fields have the names of the form's; a list becomes a tuple. `given` are fields that mean something else."""
    names = [each.name for each in fields(kind) if each.name not in given]  # type: ignore[arg-type]  # values are dataclasses
    plain = {name: getattr(form, name) for name in names}
    return kind(**given, **{name: tuple(each) if isinstance(each, list) else each for name, each in plain.items()})


def _serving(form: ServerForm, schema: SchemaForm | None) -> Serving:
    described = "" if schema is None else description_text(schema.columns or schema.takes or {}, schema.gives or {})
    batch = None
    if form.batch is not None:
        assert form.batch.most is not None, "the key has to be there"
        batch = Batch(form.batch.most, 5 if form.batch.wait is None else form.batch.wait)
    return _value(Serving, form, validate=form.validate_input, batch=batch, description=described)


def _base_value(form: BaseForm) -> values.Base:
    if isinstance(form.origin, values.DebianBase):
        return replace(
            form.origin,
            mirror=form.mirror,
            packages=tuple(form.packages),
            interpreter=form.interpreter,
            shell=form.shell,
            valid_until=form.valid_until,
        )
    return replace(form.origin, interpreter=form.interpreter)
