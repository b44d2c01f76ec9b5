"""A workspace for models and images: a folder, or a prefix of a registry, instead of the original's cloud service."""

from __future__ import annotations

import json
import warnings
from pathlib import Path
from typing import TYPE_CHECKING, Any

from modelcrate.azureml.absent import (
    ACCOUNT,
    COMPUTE,
    DATA,
    NETWORK,
    RUNS,
    SECRETS,
    refusing,
)
from modelcrate.config import Config
from modelcrate.environment import read_config
from modelcrate.events import Event, Notice
from modelcrate.transports.connections import Connections
from modelcrate.workspace.backend import WorkspaceBackend
from modelcrate.workspace.moving import move_workspaces
from modelcrate.workspace.opening import open_named, open_workspace
from modelcrate_layers.content import parse_object
from modelcrate_layers.errors import SourceError, UserError
from modelcrate_layers.named_file import read_source
from modelcrate_layers.patterns import compile_later

if TYPE_CHECKING:
    from modelcrate.azureml.environment import Environment
    from modelcrate.azureml.images import Image
    from modelcrate.azureml.local_service import LocalWebservice
    from modelcrate.azureml.model import Model

CONFIG_PLACES = (".azureml", "aml_config", ".")
"""Where the original looks for the configuration file, in a folder and in all folders above it."""

_SCOPE = compile_later(
    r"/subscriptions/(?P<subscription_id>[^/]+)/resource[gG]roups/(?P<resource_group>[^/]+)/.*/workspaces/(?P<workspace_name>[^/]+)"
)
"""The other form of the configuration: the path of the workspace in Azure's resource manager."""


