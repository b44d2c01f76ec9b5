"""A service on this machine, in the words of the original's `LocalWebservice`: a container of modelcrate instead of Docker's."""

from __future__ import annotations

import json
import time
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from modelcrate.azureml.absent import CLOUD, refusing
from modelcrate.azureml.deployment import (
    DeploymentConfiguration,
    LocalWebserviceDeploymentConfiguration,
    local_configuration,
)
from modelcrate.azureml.inference_config import InferenceConfig
from modelcrate.azureml.local_deployment import Service, deploy, find_service, find_services, remove
from modelcrate.azureml.projects import make_project
from modelcrate.azureml.webservice import Webservice
from modelcrate.containers.ready import NotReadyError, wait_ready
from modelcrate.events import Event, ignore_event
from modelcrate.inspect.conformance import Target
from modelcrate.inspect.serving import Endpoint
from modelcrate.pipeline.request import Request
from modelcrate.render.stdout import print_text
from modelcrate_layers.errors import MachineError, SourceError, UserError

if TYPE_CHECKING:
    from modelcrate.azureml.model import Model
    from modelcrate.azureml.workspace import Workspace

SCORE, SWAGGER = "/score", "/swagger.json"
WAIT = 600.0
"""Seconds that `wait_for_deployment` waits by default: large models load for minutes."""

ANSWER = 3600.0
"""Seconds that `run` waits for an answer: as long as the server lets a script compute by default."""

_LOOK = 1.0


