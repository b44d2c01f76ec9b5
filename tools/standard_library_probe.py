"""What an interpreter's standard library has, as JSON on standard output: run by tools/write_standard_library.py, under Python 3.9 and newer."""

import importlib
import importlib.util
import inspect
import io
import json
import pkgutil
import sys
import types
import warnings

warnings.simplefilter("ignore")
ASKED = json.load(sys.stdin)
sys.stdin = io.StringIO()
LISTED = getattr(sys, "stdlib_module_names", None)
"""None before Python 3.10."""
FOUND = {*sys.builtin_module_names, *(each.name for each in pkgutil.iter_modules(sys.path))}
TOPS = ASKED.get("tops", sorted(LISTED or FOUND))
ALONE = {
    "antigravity",
    "this",
    "idlelib",
    "test",
    "turtledemo",
    "lib2to3",
    "tkinter",
    "turtle",
    "ensurepip",
    "pydoc_data",
    "__main__",
}
"""Modules that do something when they are imported, or that distributions package apart."""


def modules():
    """Yields the names of all modules, and of those below them."""
    for top in TOPS:
        try:
            spec = importlib.util.find_spec(top)
        except (ImportError, ValueError):
            spec = None
        if spec is None and top not in sys.builtin_module_names:
            continue
        yield top
        if spec is not None and spec.submodule_search_locations and top not in ALONE:
            for found in pkgutil.walk_packages(
                list(spec.submodule_search_locations), top + ".", onerror=lambda name: None
            ):
                if not {"test", "tests", "idle_test", "__main__"} & set(found.name.split(".")):
                    yield found.name
    for name in ("os.path", "typing.io", "typing.re", "collections.abc"):
        try:
            importlib.import_module(name)
        except ImportError:
            continue
        yield name


def arguments(value):
    """Returns the names of a callable's arguments; None where they are not told, or any is taken."""
    try:
        found = inspect.signature(value).parameters.values()
    except (TypeError, ValueError, NameError):
        return None
    if any(each.kind is each.VAR_KEYWORD for each in found):
        return None
    return [each.name for each in found if each.kind in (each.KEYWORD_ONLY, each.POSITIONAL_OR_KEYWORD)]


def names(name):
    """Returns the public names in a module; None for one that can't be imported here."""
    if name.partition(".")[0] in ALONE:
        return {}
    try:
        module = importlib.import_module(name)
    except BaseException:
        return None
    listed = getattr(module, "__all__", None)
    found = {}
    for each in sorted({*dir(module), *ASKED["names"].get(name, ())}):
        try:
            value = getattr(module, each)
        except Exception:
            continue
        if each.startswith("_"):
            continue
        made = getattr(value, "__module__", name)
        here = isinstance(made, str) and made.partition(".")[0].lstrip("_") == name.partition(".")[0].lstrip("_")
        constant = each.isupper() and isinstance(value, (int, str, bytes))
        own = (
            not isinstance(value, types.ModuleType)
            and not constant
            and (each in listed if listed is not None and each not in ASKED["seeds"].get(name, ()) else here)
        )
        found[each] = {"own": own, "arguments": arguments(value) if callable(value) else None}
    return found


told = {"minor": sys.version_info[1], "tops": TOPS, "listed": LISTED is not None}
if "tops" in ASKED:
    told["modules"] = {name: names(name) for name in modules()}
print(json.dumps(told))
