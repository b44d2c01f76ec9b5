"""Rows 6, 33, 79 to 83, 86 to 88 and 90 of the client's checklist: the wire. `aNN` in a name is the row."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
import trustme

from modelcrate.images.reference import Reference
from modelcrate.net.config import Patience, Timeouts
from modelcrate.net.errors import ConnectionFailed, ErrorResponse
from modelcrate.registry.config import RegistryConfig
from modelcrate.registry.events import Moved
from modelcrate.registry.oras_client import Registry
from modelcrate.registry.profiles import Rule
from modelcrate_layers.content import Descriptor, Digest, MediaType
from modelcrate_layers.errors import MachineError, UserError
from support import real_registry
from support.images import Memory, image, noise
from support.ports import free_port
from support.real_registry import Running
from support.scripted import Drop, Reply, Script, Stall, scripted

from .conftest import Client


def at(host: str, name: str = "team/model:1") -> Reference:
    return Reference.parse(f"{host}/{name}")


@pytest.fixture(scope="module")
def authority() -> trustme.CA:
    return trustme.CA()


@pytest.fixture
def secure(tmp_path: Path, authority: trustme.CA) -> Iterator[Running]:
    """A real registry behind TLS, with a certificate of a private CA."""
    if why := real_registry.missing():
        pytest.skip(why)
    with real_registry.running(tmp_path, tls=certified(tmp_path, authority)) as running:
        yield running


def certified(folder: Path, authority: trustme.CA, more: str = "") -> str:
    certificate = authority.issue_cert("127.0.0.1", "localhost")
    certificate.private_key_pem.write_to_path(folder / "server.key")
    certificate.cert_chain_pems[0].write_to_path(folder / "server.crt")
    authority.cert_pem.write_to_path(folder / "ca.crt")
    return f"  tls: {{certificate: {folder / 'server.crt'}, key: {folder / 'server.key'}{more}}}\n"


PUSHER = r"""
import re, sys
from dataclasses import dataclass
from modelcrate.images.reference import Reference
from modelcrate.registry.oras_client import Registry
from modelcrate.registry.config import RegistryConfig
from modelcrate_layers.content import CHUNK, Descriptor, Digest, MediaType
import hashlib
size, zeros = int(sys.argv[2]), bytes(CHUNK)
def peak():  # of this program alone; getrusage counts what the parent had before it started us
    return re.search(r"VmHWM:\s*(\d+)", open("/proc/self/status").read())[1]
