"""The laws of the house (ARCHITECTURE.md), read off the syntax trees: who may import whom, who may look at the world."""

from __future__ import annotations

import ast
import subprocess
import sys
from collections.abc import Iterator

import pytest

from support.sources import REPOSITORY, SERVER, Module, edges, modules
from support.sources import circles as circles_of

COPIED = "modelcrate.modelfiles.scripts"
"""Entry scripts that are copied into images, where their packages are; nothing here imports them."""

LAYERS = [
    module for name, module in modules().items() if name.startswith("modelcrate_layers") and not name.startswith(COPIED)
]
ALL = list(modules().values())

ONLY_IN: dict[str, tuple[str, ...]] = {
    "requests": ("modelcrate.registry", "modelcrate.net"),
    "urllib3": ("modelcrate.registry", "modelcrate.net"),
    "certifi": ("modelcrate.registry", "modelcrate.net"),
    "ahocorasick_rs": ("modelcrate.security.scan.secrets", "modelcrate.modelfiles.configured_code"),
    "oras": ("modelcrate.registry",),
    "http.client": (
        "modelcrate.net",
        "modelcrate.containers.ready",
        "modelcrate.inspect.conformance",
    ),  # and who asks containers
    "random": ("modelcrate.net.retry",),
    "yaml": ("modelcrate.project",),
    "pydantic": ("modelcrate.project",),
    "zstandard": ("modelcrate_layers.tar.codec",),
    "isal": ("modelcrate_layers.tar.codec",),
    "lz4": ("modelcrate.modelfiles.pickle.windows",),
    "installer": ("modelcrate_layers.packages.wheel_install", "modelcrate_layers.packages.wheel"),
    "pysequoia": ("modelcrate.resolve",),
    "uv": ("modelcrate.resolve",),
    "rattler": ("modelcrate.resolve",),
    "argparse": ("modelcrate.cli",),
    "tarfile": (),
    "pickle": (),
    "uuid": (),
    "builder": (),
    "layers": (),
}
"""A package, and the rooms of the house that may know of it. Nobody knows of tarfile, for it follows rules of its own; of pickle,
for a model is never loaded; and of a package `layers` or `builder`, for those names are the users'."""

LAYERS_MAY = {"installer", "isal", "zstandard", "modelcrate_layers"}
FORBIDDEN_NAMES = {"utils", "util", "helpers", "helper", "common", "core", "manager", "misc"}
HEAVY = (
    "requests",
    "urllib3",
    "oras",
    "yaml",
    "pydantic",
    "zstandard",
    "isal",
    "installer",
    "cryptography",
    "pysequoia",
    "uv",
    "rattler",
)


def within(name: str, package: str) -> bool:
    return name == package or name.startswith(package + ".")


def dataclass_options(node: ast.ClassDef) -> Iterator[set[str | None]]:
    for decorator in node.decorator_list:
        made = decorator.func if isinstance(decorator, ast.Call) else decorator
        if isinstance(made, ast.Name) and made.id == "dataclass":
            yield {each.arg for each in decorator.keywords} if isinstance(decorator, ast.Call) else set()


def told(module: Module, node: ast.ClassDef) -> str:
    lines = module.path.read_text().splitlines()
    return "\n".join([ast.get_docstring(node) or "", *(lines[each.lineno - 1] for each in node.decorator_list)])


def calls(module: Module) -> Iterator[tuple[str, int]]:
    """The dotted names that a module uses, with their lines."""
    for node in ast.walk(module.tree):
        if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name):
            yield f"{node.value.id}.{node.attr}", node.lineno
        elif isinstance(node, ast.Call) and isinstance(node.func, ast.Name):
            yield node.func.id, node.lineno


def test_layers_know_nothing_of_the_builder_and_little_else() -> None:
    network = {"socket", "ssl", "http", "urllib", "ftplib", "smtplib"}
    assert [
        f"{module.path}:{each.line} imports {each.name}"
        for module in LAYERS
        for each in module.imports
        for top in [each.name.partition(".")[0]]
        if top in network or (top not in sys.stdlib_module_names and top not in LAYERS_MAY)
    ] == []


