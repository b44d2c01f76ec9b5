"""The verbs that talk to registries, against docker-registry: push, pull, copy, tags, digest, login, logout, and registries.yaml."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from modelcrate.transports.oci import find
from support import real_registry
from support.command import Crate, Inside
from support.small_projects import model_only
from support.validator import assert_valid_found

pytestmark = pytest.mark.skipif(bool(real_registry.missing()), reason=real_registry.missing() or "")


@pytest.fixture
def crate(tmp_path: Path) -> Crate:
    made = Crate.at(tmp_path / "home")
    made("build", model_only(tmp_path / "project")).succeeded()
    return made


@pytest.fixture
def guarded(tmp_path: Path) -> Iterator[real_registry.Running]:
    """A registry that wants a user and a password."""
    (tmp_path / "guarded").mkdir()
    with real_registry.running(tmp_path / "guarded", auth=real_registry.htpasswd(tmp_path / "guarded")) as server:
        yield server


def digest_in_store(crate: Crate) -> str:
    return crate("digest", "alone").succeeded().out.strip()


def test_an_image_goes_round_and_stays_what_it_is(
    crate: Crate, docker_registry: real_registry.Running, tmp_path: Path
) -> None:
    here = f"{docker_registry.host}/verbs/one"
    crate("push", "alone", f"{here}:1", f"{here}:2").succeeded()
    tags = crate("tags", here, "--json").succeeded().json["tags"]
    assert sorted(tag for tag in tags if not tag.startswith("sha256-")) == ["1", "2"]
    there = f"{docker_registry.host}/verbs/other:9"
    copied = crate("copy", f"registry:{here}:1", f"registry:{there}", "--json").succeeded().json
    assert copied["outputs"][0]["bytes_there"] > 0, "what one registry has is mounted, not sent"
    crate("pull", there, "-o", f"oci:{tmp_path / 'layout'}").succeeded()
    crate("pull", there).succeeded()
    digests = {
        digest_in_store(crate),
        copied["digest"],
        crate("digest", f"registry:{there}").succeeded().out.strip(),
        crate("digest", f"oci:{tmp_path / 'layout'}").succeeded().out.strip(),
        crate("digest", there).succeeded().out.strip(),
    }
    assert len(digests) == 1
    assert_valid_found(find(tmp_path / "layout", None))


def test_login_is_tried_kept_and_forgotten(crate: Crate, guarded: real_registry.Running) -> None:
    target = f"{guarded.host}/verbs/secret:1"
    refused = crate("push", "alone", target).failed(4, guarded.host, "401")
    assert "login" in refused.err
    words = crate.command("login", guarded.host, "-u", real_registry.USER, "--password-stdin")
    wrong = subprocess.run(words, env=crate.environment, input=b"wrong\n", capture_output=True)
    assert wrong.returncode == 4
    assert b"wrong" not in wrong.stderr
    done = subprocess.run(words, env=crate.environment, input=real_registry.PASSWORD.encode(), capture_output=True)
    assert done.returncode == 0, done.stderr
    kept = Path(crate.environment["HOME"]) / ".docker" / "config.json"
    assert guarded.host in json.loads(kept.read_text())["auths"]
    assert kept.stat().st_mode & 0o777 == 0o600
    crate("push", "alone", target).succeeded()
    crate("logout", guarded.host).succeeded()
    assert json.loads(kept.read_text())["auths"] == {}
    crate("tags", target.removesuffix(":1")).failed(4, "401")


def test_the_rules_of_registries_yaml_are_read(
    crate: Crate, docker_registry: real_registry.Running, tmp_path: Path
) -> None:
    rules = tmp_path / "registries.yaml"
    rules.write_text(f"registries:\n  - {{match: '{docker_registry.host}', max-layer: 100, concurrency: 2}}\n")
    limited = Crate.at(crate.home, MODELCRATE_REGISTRIES=str(rules))
    limited("push", "alone", f"{docker_registry.host}/verbs/limited:1").failed(2, "at most 100")
    crate("tags", f"{docker_registry.host}/verbs/limited").failed(4)
    rules.write_text("registries:\n  - {match: x, chunksize: 1}\n")
    limited("push", "alone", f"{docker_registry.host}/verbs/limited:1").failed(
        2, "chunksize", "did you mean 'chunk-size'?"
    )


def test_what_is_no_reference_says_why_and_is_not_looked_for_elsewhere(inside: Inside) -> None:
    inside("digest", "https://x.y/z:1").failed(2, "an image is named without a scheme")
    inside("digest", "127.0.0.1:99999/z:1").failed(2, "is not a host or host:port")
    inside("digest", "user:geheim@x.y/z").failed(2, "it has a user or a password", "modelcrate login HOST")
    inside("digest", "./layout").failed(3, "oci:DIR")
    inside("tags", "x.y:5000").failed(2, "expected HOST/REPOSITORY, without tag and digest")
    inside("tags", "x.y/z:1").failed(2, "expected HOST/REPOSITORY, without tag and digest")


def test_names_of_the_store_are_names(inside: Inside, tmp_path: Path) -> None:
    project = model_only(tmp_path / "project")
    for name in ("https://x", "a/b:1:2", "a b", "a@b", "a:"):
        inside("build", project, "-t", name).failed(2, "not an image reference")
        inside("build", project, "-o", f"store:{name}").failed(2, "not an image reference")
    inside("build", project, "-t", "Team/Sums:V1").succeeded()
    digest = inside("digest", "Team/Sums:V1").succeeded().out.strip()
    inside("copy", "Team/Sums:V1", f"store:x.y:5000/sums@{digest}").succeeded()
    rows = inside("images", "--json").succeeded().json
    assert [(row["repository"], row["tag"]) for row in rows] == [("Team/Sums", "V1"), ("x.y:5000/sums", "")]
    assert "x.y:5000/sums  <none>" in inside("images").succeeded().out


def test_an_option_of_another_action_is_not_passed_over(inside: Inside) -> None:
    inside("cache", "du", "--repair").failed(2, "--repair is an option of check", "modelcrate cache check --repair")
    inside("cache", "check", "--older-than", "3d").failed(2, "--older-than is an option of prune")
