"""Rows 5 to 26 of the client's checklist: being let in. `aNN` in a name is the row."""

from __future__ import annotations

import base64
import json
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import parse_qs

import pytest

from modelcrate.images.reference import Reference
from modelcrate.net.errors import ConnectionFailed, ErrorResponse
from modelcrate.registry.config import RegistryConfig
from modelcrate.registry.events import CredentialsUsed, Warned
from modelcrate.registry.oras_client import Registry
from modelcrate.registry.profiles import Rule
from modelcrate_layers.content import canonical_json
from modelcrate_layers.errors import CrateError, RegistryError
from support.images import Memory, StillClock, image, noise
from support.real_registry import PASSWORD, USER, Running
from support.scripted import Drop, Reply, Script, Seen, scripted
from support.token_server import TokenServer
from support.waiting import until

from .conftest import SMALL_CHUNKS, Client

LAB = {"username": USER, "password": PASSWORD}


def at(host: str, name: str = "team/model:1") -> Reference:
    return Reference.parse(f"{host}/{name}")


def bearer(script: Script, **answer: object) -> None:
    """Let the script ask for a token, and hand out one (`good`) at its own /token."""
    script.challenge = f'Bearer realm="http://{script.host}/token",service="lab",scope="repository:team/model:pull"'
    script.allowed = lambda header, seen: header == "Bearer good"
    body = json.dumps(answer or {"token": "good", "expires_in": 300}).encode()
    script.plan("GET|POST", "^/token$", Reply(200, {"Content-Type": "application/json"}, body), times=999)


def asked(script: Script) -> list[list[str]]:
    return [parse_qs(one.query).get("scope", []) for one in script.seen if one.path == "/token"]


@pytest.mark.parametrize("status", [200, 401, 404, 503])
def test_a05_one_look_at_a_registry_whatever_it_says(script: Script, client: Client, status: int) -> None:
    script.plan("HEAD", "^/v2/$", Reply(status))
    registry = client()
    for n in range(3):
        registry.push_blob(at(script.host), Memory(noise(10, n)))
    assert script.count("HEAD", "^/v2/$") == 1


def test_a05_a_registry_that_moved_to_tls_is_followed_there(script: Script, client: Client) -> None:
    script.plan("HEAD", "^/v2/$", Reply(301, {"Location": f"https://{script.host}/v2/"}))
    with pytest.raises(ConnectionFailed) as caught:
        client(rules=(Rule("*", plain_http=True),)).tags(at(script.host))
    assert "https://" in caught.value.where


def test_a06_only_loopback_is_asked_without_tls(client: Client) -> None:
    for host in ("registry.example", "10.0.0.1:5000", "registry.example:80"):
        assert client()._transport.remote(host).origin == f"https://{host}"
    allowed = client(rules=(Rule("10.0.0.1:5000", plain_http=True),))
    assert allowed._transport.settings.profile("10.0.0.1:5000").plain_http
    assert not allowed._transport.settings.profile("10.0.0.2:5000").plain_http


def test_a08_a_basic_challenge_gets_basic_credentials(guarded: Running, client: Client) -> None:
    blobs, manifest = image(Memory(noise(100 << 10, 8)))
    registry = client(**LAB)
    registry.publish(at(guarded.host, "a08/x:1"), [manifest], blobs)
    assert registry.resolve(at(guarded.host, "a08/x:1")).digest == manifest.descriptor.digest
    with pytest.raises(ErrorResponse, match="401"):
        client().resolve(at(guarded.host, "a08/x:1"))


def test_a09_a_token_is_asked_for_with_service_and_scopes(script: Script, client: Client) -> None:
    bearer(script)
    client(username="u", password="p").push_blob(at(script.host), Memory(b"x"), ["team/base"])
    queries = [parse_qs(one.query) for one in script.seen if one.path == "/token"]
    assert all(one["service"] == ["lab"] for one in queries)
    assert queries[-1]["scope"] == ["repository:team/model:pull,push", "repository:team/base:pull"]
    basic = next(one for one in script.seen if one.path == "/token").authorization
    assert base64.b64decode(basic.removeprefix("Basic ")) == b"u:p"


