"""What code written for oras-py gets from us: its names, its arguments, and pushes and pulls that work."""

from __future__ import annotations

import base64
import inspect
import json
from pathlib import Path

import oras.client
import oras.provider
import pytest

from modelcrate.net.errors import ErrorResponse
from modelcrate.registry.oras_adapter import OrasAdapter
from modelcrate.registry.oras_client import Registry
from modelcrate_layers.errors import IntegrityError, RegistryError
from support.real_registry import PASSWORD, USER, Running
from support.scripted import Reply, Script
from support.token_server import TokenServer

from .conftest import Client

OURS = [
    name
    for name, value in vars(OrasAdapter).items()
    if inspect.isfunction(value) and name in vars(oras.provider.Registry)
]


@pytest.mark.parametrize("name", [name for name in OURS if name != "__init__"])
def test_every_method_takes_what_oras_gives_it(name: str) -> None:
    """Upstream is young and moves; this says so when it has moved away from us."""
    theirs = inspect.signature(getattr(oras.provider.Registry, name)).parameters
    ours = inspect.signature(getattr(OrasAdapter, name)).parameters
    assert list(ours)[: len(theirs)] == list(theirs)


def test_no_request_of_oras_is_left_to_itself() -> None:
    """Every method of oras that uses its session directly is one that we replace."""
    using = {
        name
        for name, value in vars(oras.provider.Registry).items()
        if inspect.isfunction(value) and "self.session.request" in inspect.getsource(inspect.unwrap(value))
    }
    assert using <= set(OURS)


def test_it_is_an_oras_client(client: Client) -> None:
    assert isinstance(client(), oras.provider.Registry)
    assert isinstance(client(), oras.client.OrasClient)


def test_oras_push_and_pull_work_where_scopes_are_enforced(
    granted: tuple[Running, TokenServer], client: Client, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Stock oras-py fails here (its issue 187): its first token may only pull."""
    running, _ = granted
    monkeypatch.chdir(tmp_path)
    (tmp_path / "model.bin").write_bytes(b"weights" * 1000)
    registry = client(username=USER, password=PASSWORD)
    target = f"{running.host}/team/artifact:1"
    assert registry.push(target, files=["model.bin"]).status_code == 201
    pulled = registry.pull(target, outdir=str(tmp_path / "out"))
    assert [Path(path).read_bytes() for path in pulled] == [b"weights" * 1000]
    assert registry.get_tags(target) == ["1"]
    assert registry.get_manifest(target)["layers"][0]["size"] == 7000


def test_a_download_is_verified_and_leaves_nothing_half_made(script: Script, client: Client, tmp_path: Path) -> None:
    import hashlib

    digest = f"sha256:{hashlib.sha256(b'right').hexdigest()}"
    script.blobs["team/x", digest] = b"right"
    script.plan("GET", "/blobs/", lambda reply: Reply(200, {}, b"wrong"), times=9)
    with pytest.raises(IntegrityError):
        client().download_blob(f"{script.host}/team/x:1", digest, str(tmp_path / "out"))
    assert not list(tmp_path.iterdir())


def test_a_request_by_hand_carries_no_authorization_of_its_own(script: Script, client: Client) -> None:
    registry = client()
    answer = registry.do_request(f"https://{script.host}/v2/", headers={"Authorization": "Bearer stolen"})
    assert answer.status_code == 200
    assert not any(one.authorization for one in script.seen)
    with pytest.raises(RegistryError, match="only bytes"):
        registry.do_request(f"https://{script.host}/v2/", "PUT", data={"a": 1})


def test_delete_tag_says_whether_there_was_one(real: Running, client: Client, tmp_path: Path) -> None:
    registry: Registry = client()
    (tmp_path / "f").write_bytes(b"x")
    target = f"{real.host}/oras/x:1"
    registry.push(target, files=[str(tmp_path / "f")], disable_path_validation=True)
    assert registry.delete_tag(target, "1") is True
    assert registry.delete_tag(target, "1") is False


def test_config_path_of_push_and_pull_is_honoured(
    guarded: Running, client: Client, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "model.bin").write_bytes(b"weights")
    auth = base64.b64encode(f"{USER}:{PASSWORD}".encode()).decode()
    config = tmp_path / "elsewhere.json"
    config.write_text(json.dumps({"auths": {guarded.host: {"auth": auth}}}))
    target = f"{guarded.host}/oras/config:1"
    with pytest.raises(ErrorResponse, match="401"):
        client().push(target, files=["model.bin"])
    assert client().push(target, files=["model.bin"], config_path=str(config)).status_code == 201
    pulled = client().pull(target, outdir=str(tmp_path / "out"), config_path=str(config))
    assert [Path(path).read_bytes() for path in pulled] == [b"weights"]


def test_login_keeps_the_credentials_in_the_file_that_is_named(
    guarded: Running, client: Client, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "model.bin").write_bytes(b"weights")
    config, registry = tmp_path / "config.json", client()
    with pytest.raises(ErrorResponse, match="401"):
        registry.login(USER, "wrong", hostname=guarded.host, config_path=str(config))
    assert not config.exists()
    registry.login(USER, PASSWORD, hostname=guarded.host, config_path=str(config))
    target = f"{guarded.host}/oras/login:1"
    assert registry.push(target, files=["model.bin"]).status_code == 201
    registry.logout(guarded.host)
    with pytest.raises(ErrorResponse, match="401"):
        registry.get_tags(target)
