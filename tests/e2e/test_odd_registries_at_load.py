"""Bundles are loaded into registries with oddities, and inventories are taken of them: what can be done is done, and the rest is said."""

from __future__ import annotations

import itertools
import json
import re
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from support.command import Inside
from support.scripted import Reply, Script, Seen, digest_of, error, scripted
from support.small_projects import model_only

HOST = "outside.example"
NAME = f"{HOST}/team/sums:1"


@pytest.fixture
def bundle(inside: Inside, tmp_path: Path) -> Path:
    """An image with two bills of materials beside it."""
    inside("build", model_only(tmp_path / "project"), "-t", NAME, "--sbom").succeeded()
    inside("bundle", "create", "-o", tmp_path / "bundle", NAME).succeeded()
    return tmp_path / "bundle"


def accepted_only(registry: Script) -> None:
    """Every 201 is a 202."""
    registry.plan("PUT", ".*", lambda reply: replace(reply, status=202), times=999)


def no_mounts(registry: Script) -> None:
    registry.plan("POST", "mount=", error(405, "UNSUPPORTED"), times=999)


def referrers_as_plain_json(registry: Script) -> None:
    registry.plan("GET", "/referrers/", Reply(200, {"Content-Type": "application/json"}, b"{}"), times=999)


def tokens_that_end(registry: Script) -> None:
    """In the middle of the load, all tokens from before end at once."""
    made = itertools.count()
    first = 0
    asked = 0

    def allowed(authorization: str, seen: Seen) -> bool:
        nonlocal asked, first
        asked += 1
        if asked == 12:
            first = next(made)
        token = authorization.removeprefix("Bearer t")
        return token.isdigit() and int(token) >= first

    def token(reply: Reply) -> Reply:
        body = json.dumps({"token": f"t{next(made)}", "expires_in": 300}).encode()
        return Reply(200, {"Content-Type": "application/json"}, body)

    registry.allowed = allowed
    registry.challenge = f'Bearer realm="http://{registry.host}/token",service="odd"'
    registry.plan("GET", "/token", token, times=999)


def absolute_locations(registry: Script) -> None:
    registry.location = lambda host, path: f"http://{host}{path}"


def without_referrers(registry: Script) -> None:
    registry.referrers = False


def documents_of_no_type(registry: Script) -> None:
    """As static file servers send them; what is beside an image is then listed under a tag, which is a document as any other."""
    registry.referrers = False
    registry.plan("GET|HEAD", "/manifests/", without_type, times=999)


def without_type(reply: Reply) -> Reply:
    return replace(reply, headers={**reply.headers, "Content-Type": "application/octet-stream"})


def missing_as_a_page(registry: Script) -> None:
    """A web server in front of it puts a page in the place of every 404."""
    registry.referrers = False
    registry.plan("GET", "/manifests/", page_if_missing, times=999)


def page_if_missing(reply: Reply) -> Reply:
    if reply.status != 404:
        return reply
    return Reply(404, {"Content-Type": "text/html"}, b"<html><h1>404 Not Found</h1></html>")


ODD = [
    documents_of_no_type,
    missing_as_a_page,
    accepted_only,
    no_mounts,
    referrers_as_plain_json,
    tokens_that_end,
    absolute_locations,
    without_referrers,
]


@pytest.mark.parametrize("oddity", ODD, ids=[each.__name__ for each in ODD])
def test_all_of_it_arrives(oddity: Callable[[Script], None], bundle: Path, inside: Inside) -> None:
    with scripted() as registry:
        oddity(registry)
        inside("bundle", "load", bundle, "--to", f"registry:{registry.host}").succeeded()
        beside = {
            kind
            for _, data in registry.manifests.values()
            if (kind := json.loads(data).get("artifactType")) and "subject" in json.loads(data)
        }
        assert {"application/spdx+json", "application/vnd.cyclonedx+json"} <= beside
        ours = inside("digest", NAME).succeeded().out.strip()
        assert inside("digest", f"{registry.host}/team/sums:1").succeeded().out.strip() == ours


