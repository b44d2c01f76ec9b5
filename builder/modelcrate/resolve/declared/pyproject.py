"""pyproject.toml: the dependencies of a Python project ([project], extras, [dependency-groups]), and Poetry's older tables.

uv reads [project] itself, so what [tool.uv.sources] says of indexes holds. Here the lines are read for faults, and for our lock.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from modelcrate.project.values import Dependencies
from modelcrate.resolve.declared import Declaration, line_of, refuse_unknown
from modelcrate.resolve.declared.poetry_constraints import constraint_lines, specifier
from modelcrate.resolve.declared.toml_files import parse_toml, table, tables, texts
from modelcrate.resolve.requirement_faults import refuse_elsewhere
from modelcrate.resolve.requirement_lines import read_text
from modelcrate.resolve.requirements import Requirements, line_faults, package_of, raise_together
from modelcrate_layers.errors import CrateError, UserError

_UNREAD = ("constraint-dependencies", "override-dependencies", "exclude-dependencies", "conflicts")
"""Settings of uv that change what is resolved. They hold in a uv.lock."""


def read(path: Path, needs: Dependencies) -> Declaration:
    """Reads a pyproject.toml."""
    text = read_text(path)
    data = parse_toml(text, path)
    project = table(data, "project")
    requires = project.get("requires-python")
    if not isinstance(project.get("dependencies", []), list):
        raise UserError(
            "[project] dependencies is not a list",
            where=str(path),
            hint='write dependencies = ["NAME>=1", ...] (PEP 621)',
        )
    if not project and table(data, "tool", "poetry"):
        lines = tuple(poetry_lines(path, needs, locked=False))
        return Declaration(
            Requirements(lines), needs.conda, requires_python=_poetry_python(data), inputs={"requirements": list(lines)}
        )
    if not project and not needs.groups:
        raise UserError(
            "declares no dependencies: it has no table [project], and none of Poetry's",
            where=str(path),
            hint="name the file that declares them, for instance dependencies: requirements.txt",
        )
    if "dependencies" in texts(project, "dynamic"):
        raise UserError(
            "the dependencies are dynamic: the build backend computes them",
            where=line_of(path, text, "dynamic"),
            hint="name the file that they are in, for instance dependencies: requirements.txt",
        )
    if "requires-python" in project and not isinstance(requires, str):
        raise UserError(
            "requires-python is not a text",
            where=line_of(path, text, "requires-python"),
            hint='write requires-python = ">=3.11" (PEP 621)',
        )
    optional, groups = table(project, "optional-dependencies"), table(data, "dependency-groups")
    refuse_unknown("extra", needs.extras, [*optional], path)
    refuse_unknown("group", needs.groups, [*groups], path)
    lines = (
        *texts(project, "dependencies"),
        *_extra_lines(project, optional, needs.extras),
        *_group_lines(groups, needs.groups, path),
    )
    _check(lines, data, path, text)
    options = [word for extra in needs.extras for word in ("--extra", extra)]
    options += [word for group in needs.groups for word in ("--group", f"{path.absolute()}:{group}")]
    unread = [key for key in _UNREAD if table(data, "tool", "uv").get(key)]
    notices = [f"{path.name}: [tool.uv] {key} is not read; it holds in a uv.lock: run uv lock" for key in unread]
    return Declaration(
        Requirements(
            files=(path,),
            options=tuple(options),
            indexes=tuple(str(each.get("url", "")) for each in tables(table(data, "tool", "uv"), "index")),
        ),
        needs.conda,
        requires_python=requires if isinstance(requires, str) else "",
        inputs={"requirements": list(lines)},
        notices=tuple(notices),
    )


def declares(data: dict[str, Any]) -> bool:
    """Returns whether a pyproject.toml names dependencies at all; many hold nothing but settings of tools."""
    project = table(data, "project")
    return "dependencies" in project or "dependencies" in texts(project, "dynamic") or bool(_poetry_table(data))


def poetry_lines(path: Path, needs: Dependencies, *, locked: bool) -> list[str]:
    """Returns the requirements of [tool.poetry.dependencies], of wanted extras and groups; of [project] where that has them.

    Args:
        path: The pyproject.toml.
        needs: The wanted extras and groups.
        locked: Whether a lock has the versions, so that these lines need not.

    Raises:
        UserError: One is not from an index, or has no counterpart; it names all of them.
    """
    found: list[str] = []
    faults: list[CrateError] = []
    for name, value in _poetry_entries(path, needs):
        if name is None:
            found.append(value)
            continue
        try:
            found += constraint_lines(name, value, path, locked=locked)
        except UserError as fault:
            faults.append(fault)
    raise_together(faults, str(path))
    return found


def _poetry_entries(path: Path, needs: Dependencies) -> Iterator[tuple[str | None, Any]]:
    """Yields dependencies of Poetry by name; and lines of PEP 508 under no name."""
    from packaging.utils import canonicalize_name

    data = parse_toml(read_text(path), path)
    poetry, project = table(data, "tool", "poetry"), table(data, "project")
    if "dependencies" in project:
        optional = table(project, "optional-dependencies")
        refuse_unknown("extra", needs.extras, [*optional], path)
        yield from ((None, line) for line in texts(project, "dependencies"))
        own = canonicalize_name(str(project.get("name", "")))
        lines = _extra_lines(project, optional, needs.extras)
        yield from ((None, line) for line in lines if package_of(line) != own)
    else:
        extras = table(poetry, "extras")
        refuse_unknown("extra", needs.extras, [*extras], path)
        wanted = {name.lower() for extra in needs.extras for name in texts(extras, extra)}
        for name, value in _poetry_table(data).items():
            optional_one = isinstance(value, dict) and value.get("optional") is True
            if name != "python" and (not optional_one or name.lower() in wanted):
                yield name, value
    groups = {**table(poetry, "group"), "dev": {"dependencies": table(poetry, "dev-dependencies")}}
    refuse_unknown("group", needs.groups, [*groups], path)
    for group in needs.groups:
        yield from table(groups, group, "dependencies").items()


def _poetry_table(data: dict[str, Any]) -> dict[str, Any]:
    return table(data, "tool", "poetry", "dependencies")


def _poetry_python(data: dict[str, Any]) -> str:
    wanted = _poetry_table(data).get("python")
    return specifier(wanted) if isinstance(wanted, str) else ""


def _extra_lines(project: dict[str, Any], optional: dict[str, Any], wanted: Sequence[str]) -> Iterator[str]:
    """Yields the lines of extras, and of those that they name of the project itself (`demo[fast]`)."""
    from packaging.requirements import InvalidRequirement, Requirement
    from packaging.utils import canonicalize_name

    waiting, seen = list(wanted), set[str]()
    named = {canonicalize_name(extra): extra for extra in optional}
    while waiting:
        extra = named.get(canonicalize_name(waiting.pop(0)), "")
        if extra in seen:
            continue
        seen.add(extra)
        for line in texts(optional, extra):
            yield line
            try:
                requirement = Requirement(line)
            except InvalidRequirement:  # told by the check of all lines
                continue
            if canonicalize_name(requirement.name) == canonicalize_name(str(project.get("name", ""))):
                waiting += sorted(requirement.extras)


def _group_lines(groups: dict[str, Any], wanted: Sequence[str], path: Path) -> Iterator[str]:
    from packaging.dependency_groups import DependencyGroupResolver

    if not wanted:
        return
    try:
        resolver = DependencyGroupResolver(groups)
        yield from (str(line) for group in wanted for line in resolver.resolve(group))
    except (ValueError, TypeError, LookupError, ExceptionGroup) as fault:
        raise UserError(
            "[dependency-groups] can't be read",
            where=str(path),
            why="; ".join(map(str, _causes(fault)))[:300],
            hint='a group is a list of requirements and of {include-group = "NAME"} (PEP 735)',
        ) from None


def _causes(fault: Exception) -> Iterator[Exception]:
    """Yields an exception, or those that a group of them holds."""
    if isinstance(fault, ExceptionGroup):
        for each in fault.exceptions:
            yield from _causes(each)
    else:
        yield fault


def _check(lines: Sequence[str], data: dict[str, Any], path: Path, text: str) -> None:
    """Refuses what no index has, each with its line."""
    from packaging.utils import canonicalize_name

    faults = list(line_faults((line, line_of(path, text, line)) for line in lines))
    sources = table(data, "tool", "uv", "sources")
    wanted = set() if faults else {package_of(line) for line in lines}
    for name, source in sources.items():
        each = source if isinstance(source, dict) else {}
        kind = next((key for key in ("git", "path", "url", "workspace") if key in each), "")
        if kind and canonicalize_name(name) in wanted:
            told, place = f"{kind} = {each[kind]!r}", line_of(path, text, f"{name} ")
            faults.append(refuse_elsewhere(name, told, place, "leave it out of [tool.uv.sources]"))
    raise_together(faults, str(path))
