"""The Open Inference Protocol over gRPC: what is not there is refused in words."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import grpc
import pytest

from modelcrate_server.wire import fields, packed, part, text
from support.ports import free_port
from support.serving import our_server
from support.wsgi import returning

SERVICE = "/inference.GRPCInferenceService"
REQUEST = text(1, "model") + part(5, text(1, "x") + text(2, "INT64") + packed(3, [1, 2]) + part(5, packed(3, [1, 2])))


@pytest.fixture
def channel(tmp_path: Path) -> Iterator[grpc.Channel]:
    (tmp_path / "score.py").write_text(returning("[sum(row) for row in json.loads(data)['data']]", "import json"))
    port = free_port()
    env = {"MODELCRATE_CONTRACTS": "oip-grpc", "MODELCRATE_GRPC_PORT": str(port)}
    with (
        our_server(sys.executable, tmp_path / "score.py", tmp_path, env),
        grpc.insecure_channel(f"127.0.0.1:{port}") as opened,
    ):
        yield opened


def refusal(ask: Callable[[], object]) -> tuple[grpc.StatusCode, str]:
    with pytest.raises(grpc.RpcError) as refused:
        ask()
    return refused.value.code(), refused.value.details()


def test_what_is_there_is_answered_and_the_rest_is_refused_in_words(channel: grpc.Channel) -> None:
    ask = channel.unary_unary(f"{SERVICE}/ModelInfer")
    assert dict(fields(ask(REQUEST, wait_for_ready=True, timeout=60)))[6] == (3).to_bytes(8, "little")
    stream = channel.stream_stream(f"{SERVICE}/ModelStreamInfer")
    code, said = refusal(lambda: list(stream(iter([REQUEST]))))
    assert code is grpc.StatusCode.UNIMPLEMENTED
    assert f"{SERVICE}/ModelStreamInfer is not here" in said
    assert "sent to ModelInfer one by one" in said
    code, said = refusal(lambda: channel.unary_unary("/other.Service/Any")(b""))
    assert (code, "ServerLive" in said) == (grpc.StatusCode.UNIMPLEMENTED, True)
    code, said = refusal(lambda: ask(text(1, "nope")))
    assert (code, said) == (grpc.StatusCode.NOT_FOUND, "Model nope not found")