def test_a09_tokens_work_for_real(granted: tuple[Running, TokenServer], client: Client) -> None:
    running, server = granted
    blobs, manifest = image(Memory(noise(300 << 10)))
    client(**LAB).publish(at(running.host), [manifest], blobs)
    assert client().manifest(at(running.host))[1] == manifest.data
    assert server.asked[-1] == ["repository:team/model:pull"]


def test_a10_the_first_token_of_a_push_may_push(granted: tuple[Running, TokenServer], client: Client) -> None:
    running, server = granted
    registry = client(**LAB)
    with pytest.raises(CrateError):
        registry.resolve(at(running.host))  # leaves a token that may only pull
    registry.push_blob(at(running.host), Memory(b"x"))
    assert server.asked == [["repository:team/model:pull"], ["repository:team/model:pull,push"]]


def test_a11_a_scope_that_was_missing_is_asked_for_first_and_once(script: Script, client: Client) -> None:
    bearer(script, token="weak")
    script.allowed = lambda header, seen: False
    script.challenge = f'Bearer realm="http://{script.host}/token",service="lab",scope="repository:team/other:pull",error="insufficient_scope"'
    with pytest.raises(ErrorResponse, match="401"):
        client(username="u", password="p").resolve(at(script.host))
    assert asked(script)[-1] == ["repository:team/other:pull", "repository:team/model:pull"]
    assert script.count("HEAD", "/manifests/") <= 2


def test_a12_where_all_scopes_are_denied_the_challenged_one_is_asked_for(script: Script, client: Client) -> None:
    script.plan("GET", "^/token$", Reply(403), times=1)
    bearer(script)
    client(username="u", password="p").push_blob(at(script.host), Memory(b"x"))
    assert asked(script)[:2] == [["repository:team/model:pull,push"], ["repository:team/model:pull"]]
    assert script.blobs


def test_a13_a_token_that_ends_in_the_middle_is_renewed(script: Script, client: Client) -> None:
    bearer(script)
    valid = iter(["Bearer good"] * 5 + ["Bearer other"] + ["Bearer good"] * 99)
    script.allowed = lambda header, seen: bool(header) and header == next(valid)
    blob = Memory(noise(400 << 10))
    client(username="u", password="p").push_blob(at(script.host), blob)
    assert script.blobs["team/model", str(blob.descriptor.digest)] == blob.data
    assert len(asked(script)) >= 2


def test_a13_short_tokens_work_for_real(granted: tuple[Running, TokenServer], client: Client) -> None:
    running, server = granted
    server.seconds = -59  # docker-registry grants a leeway of a minute, so this token lives for a second
    ends: list[float] = []

    class Slow(Memory):
        def chunks(self, start: int = 0) -> Iterator[bytes]:
            pieces = super().chunks(start)
            yield next(pieces)
            ends.append(time.time() + 3)
            until(lambda: time.time() > ends[0])
            yield from pieces

    blob = Slow(noise(400 << 10, 13))
    assert client(**LAB).push_blob(at(running.host), blob).how == "sent"
    assert len(server.asked) > 1


@pytest.mark.parametrize(
    "answer", [{"token": "good"}, {"access_token": "good"}, {"token": "good", "access_token": "good"}]
)
def test_a14_every_name_of_a_token_is_known(script: Script, client: Client, answer: dict[str, object]) -> None:
    bearer(script, **answer)
    client().push_blob(at(script.host), Memory(b"x"))
    assert script.blobs


@pytest.mark.parametrize("answer", [{"nothing": 1}, {"token": ""}, {"token": 7}, {"token": "a\nb"}])
def test_a14_no_token_is_a_clear_error(script: Script, client: Client, answer: dict[str, object]) -> None:
    bearer(script, **answer)
    with pytest.raises(RegistryError, match="holds no token"):
        client().push_blob(at(script.host), Memory(b"x"))


def config(folder: Path, script: Script, **entry: str) -> Path:
    path = folder / "auth.json"
    path.write_bytes(canonical_json({"auths": {script.host: entry}}))
    return path