@refusing({CLOUD: "deploy_to_cloud"})
class LocalWebservice(Webservice):
    """A service whose container runs on this machine and answers on 127.0.0.1. `LocalWebservice(ws, name)` finds one.

    It changes, so it is not a value.
    """

    STATE_DEPLOYING = "deploying"
    STATE_RUNNING = "running"
    STATE_FAILED = "failed"
    STATE_DELETED = "deleted"
    STATE_UNKNOWN = "unknown"
    NETWORK_NAME = "own"

    compute_type = "Local"
    auth_enabled = token_auth_enabled = False
    created_by = None

    def __init__(self, workspace: Workspace, name: str, must_exist: bool = True) -> None:
        """Finds a service.

        Args:
            workspace: The workspace.
            name: The name.
            must_exist: Whether its absence is an error.

        Raises:
            SourceError: There is no such service of this workspace, and `must_exist` is true.
        """
        self.workspace, self.name = workspace, name
        self._service: Service | None = None
        self._config: InferenceConfig | None = None
        self._answered: Service | None = None
        self.tags: dict[str, str] = {}
        self.properties: dict[str, str] = {}
        self.update_deployment_state(must_exist)

    def __repr__(self) -> str:
        return f"LocalWebservice(workspace={self.workspace!r}, name={self.name}, state={self.state})"

    @classmethod
    def create(
        cls,
        workspace: Workspace,
        name: str,
        models: Sequence[Model],
        inference_config: InferenceConfig | None,
        deployment_config: LocalWebserviceDeploymentConfiguration,
        overwrite: bool,
        show_output: bool,
    ) -> LocalWebservice:
        """Builds and starts a service. See `Model.deploy`."""
        cls.check_for_existing_webservice(workspace, name, overwrite)
        made = cls(workspace, name, must_exist=False)
        made.tags, made.properties = dict(deployment_config.tags or {}), dict(deployment_config.properties or {})
        made._deploy(models, inference_config, deployment_config.port, deployment_config.description, show_output)
        return made

    @staticmethod
    def deploy_configuration(port: int | None = None) -> LocalWebserviceDeploymentConfiguration:
        """Returns the configuration of a deployment on this machine.

        Args:
            port: The port of 127.0.0.1; None for any free one.

        Raises:
            UserError: It is no port.
        """
        return LocalWebserviceDeploymentConfiguration(port)

    @staticmethod
    def list(  # type: ignore[override] # the original's own parameters
        workspace: Workspace,
        model_name: str | None = None,
        model_id: str | None = None,
        all: bool | None = None,  # noqa: A002 - the original's name
    ) -> list[LocalWebservice]:
        """Returns the services of a workspace.

        Args:
            workspace: The workspace.
            model_name: Only services with a model of this name.
            model_id: Only services with this model.
            all: Whether services that have ended are among them; by default they are.
        """
        found = []
        for each in find_services(workspace.settings):
            models = [str(model) for model in each.facts.get("models") or ()]
            if (
                each.facts.get("workspace") == workspace.address
                and (model_name is None or model_name in [model.partition(":")[0] for model in models])
                and (model_id is None or model_id in models)
                and (all is not False or each.container.state().status == "running")
            ):
                found.append(LocalWebservice(workspace, each.name))
        return found

    @property
    def state(self) -> str:
        """`deploying`, `running`, `failed` after its container has ended, or `deleted`."""
        service = self._service
        if service is None or not service.container.folder.is_dir():
            return self.STATE_DELETED
        known = {"starting": self.STATE_DEPLOYING, "running": self.STATE_RUNNING, "ended": self.STATE_FAILED}
        return known.get(service.container.state().status, self.STATE_UNKNOWN)

    @property
    def error(self) -> str | None:
        """Why it does not run: the end of its log; None while it runs."""
        return self.get_logs(20) if self.state == self.STATE_FAILED else None

    @property
    def port(self) -> int | None:
        """The port of this machine; None where it does not run."""
        return None if self._service is None or self.state == self.STATE_DELETED else self._service.port

    @property
    def scoring_uri(self) -> str | None:
        """The address for requests; None where it does not run."""
        return self._uri("scoring", SCORE)

    @property
    def swagger_uri(self) -> str | None:
        """The address of its description; None where it does not run."""
        return self._uri("swagger", SWAGGER)

    @property
    def models(self) -> Sequence[Model]:
        """The models in it."""
        return [self._model(str(each)) for each in self._facts.get("models") or ()]

    @property
    def environment(self) -> Any:
        """Its environment; None without an inference config."""
        config = self._inference_config()
        return config.environment if config is not None else None

    @property
    def image(self) -> str:
        """The name of its image in the local store."""
        return f"{self.name}:latest"

    image_id = image

    @property
    def image_digest(self) -> str | None:
        """The digest of its image."""
        return self._service.digest if self._service is not None else None

    @property
    def description(self) -> str | None:
        """The text that it was deployed with."""
        found = self._facts.get("description")
        return str(found) if found else None

    @property
    def created_time(self) -> datetime | None:
        """When it was deployed."""
        found = self._facts.get("created")
        return datetime.fromisoformat(str(found)) if found else None

    updated_time = created_time

    def update_deployment_state(self, must_exist: bool = False) -> None:
        """Looks for its container again.

        Args:
            must_exist: Whether its absence is an error.

        Raises:
            SourceError: There is no such service of the workspace, and `must_exist` is true.
        """
        try:
            found = find_service(self.name, self.workspace.settings)
            if found.facts.get("workspace") != self.workspace.address:
                raise SourceError(
                    f"the service {self.name} is one of another workspace", where=str(found.facts.get("workspace"))
                )
        except SourceError:
            self._service = None
            if must_exist:
                raise
        else:
            self._service = found

    def wait_for_deployment(self, show_output: bool = False, timeout_sec: float | None = None) -> None:
        """Waits until it answers.

        Args:
            show_output: Whether its log is printed while it starts.
            timeout_sec: Seconds; by default ten minutes.

        Raises:
            MachineError: It has ended, or does not answer; the reason is the end of its log.
            SourceError: It was deleted.
        """
        container = self._running().container
        deadline, printed = time.monotonic() + (WAIT if timeout_sec is None else timeout_sec), 0
        while True:
            try:
                wait_ready(container, str(self._facts.get("health") or "/"), _LOOK)
            except NotReadyError:
                if time.monotonic() >= deadline:
                    raise
            except MachineError:
                self._print_log(printed, show_output)
                raise
            else:
                break
            finally:
                printed = self._print_log(printed, show_output)
        self._answered = self._service
        if show_output:
            print_text(f"Local webservice is {self.state} at http://localhost:{self.port}")

    def run(self, input_data: str | bytes) -> Any:
        """Sends a request to `scoring_uri`, and returns the answer, parsed from JSON.

        Args:
            input_data: The body, mostly JSON.

        One that is still starting is waited for.

        Raises:
            MachineError: It does not answer, or answers with an error; the reason is its body.
            SourceError: It was deleted.
        """
        self._await()
        port = self._running().port
        if port is None:
            raise MachineError(
                f"the service {self.name} is {self.state}", why=self.error or "", hint="service.get_logs() has its log"
            )
        body = input_data.encode() if isinstance(input_data, str) else bytes(input_data)
        path = str(self._facts.get("scoring") or SCORE)
        answer = Endpoint(Target(f"http://127.0.0.1:{port}", timeout=ANSWER), path).ask(body)
        text = answer.body.decode("utf-8", "replace")
        if not 200 <= answer.status < 300:
            raise MachineError(
                f"the service {self.name} answered {answer.status}",
                where=f"http://localhost:{port}{path}",
                why=text[:2000],
                hint="service.get_logs() has its log",
            )
        try:
            return json.loads(text)
        except ValueError:
            return text

    def get_logs(self, num_lines: int = 5000, init: bool = False, raw: bool = False) -> Any:
        """Returns the end of its log.

        Args:
            num_lines: How many lines.
            init: Has no effect: there is one container and one log.
            raw: Whether bytes are returned.

        Raises:
            SourceError: It was deleted.
        """
        container = self._running().container
        data = b"".join(container.logs(start=container.log_offset(tail=num_lines)))
        return data if raw else data.decode("utf-8", "replace")

    def update(
        self,
        models: Sequence[Model | str | Path] | None = None,
        image_config: InferenceConfig | None = None,
        deployment_config: DeploymentConfiguration | None = None,
        wait: bool = False,
        inference_config: InferenceConfig | None = None,
    ) -> None:
        """Builds it anew and starts it in the place of what runs. What is None stays as it is.

        Args:
            models: Its models from now on.
            image_config: As `inference_config`: the original's documentation passes it here as well.
            deployment_config: `LocalWebservice.deploy_configuration(port)`.
            wait: Whether to wait until it answers.
            inference_config: The entry script and its environment.

        Raises:
            CrateError: It can't be built; what runs goes on. Or it can't be started.
        """
        from modelcrate.azureml.model import Model

        if image_config is not None and not isinstance(image_config, InferenceConfig):
            raise UserError("image_config was replaced in 2019", hint="service.update(inference_config=...)")
        service = self._running()
        wanted = service.container.spec().options.ports[0].host or service.port
        if deployment_config is not None:
            wanted = local_configuration(deployment_config).port or wanted
        known = self.models if models is None else [Model._resolve(self.workspace, each) for each in models]
        self._deploy(
            known, inference_config or image_config or self._inference_config(), wanted, self.description, False
        )
        if wait:
            self.wait_for_deployment()

    def reload(self, wait: bool = False) -> None:
        """Starts it again with the files as they are now: the entry script, its folder and the models. What did not change is not made again.

        Args:
            wait: Whether to wait until it answers.
        """
        self.update(wait=wait)

    def delete(self, delete_cache: bool = True, delete_image: bool = False, delete_volume: bool = True) -> None:
        """Stops it and removes its container.

        Args:
            delete_cache: Has no effect: `modelcrate cache prune` removes what nothing uses.
            delete_image: Whether the name of its image is removed from the local store as well.
            delete_volume: Has no effect: it has no volume.
        """
        from modelcrate.home.folder import open_store

        remove(self.name, self.workspace.settings)
        if delete_image:
            open_store(self.workspace.settings).forget([self.image])
        self._service = None

    def serialize(self) -> dict[str, Any]:
        """Returns the service as a dictionary for JSON."""
        return {
            "name": self.name,
            "computeType": self.compute_type,
            "state": self.state,
            "port": self.port,
            "scoringUri": self.scoring_uri,
            "swaggerUri": self.swagger_uri,
            "description": self.description,
            "models": list(self._facts.get("models") or ()),
            "imageDigest": self.image_digest,
        }

    @property
    def _facts(self) -> dict[str, Any]:
        return dict(self._service.facts) if self._service is not None else {}

    def _deploy(
        self,
        models: Sequence[Model],
        config: InferenceConfig | None,
        port: int | None,
        description: str | None,
        show_output: bool,
    ) -> None:
        records = list({each.id: each.record for each in models}.values())
        project = make_project(self.name, self.workspace.address, records, config)
        facts = {
            "workspace": self.workspace.address,
            "models": [record.id for record in records],
            "inference_config": config.facts() if config is not None else None,
            "description": description,
            "created": datetime.now(UTC).isoformat(timespec="seconds"),
        }
        for notice in project.notices:
            print_text(notice)
        self._service = deploy(
            Request(project.project, Path.cwd(), use_lock=False),
            self.name,
            port,
            facts,
            self.workspace.settings,
            _print_event if show_output else ignore_event,
            project.logins,
        )
        self._config = config

    def _inference_config(self) -> InferenceConfig | None:
        """The config that it was deployed with: of this process, else read from its container."""
        facts = self._facts.get("inference_config")
        if self._config is None and facts is not None:
            self._config = InferenceConfig.of(facts, f"the service {self.name}")
        if self._config is None and "deployment" in self._facts:
            raise UserError(
                f"the service {self.name} comes from a file",
                hint=f"modelcrate deploy --local {self._facts['deployment']}",
            )
        return self._config

    def _await(self) -> None:
        """Waits until the container answers that was started last, unless it did before."""
        if self._running() is not self._answered and self.state != self.STATE_FAILED:
            self.wait_for_deployment()

    def _model(self, model_id: str) -> Model:
        from modelcrate.azureml.model import Model

        return Model(self.workspace, id=model_id)

    def _running(self) -> Service:
        """The service, if it was not deleted."""
        if self._service is None or self.state == self.STATE_DELETED:
            raise SourceError(f"the service {self.name} was deleted", hint="Model.deploy makes it again")
        return self._service

    def _uri(self, key: str, usual: str) -> str | None:
        port = self.port
        return None if port is None else f"http://localhost:{port}{self._facts.get(key) or usual}"

    def _print_log(self, start: int, show: bool) -> int:
        """Prints the log from a byte on, and returns where it ends."""
        if not show or self._service is None:
            return start
        data = b"".join(self._service.container.logs(start=start))
        print_text(data.decode("utf-8", "replace"), end="")
        return start + len(data)


def _print_event(event: Event) -> None:
    from modelcrate.azureml.build_log import event_line

    if line := event_line(event):
        print_text(line, end="")
