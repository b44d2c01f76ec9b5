"""The images of a workspace in the words of the original's oldest classes."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from modelcrate.azureml.absent import IMAGES, refusing
from modelcrate_layers.errors import SourceError, UserError

if TYPE_CHECKING:
    from modelcrate.azureml.workspace import Workspace


@refusing({IMAGES: "create image_configuration add_properties add_tags remove_tags update delete"})
class Image:
    """An image that `Model.package` put into a workspace. `image_location` is its address."""

    def __init__(
        self,
        workspace: Workspace,
        name: str | None = None,
        id: str | None = None,  # noqa: A002 - the original's name
        tags: object = None,
        properties: object = None,
        version: str | None = None,
    ) -> None:
        wanted = id or name
        if not wanted or tags or properties:
            raise UserError("an image is found by its name and version", hint="Image(ws, name='diabetes', version='1')")
        wanted = wanted.replace(":", ".") if version is None else f"{wanted}.{version}"
        address = next((each for each in workspace.backend.images() if each.endswith(f":{wanted}")), None)
        if address is None:
            raise SourceError(f"there is no image {wanted}", where=workspace.address, hint="ws.images has all of them")
        self._set(workspace, address)

    def _set(self, workspace: Workspace, address: str) -> None:
        self.workspace, self.image_location = workspace, address
        self.name = self.id = address.rpartition(":")[2]
        self.version = self.name.partition(".")[2]
        self.creation_state, self.image_flavor, self.image_type = "Succeeded", "WebApiContainer", "Docker"
        self.tags: dict[str, str] = {}
        self.properties: dict[str, str] = {}
        self.description = self.created_time = self.image_build_log_uri = self.generated_dockerfile_uri = None
        self.models: list[Any] = []
        self.model_ids: list[str] = []

    def __repr__(self) -> str:
        return f"Image(name={self.name!r}, image_location={self.image_location!r})"

    @classmethod
    def list(
        cls,
        workspace: Workspace,
        image_name: str | None = None,
        model_name: str | None = None,
        model_id: str | None = None,
        tags: object = None,
        properties: object = None,
    ) -> list[Image]:
        """Returns the images of a workspace.

        Args:
            workspace: The workspace.
            image_name: Only images of this name.
            model_name: Must be None: an image does not say where its models came from.
            model_id: Must be None.
            tags: Must be None.
            properties: Must be None.

        Raises:
            UserError: The workspace is in a registry, which does not list them; or another condition is given.
        """
        if model_name or model_id or tags or properties:
            raise UserError("images are listed by their name only", hint="Image.list(ws, image_name='diabetes')")
        found = []
        for address in workspace.backend.images():
            made = cls.__new__(cls)
            made._set(workspace, address)
            if image_name is None or made.name == image_name or made.name.startswith(f"{image_name}."):
                found.append(made)
        return found

    def update_creation_state(self) -> None:
        """Does nothing: an image of a workspace is complete."""

    def wait_for_creation(self, show_output: bool = False) -> None:
        """Does nothing: an image of a workspace is complete."""

    def serialize(self) -> dict[str, Any]:
        """Returns the image as a dictionary for JSON."""
        return {"name": self.name, "version": self.version, "imageLocation": self.image_location}

    @classmethod
    def deserialize(cls, workspace: Workspace, image_payload: dict[str, Any]) -> Image:
        """Returns the image that `serialize` described."""
        return cls(workspace, str(image_payload["name"]))


@refusing({IMAGES: "run"})
class ContainerImage(Image):
    """See `Image`."""

    assets: tuple[object, ...] = ()
    driver_program = target_runtime = None


@refusing({IMAGES: "run"})
class UnknownImage(Image):
    """See `Image`."""