def test_a15_an_identity_token_is_traded_and_the_new_one_kept(script: Script, client: Client, tmp_path: Path) -> None:
    bearer(script, access_token="good", refresh_token="second")
    registry = client(auth_file=config(tmp_path, script, identitytoken="first"))
    registry.push_blob(at(script.host), Memory(b"x"))
    registry.push_blob(at(script.host, "team/two:1"), Memory(b"y"))
    forms = [parse_qs(one.content.decode()) for one in script.seen if one.path == "/token"]
    assert [one["refresh_token"] for one in forms] == [["first"], ["second"]]
    assert forms[0]["grant_type"] == ["refresh_token"]


@pytest.mark.parametrize("status", [404, 405])
def test_a15_a_token_server_without_post_is_asked_by_get(
    script: Script, client: Client, tmp_path: Path, status: int
) -> None:
    script.plan("POST", "^/token$", Reply(status), times=9)
    bearer(script)
    client(auth_file=config(tmp_path, script, identitytoken="first")).push_blob(at(script.host), Memory(b"x"))
    assert script.blobs


def test_a16_eight_threads_fetch_one_token(script: Script, client: Client, clock: StillClock) -> None:
    bearer(script, token="good", expires_in=1)
    registry = client(username="u", password="p")
    barrier = threading.Barrier(8)

    def push(n: int) -> None:
        barrier.wait()
        registry.push_blob(at(script.host), Memory(noise(10, n)))

    threads = [threading.Thread(target=push, args=(n,)) for n in range(8)]
    [one.start() for one in threads]
    [one.join() for one in threads]
    assert len(asked(script)) == 1  # and one second of life counts as sixty
    clock.time += 55
    registry.push_blob(at(script.host), Memory(b"later"))
    assert len(asked(script)) == 2  # early enough before its end


def test_a17_a_mount_asks_for_both_repositories(granted: tuple[Running, TokenServer], client: Client) -> None:
    running, server = granted
    registry, blob = client(**LAB), Memory(noise(1000))
    registry.push_blob(at(running.host, "team/base"), blob)
    assert registry.push_blob(at(running.host), blob, ["team/base"]).how == "mounted"
    assert server.asked[-1] == ["repository:team/model:pull,push", "repository:team/base:pull"]


def test_a18_without_credentials_one_pulls_as_nobody(script: Script, client: Client) -> None:
    bearer(script)
    with pytest.raises(ErrorResponse, match="404"):
        client().manifest(at(script.host))
    assert not any(one.authorization for one in script.seen if one.path == "/token")


def test_a18_stale_credentials_do_not_hide_what_is_public(script: Script, client: Client, events: list[object]) -> None:
    script.plan("GET", "^/token$", Reply(401), times=1)
    bearer(script)
    with pytest.raises(ErrorResponse, match="404"):
        client(username="u", password="stale").manifest(at(script.host))
    assert [bool(one.authorization) for one in script.seen if one.path == "/token"] == [True, False]
    assert any(isinstance(event, Warned) and "were refused" in event.text for event in events)


@pytest.mark.parametrize(
    "realm",
    [
        "http://10.1.2.3/token", "http://169.254.169.254/latest/meta-data", "https://[::ffff:10.0.0.1]/token", "ftp://x/token",
        "https://user:secret@auth.example/token", "http://0x7f.1:99@10.0.0.1/", "https://192.168.1.1/token", "/token", "token",
        "https://a]b/token", "https://[/token", "https://auth.example:99999/token", "https://auth.example:port/token",
    ],
)  # fmt: skip
def test_a19_a_realm_that_leads_inside_gets_nothing(client: Client, realm: str) -> None:
    from modelcrate.registry.addresses import check_realm

    with pytest.raises(RegistryError, match="not to be trusted"):
        check_realm(realm, "https://registry.example", insecure=False, where="")


