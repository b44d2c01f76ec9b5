"""The grammar of single values: what a text of the project file has to look like, and the value it becomes.

Every scalar comes as text (see `document`). Imported late, by `form` only, because pydantic takes a fifth of a second to load.
"""

from __future__ import annotations

import difflib
import json
import os
import re
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from pathlib import Path, PurePosixPath
from typing import Annotated, Any, Literal

from pydantic import GetCoreSchemaHandler, GetJsonSchemaHandler
from pydantic import ValidationInfo as Info
from pydantic_core import CoreSchema, PydanticCustomError, core_schema

from modelcrate.images.image import DEFAULT_VARIANT, MAX_VARIANT_NAME, is_variant_name
from modelcrate.images.reference import HUB, Reference, split_name, split_tag
from modelcrate.net.urls import is_address
from modelcrate.project import values
from modelcrate.project.byte_sizes import GRAMMAR, parse_size
from modelcrate.project.contracts import contract_names
from modelcrate.project.request_schema import KEYWORDS, SchemaError, read_columns, read_request_schema
from modelcrate_layers import host
from modelcrate_layers.content import Platform
from modelcrate_layers.errors import UserError
from modelcrate_layers.frozen import dataclass

OURS = "modelcrate"
"""The type of the errors whose message is already in our words; the context may have a `hint`."""

CONTRACTS = contract_names()
"""The platforms that an image can serve."""

MAX_TEXT = 4096
"""The longest text that has a grammar (a path, a URL, a name), in characters; plain texts such as env values may be longer."""

MAX_WHEEL_LAYERS = 100
"""Layers that a project may ask for its wheels; the rest of an engine's 127 is for base, models and entry."""

_PACKAGE = r"[a-z0-9][a-z0-9+.-]+"
_UID = r"([0-9]{1,10}|[a-z_][a-z0-9_-]{0,31})"
_TIME = r"[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}(Z|[+-][0-9]{2}:[0-9]{2})"
_ON_DISK: Mapping[str, tuple[Callable[[str], tuple[str, str | None]], Callable[[Path, str | None], values.Base]]] = {
    "oci": (split_tag, values.LayoutBase),
    "oci-archive": (split_tag, values.OciArchiveBase),
    "docker-archive": (split_name, values.DockerArchiveBase),
    "rootfs": (lambda text: (text, None), lambda path, _: values.RootfsBase(path)),
}
"""The bases on this machine: how their address is split into a path and an image, as for every other verb."""


@dataclass(frozen=True, slots=True)
class Schema:
    """The grammar of a JSON schema, or of the columns of one; `read` gives the schema, or a SchemaError."""

    read: Callable[[object], dict[str, Any]]
    expected: Mapping[str, Any]

    def __get_pydantic_core_schema__(self, source: object, handler: GetCoreSchemaHandler) -> CoreSchema:
        return core_schema.no_info_plain_validator_function(self._checked)

    def __get_pydantic_json_schema__(self, schema: CoreSchema, handler: GetJsonSchemaHandler) -> dict[str, Any]:
        return dict(self.expected)

    def _checked(self, value: object) -> dict[str, Any]:
        if value is None:
            raise refuse("no value")
        try:
            return self.read(value)
        except SchemaError as fault:
            raise refuse(
                str(fault), "the keywords are those of JSON Schema; see the reference of the project file"
            ) from None


def refuse(what: str, hint: str = "") -> PydanticCustomError:
    """Returns a fault in our words; braces of the file's text are not a template."""
    return PydanticCustomError(OURS, "{what}", {"what": what, "hint": hint})


