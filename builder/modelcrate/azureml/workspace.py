"""A workspace for models and images: a folder, or a prefix of a registry, instead of the original's cloud service."""

from __future__ import annotations

import json
import warnings
from pathlib import Path

from modelcrate.config import Config
from modelcrate.environment import read_config
from modelcrate.events import Event, Notice
from modelcrate.transports.connections import Connections
from modelcrate.workspace.backend import WorkspaceBackend
from modelcrate.workspace.opening import open_named, open_workspace
from modelcrate_layers.content import parse_object
from modelcrate_layers.errors import SourceError, UserError
from modelcrate_layers.named_file import MAX_NAMED, read_named_file

CONFIG_PLACES = (".azureml/config.json", "aml_config/config.json", "config.json")
"""The paths of the configuration file that the original tries, in a folder and in all folders above it."""


class Workspace:
    """A workspace. `address` is a folder, or `HOST/PREFIX` of a registry; by default a folder with its name in the user's data.

    The subscription and the resource group are stored, but have no effect.
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
        self.connections = Connections(settings, _warn)
        self._backend = (
            open_named(_plain(workspace_name), self.connections)
            if address is None
            else open_workspace(str(address), self.connections, Path.cwd())
        )
        self.name = workspace_name or str(address).rstrip("/").rpartition("/")[2]

    def __repr__(self) -> str:
        return f"Workspace(name={self.name!r}, address={self.address!r})"

    @property
    def backend(self) -> WorkspaceBackend:
        """The place of the workspace: a folder, or a prefix of a registry."""
        return self._backend

    @property
    def address(self) -> str:
        """The address, as the key `workspace` of a project file takes it."""
        return self._backend.address

    @staticmethod
    def from_config(path: str | None = None, auth: object = None, _logger: object = None) -> Workspace:
        """Returns the workspace of a config.json. Files of the original work; their member `address` is the workspace's address.

        Args:
            path: The file, or the folder from which on it is looked for upwards; by default the current folder.
            auth: Ignored.
            _logger: Ignored.

        Raises:
            SourceError: There is no such file.
            UserError: The file is malformed.
        """
        file = _find_config(Path(path or "."))
        facts = parse_object(read_named_file(file, MAX_NAMED), str(file))
        texts = {key: facts.get(key) for key in ("subscription_id", "resource_group", "workspace_name", "address")}
        if not all(value is None or isinstance(value, str) for value in texts.values()):
            raise UserError("its members are not texts", where=str(file))
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
        """Returns the workspace with a name in the user's data, or at an address."""
        return Workspace(subscription_id, resource_group, name, address=name if "/" in name else None)

    @staticmethod
    def create(name: str, *, exist_ok: bool = False, **of_the_cloud: object) -> Workspace:
        """Returns the workspace with a name. It is created on the disk with its first model.

        Arguments for the cloud give a warning, because they have no effect.

        Raises:
            UserError: The workspace has models, and `exist_ok` is false.
        """
        known = {"subscription_id", "resource_group"}
        if unknown := sorted(set(of_the_cloud) - known):
            warnings.warn(f"without effect: {', '.join(unknown)}", UserWarning, stacklevel=2)
        made = Workspace.get(name)
        if not exist_ok and made.backend.tags():
            raise UserError(f"the workspace {name} exists already", hint="exist_ok=True takes it as it is")
        return made

    def write_config(self, path: str | None = None, file_name: str | None = None) -> str:
        """Writes the config.json that `from_config` reads, and returns its path."""
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


def _warn(event: Event) -> None:
    """Shows a notice, for instance that a workspace was moved."""
    if isinstance(event, Notice):
        warnings.warn(event.text, UserWarning, stacklevel=2)


def _plain(name: str | None) -> str:
    """Returns the name of a workspace, if it can be that of a folder."""
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