def test_a19_a_realm_redirected_inside_gets_nothing(script: Script, client: Client) -> None:
    bearer(script)
    script.planned.clear()
    script.plan("GET", "^/token$", Reply(302, {"Location": "http://u:p@127.0.0.1/steal"}), times=9)
    with pytest.raises(RegistryError):
        client(username="u", password="p").manifest(at(script.host))


def test_a19_a_realm_redirected_elsewhere_gets_no_password(script: Script, client: Client) -> None:
    bearer(script)
    script.planned.clear()
    script.plan("GET", "^/token$", Reply(302, {"Location": f"http://{script.other_host}/elsewhere"}), times=9)
    script.plan("GET", "^/elsewhere$", Reply(200, {}, b'{"token": "good"}'), times=9)
    client(username="u", password="p").push_blob(at(script.host), Memory(b"x"))
    away = [one for one in script.seen if one.path == "/elsewhere"]
    assert away
    assert not any(one.authorization for one in away)


@pytest.mark.parametrize("body", [b"x" * (65 << 10), b"<html>SECRET</html>", b"[1]", b'{"token": '])
def test_a20_a_foul_answer_of_a_token_server_is_capped_and_not_shown(
    script: Script, client: Client, body: bytes
) -> None:
    bearer(script)
    script.planned.clear()
    script.plan("GET", "^/token$", Reply(200, {}, body), times=9)
    with pytest.raises(RegistryError) as caught:
        client().push_blob(at(script.host), Memory(b"x"))
    assert "SECRET" not in str(caught.value)


def test_a21_wrong_basic_credentials_are_tried_once(script: Script, client: Client) -> None:
    script.challenge, script.allowed = 'Basic realm="x"', lambda header, seen: False
    registry = client(username="u", password="wrong-secret")
    with pytest.raises(ErrorResponse, match="401") as caught:
        registry.push_blob(at(script.host), Memory(b"x"))
    assert sum(bool(one.authorization) for one in script.seen) == 1
    assert caught.value.exit_code == 4
    assert "wrong-secret" not in str(caught.value)
    assert "given explicitly" in str(caught.value)


def test_a21_wrong_credentials_do_not_lock_an_account(script: Script, client: Client) -> None:
    bearer(script)
    script.planned.clear()
    script.plan("GET", "^/token$", Reply(401), times=99)
    registry = client(username="u", password="wrong")
    with pytest.raises(ErrorResponse, match="401"):
        registry.push_blobs(at(script.host), [Memory(noise(10, n)) for n in range(8)])
    assert sum(one.path == "/token" for one in script.seen) <= 2


def test_a22_the_source_of_credentials_is_told_and_no_secret(
    script: Script, client: Client, events: list[object]
) -> None:
    bearer(script)
    client(environment={"MODELCRATE_REGISTRY_USERNAME": "u", "MODELCRATE_REGISTRY_PASSWORD": "hush"}).push_blob(
        at(script.host), Memory(b"x")
    )
    (used,) = [event for event in events if isinstance(event, CredentialsUsed)]
    assert used == CredentialsUsed(script.host, "MODELCRATE_REGISTRY_USERNAME")
    assert "hush" not in repr(events)


def test_a26_a_netrc_changes_nothing(
    script: Script, client: Client, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "netrc").write_text(
        "machine 127.0.0.1 login thief password secret\ndefault login thief password secret\n"
    )
    monkeypatch.setenv("NETRC", str(tmp_path / "netrc"))
    bearer(script)
    blob = Memory(b"x")
    script.plan("GET", "/blobs/", Reply(307, {"Location": f"/v2/team/model/blobs/{blob.descriptor.digest}?again"}))
    registry = client()
    registry.push_blob(at(script.host), blob)
    assert registry.blob(at(script.host), blob.descriptor).read() == b"x"
    assert all(one.authorization in ("", "Bearer good") for one in script.seen)


def test_a_challenge_without_a_way_in_is_looked_up_at_the_root(script: Script, client: Client) -> None:
    bearer(script)
    told, script.challenge = script.challenge, []
    script.plan("HEAD", "^/v2/$", Reply(200))
    script.plan("GET", "^/v2/$", Reply(401, {"WWW-Authenticate": str(told)}))
    client().push_blob(at(script.host), Memory(b"x"))
    assert script.blobs