@pytest.mark.parametrize(
    ("fault", "words"),
    [
        (error(405, "UNSUPPORTED"), "read-only"),
        (error(400, "NAME_INVALID"), "rules of its own"),
        (error(404, "NAME_UNKNOWN"), "does not exist"),
        (Reply(413, {"Content-Type": "text/html"}, b"<html>"), "chunk-size"),
    ],
)
def test_one_that_takes_nothing_is_said_to(fault: Reply, words: str, bundle: Path, inside: Inside) -> None:
    with scripted() as registry:
        registry.plan("POST", "/uploads/", fault, times=999)
        inside("bundle", "load", bundle, "--to", f"registry:{registry.host}").failed(4, words, "nothing was changed")
        assert registry.manifests == {}


def test_one_that_takes_no_documents_beside_images_has_the_image(bundle: Path, inside: Inside) -> None:
    with scripted() as registry:
        digest = inside("digest", NAME).succeeded().out.strip()
        registry.plan("PUT", rf"/manifests/(?!1$|{re.escape(digest)})", error(400, "MANIFEST_INVALID"), times=999)
        done = inside("bundle", "load", bundle, "--to", f"registry:{registry.host}").failed(4, "MANIFEST_INVALID")
        assert f"done before that: registry {registry.host}/team/sums:1, without some of the documents" in done.err
        assert ("team/sums", "1") in registry.manifests


def taken(inside: Inside, registry: Script, path: Path, *places: str) -> tuple[Any, str]:
    done = inside("bundle", "inventory", *(f"{registry.host}/{each}" for each in places), "-o", path).succeeded()
    return json.loads(path.read_text()), done.err


def test_an_inventory_has_all_but_what_cannot_be_read(bundle: Path, inside: Inside, tmp_path: Path) -> None:
    with scripted() as registry:
        inside("bundle", "load", bundle, "--to", f"registry:{registry.host}").succeeded()
        absent = {"mediaType": "application/vnd.oci.image.manifest.v1+json", "digest": digest_of(b"x"), "size": 1}
        kind = "application/vnd.oci.image.index.v1+json"
        sparse = json.dumps({"schemaVersion": 2, "mediaType": kind, "manifests": [absent]}).encode()
        registry.manifests["team/sums", "sparse"] = (kind, sparse)
        registry.plan("GET", "/old/gone/tags/list", error(404, "NAME_UNKNOWN"))
        registry.plan("GET", "/secret/tags/list", error(403, "DENIED"))
        found, said = taken(inside, registry, tmp_path / "inventory", "team/sums", "old/gone", "secret")
    assert set(found["images"]) == {"team/sums:1"}
    for words in ("team/sums:sparse is not in the inventory", "old/gone has no tags", "secret is not in the inventory"):
        assert words in said


def test_documents_beside_images_are_left_out_as_all_else(bundle: Path, inside: Inside, tmp_path: Path) -> None:
    with scripted() as registry:
        inside("bundle", "load", bundle, "--to", f"registry:{registry.host}").succeeded()
        found, _ = taken(inside, registry, tmp_path / "inventory", "team/sums")
        held = {digest for _, digest in registry.blobs}
    assert set(found["blobs"]) == held


def test_an_inventory_of_what_nobody_may_read_is_refused(inside: Inside, tmp_path: Path) -> None:
    with scripted() as registry:
        registry.plan("GET", "/tags/list", error(403, "DENIED"), times=9)
        inside("bundle", "inventory", f"{registry.host}/secret", "-o", tmp_path / "inventory").failed(4, "DENIED")
        registry.plan("GET", "/_catalog", error(404, "UNSUPPORTED"))
        inside("bundle", "inventory", registry.host, "-o", tmp_path / "inventory").failed(4, "HOST/REPOSITORY")
    assert not (tmp_path / "inventory").exists()
