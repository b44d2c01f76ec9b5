"""The original's base class of services, and the clouds' services, which are refused."""

from __future__ import annotations

from enum import Enum
from typing import TYPE_CHECKING, Any

from modelcrate.azureml.absent import CLOUD, DEPLOYING, KEYS, refusing
from modelcrate.azureml.deployment import (
    AciServiceDeploymentConfiguration,
    AksEndpointDeploymentConfiguration,
    AksServiceDeploymentConfiguration,
)
from modelcrate_layers.errors import SourceError, UserError

if TYPE_CHECKING:
    from modelcrate.azureml.local_service import LocalWebservice
    from modelcrate.azureml.workspace import Workspace


@refusing(
    {
        DEPLOYING: "deploy deploy_from_image deploy_from_model deploy_local_from_model",
        KEYS: "get_keys get_token regen_key get_access_token",
        CLOUD: "delete get_logs run serialize update update_deployment_state wait_for_deployment",
    }
)
class Webservice:
    """A service of a workspace. `Webservice(ws, name)` is the `LocalWebservice` of that name."""

    def __new__(cls, workspace: Workspace, name: str, *args: object, **kwargs: object) -> Any:
        """Returns the service of this name.

        Raises:
            SourceError: There is no service of this name.
        """
        if cls is not Webservice:
            return super().__new__(cls)
        from modelcrate.azureml.local_service import LocalWebservice

        made = LocalWebservice.__new__(LocalWebservice, workspace, name)
        LocalWebservice.__init__(made, workspace, name)
        return made

    @staticmethod
    def list(
        workspace: Workspace,
        compute_type: str | None = None,
        image_name: str | None = None,
        image_id: str | None = None,
        model_name: str | None = None,
        model_id: str | None = None,
        tags: object = None,
        properties: object = None,
        image_digest: str | None = None,
    ) -> list[LocalWebservice]:
        """Returns the services of a workspace on this machine, by name.

        Args:
            workspace: The workspace.
            compute_type: `LOCAL`; of the clouds' kinds there are none.
            image_name: The name of the image.
            image_id: Must be None: images have digests.
            model_name: The name of a model in it.
            model_id: The id of a model in it.
            tags: Must be None: services here have no tags.
            properties: Must be None, as the tags.
            image_digest: The digest of the image.
        """
        from modelcrate.azureml.local_service import LocalWebservice

        if image_id is not None or tags or properties:
            raise UserError("services have no image ids, tags and properties here", hint="image_name, image_digest")
        if compute_type is not None and compute_type.lower() != "local":
            return []
        found = LocalWebservice.list(workspace, model_name, model_id)
        return [each for each in found if image_name in (None, each.name) and image_digest in (None, each.image_digest)]

    @staticmethod
    def check_for_existing_webservice(
        workspace: Workspace,
        name: str,
        overwrite: bool = False,
        request_func: object = None,
        check_func: object = None,
    ) -> None:
        """Checks that no service of this machine, of whatever workspace, has a name.

        Raises:
            UserError: There is a service of this name, and `overwrite` is false.
        """
        from modelcrate.azureml.local_deployment import find_services

        if not overwrite and any(each.name == name for each in find_services(workspace.settings)):
            raise UserError(
                f"the service {name} exists already", hint="overwrite=True replaces it, or service.update(...)"
            )

    @classmethod
    def deserialize(cls, workspace: Workspace, webservice_payload: dict[str, Any] | None) -> Any:
        """Returns the service that `serialize` described; None for None.

        Raises:
            SourceError: There is no such service any more.
        """
        if webservice_payload is None:
            return None
        if "name" not in webservice_payload:
            raise SourceError("a service without a name", where="webservice_payload")
        return Webservice(workspace, str(webservice_payload["name"]))


@refusing({CLOUD: "add_properties add_tags remove_tags"})
class CloudWebservice(Webservice):
    """A service of a cloud. It can't be made; its configuration can, so that a script may choose at the end."""

    configuration: type[AciServiceDeploymentConfiguration | AksServiceDeploymentConfiguration]

    def __new__(cls, workspace: Workspace, name: str, *args: object, **kwargs: object) -> Any:
        """Raises a UserError: it is a service of a cloud."""
        raise CLOUD.error(cls.__name__)

    @classmethod
    def deploy_configuration(cls, **parameters: Any) -> Any:
        """Returns the configuration. `Model.deploy` refuses it."""
        return cls.configuration(**parameters)


class AciWebservice(CloudWebservice):
    """A service in Azure Container Instances."""

    configuration = AciServiceDeploymentConfiguration


class AksWebservice(CloudWebservice):
    """A service in Azure Kubernetes Service."""

    configuration = AksServiceDeploymentConfiguration


@refusing({CLOUD: "create_version update_version delete_version"})
class AksEndpoint(AksWebservice):
    """An endpoint in Azure Kubernetes Service."""

    configuration = AksEndpointDeploymentConfiguration

    class VersionType(Enum):
        """The two kinds of versions of an endpoint."""

        control = "Control"
        treatment = "Treatment"


class UnknownWebservice(CloudWebservice):
    """A service of a kind that the original does not know."""