@refusing(
    {
        COMPUTE: "get_default_compute_target",
        DATA: "get_default_datastore set_default_datastore",
        SECRETS: "get_default_keyvault",
        RUNS: "get_run get_mlflow_tracking_uri",
        NETWORK: "add_private_endpoint delete_private_endpoint_connection get_connection set_connection delete_connection list_connections",
        ACCOUNT: "diagnose_workspace list_keys sync_keys setup update update_dependencies",
    },
    {
        COMPUTE: "compute_targets DEFAULT_CPU_CLUSTER_CONFIGURATION DEFAULT_GPU_CLUSTER_CONFIGURATION",
        DATA: "datasets datastores",
        RUNS: "experiments",
        NETWORK: "linked_services private_endpoints",
        ACCOUNT: "discovery_url service_context",
    },
)
class Workspace:
    """A workspace. `address` is a folder, or `HOST/PREFIX` of a registry; by default a folder with its name in the user's data.

    The subscription and the resource group are stored, but have no effect.
    """

    DEFAULT_CPU_CLUSTER_NAME = "cpu-cluster"
    DEFAULT_GPU_CLUSTER_NAME = "gpu-cluster"

    def __init__(
        self,
        subscription_id: str | None = None,
        resource_group: str | None = None,
        workspace_name: str | None = None,
        auth: object = None,
        *,
        address: str | Path | None = None,
        settings: Config | None = None,
        **of_the_cloud: object,
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

    @property
    def location(self) -> str:
        """The address: there is no region."""
        return self.address

    @property
    def sku(self) -> str:
        """`basic`, the plainest of the original."""
        return "basic"

    @property
    def tags(self) -> dict[str, str]:
        """Empty: a folder or a registry has no tags. Models have."""
        return {}

    @property
    def models(self) -> dict[str, Model]:
        """The latest version of every model, by name."""
        from modelcrate.azureml.model import Model

        return {each.name: each for each in Model.list(self, latest=True)}

    @property
    def environments(self) -> dict[str, Environment]:
        """The latest version of every registered environment, by name."""
        from modelcrate.azureml.environment import Environment

        return Environment.list(self)

    @property
    def images(self) -> dict[str, Image]:
        """The images of `Model.package`, by name and tag.

        Raises:
            UserError: The workspace is in a registry, which does not list them.
        """
        from modelcrate.azureml.images import Image

        return {each.name: each for each in Image.list(self)}

    @property
    def webservices(self) -> dict[str, LocalWebservice]:
        """The services of this workspace on this machine, by name."""
        from modelcrate.azureml.local_service import LocalWebservice

        return {each.name: each for each in LocalWebservice.list(self)}

    def get_details(self) -> dict[str, Any]:
        """Returns what is known of the workspace."""
        return {
            "id": self.address,
            "name": self.name,
            "location": self.location,
            "type": "modelcrate",
            "subscription": self.subscription_id,
            "resourceGroup": self.resource_group,
            "sku": self.sku,
            "tags": self.tags,
        }

    def delete(self, delete_dependent_resources: bool = False, no_wait: bool = False) -> None:
        """Raises a UserError: models are never deleted all at once by a program."""
        raise UserError(
            f"the workspace {self.name} is not deleted by a program",
            hint=f"delete its models one by one (Model.delete), or remove its place yourself: {self.address}",
        )

    @staticmethod
    def list(
        subscription_id: str | None = None, auth: object = None, resource_group: str | None = None
    ) -> dict[str, list[Workspace]]:
        """Returns the workspaces with a name in the user's data, in lists by name. Those at other addresses are not known."""
        settings = read_config()
        move_workspaces(settings, _warn)
        folder = settings.workspaces
        names = sorted(each.name for each in folder.iterdir() if each.is_dir()) if folder.is_dir() else []
        found = (Workspace(subscription_id, resource_group, name) for name in names if not name.startswith("."))
        return {each.name: [each] for each in found}

    @staticmethod
    def from_config(
        path: str | None = None, auth: object = None, _logger: object = None, _file_name: str | None = None
    ) -> Workspace:
        """Returns the workspace of a config.json. Files of the original work; their member `address` is the workspace's address.

        Args:
            path: The file, or the folder from which on it is looked for upwards; by default the current folder.
            auth: Ignored.
            _logger: Ignored.
            _file_name: The name of the file, by default config.json.

        Raises:
            SourceError: There is no such file.
            UserError: The file is malformed.
        """
        file = _find_config(Path(path or "."), _file_name or "config.json")
        facts = parse_object(read_source(file), str(file))
        if scope := _SCOPE.fullmatch(str(facts.get("Scope") or "")):
            facts = {**scope.groupdict(), **facts}
        texts = {key: facts.get(key) for key in ("subscription_id", "resource_group", "workspace_name", "address")}
        if not all(value is None or isinstance(value, str) for value in texts.values()):
            raise UserError(
                "its members are not texts",
                where=str(file),
                hint='expected {"subscription_id": "...", "resource_group": "...", "workspace_name": "..."}',
            )
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
        cloud: str = "AzureCloud",
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
        known = {"subscription_id", "resource_group", "auth", "show_output"}
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
        place.write_text(json.dumps(facts, indent=4) + "\n", encoding="utf-8", newline="\n")
        return str(place)


def _warn(event: Event) -> None:
    """Shows a notice, for instance that a workspace was moved."""
    if isinstance(event, Notice):
        warnings.warn(event.text, UserWarning, stacklevel=2)


def _plain(name: str | None) -> str:
    """Returns the name of a workspace, if it can be that of a folder."""
    if not name or "/" in name or name in (".", ".."):
        raise UserError(
            f"not the name of a workspace: {name!r:.80}", hint="a name is that of a folder, without a slash"
        )
    return name


def _find_config(start: Path, name: str) -> Path:
    if start.is_file():
        return start
    for folder in (start.absolute(), *start.absolute().parents):
        for place in CONFIG_PLACES:
            if (folder / place / name).is_file():
                return folder / place / name
    raise SourceError(
        f"there is no {name} of a workspace, here or above",
        where=str(start),
        hint="Workspace(address='workspace').write_config() writes one",
    )
