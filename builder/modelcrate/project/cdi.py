"""Devices by name, as the machine's CDI files describe them (Container Device Interface, SPEC.md 1.0): `vendor.com/class=name`.

The files belong to the machine's administrator. What stands in them is checked all the same: a message says which file is at fault.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path, PurePosixPath
from typing import Any

from modelcrate.containers.cuda import check_driver, installed_driver
from modelcrate.containers.devices import DeviceNode, Devices, Hook
from modelcrate.containers.options import RunOptions, Volume
from modelcrate.project.foreign_yaml import load_yaml
from modelcrate_layers.errors import UserError, unreadable
from modelcrate_layers.frozen import dataclass, field, replace
from modelcrate_layers.named_file import read_named_file
from modelcrate_layers.patterns import compile_later

FOLDERS = "/etc/cdi:/var/run/cdi"
"""Where CDI files are; of two that describe one device, that of the later folder counts."""

MAX_FILE = 1 << 20
"""Bytes of a CDI file."""

_NAME = compile_later(
    r"([A-Za-z](?:[\w.-]*[A-Za-z0-9])?/[A-Za-z](?:[\w-]*[A-Za-z0-9])?)=([A-Za-z0-9](?:[\w.:-]*[A-Za-z0-9])?)", re.ASCII
)
_VERSION = compile_later(r"(?:0\.[3-9]|1\.[0-9])\.[0-9]{1,3}")
_MOMENTS = ("prestart", "createRuntime", "createContainer", "startContainer", "poststart", "poststop")
_ACCESS = compile_later("r?w?m?")


@dataclass(frozen=True, slots=True)
class Edits:
    """What a device brings into a container: device files, mounts and variables."""

    devices: Devices = Devices()
    volumes: tuple[Volume, ...] = ()
    env: Mapping[str, str] = field(default_factory=dict, hash=False)

    def joined(self, other: Edits) -> Edits:
        """Returns both, each thing once: devices of one kind share most of what they bring."""
        volumes = tuple(dict.fromkeys((*self.volumes, *other.volumes)))
        return Edits(self.devices.joined(other.devices), volumes, {**self.env, **other.env})


@dataclass(frozen=True, slots=True)
class CdiFile:
    """A CDI file that was read: the kind of its devices, and what each name brings, with what all of them do."""

    path: Path
    kind: str
    devices: Mapping[str, Edits]


def find_devices(names: Sequence[str], folders: str = FOLDERS) -> Edits:
    """Returns what the devices of these names bring.

    Args:
        names: Names as `vendor.com/class=name`.
        folders: The folders of CDI files, with colons between them.

    Raises:
        UserError: A name is none, no file describes it, two files of one folder do, or a file is not what the specification says.
        SourceError: A file can't be read.
    """
    if not names:
        return Edits()
    known: dict[str, Edits] = {}
    for folder in folders.split(":"):
        own: dict[str, Path] = {}
        for file in _files(Path(folder)):
            for name, edits in file.devices.items():
                whole = f"{file.kind}={name}"
                if whole in own:
                    hint = "remove one of the two"
                    raise UserError(
                        f"two files describe the device {whole}", where=f"{own[whole]}, {file.path}", hint=hint
                    )
                own[whole], known[whole] = file.path, edits
    found = Edits()
    for name in names:
        if not _NAME.fullmatch(name):
            raise UserError(
                f"not the name of a device: {name[:80]!r}", hint="expected vendor/class=name, such as nvidia.com/gpu=0"
            )
        if name not in known:
            raise UserError(f"no CDI file describes the device {name}", where=folders, hint=_hint(name, known))
        found = found.joined(known[name])
    return found


def with_devices(
    options: RunOptions, names: Sequence[str], needs: Mapping[str, str], environment: Mapping[str, str]
) -> RunOptions:
    """Returns the options of a container with what devices bring. What the options have already, wins.

    Args:
        options: The options.
        names: The devices, as for `find_devices`.
        needs: The image's variables, which say what of NVIDIA's driver it needs.
        environment: This machine's variables: MODELCRATE_CDI_DIRS names the folders of CDI files.

    Raises:
        UserError: See `find_devices`.
        MachineError: NVIDIA's driver is too old for the image.
    """
    if any(name.startswith("nvidia.com/") for name in names):
        check_driver(needs, installed_driver())
    found = find_devices(names, environment.get("MODELCRATE_CDI_DIRS") or FOLDERS)
    volumes = (*options.volumes, *found.volumes)
    return replace(options, env={**found.env, **options.env}, volumes=volumes, devices=found.devices)


def gpu_names(text: str) -> tuple[str, ...]:
    """Returns the names of the devices that `--gpus` means: `all`, a number of them, or `device=0,1`, as docker reads it.

    Raises:
        UserError: The text is none of these.
    """
    wanted = text.strip('"')
    if re.fullmatch("[0-9]{1,3}", wanted) and int(wanted):
        return tuple(f"nvidia.com/gpu={number}" for number in range(int(wanted)))
    names = ["all"] if wanted == "all" else wanted.removeprefix("device=").split(",")
    whole = tuple(f"nvidia.com/gpu={name}" for name in names)
    if (wanted == "all" or wanted.startswith("device=")) and all(map(_NAME.fullmatch, whole)):
        return whole
    raise UserError(f"not a number of GPUs: {text[:80]!r}", hint="expected all, a number, or device=0,1")


def read_cdi(data: bytes, where: str) -> CdiFile:
    """Reads a CDI file, YAML or JSON. UserError for one that does not follow the specification."""
    document = _object(load_yaml(data, where, MAX_FILE), where, "the file")
    if not _VERSION.fullmatch(str(document.get("cdiVersion"))):
        raise _wrong(where, f"its cdiVersion is {document.get('cdiVersion')!r:.40}, and 0.3 to 1.x is read")
    kind = document.get("kind")
    if not isinstance(kind, str) or not _NAME.fullmatch(f"{kind}=x"):
        raise _wrong(where, f"its kind is not vendor/class: {kind!r:.80}")
    shared = _edits(document.get("containerEdits"), where)
    devices: dict[str, Edits] = {}
    for each in _objects(document.get("devices"), where, "devices"):
        name = str(each.get("name"))
        if not _NAME.fullmatch(f"{kind}={name}") or name in devices:
            raise _wrong(where, f"a device has no name, or that of another: {name[:80]!r}")
        devices[name] = shared.joined(_edits(each.get("containerEdits"), where))
    return CdiFile(Path(where), kind, devices)


def _files(folder: Path) -> Iterable[CdiFile]:
    try:
        paths = sorted(path for path in folder.iterdir() if path.suffix in (".json", ".yaml"))
    except OSError:
        return  # there are no devices
    for path in paths:
        try:
            data = read_named_file(path, MAX_FILE)
        except OSError as fault:
            raise unreadable(fault, path, hint="mend or remove the file") from None
        yield read_cdi(data, str(path))


def _edits(held: Any, where: str) -> Edits:
    edits = _object(held or {}, where, "containerEdits")
    variables = [_text(each, where, "env").partition("=") for each in _list(edits.get("env"), where, "env")]
    if not all(name and equals for name, equals, _ in variables):
        raise _wrong(where, "an entry of env is not NAME=VALUE")
    groups = _list(edits.get("additionalGids"), where, "additionalGids")
    if not all(type(each) is int and 0 <= each < (1 << 32) - 1 for each in groups):
        raise _wrong(where, "additionalGids are not numbers of groups")
    devices = Devices(
        tuple(_node(each, where) for each in _objects(edits.get("deviceNodes"), where, "deviceNodes")),
        tuple(_hook(each, where) for each in _objects(edits.get("hooks"), where, "hooks")),
        tuple(groups),
    )
    mounts = tuple(_mount(each, where) for each in _objects(edits.get("mounts"), where, "mounts"))
    return Edits(devices, mounts, {name: value for name, _, value in variables})


def _node(each: Mapping[str, Any], where: str) -> DeviceNode:
    path = _path(each.get("path"), where)
    if PurePosixPath(path).parts[1:2] != ("dev",) or len(PurePosixPath(path).parts) < 3:
        raise _wrong(where, f"a device is not below /dev: {path[:80]}")
    access = _text(each.get("permissions") or "rwm", where, "permissions")
    if not access or not _ACCESS.fullmatch(access):
        raise _wrong(where, f"permissions are not of r, w and m: {access[:40]!r}")
    return DeviceNode(_path(each.get("hostPath") or path, where), path, access)


def _mount(each: Mapping[str, Any], where: str) -> Volume:
    options = [_text(option, where, "options") for option in _list(each.get("options"), where, "options")]
    if each.get("type") not in (None, "", "bind", "none"):
        raise _wrong(where, f"a mount is of the type {each['type']!r:.40}, and only bind is known")
    return Volume(Path(_path(each.get("hostPath"), where)), _path(each.get("containerPath"), where), "ro" in options)


def _hook(each: Mapping[str, Any], where: str) -> Hook:
    moment, timeout = each.get("hookName"), each.get("timeout") or 0
    if moment not in _MOMENTS or type(timeout) is not int or not 0 <= timeout < 1 << 31:
        raise _wrong(where, f"a hook has an unknown hookName or timeout: {moment!r:.40}")
    args, env = (tuple(_text(word, where, key) for word in _list(each.get(key), where, key)) for key in ("args", "env"))
    return Hook(str(moment), _path(each.get("path"), where), args, env, timeout)


def _path(value: Any, where: str) -> str:
    path = _text(value, where, "a path")
    if not path.startswith("/") or ".." in PurePosixPath(path).parts:
        raise _wrong(where, f"not an absolute path: {path[:80]!r}")
    return path


def _text(value: Any, where: str, what: str) -> str:
    if not isinstance(value, str) or "\0" in value:
        raise _wrong(where, f"{what} is not a text: {value!r:.80}")
    return value


def _list(value: Any, where: str, what: str) -> list[Any]:
    if value is not None and not isinstance(value, list):
        raise _wrong(where, f"{what} is not a list")
    return value or []


def _objects(value: Any, where: str, what: str) -> list[Mapping[str, Any]]:
    return [_object(each, where, f"an entry of {what}") for each in _list(value, where, what)]


def _object(value: Any, where: str, what: str) -> Mapping[str, Any]:
    if not isinstance(value, dict):
        raise _wrong(where, f"{what} is not an object")
    return value


def _wrong(where: str, why: str) -> UserError:
    return UserError(
        "not a CDI file that can be used",
        where=where,
        why=why,
        hint="write it anew with the device's tool, or remove it",
    )


def _hint(name: str, known: Mapping[str, Edits]) -> str:
    here = f"here are: {', '.join(sorted(known))}" if known else "there are none"
    if name.startswith("nvidia.com/"):
        return f"{here}; NVIDIA's are written by `nvidia-ctk cdi generate --output=/etc/cdi/nvidia.yaml`"
    return here
