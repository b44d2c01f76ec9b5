"""The Open Inference Protocol over gRPC and with binary tensors, asked by KServe's and MLServer's own clients."""

from __future__ import annotations

import json
import sys
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


@pytest.mark.parametrize("more", [{}, {"MODELCRATE_THREADS": "4"}, {"WORKER_COUNT": "2"}], ids=str)
def test_other_peoples_clients_are_answered(tmp_path: Path, more: dict[str, str]) -> None:
    python = azure.environment("inference-clients", *PACKAGES, compiled=False)
    port = free_port()
    with platforms.serving(
        tmp_path, SCRIPT, ("azureml", "oip-grpc"), sys.executable, {"MODELCRATE_GRPC_PORT": str(port), **more}
    ) as server:
        script, ports = Path(platforms.__file__).with_name("oip_clients.py"), (str(port), str(server.port))
        found = {
            name: value
            for client in ("kserve", "mlserver")
            for name, value in json.loads(call(python, script, client, *ports)).items()
        }
        log = server.log
    assert found["ready"] == [True, True, True]
    for name in ("kserve grpc False", "kserve grpc True", "kserve rest False", "kserve rest True"):
        assert found[name] == platforms.SUMS, name
    assert found["mlserver False"] == found["mlserver True"] == ["one", platforms.SUMS]
    assert found["metadata"] == ["rows", ["x"], [-1, 2]]
    assert found["server"] == "modelcrate"
    assert [code for code, _ in found["refused"]] == ["NOT_FOUND", "INVALID_ARGUMENT", "INTERNAL"]
    assert "Traceback" not in found["refused"][2][1]  # the script's own exception: what it says is in the log
    assert "POST /inference.GRPCInferenceService/ModelInfer 200" in log
