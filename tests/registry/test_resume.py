"""An upload that was cut goes on: within a run, after a kill, and where it can't, this is said."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from modelcrate.images.reference import Reference
from modelcrate.net.config import Patience
from modelcrate.net.errors import ConnectionFailed
from modelcrate.net.messages import Request
from modelcrate.registry.events import Restarted, Resumed
from modelcrate.registry.profiles import Rule
from modelcrate.registry.pushes import KEPT
from support.images import Cold, Memory, StillClock, noise
from support.real_registry import Running
from support.scripted import Drop, Script
from support.waiting import HANG, until

from .conftest import Client

KIB = 1 << 10
CHUNK = 64 * KIB
SIZE = 1024 * KIB
ONCE = Patience(attempts=1)


def at(host: str, name: str = "team/model:1") -> Reference:
    return Reference.parse(f"{host}/{name}")


@pytest.mark.parametrize("after", [0, 1, 1000, CHUNK - 1])
@pytest.mark.parametrize("skip", [0, 7, 15])
def test_a_cut_chunk_is_sent_again_and_no_other(script: Script, client: Client, after: int, skip: int) -> None:
    script.plan("PATCH", "/uploads/", Drop(after), skip=skip)
    blob = Memory(noise(SIZE))
    client().push_blob(at(script.host), blob)
    assert script.blobs["team/model", str(blob.descriptor.digest)] == blob.data
    assert script.received <= SIZE + CHUNK


@pytest.mark.parametrize("after", [0, 1, 5000, CHUNK - 1])
@pytest.mark.parametrize("upload", ["chunks", "stream"])
def test_the_next_run_goes_on_where_this_one_was_cut(
    script: Script, client: Client, tmp_path: Path, events: list[object], after: int, upload: str
) -> None:
    blob, journal = Memory(noise(SIZE)), tmp_path / "journal"
    rules = (Rule("*", chunk_size=CHUNK, upload=upload),)
    skip, cut = (9, after) if upload == "chunks" else (0, 9 * CHUNK + after)
    script.plan("PATCH", "/uploads/", Drop(cut), skip=skip, times=9)
    with pytest.raises(ConnectionFailed) as fault:
        client(rules=rules, journal=journal, patience=ONCE).push_blob(at(script.host), blob)
    assert (KEPT in str(fault.value)) == (upload == "chunks"), "what is told to be kept is what was confirmed"
    script.planned.clear()
    sent = client(rules=rules, journal=journal).push_blob(at(script.host), blob)
    assert sent.how == "resumed"
    assert script.blobs["team/model", str(blob.descriptor.digest)] == blob.data
    assert script.received <= SIZE + CHUNK
    assert any(isinstance(event, Resumed) for event in events)
    assert not list(journal.glob("*"))


def test_what_is_kept_is_told_when_another_blob_fails(script: Script, client: Client, tmp_path: Path) -> None:
    confirmed = threading.Event()

    class Late(Memory):
        """Fails when the other blob's first chunk is confirmed, as its second one has begun to arrive."""

        def chunks(self, start: int = 0) -> Iterator[bytes]:
            assert confirmed.wait(HANG)
            raise ConnectionFailed(Request("PUT", f"http://{script.host}/"), "as if a cable was pulled", retry=False)

    script.on_arrival = lambda total: confirmed.set() if total > CHUNK else None
    script.plan("PATCH", "/uploads/", Drop(CHUNK - 1), skip=1, times=9)
    with pytest.raises(ConnectionFailed) as fault:
        client(journal=tmp_path, patience=ONCE).push_blobs(
            at(script.host), [Memory(noise(SIZE)), Late(noise(CHUNK, 7))]
        )
    assert KEPT in str(fault.value)


def test_a_stream_with_a_key_goes_on_in_the_next_run(script: Script, client: Client, tmp_path: Path) -> None:
    script.plan("PATCH", "/uploads/", Drop(100), skip=9, times=9)
    with pytest.raises(ConnectionFailed):
        client(journal=tmp_path, patience=ONCE).push_stream(at(script.host), Cold(noise(SIZE), SIZE, "recipe"))
    script.planned.clear()
    again = Cold(noise(SIZE), SIZE, "recipe")
    assert client(journal=tmp_path).push_stream(at(script.host), again).how == "resumed"
    assert script.blobs["team/model", str(again.descriptor.digest)] == again.data
    assert again.passes == 1
    assert script.received <= SIZE + CHUNK


