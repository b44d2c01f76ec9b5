"""The rooms of the house and their order (ARCHITECTURE.md): imports go down only, imports for type checkers and in functions included.

A room is a folder or a module directly below `modelcrate` or `modelcrate_layers`; `modelcrate_server` is one room.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping

from support.sources import SERVER, circles, modules

ORDER = (
    "modelcrate",  # what the library exports, and `python -m modelcrate`
    *(
        f"modelcrate.{room}"
        for room in (
            *(
                "cli",
                "plugins",
                "lifecycle",
                "api",
                "importers",
                "azureml",
                "reports",
                "render",
                "export",
                "pipeline",
                "bundles",
                "maintenance",
                "security",
                "inspect",
                "workspace",
                "resolve",
            ),
            *("transports", "modelfiles", "project", "containers", "home", "registry", "images", "net"),
            *("arguments", "environment", "config", "events", "_version"),
        )
    ),
    *(
        f"modelcrate_layers.{room}"
        for room in (
            "kinds",
            "packages",
            "layer_cache",
            "store",
            "records",
            "tar",
            "atomic",
            "named_file",
            "read_ahead",
            "content",
            "errors",
            "frozen",
            "patterns",
            "host",
        )
    ),
    "modelcrate_layers",
    SERVER,
)
"""From top to bottom. A room may import from those below it."""

ROOT_MODULES = 8
"""Modules directly in builder/modelcrate, at most."""

Arrows = Mapping[tuple[str, str], list[str]]


def room(module: str) -> str:
    """The room of a module; the facade and `__main__` are the room `modelcrate`."""
    first = ".".join(module.split(".")[:2])
    return "modelcrate" if first == "modelcrate.__main__" else SERVER if module.startswith(SERVER) else first


def arrows() -> Arrows:
    """The imports between rooms: (importing, imported) to the lines that do it."""
    found: dict[tuple[str, str], list[str]] = defaultdict(list)
    for module in modules().values():
        for each in module.imports:
            if each.name.startswith(("modelcrate.", "modelcrate_layers", SERVER)):
                target = each.name
                while target not in modules() and not target.startswith(SERVER) and "." in target:
                    target = target.rpartition(".")[0]
                if room(target) != room(module.name):
                    found[room(module.name), room(target)].append(f"{module.name}:{each.line} imports {each.name}")
    return found


def test_the_order_names_every_room() -> None:
    assert sorted(ORDER) == sorted({room(name) for name in modules()} | {SERVER})


def test_imports_go_down() -> None:
    """Of rooms that the order names; the test above has the others."""
    floor = {room: number for number, room in enumerate(ORDER)}
    upward = [
        f"{above} -> {below}: {'; '.join(lines[:3])}" + (f" and {len(lines) - 3} more" if len(lines) > 3 else "")
        for (above, below), lines in sorted(arrows().items())
        if above in floor and below in floor and floor[above] > floor[below]
    ]
    assert not upward, "\n".join([f"{len(upward)} arrows go upward", *upward])


def test_no_rooms_import_each_other_in_a_circle() -> None:
    below: dict[str, set[str]] = defaultdict(set)
    for importing, imported in arrows():
        below[importing].add(imported)
    assert [" ".join(sorted(circle)) for circle in circles(ORDER, lambda name: below[name])] == []


def test_few_modules_lie_in_the_root() -> None:
    loose = [name for name, module in modules().items() if module.path.parent.name == "modelcrate" and "." in name]
    assert len(loose) <= ROOT_MODULES, ", ".join(loose)