def test_a_registry_on_another_host_gets_no_token_of_ours(script: Script, client: Client) -> None:
    bearer(script)
    with scripted() as other:
        blob = Memory(b"x")
        registry = client(username="u", password="p")
        registry.push_blob(at(script.host), blob)
        registry.push_blob(at(other.host), blob)
        assert not any(one.authorization for one in other.seen)


def test_tokens_of_repositories_are_not_mixed_up(script: Script, client: Client) -> None:
    script.challenge = f'Bearer realm="http://{script.host}/token",service="lab"'

    def hand_out(reply: Reply) -> Reply:
        name = parse_qs(script.seen[-1].query)["scope"][0].split(":")[1]
        return Reply(200, {}, json.dumps({"token": name.replace("/", "-")}).encode())

    def fits(header: str, seen: Seen) -> bool:
        return header == "Bearer " + "-".join(seen.path.split("/")[2:4])

    script.allowed = fits
    script.plan("GET", "^/token$", hand_out, times=99)
    registry = client(username="u", password="p")
    for n in range(4):
        registry.push_blob(at(script.host, f"team/r{n}:1"), Memory(noise(10, n)))
    assert len(script.blobs) == 4


def test_a_dropped_token_request_is_repeated(script: Script, client: Client, clock: StillClock) -> None:
    script.plan("GET", "^/token$", Drop(), times=2)
    bearer(script)
    client().push_blob(at(script.host), Memory(b"x"))
    assert clock.slept == [0.5, 1.0]


def test_secrets_are_not_in_the_values(tmp_path: Path) -> None:
    settings = RegistryConfig(username="u", password="hush", environment={"X": "hush"}, rules=(SMALL_CHUNKS,))
    assert "hush" not in repr(settings)
    with Registry(settings) as registry:
        assert "hush" not in repr(registry)


def test_a23_a_helper_that_is_not_installed_ends_no_public_pull(
    script: Script, client: Client, events: list[object], tmp_path: Path
) -> None:
    bearer(script)
    (tmp_path / "config.json").write_text('{"credsStore": "nowhere"}')
    blob = Memory(noise(1000))
    script.blobs["team/model", str(blob.descriptor.digest)] = blob.data
    registry = client(environment={"DOCKER_CONFIG": str(tmp_path), "PATH": str(tmp_path)})
    assert registry.blob(at(script.host), blob.descriptor).read() == blob.data
    warned = [event.text for event in events if isinstance(event, Warned)]
    assert len(warned) == 1
    assert "docker-credential-nowhere" in warned[0]
    script.allowed = lambda header, seen: False
    with pytest.raises(ErrorResponse) as caught:
        registry.push_blob(at(script.host), Memory(noise(10, 2)))
    assert "docker-credential-nowhere" in caught.value.hint


METADATA = ["169.254.169.254", "[fe80::1]", "[::ffff:169.254.169.254]", "[fd00:ec2::254]", "metadata.google.internal"]


@pytest.mark.parametrize("host", METADATA)
def test_a91_a_realm_at_a_metadata_service_gets_no_request(script: Script, client: Client, host: str) -> None:
    script.challenge = f'Bearer realm="http://{host}/latest/meta-data/",service="lab"'
    script.allowed = lambda header, seen: False
    registry = client(username="u", password="p")
    with pytest.raises(RegistryError, match="metadata service"):
        registry.tags(at(script.host))
    assert "TOKEN" not in registry.requests_made


@pytest.mark.parametrize("host", METADATA)
def test_a91_a_token_server_that_redirects_to_a_metadata_service_is_not_followed(
    script: Script, client: Client, host: str
) -> None:
    bearer(script)
    script.planned.clear()
    script.plan("GET", "^/token$", Reply(302, {"Location": f"http://{host}/token"}), times=9)
    registry = client(username="u", password="p")
    with pytest.raises(RegistryError, match="metadata service"):
        registry.tags(at(script.host))
    assert registry.requests_made["TOKEN"] == 1
