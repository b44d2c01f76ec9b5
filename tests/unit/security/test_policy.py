"""Policies: read with all their faults, applied to images, and to the base of a build."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from modelcrate.config import Config
from modelcrate.events import ignore_event
from modelcrate.project.values import DebianBase, LayoutBase, Project, RootfsBase
from modelcrate.security.sbom import cyclonedx
from modelcrate.security.sbom.inventory import inventory
from modelcrate.security.signing import keys, statements
from modelcrate.security.signing.bases import check_base
from modelcrate.security.signing.policy import check, read_policy
from modelcrate.security.signing.signing import put, sign
from modelcrate.transports import parse
from modelcrate.transports.addresses import find
from modelcrate.transports.connections import Connections
from modelcrate_layers.errors import CrateError, IntegrityError, UserError
from support.pickles import EVIL
from support.trusted import small_image

NOW = datetime(2026, 6, 1, tzinfo=UTC)
MODEL = "var/azureml-app/azureml-models/m/1/m.pkl"
METADATA = b"Metadata-Version: 2.4\nName: thing\nVersion: 1.0\nLicense-Expression: GPL-3.0-only\n\n"


@pytest.fixture
def settings(tmp_path: Path) -> Config:
    return Config(tmp_path / "home")


def signed(tmp_path: Path, settings: Config, files: dict[str, bytes], days: int = 1) -> str:
    """An image in a layout, signed, with a bill of materials and provenance of some days ago."""
    image = small_image(files)
    parse(f"oci:{tmp_path}/layout:1").deliver(image, Connections(settings), ignore_event)
    address = f"oci:{tmp_path}/layout:1"
    signer = keys.load_signer(str(keys.write_pair(tmp_path / "k", None)[0]), None)
    found = find(address, Connections(settings))
    sign(found, "demo", signer)
    bom = cyclonedx.document(inventory("demo", image, settings))
    how: dict[str, Any] = {"runDetails": {"metadata": {"finishedOn": (NOW - timedelta(days=days)).isoformat()}}}
    put(found, (statements.attest(found.descriptor, statements.CYCLONEDX, bom, signer),))
    put(found, (statements.attest(found.descriptor, statements.PROVENANCE, how, signer),))
    return address


def policy_file(tmp_path: Path, rule: str, images: str = "[demo]") -> Path:
    path = tmp_path / "policy.yaml"
    path.write_text(f"rules:\n  - images: {images}\n    keys: [k.pub]\n{rule}")
    return path


def apply(
    tmp_path: Path, settings: Config, rule: str, files: dict[str, bytes], name: str = "demo", days: int = 1
) -> None:
    address = signed(tmp_path, settings, files, days)
    check(find(address, Connections(settings)), name, read_policy(policy_file(tmp_path, rule)), NOW)


ALL = "    require: [signature, sbom, provenance, safe-pickles]\n    max-age: 30d\n"


def test_an_image_with_everything_passes(tmp_path: Path, settings: Config) -> None:
    apply(tmp_path, settings, ALL, {MODEL: b"\x80\x04N."})


@pytest.mark.parametrize(
    ("rule", "files", "days", "what"),
    [
        (ALL, {MODEL: EVIL}, 1, "a pickle that is unsafe"),
        (ALL, {MODEL: b"\x80\x02cmine\nModel\n."}, 1, "a pickle that is unknown"),
        (ALL, {"a": b"1"}, 31, "was built 31 days ago"),
        (ALL, {"a": b"1"}, -2, "its age is unknown"),
        (
            "    licences: {allow: [MIT]}\n",
            {"x/site-packages/thing-1.0.dist-info/METADATA": METADATA},
            1,
            "under GPL-3.0-only",
        ),
        (
            "    licences: {deny: [GPL-3.0-only]}\n",
            {"x/site-packages/thing-1.0.dist-info/METADATA": METADATA},
            1,
            "thing 1.0 under GPL",
        ),
        (
            "    licences: {deny: [gpl-3.0-ONLY]}\n",
            {"x/site-packages/thing-1.0.dist-info/METADATA": METADATA},
            1,
            "thing 1.0 under GPL",
        ),
    ],
)
def test_what_is_lacking_is_refused(
    rule: str, files: dict[str, bytes], days: int, what: str, tmp_path: Path, settings: Config
) -> None:
    with pytest.raises(IntegrityError, match=what):
        apply(tmp_path, settings, rule, files, days=days)


def test_other_licences_pass(tmp_path: Path, settings: Config) -> None:
    apply(
        tmp_path, settings, "    licences: {deny: [MIT]}\n", {"x/site-packages/thing-1.0.dist-info/METADATA": METADATA}
    )


@pytest.mark.parametrize(
    "rule",
    ["    require: [safe-pickles]\n", "    licences: {allow: [MIT]}\n", "    licences: {deny: [GPL-2.0-only]}\n"],
)
def test_a_bill_of_materials_with_gaps_vouches_for_nothing_in_them(rule: str, tmp_path: Path, settings: Config) -> None:
    image = small_image({"a": b"1"})
    parse(f"oci:{tmp_path}/layout:1").deliver(image, Connections(settings), ignore_event)
    signer = keys.load_signer(str(keys.write_pair(tmp_path / "k", None)[0]), None)
    found = find(f"oci:{tmp_path}/layout:1", Connections(settings))
    sign(found, "demo", signer)
    bom = cyclonedx.document(inventory("demo", image, settings, known={}))
    put(found, (statements.attest(found.descriptor, statements.CYCLONEDX, bom, signer),))
    found = find(f"oci:{tmp_path}/layout:1", Connections(settings))
    with pytest.raises(IntegrityError, match="a bill of materials with gaps: the layer sha256:"):
        check(found, "demo", read_policy(policy_file(tmp_path, rule)), NOW)
    check(found, "demo", read_policy(policy_file(tmp_path, "    require: [signature, sbom]\n")), NOW)


@pytest.mark.parametrize("word", ["sbom", "provenance", "safe-pickles"])
def test_unsigned_is_not_enough(word: str, tmp_path: Path, settings: Config) -> None:
    parse(f"oci:{tmp_path}/layout:1").deliver(small_image(), Connections(settings), ignore_event)
    address = f"oci:{tmp_path}/layout:1"
    sign(
        find(address, Connections(settings)),
        "demo",
        keys.load_signer(str(keys.write_pair(tmp_path / "k", None)[0]), None),
    )
    with pytest.raises(IntegrityError, match="has no signed"):
        check(
            find(address, Connections(settings)),
            "demo",
            read_policy(policy_file(tmp_path, f"    require: [{word}]\n")),
            NOW,
        )


def test_an_image_that_no_rule_is_for_is_refused(tmp_path: Path, settings: Config) -> None:
    with pytest.raises(IntegrityError, match="no rule of the policy matches other"):
        apply(tmp_path, settings, "", {"a": b"1"}, name="other")


def test_a_rule_can_refuse(tmp_path: Path, settings: Config) -> None:
    with pytest.raises(IntegrityError, match="the policy refuses demo"):
        apply(tmp_path, settings, "    refuse: true\n", {"a": b"1"})


@pytest.mark.parametrize("word", ["yes", "True", "1", "[true]", "''"])
def test_refuse_is_true_or_false(word: str, tmp_path: Path) -> None:
    keys.write_pair(tmp_path / "k", None)
    with pytest.raises(UserError, match="is not true or false"):
        read_policy(policy_file(tmp_path, f"    refuse: {word}\n"))


def test_all_faults_of_a_policy_are_told_with_their_places(tmp_path: Path) -> None:
    path = tmp_path / "policy.yaml"
    path.write_text(
        "rules:\n  - images: demo\n    keys: [nothing.pub]\n    require: [magic]\n    max-age: long\n    colour: red\n"
    )
    with pytest.raises(UserError) as caught:
        read_policy(path)
    told = str(caught.value)
    assert caught.value.faults == 6
    assert "policy.yaml:4:" in told
    assert "'magic' can't be required" in told


@pytest.mark.parametrize("text", ["", "[]", "rules: []", "rules: 1", "rules: [1]", "other: 1"])
def test_what_is_no_policy_is_refused(text: str, tmp_path: Path) -> None:
    path = tmp_path / "policy.yaml"
    path.write_text(text)
    with pytest.raises(UserError):
        read_policy(path)


def test_a_base_is_held_to_the_policy(tmp_path: Path, settings: Config) -> None:
    address = signed(tmp_path, settings, {"a": b"1"})
    digest = find(address, Connections(settings)).descriptor.digest
    project = Project("x", None, base=LayoutBase(Path("layout"), "1"))
    policy = read_policy(policy_file(tmp_path, "", "['layout:1']"))
    assert check_base(project, tmp_path, (digest,), policy, settings, NOW)
    with pytest.raises(IntegrityError, match="not the one that is built on"):
        check_base(project, tmp_path, (type(digest).of(b"other"),), policy, settings, NOW)


def test_bases_without_signatures(tmp_path: Path, settings: Config) -> None:
    keys.write_pair(tmp_path / "k", None)
    policy = read_policy(policy_file(tmp_path, ""))
    assert check_base(Project("x", None, base=DebianBase()), tmp_path, (), policy, settings, NOW)
    with pytest.raises(CrateError):
        check_base(Project("x", None, base=RootfsBase(Path("a.tar"))), tmp_path, (), policy, settings, NOW)
