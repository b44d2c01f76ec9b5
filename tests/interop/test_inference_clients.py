"""The Open Inference Protocol over gRPC and with binary tensors, asked by KServe's and MLServer's own clients."""

from __future__ import annotations

import json
import sys
from contextlib import ExitStack
from pathlib import Path

import pytest

from support import azure, platforms
from support.ports import free_port
from support.tools import call

pytestmark = [pytest.mark.interop, pytest.mark.network, pytest.mark.slow]

PACKAGES = ("kserve==0.16.0", "mlserver==1.7.1")
SCRIPT = (
    platforms.SCRIPTS["text"]
    + """
def signature():
    return {
        "inputs": [{"name": "x", "datatype": "FP64", "shape": [-1, 2]}],
        "outputs": [{"name": "predict", "datatype": "FP64", "shape": [-1]}],
    }
"""
)


SETTINGS: tuple[dict[str, str], ...] = ({}, {"MODELCRATE_THREADS": "4"}, {"WORKER_COUNT": "2"})


def test_other_peoples_clients_are_answered(tmp_path: Path) -> None:
    """Each client is started once for all servers: it takes longer to load than to ask."""
    python = azure.environment("inference-clients", *PACKAGES, compiled=False)
    script = Path(platforms.__file__).with_name("oip_clients.py")
    with ExitStack() as stack:
        servers, ports = [], []
        for number, more in enumerate(SETTINGS):
            folder, port = tmp_path / str(number), str(free_port())
            folder.mkdir()
            env = {"MODELCRATE_GRPC_PORT": port, **more}
            contracts = ("azureml", "oip-grpc")
            servers.append(stack.enter_context(platforms.serving(folder, SCRIPT, contracts, sys.executable, env)))
            ports += [port, str(servers[-1].port)]
        asked = [json.loads(call(python, script, client, *ports)) for client in ("kserve", "mlserver")]
        logs = [server.log for server in servers]
    for one, other, log, more in zip(*asked, logs, SETTINGS, strict=True):
        found = {**one, **other}
        assert found["ready"] == [True, True, True], more
        for name in ("kserve grpc False", "kserve grpc True", "kserve rest False", "kserve rest True"):
            assert found[name] == platforms.SUMS, (name, more)
        assert found["mlserver False"] == found["mlserver True"] == ["one", platforms.SUMS], more
        assert found["metadata"] == ["rows", ["x"], [-1, 2]], more
        assert found["server"] == "modelcrate", more
        assert [code for code, _ in found["refused"]] == ["NOT_FOUND", "INVALID_ARGUMENT", "INTERNAL"], more
        assert "Traceback" not in found["refused"][2][1]  # the script's own exception: what it says is in the log
        assert "POST /inference.GRPCInferenceService/ModelInfer 200" in log