@pytest.mark.parametrize("package", ONLY_IN)
def test_a_package_is_known_in_one_room_only(package: str) -> None:
    rooms = ONLY_IN[package]
    assert [
        f"{module.path}:{each.line} imports {each.name}, which belongs into {' and '.join(rooms)}"
        for module in ALL
        for each in module.imports
        if within(each.name, package) and not any(within(module.name, room) for room in rooms)
    ] == []


def test_only_the_command_line_looks_at_the_environment_and_prints() -> None:
    """But for Git, which is started without the variables that are Git's own."""
    looks = {"os.environ", "os.environb", "os.getenv", "os.getcwd", "print", "input"}
    assert [
        f"{module.path}:{line} uses {name}"
        for module in ALL
        if not any(
            within(module.name, room)
            for room in (
                "modelcrate.cli",
                "modelcrate.environment",
                "modelcrate.render",
                "modelcrate_layers.tar.checkout",
            )
        )
        for name, line in calls(module)
        if name in looks
    ] == []


def test_nothing_that_decides_a_byte_looks_at_the_clock_or_the_machine() -> None:
    """The memo alone asks for the time, to know which files are too young to be trusted; `hash()` differs from run to run."""
    looks = {
        "time.time",
        "time.time_ns",
        "datetime.now",
        "datetime.today",
        "os.umask",
        "os.getuid",
        "os.getlogin",
        "hash",
    }
    assert [
        f"{module.path}:{line} uses {name}"
        for module in LAYERS
        if module.name != "modelcrate_layers.layer_cache"
        for name, line in calls(module)
        if name in looks
    ] == []


def test_a_module_is_named_after_what_it_is() -> None:
    assert [module.path for module in ALL if FORBIDDEN_NAMES & set(module.name.split("."))] == []
    packages = [module.name for module in ALL if module.path.name == "__init__.py"]
    assert [name for name in packages if name.endswith(".base")] == []


def test_dataclasses_are_frozen_with_slots_or_say_why_not() -> None:
    """The reason stands in the docstring, or behind the decorator."""
    reasons = ("change", "grow", "fill", "not frozen: ")
    assert [
        f"{module.path}:{node.lineno} {node.name} does not say why it is not frozen"
        for module in ALL
        for node in ast.walk(module.tree)
        if isinstance(node, ast.ClassDef)
        for options in dataclass_options(node)
        if not {"frozen", "slots"} <= options and not any(word in told(module, node).lower() for word in reasons)
    ] == []


def test_what_is_declared_costs_little_at_the_start() -> None:
    """A dataclass and a pattern of the standard library are compiled where they are declared, and most are not needed."""
    ours = [each for each in ALL if not each.name.startswith((SERVER, COPIED, "modelcrate_layers.frozen"))]
    assert [
        f"{module.path}:{node.lineno} takes it from dataclasses, and not from modelcrate_layers.frozen"
        for module in ours
        for node in ast.walk(module.tree)
        if isinstance(node, ast.ImportFrom) and node.module == "dataclasses"
        if {"dataclass", "field", "replace"} & {each.name for each in node.names}
    ] == []
    assert [
        f"{module.path}:{node.lineno} takes it from typing, and not from modelcrate_layers.frozen"
        for module in ours
        for node in outside_functions(module.tree)
        if isinstance(node, ast.ImportFrom) and node.module == "typing"
        for names in [{each.name for each in node.names}]
        if "NamedTuple" in names and "Generic" not in names  # ours takes no other base
    ] == []
    assert [
        f"{module.path}:{node.lineno} compiles at once, and not by modelcrate_layers.patterns"
        for module in ours
        for node in outside_functions(module.tree)
        if isinstance(node, ast.Call) and ast.unparse(node.func) == "re.compile"
    ] == []