@dataclass(frozen=True, slots=True)
class Text:
    """The grammar of a text: what it wants in words, and a pattern or the choices; `check` says the rest and gives the value.

    `types` are the JSON types that a YAML reader may take such a text for when it stands without quotes, so that the schema lets
    `python: 3.11` pass as well. It never allows nothing: a key without a value is a fault, whatever type stands beside it.
    """

    expected: str
    pattern: str = ""
    check: Callable[[str, Info], object] | None = None
    types: tuple[str, ...] = ("string", "number", "boolean")
    choices: tuple[str, ...] = ()
    examples: tuple[str, ...] = ()

    def __get_pydantic_core_schema__(self, source: object, handler: GetCoreSchemaHandler) -> CoreSchema:
        return core_schema.with_info_after_validator_function(self._checked, core_schema.str_schema(strict=True))

    def __get_pydantic_json_schema__(self, schema: CoreSchema, handler: GetJsonSchemaHandler) -> dict[str, Any]:
        if self.choices:
            return {"type": "string", "enum": list(self.choices)}
        out: dict[str, Any] = {"type": list(self.types) if len(self.types) > 1 else self.types[0]}
        out |= {"pattern": f"^(?:{self.pattern})$"} if self.pattern else {}
        out |= {"minimum": 1} if "integer" in self.types else {}
        return {**out, "examples": list(self.examples)} if self.examples else out

    def _checked(self, text: str, info: Info) -> object:
        if len(text) > MAX_TEXT and (self.pattern or self.choices or self.check):
            raise refuse(f"a text of {len(text)} characters is not {self.expected}")
        if (self.pattern and not re.fullmatch(self.pattern, text)) or (self.choices and text not in self.choices):
            near = next(iter(difflib.get_close_matches(text[:80].lower(), self.choices, 1, 0.5)), "")
            hint = f"did you mean {near!r}?" if near else ""
            raise refuse(f"{text if len(text) < 80 else text[:77] + '...'!r} is not {self.expected}", hint)
        return self.check(text, info) if self.check else text


def _path(text: str, info: Info) -> Path:
    """Returns a path on this machine, wherever it leads."""
    if not text.strip() or not text.isprintable() or len(text.encode()) > 4096:
        raise refuse(f"{text[:80]!r} is not a path")
    return Path(text)


def _inside(text: str, info: Info) -> Path:
    """Returns a path that stays in the project's folder, also through links where the folder is known (the validation's context)."""
    if host.WINDOWS and "\\" in text:
        raise refuse(
            f"{text!r} has backslashes", f"a project file means the same everywhere: {text.replace(chr(92), '/')}"
        )
    path = _path(text, info)
    if path.anchor:
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
    if not is_address(text):
        raise refuse(
            f"{text.rpartition('@')[2]!r} is not a URL with a host and a port",
            "expected for instance https://host:8443/path",
        )
    if "@" in text.split("/")[2]:
        raise refuse(
            "a user or password stands in the URL", "this file is no place for secrets; ~/.netrc is read for them"
        )
    return text


def _mirror(text: str, info: Info) -> str:
    return " ".join(_url(each, info) for each in text.split())


def _requirement(text: str, info: Info) -> str:
    from packaging.requirements import InvalidRequirement, Requirement

    try:
        Requirement(text)
    except InvalidRequirement:
        raise refuse(f"{text[:80]!r} is not a requirement", "expected for instance scikit-learn==1.9.1") from None
    return text


def _platform(text: str, info: Info) -> Platform:
    return Platform.parse(text)


def _variant(text: str, info: Info) -> str:
    if text == DEFAULT_VARIANT:
        raise refuse(
            f"{DEFAULT_VARIANT!r} is what the image without a variant is called", "take another name, such as gpu"
        )
    if not is_variant_name(text):
        raise refuse(
            f"{text[:80]!r} can't be the end of a tag",
            f"at most {MAX_VARIANT_NAME} small letters and digits, with single '.', '_' or '-' between them, such as gpu",
        )
    return text


def _version(text: str, info: Info) -> int:
    return int(text)


def _revision(text: str, info: Info) -> str:
    if ".." in text or "//" in text:
        raise refuse(f"{text!r} is not a revision: a commit, a branch or a tag")
    return text


def _size(text: str, info: Info) -> int:
    try:
        return parse_size(text)
    except UserError as fault:
        raise refuse(fault.what, fault.hint) from None


def _registered(text: str, info: Info) -> values.RegisteredModel:
    name, colon, version = text.partition(":")
    return values.RegisteredModel(name, int(version) if colon else None)


def _user(text: str, info: Info) -> str:
    if any(part.isdigit() and int(part) > 2**32 - 2 for part in text.split(":")):
        raise refuse(f"{text!r} is not a user: ids go up to {2**32 - 2}")
    return text


