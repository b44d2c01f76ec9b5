"""What a project file may say: the keys, their help and their grammar, as pydantic models that turn into values.

Only `reading` and `schema` import this module, and late, because pydantic takes a fifth of a second to load. Each key's description is the
help that editors show, since the JSON schema is generated from here. Every scalar comes as text (see `document`).
"""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path, PurePosixPath
from typing import Annotated, Any

from pydantic import BaseModel, BeforeValidator, ConfigDict, Discriminator, Field, Tag
from pydantic import GetCoreSchemaHandler as CoreHandler
from pydantic import GetJsonSchemaHandler as JsonHandler
from pydantic import ValidationInfo as Info
from pydantic_core import CoreSchema, PydanticCustomError, core_schema

from modelcrate.project import values
from modelcrate_layers.content import Platform
from modelcrate_layers.errors import UserError

OURS = "modelcrate"
"""The type of the errors whose message is already in our words; the context may have a `hint`."""

_PACKAGE = r"[a-z0-9][a-z0-9+.-]+"
_TAG = r"[A-Za-z0-9_][A-Za-z0-9_.-]{0,127}"
_UID = r"([0-9]{1,10}|[a-z_][a-z0-9_-]{0,31})"
_HOST = r"([A-Za-z0-9]([A-Za-z0-9-]*[A-Za-z0-9])?(\.[A-Za-z0-9]([A-Za-z0-9-]*[A-Za-z0-9])?)*|\[[0-9a-fA-F:]+\])(:[0-9]{1,5})?"
_PART = r"[a-z0-9]+((\.|_|__|-+)[a-z0-9]+)*"
_REFERENCE = rf"({_HOST}/)?{_PART}(/{_PART})*(:{_TAG})?(@sha256:[0-9a-f]{{64}})?"
_TIME = r"[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}(Z|[+-][0-9]{2}:[0-9]{2})"
_ARCHIVES: Mapping[str, Callable[[Path, PurePosixPath | None], values.Base]] = {
    "oci-archive": values.OciArchiveBase,
    "docker-archive": values.DockerArchiveBase,
    "rootfs": values.RootfsBase,
}


def refuse(what: str, hint: str = "") -> PydanticCustomError:
    """A fault in our words; braces of the file's text are not a template."""
    return PydanticCustomError(OURS, "{what}", {"what": what, "hint": hint})


@dataclass(frozen=True, slots=True)
class Text:
    """The grammar of a text: a pattern, and what it wants in words; `check` says what a pattern can't and gives the value.

    Numbers and booleans of YAML are texts here, so the schema lets them pass: `python: 3.11` needs no quotes.
    """

    expected: str
    pattern: str = ""
    check: Callable[[str, Info], object] | None = None

    def __get_pydantic_core_schema__(self, source: object, handler: CoreHandler) -> CoreSchema:
        return core_schema.with_info_after_validator_function(self._checked, core_schema.str_schema(strict=True))

    def __get_pydantic_json_schema__(self, schema: CoreSchema, handler: JsonHandler) -> dict[str, Any]:
        shape: dict[str, Any] = {"type": ["string", "number", "boolean"]}
        return {**shape, "pattern": f"^(?:{self.pattern})$"} if self.pattern else shape

    def _checked(self, text: str, info: Info) -> object:
        if self.pattern and not re.fullmatch(self.pattern, text):
            raise refuse(f"{text if len(text) < 80 else text[:77] + '...'!r} is not {self.expected}")
        return self.check(text, info) if self.check else text


def _path(text: str, info: Info) -> Path:
    """A path on this machine, wherever it leads."""
    if not text.strip() or not text.isprintable() or len(text.encode()) > 4096:
        raise refuse(f"{text[:80]!r} is not a path")
    return Path(text)


def _inside(text: str, info: Info) -> Path:
    """A path that stays in the project's folder, also through links where the folder is known (the validation's context)."""
    path = _path(text, info)
    if path.is_absolute():
        raise refuse(f"{text!r} is an absolute path", "paths are relative to the folder of the project file")
    if ".." in path.parts:
        raise refuse(f"{text!r} leads out of the project", "paths stay in the folder of the project file")
    if isinstance(info.context, Path):
        folder, target = os.path.realpath(info.context), os.path.realpath(info.context / path)
        if not Path(target).is_relative_to(folder):
            raise refuse(f"{text!r} is a link that leads out of the project", "copy what it points to into the project")
    return path


def _script(text: str, info: Info) -> Path:
    path = _inside(text, info)
    if path.suffix != ".py" or not path.stem:
        raise refuse(f"{text!r} is not a Python file", "the entry script is a .py file with init and run")
    return path


