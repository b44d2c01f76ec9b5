"""Clients that are slow, broken, many or gone, workers that die, and a server that is told to end: as a process of its own."""

from __future__ import annotations

import json
import os
import re
import signal
import socket
import sys
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from pathlib import Path

import pytest

from support.serving import Answer, Ask, Server, our_server, starting
from support.waiting import HANG, until
from support.wsgi import PLAIN, returning

HEAD = b"POST /score HTTP/1.1\r\nHost: x\r\n"
HEALTH = Ask("GET", "/")
SLEEPS = returning("time.sleep(float(data or 0)) or data", "import time")


def script(folder: Path, source: str) -> Path:
    path = folder / "score.py"
    path.write_text(source)
    return path


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    folder = tmp_path_factory.mktemp("clients")
    with our_server(sys.executable, script(folder, SLEEPS), folder) as running:
        yield running


def connected(server: Server, sent: bytes = b"") -> socket.socket:
    client = socket.create_connection(("127.0.0.1", server.port), timeout=HANG)
    client.sendall(sent)
    return client


def everything(client: socket.socket) -> bytes:
    with client, client.makefile("rb") as file:
        return file.read()


@contextmanager
def in_background(do: Callable[[], Answer]) -> Iterator[Future[Answer]]:
    with ThreadPoolExecutor(1) as pool:
        yield pool.submit(do)


@pytest.mark.parametrize(
    "begun",
    [
        b"",
        b"POST /sco",
        HEAD + b"Content-Length: 10\r\n\r\n12",
        HEAD + b"Content-Length: 9000000\r\n\r\n" + b"x" * 1_500_000,
        HEAD + b"Transfer-Encoding: chunked\r\n\r\n5\r\nab",
    ],
)
def test_clients_that_do_not_go_on_hold_up_nobody(server: Server, begun: bytes) -> None:
    with ExitStack() as clients:
        for _ in range(20):
            clients.enter_context(connected(server, begun))
        assert server.ask(HEALTH).status == 200
        assert server.ask(Ask(body=b"0")).status == 200


def test_health_is_answered_while_run_works(server: Server) -> None:
    with in_background(lambda: server.ask(Ask(body=b"2"))) as scored:
        until(scored.running)
        time.sleep(0.3)
        assert server.ask(HEALTH).body == b"Healthy"
        assert not scored.done()
    assert scored.result().status == 200


def test_a_client_that_does_not_read_its_large_answer_holds_up_nobody(tmp_path: Path) -> None:
    with our_server(sys.executable, script(tmp_path, returning("'x' * int(data or 0)")), tmp_path) as server:
        slow = connected(server, HEAD + b"Connection: close\r\nContent-Length: 8\r\n\r\n30000000")
        until(lambda: "POST /score 200" in server.log)
        assert server.ask(Ask(body=b"1")).body == b'"x"'
        assert server.ask(HEALTH).status == 200
        assert everything(slow).endswith(b"x" * 30_000_000 + b'"')


def test_a_client_that_takes_too_long_is_told_so(tmp_path: Path) -> None:
    env = {"MODELCRATE_CLIENT_TIMEOUT": "1"}
    with our_server(sys.executable, script(tmp_path, PLAIN), tmp_path, env) as server:
        for begun in (b"POST /sco", HEAD + b"Content-Length: 10\r\n\r\n12"):
            answer = everything(connected(server, begun))
            assert answer.startswith(b"HTTP/1.1 408 ")
            assert json.loads(answer.partition(b"\r\n\r\n")[2]) == {"message": "The request took too long to arrive"}
        assert everything(connected(server)) == b""


def test_more_connections_than_there_is_room_for_cost_the_idle_ones_their_place(server: Server) -> None:
    with ExitStack() as clients:
        idle = [clients.enter_context(connected(server, b"P")) for _ in range(1100)]
        assert server.ask(HEALTH).status == 200
        assert server.ask(Ask(body=b"0")).status == 200
        assert idle[0].recv(1) == b"", "the oldest one was closed"


def test_a_thousand_clients_at_once_are_all_answered(server: Server) -> None:
    """All of them are connected and in the middle of their requests before the first one ends its own."""
    with ExitStack() as stack:
        begun = HEAD + b"Connection: close\r\nContent-Length: 2\r\n\r\n0"
        clients = [stack.enter_context(connected(server, begun)) for _ in range(1000)]
        for client in clients:
            client.sendall(b"0")
        assert {everything(client).partition(b"\r\n")[0] for client in clients} == {b"HTTP/1.1 200 OK"}


def test_clients_that_vanish_do_no_harm(server: Server) -> None:
    for _ in range(50):
        client = connected(server, HEAD + b"Content-Length: 1\r\n\r\n0")
        client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
        client.close()
    assert server.ask(Ask(body=b"0")).status == 200