digest = hashlib.sha256()
for _ in range(size // CHUNK): digest.update(zeros)
class Sparse:
    descriptor = Descriptor(MediaType.LAYER, Digest("sha256", digest.hexdigest()), size)
    def chunks(self, start=0):
        for _ in range((size - start) // CHUNK): yield zeros
with Registry(RegistryConfig()) as registry:
    before = peak()
    registry.push_blob(Reference.parse(sys.argv[1] + "/a33/x:1"), Sparse())
    print(peak(), before)
"""


def test_a33_memory_stays_flat(real: Running) -> None:
    peaks: list[int] = []
    for size in (1 << 20, 256 << 20):
        command = [sys.executable, "-c", PUSHER, real.host, str(size)]
        environment = {**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))}
        peak, before = map(
            int, subprocess.run(command, env=environment, capture_output=True, check=True).stdout.split()
        )
        peaks.append(peak)
        assert peak - before < 32 << 10
    assert peaks[1] < 120 << 10
    assert peaks[1] - peaks[0] < 8 << 10


def test_a79_no_more_uploads_at_once_than_allowed(script: Script, client: Client) -> None:
    client(rules=(Rule("*", concurrency=3),), concurrency=3).push_blobs(
        at(script.host), [Memory(noise(1000, n)) for n in range(2)]
    )
    script.most_inside = 0
    registry = client(concurrency=3, rules=(Rule("*", upload="put"),))
    missing = [Memory(noise(50_000, 100 + n)) for n in range(20)]
    registry.push_blobs(at(script.host), missing)
    uploads = [one for one in script.seen if one.method == "PUT"]
    assert len(uploads) == 22
    assert registry._transport.remote(script.host).limiter.limit == 3


def test_a79_the_gate_halves_and_recovers() -> None:
    from modelcrate.registry.limiter import AdaptiveLimiter

    gate = AdaptiveLimiter(8)
    gate.failed()
    assert gate.limit == 4
    for _ in range(3):
        gate.failed()
    assert gate.limit == 1
    for _ in range(10):
        gate.succeeded()
    assert gate.limit == 2
    for _ in range(200):
        gate.succeeded()
    assert gate.limit == 8


def test_a79_a_429_makes_room_for_fewer(script: Script, client: Client) -> None:
    script.plan("POST", "/uploads/", Reply(429), times=1)
    registry = client(concurrency=8)
    gate = registry._transport.remote(script.host).limiter
    registry.push_blob(at(script.host), Memory(b"x"))
    assert gate.limit == 4


def test_a79_the_gate_lets_no_more_inside_than_its_limit() -> None:
    from modelcrate.registry.limiter import AdaptiveLimiter

    gate, lock, inside, most = AdaptiveLimiter(2), threading.Lock(), [0], [0]

    def enter() -> None:
        with gate.slot():
            with lock:
                inside[0] += 1
                most[0] = max(most[0], inside[0])
            with lock:
                inside[0] -= 1

    threads = [threading.Thread(target=enter) for _ in range(30)]
    [one.start() for one in threads]
    [one.join() for one in threads]
    assert 1 <= most[0] <= 2


@pytest.mark.parametrize("verb", ["HEAD", "POST", "PUT"])
def test_a80_a_server_that_falls_silent_is_left(script: Script, client: Client, verb: str) -> None:
    script.plan(verb, "/blobs/", Stall(), times=9)
    quick = Timeouts(connect=1.0, answer=0.2, finish=0.2)
    with pytest.raises(ConnectionFailed, match="fell silent"):
        client(timeouts=quick, patience=Patience(attempts=1)).push_blob(at(script.host), Memory(b"x"))


def test_a80_a_host_that_is_not_there_is_said_so(client: Client) -> None:
    port = free_port()
    with pytest.raises(ConnectionFailed, match="connection failed") as caught:
        client(patience=Patience(attempts=1)).tags(at(f"127.0.0.1:{port}"))
    assert f"127.0.0.1:{port}" in str(caught.value)


@contextmanager
def proxy() -> Iterator[tuple[str, list[bytes]]]:
    """A proxy that refuses everything, and keeps what it was asked."""
    heard: list[bytes] = []
    server = socket.create_server(("127.0.0.1", 0))
    server.settimeout(0.05)
    ended = threading.Event()

    def serve() -> None:
        while not ended.is_set():
            try:
                connection, _ = server.accept()
            except TimeoutError:
                continue
            with connection:
                heard.append(connection.recv(65536))
                connection.sendall(b"HTTP/1.1 502 Bad Gateway\r\nContent-Length: 0\r\nConnection: close\r\n\r\n")

    thread = threading.Thread(target=serve)
    thread.start()
    try:
        yield f"http://user:pass@127.0.0.1:{server.getsockname()[1]}", heard
    finally:
        ended.set()
        thread.join()
        server.close()


def test_a81_a_proxy_is_used_and_no_proxy_honoured(client: Client) -> None:
    with proxy() as (url, heard):
        once = {"patience": Patience(attempts=1)}
        with pytest.raises(ConnectionFailed, match="proxy"):
            client(environment={"HTTPS_PROXY": url}, **once).tags(at("registry.example"))
        assert heard[0].startswith(b"CONNECT registry.example:443 ")
        assert b"\r\nproxy-authorization: basic dxnlcjpwyxnz" in heard[0].lower()
        assert b"\r\nauthorization" not in heard[0].lower()
        with pytest.raises(ConnectionFailed, match="connection failed"):
            client(environment={"HTTPS_PROXY": url, "NO_PROXY": ".invalid"}, **once).tags(at("registry.invalid"))
        assert len(heard) == 1


def test_a81_a_proxy_of_plain_http_is_told_the_whole_address(client: Client) -> None:
    with proxy() as (url, heard):
        plain = client(
            environment={"HTTP_PROXY": url}, rules=(Rule("*", plain_http=True),), patience=Patience(attempts=1)
        )
        with pytest.raises(ErrorResponse, match="502"):
            plain.tags(at("registry.example"))
        asked, _, fields = heard[-1].partition(b"\r\n")
        assert asked == b"GET http://registry.example/v2/team/model/tags/list HTTP/1.1"
        assert b"host: registry.example" in fields.lower()
        assert b"proxy-authorization: basic" in fields.lower()


def test_a81_a_proxy_that_is_none_of_http_is_said_so(client: Client) -> None:
    with pytest.raises(ConnectionFailed, match="no proxy that can be used") as caught:
        client(environment={"ALL_PROXY": "socks5://127.0.0.1:1"}).tags(at("registry.example"))
    assert "http" in caught.value.hint


def test_a81_the_proxy_s_password_is_not_shown(client: Client) -> None:
    with proxy() as (url, _), pytest.raises(ConnectionFailed) as caught:
        client(environment={"HTTPS_PROXY": url}, patience=Patience(attempts=1)).tags(at("registry.example"))
    assert "pass" not in str(caught.value)


def test_a82_a_private_ca_is_believed_where_it_is_named(secure: Running, client: Client, tmp_path: Path) -> None:
    blobs, manifest = image(Memory(noise(100_000)))
    by_rule = client(rules=(Rule(secure.host, ca=tmp_path / "ca.crt"),))
    by_rule.publish(at(secure.host), [manifest], blobs)
    by_environment = client(environment={"SSL_CERT_FILE": str(tmp_path / "ca.crt")})
    assert by_environment.manifest(at(secure.host))[1] == manifest.data
    assert client(rules=(Rule(secure.host, skip_verify=True),)).tags(at(secure.host)) == ["1"]


def test_a82_a_wrong_ca_is_named(secure: Running, client: Client, tmp_path: Path) -> None:
    trustme.CA().cert_pem.write_to_path(tmp_path / "other.crt")
    with pytest.raises(ConnectionFailed, match="TLS failed") as caught:
        client(rules=(Rule(secure.host, ca=tmp_path / "other.crt"),)).tags(at(secure.host))
    assert "other.crt" in caught.value.hint
    with pytest.raises(MachineError, match="certificate file"):
        client(rules=(Rule(secure.host, ca=tmp_path / "none.crt"),)).tags(at(secure.host))


def test_a82_a_client_certificate_is_shown_where_it_is_asked_for(
    tmp_path: Path, authority: trustme.CA, client: Client
) -> None:
    if why := real_registry.missing():
        pytest.skip(why)
    tls = certified(tmp_path, authority, f", clientcas: [{tmp_path / 'ca.crt'}]")
    ours = authority.issue_cert("client@example.org")
    ours.private_key_and_cert_chain_pem.write_to_path(tmp_path / "client.pem")
    with real_registry.running(tmp_path, tls=tls) as running:
        rule = {"ca": tmp_path / "ca.crt"}
        with pytest.raises(ConnectionFailed):
            client(rules=(Rule(running.host, **rule),), patience=Patience(attempts=1)).tags(at(running.host))
        shown = client(rules=(Rule(running.host, client_cert=tmp_path / "client.pem", **rule),))
        shown.push_blob(at(running.host), Memory(b"x"))


def test_a83_leniency_for_one_registry_is_none_for_another(secure: Running, client: Client) -> None:
    registry = client(rules=(Rule(secure.host, skip_verify=True),))
    registry.push_blob(at(secure.host), Memory(b"x"))
    with pytest.raises(ConnectionFailed, match="TLS failed"):
        registry.push_blob(at(secure.host.replace("127.0.0.1", "localhost")), Memory(b"x"))


def test_a86_we_say_who_we_are(script: Script, client: Client) -> None:
    client(user_agent="modelcrate/9").push_blob(at(script.host), Memory(b"x"))
    assert {one.headers["user-agent"] for one in script.seen} == {"modelcrate/9"}


def test_a86_signatures_in_a_query_are_not_shown(script: Script, client: Client) -> None:
    script.location = lambda host, path: (
        f"{path.partition('?')[0]}?X-Amz-Signature=hush&sig=hush&token=hush&_state=hush&n=1"
    )
    script.plan("PUT", "/uploads/", Reply(403), times=9)
    with pytest.raises(ErrorResponse) as caught:
        client().push_blob(at(script.host), Memory(b"x"))
    assert "hush" not in str(caught.value)
    script.planned.clear()
    script.plan("PUT", "/uploads/", Drop(), times=9)
    with pytest.raises(ConnectionFailed) as lost:
        client(patience=Patience(attempts=1)).push_blob(at(script.host), Memory(b"x"))
    assert "hush" not in str(lost.value)


def test_a87_eight_threads_and_two_hundred_blobs(script: Script, client: Client) -> None:
    registry = client(rules=(Rule("*", concurrency=8),))
    blobs = [Memory(noise(200, n)) for n in range(200)]
    refs = [at(script.host, f"team/r{n}:1") for n in range(8)]
    faults: list[BaseException] = []

    def push(ref: Reference) -> None:
        try:
            registry.push_blobs(ref, blobs[refs.index(ref) :: 8])
        except BaseException as fault:
            faults.append(fault)

    threads = [threading.Thread(target=push, args=(ref,)) for ref in refs]
    [one.start() for one in threads]
    [one.join() for one in threads]
    assert not faults
    assert len(script.blobs) == 200
    assert registry.requests_made["POST"] == 200
    assert registry.traffic.sent == 200 * 200


def test_a88_progress_never_goes_back_and_ends_at_the_size(
    script: Script, client: Client, events: list[object]
) -> None:
    script.plan("PATCH", "/uploads/", Drop(30_000), skip=2, times=2)
    script.keeps_cut = False
    blob = Memory(noise(400_000))
    client().push_blob(at(script.host), blob)
    moved = [event.done for event in events if isinstance(event, Moved)]
    assert moved == sorted(set(moved))
    assert moved[-1] == 400_000


def test_a90_offline_no_socket_is_opened(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    def refuse(*parts: object, **more: object) -> None:
        raise AssertionError("a socket was opened")

    monkeypatch.setattr(socket, "socket", refuse)
    monkeypatch.setattr(socket, "create_connection", refuse)
    ref, one = at("registry.example"), Descriptor(MediaType.LAYER, Digest.of(b"x"), 1)
    with Registry(RegistryConfig(offline=True)) as registry:
        acts = [
            lambda: registry.resolve(ref), lambda: registry.manifest(ref), lambda: registry.blob(ref, one).read(),
            lambda: registry.has(ref, one), lambda: registry.push_blob(ref, Memory(b"x")), lambda: registry.tags(ref),
            lambda: registry.referrers(ref), lambda: registry.delete(ref), lambda: registry.push_blobs(ref, [Memory(b"x")]),
            lambda: registry.tags(at("127.0.0.1:5000")),
        ]  # fmt: skip
        for act in acts:
            with pytest.raises(UserError, match="offline") as caught:
                act()
            assert "/v2/" in caught.value.where
        assert registry.requests_made == {}


def test_connections_are_kept(script: Script, client: Client) -> None:
    with scripted() as other:
        registry = client()
        for n in range(5):
            registry.push_blob(at(other.host), Memory(noise(100, n)))
        (manager,) = registry._transport.http._pools.values()
        pools = manager.pools
        assert [pools[key].num_connections for key in list(pools.keys())]