def _url(text: str, info: Info) -> str:
    if "@" in text.split("/")[2]:
        raise refuse("a user or password stands in the URL", "this file is no place for secrets; use ~/.netrc")
    return text


def _requirement(text: str, info: Info) -> str:
    from packaging.requirements import InvalidRequirement, Requirement

    try:
        Requirement(text)
    except InvalidRequirement:
        raise refuse(f"{text[:80]!r} is not a requirement", "expected for instance scikit-learn==1.9.1") from None
    return text


def _platform(text: str, info: Info) -> Platform:
    try:
        return Platform.parse(text)
    except UserError as fault:
        raise refuse(fault.what, fault.hint) from None


def _version(text: str, info: Info) -> int:
    return int(text)


def _user(text: str, info: Info) -> str:
    if any(part.isdigit() and int(part) > 2**32 - 2 for part in text.split(":")):
        raise refuse(f"{text!r} is not a user: ids go up to {2**32 - 2}")
    return text


def _created(text: str, info: Info) -> datetime:
    try:
        moment = datetime.fromisoformat(text).astimezone(UTC)
    except (ValueError, OverflowError):
        raise refuse(f"{text!r} is not a time of the calendar") from None
    if moment.year < 1970:
        raise refuse(f"{text!r} is before 1970")
    return moment


def _interpreter(text: str, info: Info) -> PurePosixPath:
    path = PurePosixPath(_path(text, info))
    if not path.is_absolute() or ".." in path.parts:
        raise refuse(f"{text!r} is not an absolute path in the image", "expected for instance /usr/bin/python3.11")
    return path


def _base(text: str, info: Info) -> values.Base:
    """A base by its words: a kind and where it is, else a reference."""
    kind, colon, rest = text.partition(":")
    if kind == "debian":
        if colon and not re.fullmatch(r"[a-z]+", rest):
            raise refuse(f"{rest!r} is not the name of a Debian release", "expected for instance debian:bookworm")
        return values.DebianBase(rest or None)
    if text == "scratch":
        return values.ScratchBase()
    if kind == "oci":
        folder, _, tag = rest.rpartition(":")
        tagged = bool(folder) and re.fullmatch(_TAG, tag) is not None
        return values.LayoutBase(_path(folder if tagged else rest, info), tag if tagged else None)
    if kind in _ARCHIVES:
        return _ARCHIVES[kind](_path(rest, info), None)
    if not re.fullmatch(_REFERENCE, text):
        kinds = "debian[:RELEASE], an image reference, oci:DIR, oci-archive:FILE, docker-archive:FILE, rootfs:FILE or scratch"
        raise refuse(f"{text[:80]!r} is not a base", f"expected {kinds}")
    return values.RegistryBase(text)


Name = Annotated[
    str,
    Text("a name: lower-case letters and digits, with . _ or - between", r"(?=.{1,128}$)[a-z0-9]+([._-]+[a-z0-9]+)*"),
]
Python = Annotated[str, Text("a Python version with two numbers, such as 3.11", r"3\.[0-9]{1,2}")]
Target = Annotated[Platform, Text("a platform such as linux/amd64", r"[a-z0-9]+/[a-z0-9]+(/[a-z0-9]+)?", _platform)]
Reference = Annotated[values.Base, Text("a base", check=_base)]
Url = Annotated[str, Text("an http or https URL", r"https?://[^\s/?#]+[^\s]*", _url)]
Package = Annotated[str, Text("the name of a Debian package", _PACKAGE)]
Interpreter = Annotated[PurePosixPath, Text("a path", check=_interpreter)]
Requirement = Annotated[str, Text("a requirement", check=_requirement)]
Inside = Annotated[Path, Text("a path", check=_inside)]
Anywhere = Annotated[Path, Text("a path", check=_path)]
Script = Annotated[Path, Text("a Python file", check=_script)]
ModelName = Annotated[
    str, Text("a model name: letters, digits, - . and _, a letter or digit first", r"[A-Za-z0-9][A-Za-z0-9._-]{0,254}")
]
Version = Annotated[int, Text("a version: a whole number from 1", r"[1-9][0-9]{0,8}", _version)]
EnvName = Annotated[str, Text("the name of a variable: letters, digits and _", r"[A-Za-z_][A-Za-z0-9_]*")]
EnvValue = Annotated[str, Text("a text")]
Label = Annotated[str, Text("a label: no spaces at its ends, no line breaks", r"[^\s]([^\r\n]*[^\s])?")]
User = Annotated[str, Text("uid[:gid], numbers or names", f"{_UID}(:{_UID})?", _user)]
Created = Annotated[datetime, Text("a time such as 2026-01-01T00:00:00Z", _TIME, _created)]
Codec = Annotated[values.Codec, Text("a codec: auto, gzip, zstd or none", "auto|gzip|zstd|none")]


