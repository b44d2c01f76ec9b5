"""registries.yaml as rules. All faults of the file are reported at once. Its text is parsed by `project/`."""

from __future__ import annotations

import difflib
import re
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from modelcrate.images.reference import is_registry
from modelcrate.registry.profiles import Mirror, Rule
from modelcrate_layers.errors import UserError

_UNITS = {"": 1, "B": 1, "kB": 10**3, "MB": 10**6, "GB": 10**9, "KiB": 1 << 10, "MiB": 1 << 20, "GiB": 1 << 30}


def read_rules(document: object, folder: Path, where: str = "registries.yaml") -> tuple[Rule, ...]:
    """Returns the rules of a file `{registries: [...]}`. Relative paths in it start at `folder`.

    Raises:
        UserError: With all faults of the file.
    """
    entries = document.get("registries") if isinstance(document, Mapping) else None
    if not isinstance(entries, list) or (isinstance(document, Mapping) and set(document) - {"registries"}):
        raise UserError(
            "expected one key, registries, with a list",
            where=where,
            hint="the registry checklist of the documentation has an example",
        )
    faults: list[UserError] = []
    rules = [_rule(entry, folder, f"{where}: registries[{n}]", faults) for n, entry in enumerate(entries)]
    if faults:
        raise UserError(faults[0].what, where=faults[0].where, hint=faults[0].hint, also=faults[1:])
    return tuple(rules)


def size(value: object) -> int:
    """Returns the bytes that a number or a text such as 16MiB or 50MB means; ValueError for anything else."""
    found = re.fullmatch(r"(\d{1,15})\s*([A-Za-z]*)", str(value)) if not isinstance(value, bool) else None
    if not found or found[2] not in _UNITS or not int(found[1]):
        raise ValueError(f"expected a size such as 16MiB, got {value!r:.60}")
    return int(found[1]) * _UNITS[found[2]]


def _rule(entry: object, folder: Path, where: str, faults: list[UserError]) -> Rule:
    if not isinstance(entry, Mapping) or not isinstance(entry.get("match"), str) or not entry["match"]:
        faults.append(
            UserError(
                "expected an object with the key match",
                where=where,
                hint='expected for instance {"match": "registry.example", ...}',
            )
        )
        return Rule("-")
    values: dict[str, Any] = {}
    for key, value in entry.items():
        reader = _READERS.get(str(key))
        if reader is None:
            near = difflib.get_close_matches(str(key), _READERS, 1)
            hint = f"did you mean {near[0]!r}?" if near else f"known keys: {', '.join(sorted(_READERS))}"
            faults.append(UserError(f"unknown key {str(key)[:60]!r}", where=where, hint=hint))
            continue
        try:
            values |= reader(value, folder)
        except ValueError as fault:
            faults.append(UserError(f"{key}: {fault}", where=where, hint="mend the value, or remove the key"))
    return Rule(**values)


def _one_of(name: str, *choices: str) -> Callable[[object, Path], dict[str, Any]]:
    def read(value: object, _: Path) -> dict[str, Any]:
        if value not in choices:
            raise ValueError(f"expected one of {', '.join(choices)}, got {value!r:.60}")
        return {name: value}

    return read


def _size(name: str) -> Callable[[object, Path], dict[str, Any]]:
    return lambda value, _: {name: size(value)}


def _path(name: str) -> Callable[[object, Path], dict[str, Any]]:
    def read(value: object, folder: Path) -> dict[str, Any]:
        return {name: folder / Path(_text(value)).expanduser()}

    return read


def _text(value: object) -> str:
    if not isinstance(value, str) or not value:
        raise ValueError(f"expected text, got {value!r:.60}")
    return value


def _concurrency(value: object, _: Path) -> dict[str, Any]:
    text = "" if isinstance(value, bool) else str(value)
    if not re.fullmatch(r"[0-9]{1,2}", text) or not 1 <= int(text) <= 32:
        raise ValueError(f"expected a number from 1 to 32, got {value!r:.60}")
    return {"concurrency": int(text)}


def _insecure(value: object, _: Path) -> dict[str, Any]:
    if value not in ("http", "skip-verify"):
        raise ValueError(f"expected http or skip-verify, got {value!r:.60}")
    return {"plain_http": True} if value == "http" else {"skip_verify": True}


def _mirrors(value: object, _: Path) -> dict[str, Any]:
    if not isinstance(value, list):
        raise ValueError("expected a list of {host: ..., proxy: true or false}")
    found = []
    for one in value:
        if not isinstance(one, Mapping) or not is_registry(str(one.get("host"))) or set(one) - {"host", "proxy"}:
            raise ValueError("expected a list of {host: ..., proxy: true or false}")
        found.append(Mirror(str(one["host"]), one.get("proxy") in (True, "true")))
    return {"mirrors": tuple(found)}


_READERS: Mapping[str, Callable[[object, Path], dict[str, Any]]] = {
    "match": lambda value, _: {"match": _text(value)},
    "source": lambda value, _: {"source": _text(value)},
    "upload": _one_of("upload", "put", "stream", "chunks"),
    "referrers": _one_of("referrers", "probe", "api", "tag"),
    "chunk-size": _size("chunk_size"),
    "max-put": _size("max_put"),
    "max-layer": _size("max_layer"),
    "concurrency": _concurrency,
    "insecure": _insecure,
    "ca": _path("ca"),
    "client-cert": _path("client_cert"),
    "client-key": _path("client_key"),
    "mirrors": _mirrors,
}