def test_a_stream_gets_smaller_where_a_proxy_refuses_its_parts(script: Script, client: Client) -> None:
    script.body_limit = 1 << 19
    stream = Cold(noise(3 << 20), 3 << 20, "recipe")
    client(rules=(Rule("*", chunk_size=2 << 20),)).push_stream(at(script.host), stream)
    assert script.blobs["team/model", str(stream.descriptor.digest)] == stream.data


def test_a_stream_that_only_lacked_its_name_is_read_and_named(script: Script, client: Client, tmp_path: Path) -> None:
    script.plan("PUT", "/uploads/", Drop(), times=9)
    with pytest.raises(ConnectionFailed):
        client(journal=tmp_path, patience=ONCE).push_stream(at(script.host), Cold(noise(SIZE), SIZE, "recipe"))
    script.planned.clear()
    again = Cold(noise(SIZE), SIZE, "recipe")
    sent = client(journal=tmp_path).push_stream(at(script.host), again)
    assert (sent.how, sent.bytes, again.passes) == ("resumed", 0, 1)
    assert script.blobs["team/model", str(again.descriptor.digest)] == again.data


@pytest.mark.parametrize("length", [None, 0])
def test_an_empty_stream_is_a_blob_too(script: Script, client: Client, length: int | None) -> None:
    stream = Cold(b"", length)
    client().push_stream(at(script.host), stream)
    assert script.blobs["team/model", str(stream.descriptor.digest)] == b""


def test_a_stream_that_changed_since_it_was_cut_begins_anew(script: Script, client: Client, tmp_path: Path) -> None:
    script.plan("PATCH", "/uploads/", Drop(100), skip=9, times=9)
    with pytest.raises(ConnectionFailed):
        client(journal=tmp_path, patience=ONCE).push_stream(at(script.host), Cold(noise(SIZE), SIZE, "recipe"))
    script.planned.clear()
    other = Cold(noise(SIZE, 2), SIZE, "recipe")
    client(journal=tmp_path).push_stream(at(script.host), other)
    assert list(script.blobs.values()) == [other.data]


def test_a_registry_that_can_not_go_on_is_named_and_only_that_blob_begins_anew(
    script: Script, client: Client, tmp_path: Path, events: list[object]
) -> None:
    script.keeps_cut = False  # as docker-registry 2.8.2 with a PATCH that breaks off half-way
    blob = Memory(noise(SIZE))
    script.plan("PATCH", "/uploads/", Drop(1000), skip=9)
    client(journal=tmp_path).push_blob(at(script.host), blob)
    assert script.blobs["team/model", str(blob.descriptor.digest)] == blob.data
    assert any(isinstance(event, Restarted) and "can't continue" in event.why for event in events)


def test_an_old_note_is_not_followed(script: Script, client: Client, tmp_path: Path, clock: StillClock) -> None:
    script.plan("PATCH", "/uploads/", Drop(100), skip=9, times=9)
    blob = Memory(noise(SIZE))
    with pytest.raises(ConnectionFailed):
        client(journal=tmp_path, patience=ONCE).push_blob(at(script.host), blob)
    script.planned.clear()
    clock.time += 25 * 3600
    assert client(journal=tmp_path).push_blob(at(script.host), blob).how == "sent"


def test_old_notes_are_swept_away(client: Client, tmp_path: Path, clock: StillClock) -> None:
    for name, age in (("old", 25), ("young", 23)):
        note = {"location": "http://x/", "offset": 1, "noted": clock.time - age * 3600}
        (tmp_path / f"{name}.json").write_text(json.dumps(note))
        (tmp_path / f"{name}.lock").touch()
    client(journal=tmp_path)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["young.json", "young.lock"]


@pytest.mark.parametrize("note", ["", "[]", '{"location": 1, "offset": 0, "noted": 0}', '{"offset": 7}', "x" * 100])
def test_a_spoilt_note_is_no_note(script: Script, client: Client, tmp_path: Path, note: str) -> None:
    script.plan("PATCH", "/uploads/", Drop(100), skip=9, times=9)
    blob = Memory(noise(SIZE))
    with pytest.raises(ConnectionFailed):
        client(journal=tmp_path, patience=ONCE).push_blob(at(script.host), blob)
    script.planned.clear()
    (path,) = tmp_path.glob("*.json")
    path.write_text(note)
    assert client(journal=tmp_path).push_blob(at(script.host), blob).how == "sent"


