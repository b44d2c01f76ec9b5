"""What of images is behind the real mirrors and indexes, and which of it lists of vulnerabilities name."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from modelcrate import SourceError, find_outdated
from support.demo import Built
from support.images_by_hand import write_layout
from support.rootfs import layer, member
from support.shared_command import Modelcrate

pytestmark = [pytest.mark.network]

STATUS = """\
Package: base-files
Status: install ok installed
Version: 12.4+deb12u5
Architecture: amd64

Package: openssl
Status: install ok installed
Version: 3.0.1-1
Architecture: amd64

Package: no-such-package
Status: install ok installed
Version: 1.0
Architecture: amd64
"""
WHEEL = "Metadata-Version: 2.1\nName: packaging\nVersion: 21.0\n"


def findings(report: Any) -> dict[str, Any]:
    return {each["name"]: each for each in report["findings"]}


def test_old_packages_of_a_foreign_image(modelcrate: Modelcrate, tmp_path: Path) -> None:
    files = [
        member("var/lib/dpkg/status", STATUS.encode()),
        member("usr/bin/python3.11", b"\x7fELF" + bytes(100) + b"/lib64/ld-linux-x86-64.so.2\0", mode=0o755),
        member("usr/lib/x86_64-linux-gnu/libc.so.6", b"\x7fELF\nGNU C Library stable release version 2.36.\n"),
        member("usr/lib/python3/dist-packages/packaging-21.0.dist-info/METADATA", WHEEL.encode()),
    ]
    image = write_layout(tmp_path / "old", [layer(*files)], {"Env": ["PATH=/usr/bin"]})
    advisory = {
        "id": "DSA-1",
        "affected": [
            {
                "package": {"ecosystem": "Debian:12", "name": "openssl"},
                "ranges": [{"type": "ECOSYSTEM", "events": [{"introduced": "0"}, {"fixed": "3.0.9-1"}]}],
            }
        ],
    }
    (tmp_path / "osv.json").write_text(json.dumps(advisory))
    report = modelcrate.json("outdated", image, "--advisories", tmp_path / "osv.json")
    found = findings(report)
    assert report["packages"] == 4
    assert found["openssl"]["newest"].startswith("3.0.")
    assert found["openssl"]["advisories"] == [{"id": "DSA-1", "fixed": "3.0.9-1"}]
    assert found["base-files"]["newest"].startswith("12.4+deb12u")
    assert int(found["packaging"]["newest"].partition(".")[0]) >= 25
    assert "no-such-package" not in found
    assert modelcrate.run("outdated", image, "--check").returncode == 5
    in_python = find_outdated(image, advisories=tmp_path / "osv.json", platform="linux/amd64")
    assert {each.name for each in in_python.findings} == set(found)
    with pytest.raises(SourceError, match="no image for"):
        find_outdated(image, platform="linux/s390x")


def test_the_demo_is_fresh_and_its_vulnerable_packages_are_named(demo: Built, tmp_path: Path) -> None:
    tracker = {"expat": {"CVE-2099-1": {"releases": {"bookworm": {"status": "open", "urgency": "low"}}}}}
    (tmp_path / "tracker.json").write_text(json.dumps(tracker))
    address = f"oci:{demo.layout}:1"
    report = demo.modelcrate.json("outdated", address, "--advisories", tmp_path / "tracker.json")
    found = findings(report)
    assert not [each for each in found.values() if each["kind"] == "deb" and each["newest"]]
    assert found["libexpat1"]["advisories"] == [{"id": "CVE-2099-1", "fixed": None}]
    assert report["packages"] > 40


def test_what_can_not_be_asked_is_said(modelcrate: Modelcrate, tmp_path: Path) -> None:
    image = write_layout(
        tmp_path / "odd", [layer(member("var/lib/dpkg/status", STATUS.replace("base-files", "x").encode()))], {}
    )
    done = modelcrate.run("outdated", image)
    assert done.returncode == 0
    assert "the release of its Debian packages is not known" in done.stderr
