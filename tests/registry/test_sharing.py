"""Many pushes over the same connections: what one has sent, asked or seen, the others neither send nor ask again."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor

import pytest

from modelcrate.images.reference import Reference
from modelcrate.net.cancellation import Cancelled, StopSignal
from modelcrate.net.errors import ErrorResponse
from modelcrate.net.keyed_lock import KeyedLock
from modelcrate.registry import credentials
from modelcrate.registry.client import RegistryClient
from modelcrate.registry.config import RegistryConfig
from modelcrate.registry.credential import Credential
from modelcrate.registry.pushes import SMALL
from modelcrate_layers.content import MediaType
from support.images import Memory, image, noise
from support.real_registry import Running
from support.scripted import Reply, Script
from support.waiting import HANG

from .conftest import Client

BLOBS = [Memory(noise(SMALL + 1, number)) for number in range(3)]


def at(script: Script | Running, name: str) -> Reference:
    return Reference.parse(f"{script.host}/{name}")


def test_a_blob_for_many_repositories_is_sent_once(real: Running) -> None:
    blob = Memory(noise(8 << 20, 77))
    with RegistryClient(RegistryConfig()) as one:
        others = [RegistryClient(RegistryConfig(), like=one) for _ in range(4)]
        with ThreadPoolExecutor(4) as pool:
            sent = list(pool.map(lambda n: others[n].push_blob(at(real, f"sharing/r{n}"), blob), range(4)))
    assert sorted(each.how for each in sent) == ["mounted"] * 3 + ["sent"]
    assert sum(each.bytes for each in sent) == blob.descriptor.size


def test_what_can_be_mounted_is_not_asked_for(script: Script, client: Client) -> None:
    one = client()
    one.push_blobs(at(script, "team/first"), BLOBS)
    one.push_blobs(at(script, "team/second"), BLOBS)  # the first mount that is granted
    script.seen.clear()
    assert [each.how for each in one.push_blobs(at(script, "team/third"), BLOBS)] == ["mounted"] * 3
    assert (script.count("HEAD"), script.count("POST"), script.received) == (0, 3, 0)


def test_a_mount_that_is_refused_by_then_leads_to_the_question(script: Script, client: Client) -> None:
    one = client()
    one.push_blobs(at(script, "team/first"), BLOBS)
    one.push_blobs(at(script, "team/second"), BLOBS)
    for name, digest in list(script.blobs):  # all have lost it, but the third has it from elsewhere
        script.blobs["team/third", digest] = script.blobs.pop((name, digest), b"") or script.blobs["team/third", digest]
    script.seen.clear()
    assert [each.how for each in one.push_blobs(at(script, "team/third"), BLOBS)] == ["known"] * 3
    assert (script.count("HEAD"), script.received) == (3, 0)
    script.seen.clear()
    assert [each.how for each in one.push_blobs(at(script, "team/fourth"), BLOBS)] == ["mounted"] * 3
    assert (script.count("HEAD"), script.received) == (0, 0), "a registry that lacked them there mounts all the same"


def test_what_a_registry_has_lost_is_sent_again(script: Script, client: Client) -> None:
    one = client()
    assert one.push_blob(at(script, "team/first"), BLOBS[0]).how == "sent"
    script.blobs.clear()
    assert one.push_blob(at(script, "team/first"), BLOBS[0]).how == "sent"
    assert one.push_blobs(at(script, "team/first"), BLOBS[:1])[0].how == "known"


def test_where_the_image_is_new_small_blobs_are_sent_without_a_question(script: Script, client: Client) -> None:
    one, target = client(), at(script, "team/model:1")
    blobs, manifest = image(Memory(noise(1000)), BLOBS[0])
    with pytest.raises(ErrorResponse, match="404"):
        one.resolve(target)
    script.seen.clear()
    one.publish(target, [manifest], blobs)
    assert script.count("HEAD", "/blobs/") == 1, "the large one"
    assert script.count("HEAD", "/manifests/") == 0, "what the tag is not is known"
    script.seen.clear()
    client().publish(target, [manifest], blobs)
    assert {each.method for each in script.seen} == {"HEAD"}, "one that knows nothing asks for all"


def test_a_tag_that_was_seen_to_be_this_image_is_asked_for_again(script: Script, client: Client) -> None:
    one, target = client(), at(script, "team/model:1")
    blobs, manifest = image(Memory(noise(1000)))
    one.publish(target, [manifest], blobs)
    script.seen.clear()
    script.manifests.clear()
    one.put_manifest(target, manifest.data, MediaType.MANIFEST)
    assert (script.count("HEAD", "/manifests/1"), script.count("PUT", "/manifests/1")) == (1, 1)


def test_credentials_are_looked_up_once_for_two_repositories(
    script: Script, client: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    one = client()
    one.push_blobs(at(script, "team/first"), BLOBS)
    one.push_blobs(at(script, "team/second"), BLOBS)
    asked: list[tuple[str, str]] = []
    find = credentials.find

    def counting(registry: str, repository: str, settings: RegistryConfig) -> Credential | None:
        asked.append((registry, repository))
        return find(registry, repository, settings)

    monkeypatch.setattr(credentials, "find", counting)
    one._pusher._compared.clear()
    one.push_blobs(at(script, "team/third"), BLOBS)
    assert len(asked) <= 4, "for each of two holders, both names; not for each blob"


def test_a_fault_in_one_blob_ends_the_push_and_leaves_the_threads(script: Script, client: Client) -> None:
    one = client()
    script.plan("POST", "/uploads/", Reply(403), times=1)
    with pytest.raises(ErrorResponse):
        one.push_blobs(at(script, "team/model"), BLOBS)
    one.push_blobs(at(script, "team/other"), BLOBS)
    assert {("team/other", str(each.descriptor.digest)) for each in BLOBS} <= script.blobs.keys()


def test_turns_are_taken_one_by_one_and_given_up_when_it_is_enough() -> None:
    locks, stop, inside, enough = KeyedLock(), StopSignal(), threading.Event(), threading.Event()
    faults: list[BaseException] = []

    def hold() -> None:
        with locks.hold("a"):
            inside.set()
            enough.wait(HANG)

    def want() -> None:
        try:
            with locks.hold("a", stop.check):
                pass
        except Cancelled as fault:
            faults.append(fault)

    holder, wanting = threading.Thread(target=hold), threading.Thread(target=want)
    holder.start()
    inside.wait(HANG)
    with locks.hold("b"):  # another key is not locked
        wanting.start()
    stop.cancel()
    wanting.join(HANG)
    assert len(faults) == 1
    enough.set()
    holder.join(HANG)
    assert locks._locks == {}