def _flag(text: str, info: Info) -> bool:
    return text == "true"


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
    """Returns a base by its words: a kind and where it is, else a reference."""
    kind, colon, rest = text.partition(":")
    if kind == "debian":
        if colon and not re.fullmatch(r"[a-z]+", rest):
            raise refuse(
                f"{rest[:80]!r} is not the name of a Debian release",
                f"expected for instance debian:bookworm; Docker Hub's image is registry:{HUB}/library/{text[:80]}",
            )
        return values.DebianBase(rest or None)
    if text == "scratch":
        return values.ScratchBase()
    if kind in _ON_DISK:
        split, base = _ON_DISK[kind]
        if not rest:
            raise refuse(f"{text!r} names no file or folder", f"expected {kind}:PATH")
        path, image = split(rest)
        return base(_path(path, info), image)
    explicit = kind == "registry" and "/" in rest  # registry:2 is an image of that name
    if not explicit and (near := _meant(kind)):
        meant = near if not rest or near == "scratch" or ":" in near else f"{near}:{rest[:80]}"
        hint = (
            f"did you mean {meant}? An image of that name on Docker Hub is registry:{HUB}/library/{text[:80].lower()}"
        )
        raise refuse(f"{text[:80]!r} is not a base", hint)
    if not explicit and re.search(r"\.(tar|tgz|txz|tzst)(\.[a-z0-9]+)?$", text):
        kinds = " or ".join(f"{each}:{text[:80]}" for each in ("docker-archive", "oci-archive", "rootfs"))
        raise refuse(f"{text[:80]!r} is not a base", f"what kind of file is it? {kinds}")
    reference = rest if explicit else text
    try:
        Reference.parse(reference)
    except UserError as fault:
        kinds = (
            "debian[:RELEASE], an image reference, registry:REFERENCE, oci:DIR[:TAG], oci-archive:FILE[:TAG], "
            "docker-archive:FILE[:NAME], rootfs:FILE or scratch"
        )
        raise refuse(f"{text[:80]!r} is not a base", f"{fault.why}; expected {kinds}") from None
    return values.RegistryBase(reference)


def _meant(kind: str) -> str:
    """Returns the base that a word seems to be meant for: one that is misspelled, or the name of a release alone; else nothing."""
    if kind in _RELEASES:
        return f"debian:{kind}"
    return next(iter(difflib.get_close_matches(kind.lower(), ("debian", "scratch", *_ON_DISK), 1, 0.8)), "")


_RELEASES = frozenset({"bullseye", "bookworm", "trixie", "forky", "jammy", "noble"})
"""Names of releases, as in resolve/debian/releases.py, which a project file is not read for."""


def _json_or_file(text: str, info: Info) -> str:
    """Returns JSON as it stands, or the path of a file or folder of the project."""
    if not values.is_json(text):
        path = _inside(text, info).as_posix()
        return f"./{path}" if values.is_json(path) else path
    try:
        json.loads(text)
    except (ValueError, RecursionError) as fault:
        raise refuse(f"is no JSON: {fault}", "quote JSON as one text: '{\"data\": [[1, 2]]}', or name a file") from None
    return text


def _port(text: str, info: Info) -> int:
    if not 1 <= int(text) <= 65535:
        raise refuse(f"{text} is not a port", "ports are 1 to 65535")
    return int(text)


def _layers(text: str, info: Info) -> int:
    if not 1 <= int(text) <= MAX_WHEEL_LAYERS:
        raise refuse(f"{text} layers of wheels", f"1 to {MAX_WHEEL_LAYERS}: engines take 127 layers in all")
    return int(text)


def _milliseconds(text: str, info: Info) -> int:
    number, unit = re.fullmatch("([0-9]+)([a-z]+)", text).groups()  # type: ignore[union-attr]  # the pattern has matched
    return int(number) * {"ms": 1, "s": 1000, "m": 60_000, "h": 3_600_000}[unit]


def _workdir(text: str, info: Info) -> PurePosixPath:
    path = PurePosixPath(_path(text, info))
    if not path.is_absolute() or ".." in path.parts:
        raise refuse(f"{text!r} is not an absolute path of the image", "expected for instance /srv")
    return path


def _tolerance(text: str, info: Info) -> float:
    return float(text)


def _status(text: str, info: Info) -> int:
    return int(text)


_CODECS = ("auto", "fast", "small", "auto-gzip", "gzip", "stored", "zstd", "zstd:chunked", "estargz", "none")
_CODEC = Text(f"a codec: {', '.join(_CODECS[:-1])} or none", choices=_CODECS)
_URL = Text("an http or https URL", r"https?://[^\s/?#]+[^\s]*", _url, ("string",))
_MIRROR = Text(
    "the address of a mirror such as http://host/debian, or two with a space between",
    r"https?://[^\s/?#]+[^\s]*( https?://[^\s/?#]+[^\s]*)?",
    _mirror,
    ("string",),
)
_INSIDE = Text("a path", check=_inside)
_MODEL_NAME = Text(
    "a model name: letters, digits, - . and _, a letter or digit first", r"[A-Za-z0-9][A-Za-z0-9._-]{0,254}"
)
_PLATFORM = Text(
    "a platform such as linux/amd64",
    r"[a-z0-9]+/[a-z0-9]+(/[a-z0-9]+)?",
    _platform,
    ("string",),
    examples=tuple(map(str, values.DEBIAN_PLATFORMS)),
)