TAGS = ("<text>", "<list>")
"""How pydantic's places name the two shapes of `requirements`; they are no keys of the file."""


def _shape(value: object) -> str | None:
    return TAGS[0] if isinstance(value, str) else TAGS[1] if isinstance(value, list) else None


def _short(key: str, *shapes: type) -> Callable[[object], object]:
    """The short form of a mapping: a value of one of these shapes stands for the mapping with this one key."""
    return lambda value: {key: value} if isinstance(value, shapes or (str,)) else value


def _dependencies(value: object) -> object:
    lock = isinstance(value, str) and re.fullmatch(r"(.*/)?pylock(\.[^/.]+)?\.toml", value) is not None
    return _short("pylock" if lock else "requirements", str, list)(value)


class Form(BaseModel):
    """A mapping of the file: frozen, and nothing but the keys it names."""

    model_config = ConfigDict(frozen=True, extra="forbid")


class BaseForm(Form):
    """What lies below our layers, with what its kind needs."""

    origin: Reference = Field(alias="from", description="The base, as in the short form.")
    mirror: Url | None = Field(None, description="For debian: the URL of the mirror to fetch packages from.")
    packages: list[Package] = Field([], description="For debian: packages on top of what Python needs.")
    interpreter: Interpreter | None = Field(
        None, description="Where the base's Python is, for instance /usr/bin/python3.11; default: it is looked for."
    )


class DependenciesForm(Form):
    """The Python packages of the image."""

    requirements: Annotated[
        Annotated[Inside, Tag(TAGS[0])] | Annotated[list[Requirement], Tag(TAGS[1])], Discriminator(_shape)
    ] = Field([], description="A requirements file, or the requirements themselves.")
    pylock: Inside | None = Field(None, description="A lock file (pylock.toml, PEP 751) instead of requirements.")
    wheelhouse: Anywhere | None = Field(
        None, description="A folder of wheels that is asked instead of an index; may be outside of the project."
    )
    index_url: Url | None = Field(None, alias="index-url", description="The package index; default: PyPI.")
    extra_index_url: list[Url] = Field([], alias="extra-index-url", description="More package indexes.")


class ModelForm(Form):
    """One model file or folder."""

    path: Inside = Field(description="The model's file or folder; a folder's tree is kept.")
    name: ModelName | None = Field(None, description="The registered name; default: from the file name.")
    version: Version = Field(1, description="The registered version; default: 1.")


class EntryForm(Form):
    """The entry script, and the folder that goes into the image with it."""

    script: Script = Field(description="The script that defines init() and run(data); relative to the source folder.")
    source: Inside | None = Field(None, description="The folder to package; without one the script goes alone.")


class CodecForm(Form):
    """How layers are stored, by role."""

    default: Codec = Field("auto", description="For roles that are not named here; default: auto.")
    base: Codec | None = Field(None, description="For the base's layer, where we make it.")
    dependencies: Codec | None = Field(None, description="For the layers of wheels.")
    models: Codec | None = Field(None, description="For the layers of models.")
    entry: Codec | None = Field(None, description="For the layer of the entry script.")


class ProjectForm(Form):
    """The project file of modelcrate: what goes into the image."""

    model_config = ConfigDict(title="modelcrate.yaml")

    name: Name = Field(description="The project's name; the image is named after it.")
    python: Python | None = Field(None, description="The Python version, such as 3.11; default: the base's.")
    platforms: list[Target] = Field(
        [values.DEFAULT_PLATFORM],
        description="What to build for: linux/amd64 (default), linux/arm64, or both.",
        json_schema_extra={"default": ["linux/amd64"]},
        min_length=1,
    )
    base: Annotated[BaseForm, BeforeValidator(_short("from"), json_schema_input_type=Reference | BaseForm)] = Field(
        BaseForm.model_validate({"from": "debian"}),
        description=(
            "What lies below: debian (default), debian:trixie, an image reference, oci:DIR[:TAG], oci-archive:FILE, "
            "docker-archive:FILE, rootfs:FILE.tar[.gz|.xz|.zst] or scratch; or a mapping with from and more."
        ),
        json_schema_extra={"default": "debian"},
    )
    dependencies: Annotated[
        DependenciesForm,
        BeforeValidator(_dependencies, json_schema_input_type=Inside | list[Requirement] | DependenciesForm),
    ] = Field(
        DependenciesForm.model_validate({}),
        description="A requirements file, a pylock.toml, a list of requirements, or a mapping.",
        json_schema_extra={"default": []},
    )
    models: list[Annotated[ModelForm, BeforeValidator(_short("path"), json_schema_input_type=Inside | ModelForm)]] = (
        Field([], description="The model files and folders.")
    )
    entry: Annotated[EntryForm, BeforeValidator(_short("script"), json_schema_input_type=Script | EntryForm)] | None = (
        Field(None, description="The entry script, or a mapping with source and script; only scratch can do without.")
    )
    env: dict[EnvName, EnvValue] = Field({}, description="Environment variables of the image.")
    labels: dict[Label, EnvValue] = Field({}, description="Labels of the image.")
    user: User = Field(values.DEFAULT_USER, description="Who runs in the container, uid[:gid]; default: 10001:0.")
    codec: Annotated[CodecForm, BeforeValidator(_short("default"), json_schema_input_type=Codec | CodecForm)] = Field(
        CodecForm.model_validate({}),
        description="How layers are stored: auto (zstd for what compresses, else none), gzip, zstd, none; or by role.",
        json_schema_extra={"default": "auto"},
    )
    created: Created | None = Field(None, description="The image's creation time; it never touches a layer.")


