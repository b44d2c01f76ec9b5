"""YAML of other tools as plain data: what they wrote (conda's environments, MLflow's models, pixi's locks), and what they shall read."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from modelcrate_layers.errors import UserError
from modelcrate_layers.patterns import compile_later

MAX_BYTES = 1 << 20
"""Bytes of such a file; real ones have a few thousand."""

MAX_SHOWN = 120
"""Characters of a value in a message."""

_MAX_NODES = 200_000
"""Parts of a file among which repeated keys are looked for."""

_PLACE = compile_later(r"\{\{[^{}]*\}\}|<[A-Za-z][\w .-]*>|\$(?!schema)\{?[A-Za-z_]\w*\}?|#\{\w+\}#")
"""A place that a script of the user's fills in: {{NAME}}, <NAME>, $NAME, ${NAME}, #{NAME}#."""


def load_yaml(data: bytes, where: str, limit: int = MAX_BYTES) -> Any:
    """Returns the data of a YAML text, by a loader that makes nothing but plain values.

    Raises:
        UserError: It has more than `limit` bytes, or is not YAML.
    """
    import yaml

    if len(data) > limit:
        raise UserError(
            f"has more than {limit} bytes", where=where, hint="name the right file; real ones are smaller by far"
        )
    loader = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
    try:
        return yaml.load(_without_tabs(data), Loader=loader)  # noqa: S506 - both loaders are safe ones
    except (yaml.YAMLError, RecursionError, ValueError) as fault:
        mark, problem = getattr(fault, "problem_mark", None), getattr(fault, "problem", None)
        raise UserError(
            "is not YAML",
            where=f"{where}:{mark.line + 1}:{mark.column + 1}" if mark is not None else where,
            why=str(problem or fault)[:300],
            hint=place_hint(_line(data, mark.line) if mark is not None else "")
            or "mend the line; indentation is by spaces, and a colon is followed by one",
        ) from None


def documents(data: bytes, limit: int = MAX_BYTES) -> tuple[Any, ...]:
    """Returns the documents of a YAML text as lists, dicts, texts, truth values and nothing (None), whatever their tags say.

    What an alias names is there once, and may hold itself. Nothing is returned for more than `limit` bytes, and for what is not YAML.
    """
    import yaml

    if len(data) > limit:
        return ()
    loader = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
    try:
        return tuple(_plain(node, {}) for node in yaml.compose_all(data, Loader=loader))
    except (yaml.YAMLError, RecursionError, ValueError):
        return ()


def _plain(node: Any, known: dict[int, Any]) -> Any:
    """Returns a node as plain data. `known` are the collections that were met before, by their nodes."""
    if id(node) in known:
        return known[id(node)]
    if node.id == "scalar":
        if node.tag.endswith(":null"):
            return None
        return node.value.lower() in ("true", "yes", "on") if node.tag.endswith(":bool") else node.value
    if node.id == "sequence":
        items = known[id(node)] = []
        items += [_plain(each, known) for each in node.value]
        return items
    found = known[id(node)] = {}
    for key, value in node.value:
        plain = _plain(value, known)
        if key.id == "scalar" and key.value != "<<":
            found[key.value] = plain
            continue
        merged = [plain] if isinstance(plain, dict) else plain if isinstance(plain, list) else []
        for each in merged:
            found |= {name: each[name] for name in each.keys() - found.keys()} if isinstance(each, dict) else {}
    return found


def _without_tabs(data: bytes) -> bytes:
    """Returns JSON without tabs, by which JSON may be indented and YAML may not; any other text as it is."""
    return data.replace(b"\t", b" ") if data.lstrip().startswith(b"{") else data


def _line(data: bytes, number: int) -> str:
    return (data.decode("utf-8", "replace").splitlines()[number:] or [""])[0]


def place_hint(text: str) -> str:
    """Returns what to do about a place in a text that is to be filled in; empty where there is none."""
    found = _PLACE.search(text)
    return f"{found[0]} is a place to be filled in: put the value there first" if found else ""


def dump_yaml(*documents: Any) -> str:
    """Returns plain data as YAML: members in their own order, long lines unbroken, equal values written out."""
    import yaml

    class Dumper(yaml.SafeDumper):
        def ignore_aliases(self, data: Any) -> bool:
            return True

    texts = (yaml.dump(each, Dumper=Dumper, sort_keys=False, allow_unicode=True, width=1 << 20) for each in documents)
    return "---\n".join(texts)


def repeated_keys(data: bytes) -> tuple[str, ...]:
    """Returns the keys that stand twice in one mapping of a YAML text that can be loaded, with their lines; only the last of them counts."""
    import yaml

    loader = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
    found, seen, waiting = [], set[int](), [yaml.compose(_without_tabs(data), Loader=loader)]
    while waiting and len(seen) < _MAX_NODES:
        node = waiting.pop()
        if node is None or id(node) in seen:
            continue
        seen.add(id(node))
        if isinstance(node, yaml.MappingNode):
            met = set[str]()
            for key, value in node.value:
                name = key.value if isinstance(key, yaml.ScalarNode) else ""
                if name in met:
                    found.append(f"{name[:60]} (line {key.start_mark.line + 1})")
                met |= {name} - {"", "<<"}
                waiting.append(value)
        elif isinstance(node, yaml.SequenceNode):
            waiting += node.value
    return tuple(found)


def shown(value: object) -> str:
    """Returns a value as one short line. It is not walked further than the line, because aliases of YAML can make it endless."""
    text = ""
    for each in _tokens(value):
        text += each
        if len(text) > MAX_SHOWN:
            return text[:MAX_SHOWN] + "..."
    return text


def _tokens(value: object) -> Iterator[str]:
    if isinstance(value, Mapping):
        for number, (key, each) in enumerate(value.items()):
            yield f"{', ' if number else '{'}{key}: "
            yield from _tokens(each)
        yield "}" if value else "{}"
    elif isinstance(value, list):
        for number, each in enumerate(value):
            yield ", " if number else "["
            yield from _tokens(each)
        yield "]" if value else "[]"
    else:
        yield str(value)
