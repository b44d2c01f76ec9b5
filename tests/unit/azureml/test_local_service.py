"""What `Model.deploy` refuses before anything is built. tests/e2e/test_azure_deployments.py has services that run."""

from __future__ import annotations

import socket
from pathlib import Path

import pytest

from modelcrate.azureml import (
    AciWebservice,
    AksWebservice,
    InferenceConfig,
    LocalWebservice,
    Model,
    Webservice,
    Workspace,
)
from modelcrate.azureml.local_deployment import find_service, find_services
from modelcrate.config import Config
from modelcrate.transports import store
from modelcrate_layers.errors import SourceError, UserError


@pytest.fixture
def ws(tmp_path: Path, settings: Config) -> Workspace:
    return Workspace(address=tmp_path / "workspace", settings=settings)


def test_a_taken_port_is_said_before_anything_is_built(ws: Workspace, config: InferenceConfig) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = LocalWebservice.deploy_configuration(port=taken.getsockname()[1])
        with pytest.raises(UserError, match="can't publish port"):
            Model.deploy(ws, "words", [], config, port)
    assert list(store.list_images(ws.settings)) == []


@pytest.mark.parametrize("cloud", [AciWebservice, AksWebservice])
def test_a_cloud_is_refused_before_anything_is_built(
    ws: Workspace, config: InferenceConfig, cloud: type[AciWebservice]
) -> None:
    wanted = cloud.deploy_configuration(cpu_cores=1, memory_gb=1, primary_key="s3cret")
    assert "s3cret" not in repr(wanted)
    with pytest.raises(UserError, match="LocalWebservice"):
        Model.deploy(ws, "words", [], config, wanted)
    with pytest.raises(UserError, match="LocalWebservice"):
        Model.deploy(ws, "words", [], config, deployment_target="aks")
    with pytest.raises(UserError, match="unknown parameters: cpu_coers"):
        cloud.deploy_configuration(cpu_coers=1)
    assert list(store.list_images(ws.settings)) == []


@pytest.mark.parametrize("port", [0, 65536, "8080", True, 1.5])
def test_what_is_no_port_is_refused(port: object) -> None:
    with pytest.raises(UserError, match="not a port"):
        LocalWebservice.deploy_configuration(port=port)  # type: ignore[arg-type]


def test_a_service_that_is_not_there(ws: Workspace) -> None:
    with pytest.raises(SourceError, match="there is no service words"):
        Webservice(ws, "words")
    with pytest.raises(SourceError, match="there are: none"):
        find_service("words", ws.settings)
    missing = LocalWebservice(ws, "words", must_exist=False)
    assert (missing.state, missing.port, missing.scoring_uri, missing.models) == ("deleted", None, None, [])
    for call in (missing.get_logs, missing.reload, missing.wait_for_deployment, lambda: missing.run("{}")):
        with pytest.raises(SourceError, match=r"Model\.deploy makes it again"):
            call()
    assert find_services(ws.settings) == []