def outside_functions(node: ast.AST) -> Iterator[ast.AST]:
    """Yields the nodes that an import runs."""
    for each in ast.iter_child_nodes(node):
        if not isinstance(each, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda):
            yield each
            yield from outside_functions(each)


def test_no_import_goes_in_a_circle() -> None:
    assert circles(local=False) == []


def test_imports_in_functions_go_in_circles_only_where_things_know_each_other_by_nature() -> None:
    """An import in a function hides a circle from Python, not from who reads, so they are counted: a model packages itself and a
    package knows its model (the seed's own words), and the backend of a workspace is found by its address, which has the kind.
    """
    rooms = {each.rpartition(".")[0] for circle in circles(local=True) for each in circle}
    assert rooms <= {"modelcrate.azureml", "modelcrate.workspace"}


def test_not_even_for_type_checkers_does_a_layer_import_in_a_circle() -> None:
    assert [each for each in circles(local=True, typing=True) if each[0].startswith("modelcrate_layers")] == []


def circles(*, local: bool, typing: bool = False) -> list[list[str]]:
    """The modules that import each other in circles."""
    return circles_of(modules(), lambda name: edges(modules()[name], local=local, typing=typing))


def test_importing_the_package_imports_nothing_heavy() -> None:
    script = f"import sys, modelcrate; print([name for name in {HEAVY!r} if name in sys.modules])"
    path = f"{REPOSITORY / 'builder'}:{REPOSITORY / 'layers'}"
    done = subprocess.run([sys.executable, "-c", script], env={"PYTHONPATH": path}, capture_output=True, check=True)
    assert done.stdout.strip() == b"[]"


def test_the_server_in_the_image_imports_nothing_of_ours() -> None:
    folder = REPOSITORY / "layers" / SERVER.replace(".", "/")
    for path in folder.rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text())):
            names = [each.name for each in node.names] if isinstance(node, ast.Import) else []
            names += [node.module or ""] if isinstance(node, ast.ImportFrom) and not node.level else []
            assert not any(name.partition(".")[0] in {"modelcrate", "modelcrate_layers"} for name in names), path


def test_the_source_folders_are_no_packages() -> None:
    """`import layers` has to find the user's own code, never ours."""
    for root in ("builder", "layers", "tests"):
        assert not (REPOSITORY / root / "__init__.py").exists()


WITHOUT_A_WAY_OUT = {
    "modelcrate.containers.init",  # passes on what a child said
    "modelcrate.project.document",  # counts the faults that are not shown
}
"""Modules whose messages are made elsewhere."""

READERS = ("modelcrate.modelfiles", "modelcrate.security")
"""Rooms that tell what a file is; what to do about it is said by who asked them."""


def test_no_module_of_the_tests_hides_one_of_the_standard_library() -> None:
    """Programs of tests/support are started by other Pythons, which look for every import beside them first."""
    found = [path.name for path in (REPOSITORY / "tests" / "support").iterdir() if path.stem in sys.stdlib_module_names]
    assert not found


def test_no_test_leaves_its_worker_in_another_folder() -> None:
    """The folder of a test that passed is removed, and all later tests of the same process would be in a folder that is gone."""
    moved = [
        f"{path.relative_to(REPOSITORY)}:{call.lineno}"
        for path in (REPOSITORY / "tests").rglob("*.py")
        for call in ast.walk(ast.parse(path.read_text()))
        if isinstance(call, ast.Call) and ast.unparse(call.func) == "os.chdir"
    ]
    assert not moved, "contextlib.chdir and monkeypatch.chdir come back"


def test_an_error_of_the_user_says_what_to_do() -> None:
    """`hint` is the way out. `why`, an excerpt or errors that were found together may have it as well."""
    silent = []
    for module in modules().values():
        if module.name in WITHOUT_A_WAY_OUT or module.name.startswith(READERS):
            continue
        for node in ast.walk(module.tree):
            if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "UserError":
                named = {word.arg for word in node.keywords}
                if not named & {"hint", "why", "excerpt", "also", None}:
                    silent.append(f"{module.name}:{node.lineno}")
    assert silent == []