Name = Annotated[
    str,
    Text("a name: lower-case letters and digits, with . _ or - between", r"(?=.{1,128}$)[a-z0-9]+([._-]+[a-z0-9]+)*"),
]
OptionalPython = Annotated[
    str | None,
    Text(
        "a Python version with two numbers, such as 3.11",
        r"3\.[0-9]{1,2}",
        types=("string", "number"),
        examples=("3.11", "3.13"),
    ),
]
Target = Annotated[Platform, _PLATFORM]
VariantName = Annotated[str, Text("a name such as gpu", r"[a-z0-9]+([._-][a-z0-9]+)*", _variant, examples=("gpu",))]
BaseWords = Annotated[
    values.Base, Text("a base", check=_base, examples=("debian", "debian:bookworm", "debian:trixie", "scratch"))
]
Url = Annotated[str, _URL]
OptionalMirror = Annotated[str | None, _MIRROR]
OptionalUrl = Annotated[str | None, _URL]
Flag = Annotated[bool, Text("true or false", "true|false", _flag, ("boolean",))]
Package = Annotated[str, Text("the name of a Debian package", _PACKAGE)]
OptionalInterpreter = Annotated[PurePosixPath | None, Text("a path", check=_interpreter, types=("string",))]
Requirement = Annotated[str, Text("a requirement", check=_requirement)]
Inside = Annotated[Path, _INSIDE]
OptionalInside = Annotated[Path | None, _INSIDE]
OptionalAnywhere = Annotated[Path | None, Text("a path", check=_path)]
CondaSpec = Annotated[
    str,
    Text(
        "the specification of a conda package, such as numpy=1.26 or python>=3.11",
        r"([A-Za-z0-9._/-]+::)?[A-Za-z0-9_][A-Za-z0-9._-]*([ =<>!~\[].{0,200})?",
        types=("string",),
        examples=("numpy=1.26",),
    ),
]
Channel = Annotated[
    str,
    Text(
        "a channel: a name, an http, https or file URL without a password, or a folder",
        r"(https?|file)://[^\s@]+|[A-Za-z0-9_./][A-Za-z0-9_./ +-]*",
        types=("string",),
        examples=("conda-forge", "./channel"),
    ),
]
Part = Annotated[
    str, Text("the name of an extra or a group", r"[A-Za-z0-9]([A-Za-z0-9._-]{0,126}[A-Za-z0-9])?", types=("string",))
]
OptionalTorch = Annotated[
    str | None,
    Text(
        "a build of PyTorch: cpu, auto, cu126 and its like, rocm6.3 and its like, or xpu",
        r"auto|cpu|xpu|cu[0-9]{2,4}|rocm[0-9]+(\.[0-9]+)*",
        types=("string",),
        examples=("cpu", "cu126", "auto"),
    ),
]
OptionalLayers = Annotated[
    int | None, Text(f"a number of layers, 1 to {MAX_WHEEL_LAYERS}", r"[0-9]{1,4}", _layers, ("integer", "string"))
]
OptionalSize = Annotated[
    int | None,
    Text("a size such as 2GB", GRAMMAR, _size, types=("string", "integer"), examples=("2GB", "500MB")),
]
_JSON_OR_FILE = Text("JSON, or a file", check=_json_or_file)
JsonOrFile = Annotated[str, _JSON_OR_FILE]
OptionalJsonOrFile = Annotated[str | None, _JSON_OR_FILE]
Tolerance = Annotated[
    float,
    Text(
        "a number from 0 on, such as 1e-6",
        r"[0-9]{1,9}(\.[0-9]{1,18})?([eE][+-]?[0-9]{1,3})?",
        _tolerance,
        ("string", "number"),
    ),
]
UrlPath = Annotated[str, Text("a path such as /score", r"/[!-~]*", types=("string",))]
OptionalStatus = Annotated[
    int | None, Text("a status from 100 to 599", r"[1-5][0-9]{2}", _status, ("string", "integer"))
]
YesNo = Annotated[
    bool, Text("true or false", "true|false", lambda text, info: text == "true", types=("string", "boolean"))
]
Script = Annotated[Path, Text("a Python file", check=_script, types=("string",))]
OptionalModelName = Annotated[str | None, _MODEL_NAME]
OptionalRegistered = Annotated[
    values.RegisteredModel | None,
    Text(
        "a registered model: NAME or NAME:VERSION",
        r"[A-Za-z0-9][A-Za-z0-9._-]{0,254}(:[1-9][0-9]{0,8})?",
        _registered,
        ("string", "number"),
    ),
]
OptionalRepo = Annotated[
    str | None,
    Text(
        "a model of a hub: ORG/NAME",
        r"([A-Za-z0-9][A-Za-z0-9._-]{0,95}/)?[A-Za-z0-9][A-Za-z0-9._-]{0,95}",
        types=("string",),
        examples=("sentence-transformers/all-MiniLM-L6-v2",),
    ),
]
OptionalRevision = Annotated[
    str | None,
    Text(
        "a revision: a commit of 40 hex digits, a branch or a tag",
        r"[A-Za-z0-9]([A-Za-z0-9._/-]{0,200}[A-Za-z0-9])?",
        _revision,
        types=("string", "number"),
    ),
]
Pattern = Annotated[
    str,
    Text("a pattern of files, such as *.safetensors", r"[^/\s][^\r\n]{0,254}", types=("string",), examples=("*.json",)),
]
OptionalWorkspace = Annotated[
    str | None,
    Text(
        "a workspace: a folder, or HOST/PREFIX of a registry",
        r"[^\s].*",
        types=("string",),
        examples=("workspace", "registry.example/team/ws"),
    ),
]
OptionalVersion = Annotated[
    int | None, Text("a version: a whole number from 1", r"[1-9][0-9]{0,8}", _version, ("string", "integer"))
]
EnvName = Annotated[str, Text("the name of a variable: letters, digits and _", r"[A-Za-z_][A-Za-z0-9_]*")]
AnyText = Annotated[str, Text("a text")]
Label = Annotated[str, Text("a label: no spaces at its ends, no line breaks", r"[^\s]([^\r\n]*[^\s])?")]
User = Annotated[str, Text("uid[:gid], numbers or names", f"{_UID}(:{_UID})?", _user)]
OptionalTime = Annotated[datetime | None, Text("a time such as 2026-01-01T00:00:00Z", _TIME, _created, ("string",))]
Gate = Annotated[values.Gate, Text("refuse, warn or allow", choices=("refuse", "warn", "allow"))]
ValidUntil = Annotated[values.ValidUntil, Text("required or ignored", choices=("required", "ignored"))]
OnConflict = Annotated[values.OnConflict, Text("refuse or last", choices=("refuse", "last"))]
Server = Annotated[
    values.Server, Text("a server: modelcrate, azureml or none", choices=("modelcrate", "azureml", "none"))
]
OptionalCount = Annotated[
    int | None, Text("a whole number from 1", r"[1-9][0-9]{0,8}", _version, ("integer", "string"))
]
OptionalDuration = Annotated[
    int | None,
    Text(
        "a time such as 5ms, 30s or 2m",
        "[0-9]{1,7}(ms|s|m|h)",
        _milliseconds,
        ("string",),
        examples=("5ms", "30s"),
    ),
]
LogFormat = Annotated[Literal["text", "json"], Text("text or json", choices=("text", "json"))]
_SCHEMA = Schema(
    read_request_schema,
    {
        "type": "object",
        "properties": {key: {} for key in KEYWORDS},
        "additionalProperties": False,
        "required": ["type"],
    },
)
OptionalSchema = Annotated[dict[str, Any] | None, _SCHEMA]
OptionalColumns = Annotated[dict[str, Any] | None, Schema(read_columns, {"type": "object", "minProperties": 1})]
Port = Annotated[int, Text("a port, 1 to 65535", r"[0-9]{1,5}", _port, ("integer", "string"))]
OptionalWorkdir = Annotated[
    PurePosixPath | None, Text("an absolute path of the image", check=_workdir, types=("string",))
]
Module = Annotated[
    str,
    Text(
        "a module such as my_package.models, or one name in it: module:Name",
        r"[A-Za-z_][A-Za-z0-9_]*(\.[A-Za-z_][A-Za-z0-9_]*)*(:[A-Za-z_][A-Za-z0-9_]*)?",
        types=("string",),
    ),
]
ContractName = Annotated[str, Text(f"a contract: {', '.join(CONTRACTS)}", choices=CONTRACTS)]
Codec = Annotated[values.Codec, _CODEC]
OptionalCodec = Annotated[values.Codec | None, _CODEC]