@pytest.mark.parametrize(
    ("sent", "status"),
    [
        (HEAD + b"Transfer-Encoding: chunked\r\n\r\n1\r\n0\r\n0;x=y\r\nT: r\r\n\r\n", 200),
        (HEAD + b"Expect: 100-continue\r\nContent-Length: 1\r\n\r\n", 100),
        (HEAD + b"Transfer-Encoding: chunked\r\nContent-Length: 1\r\n\r\n0\r\n\r\n", 400),
        (HEAD + b"Transfer-Encoding: chunked\r\n\r\nx\r\n", 400),
        (HEAD + b"Transfer-Encoding: chunked\r\n\r\n1\r\n0zz", 400),
        (HEAD + b"Content-Length: +1\r\n\r\n0", 400),
        (b"nonsense\r\n\r\n", 400),
        (b"GET / HTTP/1.1\n\n", 400),
        (b"GET /" + b"x" * 70_000 + b" HTTP/1.1\r\n\r\n", 414),
        (b"HEAD / HTTP/1.0\r\n\r\n", 200),
    ],
)
def test_strange_bytes_are_answered_in_the_contracts_form(server: Server, sent: bytes, status: int) -> None:
    with connected(server, sent) as client, client.makefile("rb") as file:
        assert file.readline().split()[1] == str(status).encode()
        if status >= 400:
            head, _, body = file.read().partition(b"\r\n\r\n")
            assert set(json.loads(body)) == {"message"}
            assert b"Connection: close" in head
    assert server.ask(HEALTH).status == 200


def test_pipelined_requests_are_answered_in_their_order(server: Server) -> None:
    score = HEAD + b"Content-Length: 3\r\n\r\n0.%d"
    sent = score % 1 + b"GET / HTTP/1.1\r\nHost: x\r\n\r\n" + score % 2 + b"GET /no HTTP/1.0\r\n\r\n"
    answers = re.findall(
        rb"HTTP/1\.\d (\d+).*?\r\n\r\n([^H]*(?:Healthy)?)", everything(connected(server, sent)), re.DOTALL
    )
    assert [(status, body[:9]) for status, body in answers] == [
        (b"200", b'"0.1"'),
        (b"200", b"Healthy"),
        (b"200", b'"0.2"'),
        (b"404", b'{"message'),
    ]


def test_a_streamed_answer_arrives_while_run_goes_on(tmp_path: Path) -> None:
    source = (
        "import os, time\nfrom azureml_inference_server_http.api.aml_response import AMLResponse\n"
        "def init(): pass\n"
        "def parts(gate):\n    yield 'first'\n    while not os.path.exists(gate): time.sleep(0.01)\n    yield 'second'\n"
        "def run(data):\n    return AMLResponse(parts(data), 200)\n"
    )
    gate = tmp_path / "gate"
    with our_server(sys.executable, script(tmp_path, source), tmp_path) as server:
        path = str(gate).encode()
        with connected(server, HEAD + b"Content-Length: %d\r\n\r\n" % len(path) + path) as client:
            read = b""
            while b"first" not in read:
                read += client.recv(4096)
            assert server.ask(HEALTH).status == 200
            gate.touch()
            while not read.endswith(b"0\r\n\r\n"):
                read += client.recv(4096)
        assert b"Transfer-Encoding: chunked" in read
        assert read.endswith(b"5\r\nfirst\r\n6\r\nsecond\r\n0\r\n\r\n")


# workers


def test_a_worker_that_dies_is_replaced_and_the_log_says_so(tmp_path: Path) -> None:
    with our_server(sys.executable, script(tmp_path, returning("os.getpid()", "import os")), tmp_path) as server:
        pid = int(server.ask(Ask(body=b"")).body)
        os.kill(pid, signal.SIGKILL)
        until(lambda: server.log.count("Booting worker") == 2)
        until(lambda: _pid(server) not in (None, pid))
        server.stop()
    assert f"Worker (pid:{pid}) was sent SIGKILL!" in server.log


@pytest.mark.parametrize("more", [{}, {"MODELCRATE_THREADS": "2"}, {"WORKER_COUNT": "2"}], ids=str)
def test_workers_end_with_a_master_that_was_killed_and_the_port_is_free(tmp_path: Path, more: dict[str, str]) -> None:
    with our_server(sys.executable, script(tmp_path, SLEEPS), tmp_path, more) as server:
        with in_background(lambda: server.ask(Ask(body=b"1"))) as scored:
            until(scored.running)
            time.sleep(0.3)
            server.process.kill()
            server.process.wait()
            assert scored.result().status == 200, "what was taken is answered"
        until(lambda: _is_free(server.port))


def _is_free(port: int) -> bool:
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            return False
        return True


