from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from modelcrate.maintenance.advisories import Advisories, Advisory, read_advisories
from modelcrate_layers.errors import IntegrityError, SourceError


def osv(name: str, ecosystem: str, *events: dict[str, str], identifier: str = "X-1", **more: Any) -> dict[str, Any]:
    return {
        "id": identifier,
        "affected": [
            {"package": {"ecosystem": ecosystem, "name": name}, "ranges": [{"type": "ECOSYSTEM", "events": events}]}
        ],
        **more,
    }


def read(folder: Path, value: object) -> Advisories:
    (folder / "a.json").write_text(json.dumps(value))
    return read_advisories([folder / "a.json"])


RANGES = [
    (({"introduced": "0"},), {"0.1": True, "99": True}),
    (({"introduced": "0"}, {"fixed": "2.0"}), {"1.9.9": True, "2.0": False, "2.0rc1": True, "3": False}),
    (({"introduced": "1.5"}, {"fixed": "1.7"}), {"1.4": False, "1.5": True, "1.6.9": True, "1.7": False}),
    (({"introduced": "1"}, {"last_affected": "1.2"}), {"0.9": False, "1.2": True, "1.2.1": False}),
    (
        ({"introduced": "2"}, {"fixed": "3"}, {"introduced": "0"}, {"fixed": "1"}),
        {"0.5": True, "1.5": False, "2.5": True, "3": False},
    ),
    (({"introduced": "no version"}, {"fixed": "1"}), {"0.5": False}),
]


@pytest.mark.parametrize(("events", "versions"), RANGES)
def test_versions_in_ranges(events: tuple[dict[str, str], ...], versions: dict[str, bool], tmp_path: Path) -> None:
    found = read(tmp_path, osv("Some_Package", "PyPI", *events))
    assert {version: bool(found.of_wheel("some-package", version)) for version in versions} == versions


def test_a_cve_is_the_name_and_the_fix_is_told(tmp_path: Path) -> None:
    advisory = osv("requests", "PyPI", {"introduced": "0"}, {"fixed": "2.32.0"}, aliases=["CVE-2024-35195"])
    assert read(tmp_path, advisory).of_wheel("requests", "2.31.0") == [Advisory("CVE-2024-35195", "2.32.0")]


def test_listed_versions_count_without_a_range(tmp_path: Path) -> None:
    advisory = {"id": "X", "affected": [{"package": {"ecosystem": "PyPI", "name": "a"}, "versions": ["1.0", "1.1"]}]}
    found = read(tmp_path, [advisory])
    assert [bool(found.of_wheel("a", each)) for each in ("1.0", "1.2")] == [True, False]


def test_what_is_withdrawn_or_of_another_ecosystem_does_not_count(tmp_path: Path) -> None:
    some = [
        osv("a", "PyPI", {"introduced": "0"}, identifier="gone", withdrawn="2025-01-01T00:00:00Z"),
        osv("a", "npm", {"introduced": "0"}),
        osv("a", "PyPI", {"introduced": "0"}, identifier="git")
        | {
            "affected": [
                {
                    "package": {"ecosystem": "PyPI", "name": "a"},
                    "ranges": [{"type": "GIT", "events": [{"introduced": "0"}]}],
                }
            ]
        },
    ]
    assert read(tmp_path, some).of_wheel("a", "1") == []


def test_debian_versions_are_compared_as_debians(tmp_path: Path) -> None:
    found = read(tmp_path, osv("openssl", "Debian:12", {"introduced": "0"}, {"fixed": "3.0.15-1~deb12u1"}))
    assert found.of_deb("openssl", "3.0.14-1~deb12u2", "bookworm", "12")
    assert not found.of_deb("openssl", "3.0.15-1~deb12u1", "bookworm", "12")
    assert not found.of_deb("openssl", "3.0.1-1", "trixie", "13")


def test_debians_tracker(tmp_path: Path) -> None:
    def state(**told: str) -> dict[str, Any]:
        return {"releases": {"bookworm": told}}

    found = read(
        tmp_path,
        {
            "expat": {
                "CVE-1": state(status="open", urgency="medium"),
                "CVE-2": state(status="resolved", fixed_version="2.5.0-1+deb12u9", urgency="high"),
                "CVE-3": state(status="resolved", fixed_version="2.4.0-1", urgency="high"),
                "CVE-4": state(status="open", urgency="unimportant"),
                "CVE-5": state(status="resolved", fixed_version="0", urgency="low"),
                "CVE-6": {"releases": {"trixie": {"status": "open"}}},
            }
        },
    )
    assert found.of_deb("expat", "2.5.0-1+deb12u1", "bookworm", "12") == [
        Advisory("CVE-1"),
        Advisory("CVE-2", "2.5.0-1+deb12u9"),
    ]


def test_a_folder_is_read_whole(tmp_path: Path) -> None:
    (tmp_path / "deep").mkdir()
    for number, place in enumerate(("one.json", "deep/two.json")):
        (tmp_path / place).write_text(json.dumps(osv("a", "PyPI", {"introduced": "0"}, identifier=f"X-{number}")))
    (tmp_path / "readme.md").write_text("none")
    assert [each.id for each in read_advisories([tmp_path]).of_wheel("a", "1")] == ["X-0", "X-1"]


@pytest.mark.parametrize("text", ["", "[1]", "{", '["a"]', '{"id": 5}', '[{"affected": []}]'])
def test_what_is_none(text: str, tmp_path: Path) -> None:
    (tmp_path / "a.json").write_text(text)
    with pytest.raises(IntegrityError):
        read_advisories([tmp_path / "a.json"])


def test_a_file_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(SourceError, match="can't be read"):
        read_advisories([tmp_path / "a.json"])


ODD: list[Any] = [
    {"id": "X", "affected": [5]},
    {"id": "X", "affected": {"a": 1}},
    {"id": "X", "affected": [{"package": "a"}]},
    {"id": "X", "affected": [{"package": {"ecosystem": "PyPI", "name": "a"}, "ranges": 5}]},
    {
        "id": "X",
        "affected": [
            {"package": {"ecosystem": "PyPI", "name": "a"}, "ranges": [{"type": "ECOSYSTEM", "events": ["a"]}]}
        ],
    },
    {"id": "X", "affected": [{"package": {"ecosystem": "PyPI", "name": "a"}, "versions": 7}]},
    {"a": {"CVE-1": {"releases": {"bookworm": {"status": "resolved", "fixed_version": "no version !"}}}}},
    {"a": {"CVE-1": {"releases": ["bookworm"]}}},
]


@pytest.mark.parametrize("value", ODD)
def test_odd_ones_are_refused_or_say_nothing(value: Any, tmp_path: Path) -> None:
    try:
        found = read(tmp_path, value)
    except IntegrityError:
        return
    assert found.of_wheel("a", "1") == found.of_deb("a", "1", "bookworm", "12") == []
