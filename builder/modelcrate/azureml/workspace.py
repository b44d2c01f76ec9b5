"""Where models are registered and images go: a folder, or a prefix of a registry, in the place of the original's cloud service."""

from __future__ import annotations

import json
import warnings
from pathlib import Path

from modelcrate.config import Config
from modelcrate.environment import read_config
from modelcrate.transports.connections import Connections
from modelcrate.workspace.backend import WorkspaceBackend
from modelcrate.workspace.opening import open_workspace
from modelcrate_layers.content import parse_object
from modelcrate_layers.errors import SourceError, UserError

CONFIG_PLACES = (".azureml/config.json", "aml_config/config.json", "config.json")
"""Where the original looks for the file, in a folder and in all above it."""


class Workspace:
    """`address` is a folder or `HOST/PREFIX` of a registry. Without one, the workspace is a folder of its name in modelcrate's own home.

    The subscription and the resource group are kept and mean nothing here.
    """

    def __init__(
        self,
        subscription_id: str | None = None,
        resource_group: str | None = None,
        workspace_name: str | None = None,
        *,
        address: str | Path | None = None,
        settings: Config | None = None,
    ) -> None:
        if address is None and not workspace_name:
            raise UserError("a workspace has a name or an address", hint="Workspace(address='workspace')")
        if settings is None:
            settings = read_config()
        self.subscription_id, self.resource_group = subscription_id, resource_group
        self.settings = settings
        self.connections = Connections(settings)
        named = (
            str(address) if address is not None else f"folder:{settings.home / 'workspaces' / _plain(workspace_name)}"
        )
        self._backend = open_workspace(named, self.connections, Path.cwd())
        self.name = workspace_name or str(address).rstrip("/").rpartition("/")[2]

    def __repr__(self) -> str:
        return f"Workspace(name={self.name!r}, address={self.address!r})"

    @property
    def backend(self) -> WorkspaceBackend:
        return self._backend

    @property
    def address(self) -> str:
        """The place; a project file's `workspace` takes it."""
        return self._backend.address

    @staticmethod
    def from_config(path: str | None = None, auth: object = None, _logger: object = None) -> Workspace:
        """The workspace of a config.json: a file, or the first one from a folder (this one) upwards.

        The original's file works as it is; a member `address` says where the workspace is.
        """
        file = _find_config(Path(path or "."))
        facts = parse_object(file.read_bytes(), str(file))
        texts = {key: facts.get(key) for key in ("subscription_id", "resource_group", "workspace_name", "address")}
        if not all(value is None or isinstance(value, str) for value in texts.values()):
            raise UserError("its members are no texts", where=str(file))
        return Workspace(
            texts["subscription_id"], texts["resource_group"], texts["workspace_name"], address=texts["address"]
        )

    @staticmethod
    def get(
        name: str,
        auth: object = None,
        subscription_id: str | None = None,
        resource_group: str | None = None,
        location: str | None = None,
        cloud: str = "",
        id: str | None = None,  # noqa: A002 - the original's name
    ) -> Workspace:
        """The workspace of this name in modelcrate's home, or at this address."""
        return Workspace(subscription_id, resource_group, name, address=name if "/" in name else None)

    @staticmethod
    def create(name: str, *, exist_ok: bool = False, **of_the_cloud: object) -> Workspace:
        """The same: a workspace comes to be with its first model. What only a cloud needs is said to be without meaning."""
        known = {"subscription_id", "resource_group"}
        if unknown := sorted(set(of_the_cloud) - known):
            warnings.warn(f"without meaning here: {', '.join(unknown)}", UserWarning, stacklevel=2)
        made = Workspace.get(name)
        if not exist_ok and made.backend.tags():
            raise UserError(f"the workspace {name} exists already", hint="exist_ok=True takes it as it is")
        return made

    def write_config(self, path: str | None = None, file_name: str | None = None) -> str:
        """Write the config.json that `from_config` reads."""
        place = Path(path or ".") / ".azureml" / (file_name or "config.json")
        place.parent.mkdir(parents=True, exist_ok=True)
        facts = {
            "subscription_id": self.subscription_id or "",
            "resource_group": self.resource_group or "",
            "workspace_name": self.name,
            "address": self.address,
        }
        place.write_text(json.dumps(facts, indent=4) + "\n", encoding="utf-8")
        return str(place)


def _plain(name: str | None) -> str:
    """A workspace's name as that of a folder."""
    if not name or "/" in name or name in (".", ".."):
        raise UserError(f"not the name of a workspace: {name!r:.80}")
    return name


def _find_config(start: Path) -> Path:
    if start.is_file():
        return start
    for folder in (start.absolute(), *start.absolute().parents):
        for place in CONFIG_PLACES:
            if (folder / place).is_file():
                return folder / place
    raise SourceError(
        "there is no config.json of a workspace, here or above",
        where=str(start),
        hint="Workspace(address='workspace').write_config() writes one",
    )