def _pid(server: Server) -> int | None:
    try:
        return int(server.ask(Ask(body=b"")).body)
    except (ConnectionError, TimeoutError):
        return None


def test_a_run_that_hangs_costs_its_worker_and_the_log_shows_where(tmp_path: Path) -> None:
    env = {"WORKER_TIMEOUT": "2"}
    with our_server(sys.executable, script(tmp_path, SLEEPS), tmp_path, env) as server:
        assert server.ask(Ask(body=b"60")).status == 500
        until(lambda: server.log.count("Booting worker") == 2)
        assert server.ask(Ask(body=b"0")).status == 200
        server.stop()
    assert "WORKER TIMEOUT" in server.log
    assert re.search(r"Traceback(.|\n)*score\.py", server.log)


@pytest.mark.parametrize("source", [PLAIN.replace("pass", "raise OSError('no model')"), "import no_such_module"])
def test_workers_that_can_not_start_say_why_once(tmp_path: Path, source: str) -> None:
    with (
        pytest.raises(AssertionError, match="the server ended with 3") as failed,
        our_server(sys.executable, script(tmp_path, source), tmp_path, {"WORKER_COUNT": "3"}),
    ):
        pass
    assert len(re.findall("^(OSError: no model|ModuleNotFoundError: )", str(failed.value), re.MULTILINE)) == 1


def test_several_workers_share_the_requests(tmp_path: Path) -> None:
    source = returning("time.sleep(0.5) or os.getpid()", "import os, time")
    with our_server(sys.executable, script(tmp_path, source), tmp_path, {"WORKER_COUNT": "3"}) as server:
        until(lambda: server.log.count("is ready") == 3)
        with ThreadPoolExecutor(3) as clients:
            pids = list(clients.map(lambda _: server.ask(Ask(body=b"")).body, range(3)))
        assert len(set(pids)) == 3


# the end

LOADS = "import time\n{before}\ndef init():\n    print('loading', flush=True)\n{load}\ndef run(data):\n    return 1\n"
STUBBORN = "    while True:\n        try: time.sleep(60)\n        except BaseException: print('no', flush=True)"


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
@pytest.mark.parametrize("preload", ["false", "true"])
@pytest.mark.parametrize(
    ("before", "load"),
    [
        ("", "    try: time.sleep(60)\n    finally: print('cleaned', flush=True)"),
        ("", STUBBORN),
        ("print('loading', flush=True)\ntime.sleep(60)", "    pass"),
    ],
)
def test_a_signal_while_the_script_loads_ends_the_server(
    tmp_path: Path, before: str, load: str, preload: str, number: int
) -> None:
    source = LOADS.format(before=before, load=load)
    with starting(sys.executable, script(tmp_path, source), tmp_path, {"WORKER_PRELOAD": preload}) as server:
        until(lambda: "loading" in server.log)
        assert server.stop(number) == 0
    assert "SIGKILL" not in server.log, "which gunicorn sends when it has waited long enough"
    assert "Traceback" not in server.log
    assert ("cleaned" in server.log) == ("cleaned" in load)


def test_requests_under_way_are_answered_before_the_end(tmp_path: Path) -> None:
    source = returning("print('begun') or time.sleep(0.2) or 'done'", "import time")
    with our_server(sys.executable, script(tmp_path, source), tmp_path) as server:
        rest = connected(server, HEAD + b"Connection: close\r\nContent-Length: 4\r\n\r\nla")
        idle = connected(server, b"GET / HTTP/1.1\r\nHost: x\r\n\r\n")
        with ThreadPoolExecutor(5) as clients:
            asked = [clients.submit(server.ask, Ask(body=b"")) for _ in range(5)]
            until(lambda: "begun" in server.log)
            time.sleep(0.3)  # until all of them have sent their requests
            server.process.send_signal(signal.SIGTERM)
            time.sleep(0.2)
            rest.sendall(b"te")
            assert everything(rest).endswith(b'"done"')
            assert {each.result().body for each in asked} == {b'"done"'}
        assert b"Healthy" in everything(idle), "an idle connection is closed"
        assert server.stop() == 0
    assert "Traceback" not in server.log


def test_clients_that_do_not_go_on_do_not_keep_the_server_from_ending(tmp_path: Path) -> None:
    with our_server(sys.executable, script(tmp_path, PLAIN), tmp_path) as server, ExitStack() as clients:
        for begun in (b"", b"P", HEAD + b"Content-Length: 9\r\n\r\n1"):
            clients.enter_context(connected(server, begun))
        server.ask(HEALTH)
        threading.Timer(0.1, server.process.send_signal, [signal.SIGTERM]).start()
        assert server.process.wait(HANG) == 0
    assert "SIGKILL" not in server.log
