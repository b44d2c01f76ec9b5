"""The variables of the container: the image's own, the base's, and the project's laid over them. Pure."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from types import MappingProxyType

from modelcrate.resolve.resolved_base import HIDING
from modelcrate_layers.errors import UserError

NOWHERE = "/var/empty/modelcrate"
"""A folder that this machine does not have: the server looks for a configuration file, which is the image's own matter."""

JOINED = ("PATH", "PYTHONPATH")
"""Lists of folders: ours come first, so that the server finds its programs and modules; the project's follow."""

FIXED: Mapping[str, str] = MappingProxyType(
    {
        "AML_APP_ROOT": "the server finds the code below it",
        "AZUREML_ENTRY_SCRIPT": "the server loads this script; name another one under 'entry'",
        "AZUREML_MODEL_DIR": "the models are there; name others under 'models'",
        "AZUREML_SOURCE_DIRECTORY": "the script's folder is there; name another one under 'entry'",
        "MODELCRATE_CONTRACTS": "the server answers by it; name others under 'contracts'",
        "PYTHONEXECUTABLE": "Python would take that program for itself, and not find the packages of the image",
        "PYTHONHOME": "Python would not find the packages of the image",
        "PYTHONPLATLIBDIR": "Python would not find the packages of the image",
    }
)
"""Variables that a project can't set in an image with a server, and why."""


_PYTHONS: Mapping[str, tuple[str, str]] = MappingProxyType(
    {
        "PYTHONHASHSEED": (r"random|[0-9]{1,9}|[1-3][0-9]{9}|4[0-1][0-9]{8}", "random, or a number"),
        "PYTHONINTMAXSTRDIGITS": (r"0|[1-9][0-9]{3,8}|[7-9][0-9]{2}|6[4-9][0-9]", "0, or a number from 640 on"),
        "PYTHONMALLOC": (
            "(default|malloc|pymalloc|mimalloc)(_debug)?|debug",
            "default, malloc, pymalloc, debug, malloc_debug or pymalloc_debug",
        ),
        "PYTHON_CPU_COUNT": ("default|[1-9][0-9]{0,5}", "default, or a number from 1 on"),
        "PYTHON_FROZEN_MODULES": ("on|off", "on or off"),
        "PYTHON_GIL": ("1", "1, for a Python that is not free-threaded"),
        "PYTHONTRACEMALLOC": ("[0-9]{1,4}", "a number of frames"),
        "PYTHONUTF8": ("0|1", "0 or 1"),
    }
)
"""Variables without a valid value of which Python ends before it has begun, with the pattern and the words of one (its documentation)."""


def _is_encoding(text: str) -> bool:
    """Returns whether Python takes this as ENCODING:ERRORS of its standard streams, either of which may be left out."""
    name = text.partition(":")[0]
    try:
        "".encode(name or "utf-8")
    except (LookupError, ValueError):
        return False
    return True


def refused_variables(own: Mapping[str, str], *, checked_by_server: bool = True) -> Iterator[UserError]:
    """Yields an error for each variable that a project sets and with which the server in its image would not start.

    Args:
        own: The project's variables.
        checked_by_server: Whether the server is modelcrate's own, which says what values it takes.
    """
    for name, why in FIXED.items():
        if name in own:
            yield UserError(f"'env' can't set {name}", why=why, hint=f"take {name} out of 'env'")
    for name, (pattern, words) in _PYTHONS.items():
        if own.get(name) and not re.fullmatch(pattern, own[name]):
            yield UserError(
                f"'env' sets {name} to {own[name]!r:.80}", why="Python would not start", hint=f"expected {words}"
            )
    if not _is_encoding(own.get("PYTHONIOENCODING", "")):
        yield UserError(
            f"'env' sets PYTHONIOENCODING to {own['PYTHONIOENCODING']!r:.80}",
            why="Python knows no such encoding of text, and would not start",
            hint="expected for instance utf-8, or utf-8:surrogateescape",
        )
    if checked_by_server:
        values = {name: value for name, value in own.items() if name not in FIXED and name != "AZUREML_CONFIG_FILE"}
        if not values:
            return
        from modelcrate_server.settings import read_settings
        from modelcrate_server.variables import SettingsError

        try:
            read_settings({**values, "AML_APP_ROOT": NOWHERE})
        except SettingsError as fault:
            yield UserError(
                "'env' has a value that the server does not take", why=str(fault), hint="correct it, or leave it out"
            )


def lay_over(image: Mapping[str, str], base: Mapping[str, str], own: Mapping[str, str]) -> dict[str, str]:
    """Returns the variables of the container.

    Args:
        image: Those that the image needs.
        base: Those of the base. Only its PATH counts: the others stay in the config by themselves, but for those that are emptied.
        own: The project's, which win but for what `refused_variables` names.
    """
    out = {**image, **own}
    for name in JOINED:
        parts = [image.get(name, ""), own.get(name, ""), base.get(name, "") if name == "PATH" else ""]
        if any(parts):
            out[name] = _joined(parts)
    return out | {name: "" for name in HIDING if base.get(name) and not out.get(name)}


def _joined(parts: Iterable[str]) -> str:
    folders = (folder for part in parts for folder in part.split(":") if folder)
    return ":".join(dict.fromkeys(folders))
