"""Blobs that are on their way before the image that they are of is made: waited for, counted once, and ended with the client."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from modelcrate.images.reference import Reference
from modelcrate.net.errors import ErrorResponse
from modelcrate.pipeline.pack import EarlyUpload, StoreSink
from modelcrate.registry.client import RegistryClient
from modelcrate.registry.config import RegistryConfig
from modelcrate.registry.pushes import SMALL
from modelcrate.transports.registry import RegistrySession
from modelcrate_layers.content import Descriptor
from modelcrate_layers.store import Layout
from modelcrate_layers.tar.codec import NONE
from modelcrate_layers.tar.recipe import Measuring
from support.images import Memory, image, noise
from support.real_registry import Running
from support.scripted import Script, error
from support.waiting import HANG, until

from .conftest import Client

BLOBS = [Memory(noise(SMALL + 1, number)) for number in range(3)]


def at(script: Script | Running, name: str = "team/model:1") -> Reference:
    return Reference.parse(f"{script.host}/{name}")


def test_what_was_begun_is_neither_asked_for_nor_sent_again(script: Script, client: Client) -> None:
    one = client()
    one.begin_blob(at(script), BLOBS[0])
    sent = one.push_blobs(at(script), BLOBS)
    assert [each.how for each in sent] == ["sent"] * 3
    assert [each.descriptor for each in sent] == [blob.descriptor for blob in BLOBS]
    assert (script.count("HEAD", "/blobs/"), script.received) == (3, sum(len(blob.data) for blob in BLOBS))
    script.seen.clear()
    assert [each.how for each in one.push_blobs(at(script), BLOBS)] == ["known"] * 3
    assert script.count("HEAD") == 3, "begun once is not known for ever"


def test_a_small_blob_gets_no_head_start(script: Script, client: Client) -> None:
    one = client()
    one.begin_blob(at(script), Memory(noise(SMALL)))
    one.close()
    assert script.seen == []


def test_what_was_begun_for_another_repository_is_not_this_one_s(script: Script, client: Client) -> None:
    one = client()
    one.begin_blob(at(script, "team/other"), BLOBS[0])
    one.push_blobs(at(script), BLOBS[:1])
    assert {name for name, _ in script.blobs} >= {"team/model"}


def test_a_fault_of_what_was_begun_is_the_push_s(script: Script, client: Client) -> None:
    script.plan("POST", "/blobs/uploads/", error(403, "DENIED"))
    one = client()
    blobs, manifest = image(*BLOBS)
    one.begin_blob(at(script), BLOBS[0])
    with pytest.raises(ErrorResponse, match="403"):
        one.publish(at(script), [manifest], blobs)
    assert script.count("PUT", "/manifests/") == 0


class Endless:
    """A blob that comes piece by piece for as long as somebody takes it, up to its size."""

    def __init__(self) -> None:
        self.read = threading.Event()
        self.goes_on = threading.Event()

    descriptor = Descriptor.of(bytes(8 << 20), "application/octet-stream")

    def chunks(self, start: int = 0) -> Iterator[bytes]:
        for _ in range(start, 8 << 20, 1 << 16):
            yield bytes(1 << 16)
            self.read.set()
            self.goes_on.wait(HANG)


def test_what_was_begun_for_a_build_that_failed_ends_with_the_client(script: Script, client: Client) -> None:
    one, blob = client(), Endless()
    one.begin_blob(at(script), blob)
    assert blob.read.wait(HANG)
    threading.Timer(0.2, blob.goes_on.set).start()
    one.close()
    assert (script.blobs, script.uploads) == ({}, {})


def test_what_was_begun_ends_with_the_client_where_the_push_fails_before_it_waits(
    script: Script, client: Client
) -> None:
    one, blob = client(), Endless()
    one.begin_blob(at(script), blob)
    assert blob.read.wait(HANG)
    script.plan("HEAD", "/blobs/", error(403, "DENIED"))
    with pytest.raises(ErrorResponse, match="403"):
        one.push_blobs(at(script), [blob, BLOBS[0]])
    threading.Timer(0.2, blob.goes_on.set).start()
    one.close()
    assert (script.blobs, script.uploads) == ({}, {})


def test_a_layer_is_in_the_registry_before_its_image_is_made(real: Running, tmp_path: Path) -> None:
    store, ref = Layout.create(tmp_path), at(real, "ahead/model:1")
    with RegistryClient(RegistryConfig()) as registry:
        output = RegistrySession(ref, registry)
        assert isinstance(output, EarlyUpload)
        layer = StoreSink(store).take(Measuring([noise(1 << 20, 5)], NONE))
        output.begin(store.blob(layer.descriptor))
        until(lambda: registry.has(ref, layer.descriptor))