def test_a_note_that_points_to_another_host_is_not_followed(script: Script, client: Client, tmp_path: Path) -> None:
    script.plan("PATCH", "/uploads/", Drop(100), skip=9, times=9)
    blob = Memory(noise(SIZE))
    with pytest.raises(ConnectionFailed):
        client(journal=tmp_path, patience=ONCE).push_blob(at(script.host), blob)
    script.planned.clear()
    (path,) = tmp_path.glob("*.json")
    path.write_text(path.read_text().replace(script.host, "127.0.0.2:1"))
    assert client(journal=tmp_path).push_blob(at(script.host), blob).how == "sent"


def test_two_runs_at_once_do_not_feed_one_session(script: Script, client: Client, tmp_path: Path) -> None:
    script.plan("PATCH", "/uploads/", Drop(100), skip=9, times=9)
    blob = Memory(noise(SIZE))
    with pytest.raises(ConnectionFailed):
        client(journal=tmp_path, patience=ONCE).push_blob(at(script.host), blob)
    script.planned.clear()
    first, second = client(journal=tmp_path), client(journal=tmp_path)
    results = []

    def other(event: object) -> None:
        if not results:
            results.append(None)
            results.append(second.push_blob(at(script.host), Memory(blob.data)).how)

    first._transport.emit = other
    assert first.push_blob(at(script.host), blob).how == "resumed"
    assert results == [None, "sent"]


PUSHER = """
import sys
from pathlib import Path
from modelcrate.images.reference import Reference
from modelcrate.registry.oras_client import Registry
from modelcrate.registry.profiles import Rule
from modelcrate.registry.config import RegistryConfig
from support.images import Memory, noise
host, journal, size = sys.argv[1], Path(sys.argv[2]), int(sys.argv[3])
with Registry(RegistryConfig(journal=journal, rules=(Rule("*", chunk_size=1 << 16),))) as registry:
    registry.push_blob(Reference.parse(host + "/team/model:1"), Memory(noise(size), step=1 << 12))
"""


@pytest.mark.parametrize("byte", [1, 65_536, 65_537, 700_001, 1_048_577, 1_900_000, 2_097_151, 2_097_152])
def test_a_process_killed_at_any_byte_sends_at_most_one_chunk_again(
    script: Script, client: Client, clock: StillClock, tmp_path: Path, byte: int
) -> None:
    size, started = 2 << 20, threading.Event()
    command = [sys.executable, "-c", PUSHER, script.host, str(tmp_path), str(size)]
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))}
    processes: list[subprocess.Popen[bytes]] = []

    def kill(total: int) -> None:
        if total >= byte:
            started.wait(HANG)
            processes[0].kill()
            processes[0].wait()

    script.on_arrival = kill
    processes.append(subprocess.Popen(command, env=environment))
    started.set()
    assert processes[0].wait(HANG) == -signal.SIGKILL
    script.on_arrival = lambda total: None
    until(lambda: script.inside == 0)
    clock.time, blob = time.time(), Memory(noise(size))
    client(journal=tmp_path).push_blob(at(script.host), blob)
    assert script.blobs["team/model", str(blob.descriptor.digest)] == blob.data
    assert script.received <= size + CHUNK


def test_a_real_registry_goes_on_where_a_chunk_ended(
    real: Running, client: Client, tmp_path: Path, events: list[object]
) -> None:
    class Cut(Memory):
        """Its source fails as a network would, just before the seventh chunk's first byte."""

        def chunks(self, start: int = 0) -> Iterator[bytes]:
            for n, chunk in enumerate(super().chunks(start)):
                if n == 6:
                    raise ConnectionFailed(
                        Request("PATCH", f"http://{real.host}/"), "as if a cable was pulled", retry=False
                    )
                yield chunk

    blob = Memory(noise(SIZE, 77))
    with pytest.raises(ConnectionFailed):
        client(journal=tmp_path).push_blob(at(real.host, "resume/x"), Cut(blob.data))
    sent = client(journal=tmp_path).push_blob(at(real.host, "resume/x"), blob)
    assert (sent.how, sent.bytes) == ("resumed", SIZE - 6 * CHUNK)
    assert any(event == Resumed(str(blob.descriptor.digest), 6 * CHUNK) for event in events)
    assert client().has(at(real.host, "resume/x"), blob.descriptor)