FORMS: Mapping[tuple[str, ...], tuple[str, type[Form]]] = {
    (): ("the project", ProjectForm),
    ("base",): ("the base", BaseForm),
    ("dependencies",): ("the dependencies", DependenciesForm),
    ("models",): ("a model", ModelForm),
    ("entry",): ("the entry", EntryForm),
    ("codec",): ("the codec", CodecForm),
}
"""The mappings of the file by where they stand (positions in lists left out), and what they are called in a message."""


def keys(form: type[Form]) -> tuple[str, ...]:
    """The keys that a mapping may have, as the file spells them."""
    return tuple(field.alias or name for name, field in form.model_fields.items())


@dataclass(frozen=True, slots=True)
class Breach:
    """A rule between keys that is broken, at the key where it shows."""

    path: tuple[str | int, ...]
    what: str
    hint: str = ""


def breaches(form: ProjectForm, given: frozenset[str]) -> Iterator[Breach]:
    """The rules between keys, over a form whose keys are right by themselves; `given` are the keys that the file has."""
    base, needs = form.base, form.dependencies
    debian = isinstance(base.origin, values.DebianBase)
    if "entry" not in given and not isinstance(base.origin, values.ScratchBase):
        yield Breach((), "'entry' is missing", "the script that defines init and run, for instance entry: score.py")
    for place, platform in enumerate(form.platforms):
        if debian and platform not in values.DEBIAN_PLATFORMS:
            hint = f"expected {' or '.join(map(str, values.DEBIAN_PLATFORMS))}; or choose another base"
            yield Breach(("platforms", place), f"a Debian base can't be made for {platform}", hint)
        if platform in form.platforms[:place]:
            yield Breach(("platforms", place), f"{platform} stands twice")
    for key in ("mirror", "packages"):
        if getattr(base, key) and not debian:
            yield Breach(("base", key), f"'{key}' is for a Debian base only", f"this base is {base.origin}")
    if needs.requirements and needs.pylock:
        hint = "keep one: a pylock says it all, requirements are locked by us"
        yield Breach(("dependencies", "pylock"), "requirements and a pylock at once", hint)
    yield from _model_breaches(form.models)


def _model_breaches(models: list[ModelForm]) -> Iterator[Breach]:
    seen: set[tuple[str, int]] = set()
    for place, model in enumerate(models):
        name = model.name or values.model_name(model.path)
        if not name:
            yield Breach(
                ("models", place), f"no name can be made of {str(model.path)!r}", "give it one: name: my-model"
            )
        elif (name, model.version) in seen:
            hint = "give one of them another name or version"
            yield Breach(("models", place), f"a second model called {name}, version {model.version}", hint)
        seen.add((name, model.version))


def value_of(form: ProjectForm) -> values.Project:
    """What a form without breaches means."""
    needs, codec = form.dependencies, form.codec
    return values.Project(
        name=form.name,
        entry=values.Entry(form.entry.script, form.entry.source) if form.entry else None,
        models=tuple(values.Model(m.path, m.name or values.model_name(m.path), m.version) for m in form.models),
        python=form.python,
        platforms=tuple(form.platforms),
        base=_base_value(form.base),
        dependencies=values.Dependencies(
            tuple(needs.requirements) if isinstance(needs.requirements, list) else needs.requirements,
            needs.pylock,
            needs.wheelhouse,
            needs.index_url,
            tuple(needs.extra_index_url),
        ),
        env=form.env,
        labels=form.labels,
        user=form.user,
        codecs=values.Codecs(codec.default, codec.base, codec.dependencies, codec.models, codec.entry),
        created=form.created,
    )


def _base_value(form: BaseForm) -> values.Base:
    if isinstance(form.origin, values.DebianBase):
        return replace(form.origin, mirror=form.mirror, packages=tuple(form.packages), interpreter=form.interpreter)
    return replace(form.origin, interpreter=form.interpreter)
