"""The verbs keygen, build --sign, sign, verify and sbom, as a user types them, over an image that carries a model and nothing else."""

from __future__ import annotations

import hashlib
import json
import socket
from datetime import UTC, datetime
from pathlib import Path

import pytest

from modelcrate.cli import main
from modelcrate.config import Config
from modelcrate.images.artifact import make_referrer
from modelcrate.pipeline.request import read_request
from modelcrate.project.values import LayoutBase
from modelcrate.resolve.existing_base import resolve_existing
from modelcrate.security.sbom import cyclonedx, spdx
from modelcrate.security.signing.bases import check_base
from modelcrate.security.signing.keys import load_public
from modelcrate.security.signing.policy import read_policy
from modelcrate.security.signing.provenance import git_revision
from modelcrate.security.signing.signing import put
from modelcrate.security.signing.statements import CYCLONEDX, IN_TOTO, PROVENANCE, SIGNED, SPDX, statement
from modelcrate.security.signing.verifying import verify
from modelcrate.transports.addresses import find
from modelcrate.transports.connections import Connections
from modelcrate_layers.content import Descriptor, Literal, MediaType, canonical_json
from modelcrate_layers.errors import IntegrityError
from support.pickles import EVIL


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    for name in ("MODELCRATE_KEY_PASSWORD", "COSIGN_PASSWORD", "SOURCE_DATE_EPOCH"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("MODELCRATE_HOME", str(tmp_path / "home"))
    monkeypatch.chdir(tmp_path)
    folder = tmp_path / "project"
    (folder / "model").mkdir(parents=True)
    (folder / "modelcrate.yaml").write_text("name: demo\nbase: scratch\nmodels: [{path: model, name: m}]\n")
    (folder / "model/m.pkl").write_bytes(b"\x80\x04N.")
    return folder


def said(capsys: pytest.CaptureFixture[str], *words: str, code: int = 0) -> str:
    assert main(list(words)) == code
    told = capsys.readouterr()
    return told.out if "--json" in words or words[0] == "sbom" else told.out + told.err


def test_from_key_to_verified_archive(project: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    said(capsys, "keygen", "k")
    said(capsys, "build", str(project), "--sign", "k.key", "-o", "oci:out:1", "-o", "docker-archive:d.tar", "--offline")
    for address in ("oci:out:1", "docker-archive:d.tar"):
        told = json.loads(said(capsys, "verify", address, "--key", "k.pub", "--json"))
        assert sorted({each["predicateType"].rpartition("/")[2] for each in told["proven"]}) == [
            "Document",
            "bom",
            "urn:modelcrate:contents:v1",
            "v1",
        ]
    (tmp_path / "p.yaml").write_text(
        "rules:\n  - images: ['*']\n    keys: [k.pub]\n    require: [signature, sbom, provenance, safe-pickles]\n    max-age: 1d\n"
    )
    assert "proven" in said(capsys, "verify", "oci:out:1", "--policy", "p.yaml")


def test_verify_refuses_with_its_exit_code(project: Path, capsys: pytest.CaptureFixture[str]) -> None:
    said(capsys, "keygen", "k")
    said(capsys, "build", str(project), "-o", "oci:out:1", "--offline")
    assert "not signed by any of these keys" in said(capsys, "verify", "oci:out:1", "--key", "k.pub", code=5)
    assert "all correct" in said(capsys, "verify", "oci:out:1")
    assert "signed oci:out:1" in said(capsys, "sign", "oci:out:1", "--key", "k.key")
    said(capsys, "verify", "oci:out:1", "--key", "k.pub")


def attach_lies(address: str, home: Path) -> None:
    """What anyone who may write to a repository can put beside an image: bills of materials and provenance that name what is not in it."""
    with Connections(Config(home)) as connections:
        found = find(address, connections)
        named = {"name": "forged-package", "version": "6.6.6", "versionInfo": "6.6.6"}
        digest = found.descriptor.digest
        documents = (
            (spdx.MEDIA_TYPE, canonical_json({"spdxVersion": "SPDX-2.3", "name": str(digest), "packages": [named]})),
            (cyclonedx.MEDIA_TYPE, canonical_json({"bomFormat": "CycloneDX", "components": [named]})),
            (IN_TOTO, statement(digest, PROVENANCE, {"buildDefinition": {"forged-package": "6.6.6"}})),
        )
        put(found, tuple(make_referrer(found.descriptor, kind, Literal(data, kind)) for kind, data in documents))


@pytest.mark.parametrize("form", ["oci:out", "oci-archive:out.tar"])
def test_documents_that_lie_are_neither_signed_nor_shown(
    form: str, project: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    said(capsys, "keygen", "k")
    said(capsys, "build", str(project), "-o", f"{form}:1", "--offline")
    right = said(capsys, "sbom", f"{form}:1")
    attach_lies(f"{form}:1", tmp_path / "other")
    for words in (("sbom",), ("sbom", "--format", "cyclonedx"), ("inspect", "--json"), ("explain",), ("verify",)):
        assert "forged" not in said(capsys, words[0], f"{form}:1", *words[1:])
    assert "provenance is not signed" in said(capsys, "sign", f"{form}:1", "--key", "k.key")
    told = json.loads(said(capsys, "verify", f"{form}:1", "--key", "k.pub", "--json"))
    assert "forged" not in json.dumps(told["proven"])
    kinds = {each["predicateType"] for each in told["proven"]}
    assert kinds == {SIGNED, SPDX, CYCLONEDX}
    assert sum("not signed, so it does not count" in each for each in told["unchecked"]) == 3
    with Connections(Config(tmp_path / "other")) as connections:
        verified = verify(find(f"{form}:1", connections), [load_public(tmp_path / "k.pub")], "x")
    (bill,) = verified.of_type(SPDX)
    assert bill.statement.predicate["packages"] == json.loads(right)["packages"]
    (tmp_path / "p.yaml").write_text("rules:\n  - {images: ['*'], keys: [k.pub], require: [signature, provenance]}\n")
    assert "provenance" in said(capsys, "verify", f"{form}:1", "--policy", "p.yaml", code=5)


def test_a_statement_about_another_image_beside_this_one_is_not_signed(
    project: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    said(capsys, "keygen", "k")
    said(capsys, "build", str(project), "-o", "oci:out:1", "--offline")
    with Connections(Config(tmp_path / "other")) as connections:
        found = find("oci:out:1", connections)
        other = Descriptor.of(b"another image", MediaType.MANIFEST)
        put(found, (make_referrer(other, spdx.MEDIA_TYPE, Literal(b"{}", spdx.MEDIA_TYPE)),))
    said(capsys, "sign", "oci:out:1", "--key", "k.key")
    told = json.loads(said(capsys, "verify", "oci:out:1", "--key", "k.pub", "--json"))
    assert {each["predicateType"] for each in told["proven"]} == {SIGNED}


def test_signing_changes_no_digest(project: Path, capsys: pytest.CaptureFixture[str]) -> None:
    said(capsys, "keygen", "k")
    plain = json.loads(
        said(capsys, "build", str(project), "-o", "oci:a:1", "--offline", "--json", "--progress", "none")
    )
    signed = json.loads(
        said(
            capsys,
            "build",
            str(project),
            "-o",
            "oci:b:1",
            "--sign",
            "k.key",
            "--offline",
            "--json",
            "--progress",
            "none",
        )
    )
    assert plain["digest"] == signed["digest"]


def test_the_same_build_twice_says_the_same(
    project: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SOURCE_DATE_EPOCH", "1700000000")
    said(capsys, "keygen", "k")
    for name in ("a", "b"):
        monkeypatch.setenv("MODELCRATE_HOME", str(tmp_path / f"home-{name}"))
        said(capsys, "build", str(project), "-o", f"oci:{name}:1", "--sign", "k.key", "--offline")
    blobs = [{path.name for path in (tmp_path / name / "blobs/sha256").iterdir()} for name in ("a", "b")]
    assert blobs[0] == blobs[1]


def test_sbom_of_a_project_and_of_its_image(project: Path, capsys: pytest.CaptureFixture[str]) -> None:
    said(capsys, "build", str(project), "-o", "oci:out:1", "--offline")
    ours = json.loads(said(capsys, "sbom", str(project), "--offline", "--progress", "none"))
    theirs = json.loads(said(capsys, "sbom", "oci:out:1"))
    assert ours == theirs
    assert "SPDX-2.3" in json.dumps(ours)
    assert "machine-learning-model" in said(capsys, "sbom", "oci:out:1", "--format", "cyclonedx")


def test_an_unsafe_pickle_stops_the_build(project: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (project / "model/m.pkl").write_bytes(EVIL)
    assert "posix.system" in said(capsys, "build", str(project), "--offline", code=3)


def test_an_unsigned_base_stops_a_build_under_a_policy(
    project: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    said(capsys, "keygen", "k")
    said(capsys, "build", str(project), "-o", f"oci:{project}/base:1", "--offline")
    (project / "modelcrate.yaml").write_text("name: demo\nbase: oci:base:1\nmodels: [{path: model, name: m}]\n")
    (tmp_path / "p.yaml").write_text("rules:\n  - {images: ['*'], keys: [k.pub]}\n")
    connections = Connections(Config(tmp_path / "home"))
    request = read_request(project, connections.config)
    base = request.project.base
    assert isinstance(base, LayoutBase)
    below = resolve_existing(base, request.project.platforms[0], None, project, connections)
    assert below.digest is not None
    policy = read_policy(tmp_path / "p.yaml")
    with pytest.raises(IntegrityError, match="not signed"):
        check_base(request.project, project, (below.digest,), policy, connections, datetime.now(UTC))
    said(capsys, "sign", f"oci:{project}/base:1", "--key", "k.key")
    assert check_base(request.project, project, (below.digest,), policy, connections, datetime.now(UTC))


def test_build_under_a_policy_has_its_exit_code(
    project: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    said(capsys, "keygen", "k")
    said(capsys, "build", str(project), "-o", f"oci:{project}/base:1", "--offline")
    (project / "modelcrate.yaml").write_text(
        "name: demo\nbase: {from: 'oci:base:1'}\nmodels: [{path: model, name: n}]\n"
    )
    (tmp_path / "p.yaml").write_text("rules:\n  - {images: ['*'], keys: [k.pub]}\n")
    words = ("build", str(project), "-o", "oci:out:1", "--offline", "--policy", "p.yaml")
    assert "not signed" in said(capsys, *words, code=5)
    assert not (tmp_path / "out").exists()
    said(capsys, "sign", f"oci:{project}/base:1", "--key", "k.key")
    said(capsys, *words)
    (tmp_path / "p.yaml").write_text("rules: []\n")
    said(capsys, *words, code=2)
    (project / "model/m.pkl").write_bytes(EVIL)
    said(capsys, "build", str(project), "--offline", code=3)


def test_provenance_names_what_went_in_and_nothing_of_the_machine(
    project: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in (
        "GITHUB_TOKEN",
        "CI_JOB_TOKEN",
        "MODELCRATE_KEY_PASSWORD",
        "AWS_SECRET_ACCESS_KEY",
        "HOSTNAME",
        "USER",
    ):
        monkeypatch.setenv(name, "hidden-from-all")
    monkeypatch.setenv("GITHUB_SHA", "c" * 40)
    said(capsys, "keygen", "k")
    said(capsys, "lock", str(project), "--offline")
    said(capsys, "build", str(project), "-o", "oci:out:1", "--provenance", "--offline")
    (artifact,) = find("oci:out:1", Connections(Config(tmp_path / "home"))).attached()
    text = b"".join(artifact.blobs[-1].chunks())
    statement = json.loads(text)
    assert statement["predicateType"] == "https://slsa.dev/provenance/v1"
    how = statement["predicate"]
    known = {each["name"]: each["digest"] for each in how["buildDefinition"]["resolvedDependencies"]}
    for name in ("modelcrate.yaml", "modelcrate.lock"):
        assert known[name] == {"sha256": hashlib.sha256((project / name).read_bytes()).hexdigest()}
    assert known["model m:1: m.pkl"] == {"sha256": hashlib.sha256(b"\x80\x04N.").hexdigest()}
    assert how["buildDefinition"]["internalParameters"]["ci"] == {"GITHUB_SHA": "c" * 40}
    assert how["runDetails"]["builder"]["version"]["modelcrate"]
    for secret in ("hidden-from-all", socket.gethostname(), str(tmp_path), str(Path.home())):
        assert secret not in text.decode(), secret


def test_the_git_revision_is_read_from_gits_files(tmp_path: Path) -> None:
    assert git_revision(tmp_path) == "" or len(git_revision(tmp_path)) in (40, 64)
    (tmp_path / ".git/refs/heads").mkdir(parents=True)
    (tmp_path / ".git/HEAD").write_text("ref: refs/heads/main\n")
    (tmp_path / ".git/packed-refs").write_text(f"# pack-refs\n{'b' * 40} refs/heads/main\n")
    assert git_revision(tmp_path) == "b" * 40
    (tmp_path / ".git/refs/heads/main").write_text("a" * 40 + "\n")
    (tmp_path / "inner").mkdir()
    assert git_revision(tmp_path / "inner") == "a" * 40
    (tmp_path / ".git/HEAD").write_text("ref: refs/../../etc/passwd\n")
    assert git_revision(tmp_path) == ""
