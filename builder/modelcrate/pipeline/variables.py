"""The variables of the container: the image's own, the base's, and the project's laid over them. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from types import MappingProxyType

from modelcrate.resolve.resolved_base import HIDING
from modelcrate_layers.errors import UserError

JOINED = ("PATH", "PYTHONPATH")
"""Lists of folders: ours come first, so that the server finds its programs and modules; the project's follow."""

FIXED: Mapping[str, str] = MappingProxyType(
    {
        "AML_APP_ROOT": "the server finds the code below it",
        "AZUREML_ENTRY_SCRIPT": "the server loads this script; name another one under 'entry'",
        "AZUREML_MODEL_DIR": "the models are there; name others under 'models'",
        "AZUREML_SOURCE_DIRECTORY": "the script's folder is there; name another one under 'entry'",
        "MODELCRATE_CONTRACTS": "the server answers by it; name others under 'contracts'",
        "PYTHONHOME": "Python would not find the packages of the image",
        "PYTHONPLATLIBDIR": "Python would not find the packages of the image",
    }
)
"""Variables that a project can't set in an image with a server, and why."""


def refused_variables(own: Mapping[str, str]) -> Iterator[UserError]:
    """Yields an error for each variable that a project sets and the server in its image needs otherwise."""
    for name, why in FIXED.items():
        if name in own:
            yield UserError(f"'env' can't set {name}", why=why, hint=f"take {name} out of 'env'")


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
