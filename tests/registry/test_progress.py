"""What a push tells of itself: each layer once, by the name that people know it by."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from modelcrate.config import Config
from modelcrate.events import Event, Finished, Notice, Started
from modelcrate.pipeline.session import Session
from modelcrate.transports import parse
from modelcrate.transports.addresses import find
from modelcrate.transports.connections import Connections
from modelcrate.transports.registry import MIN_STREAMED
from support import real_registry
from support.images import noise
from support.real_registry import Running
from support.small_projects import write_project
from support.validator import assert_valid_found


@pytest.fixture
def registry(tmp_path: Path) -> Iterator[Running]:
    if why := real_registry.missing():
        pytest.skip(why)
    with real_registry.running(tmp_path / "registry") as running:
        yield running


def test_a_layer_that_is_sent_while_it_is_read_is_one_task_and_has_no_digest_yet(
    registry: Running, tmp_path: Path
) -> None:
    project = write_project(tmp_path / "project", "name: big\nbase: scratch\nmodels: [{path: model.bin, version: 1}]\n")
    (project / "model.bin").write_bytes(noise(2 * MIN_STREAMED, 1))
    events: list[Event] = []
    with Session(Config(tmp_path / "home"), events.append) as session:
        output = parse(f"registry:{registry.host}/big:1")
        session.build(replace(session.read(project), outputs=(output,)))
    label = "model: model:1"
    shown = [each.label for each in events if isinstance(each, Started)]
    ended = [each.label for each in events if isinstance(each, Finished)]
    told = [each.text for each in events if isinstance(each, Notice) and "which hashes" in each.text]
    assert told == [f"waiting for the registry, which hashes {label}"]
    assert (shown.count(label), ended.count(label)) == (1, 1)
    found = find(f"registry:{registry.host}/big:1", Connections(Config(tmp_path / "look")))
    known = {str(layer.descriptor.digest) for layer in found.image().layers}
    assert not any(digest in text for digest in known for text in shown), "it had no digest when it was begun"
    assert all(text == label or text.startswith("push sha256:") for text in shown)
    assert_valid_found(found)
