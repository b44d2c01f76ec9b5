"""docs/reference/json.md: what commands print with --json has the members that the page says, and the page has every command."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

from modelcrate.cli import VERBS
from support import real_registry
from support.command import Inside
from support.small_projects import model_only
from support.sources import REPOSITORY

PAGE = (REPOSITORY / "docs/reference/json.md").read_text()
ROWS = dict(re.findall(r"^\| (`.*?`) \| .*? \| ?(.*?) ?\|$", PAGE, re.MULTILINE))
MODEL = "`model register`, `model show`, `model tag`"


def members(row: str) -> set[str]:
    """Returns the members of a row, without those in brackets and behind a semicolon."""
    cell = re.sub(r"\(.*?\)", "", ROWS[row]).partition(";")[0]
    return set(re.findall(r"`(\w+)`", cell))


def test_every_command_is_on_the_page() -> None:
    told = set(re.findall(r"[a-z-]+", " ".join(re.findall(r"`(.+?)`", PAGE))))
    assert set(VERBS) <= told


def test_results_have_the_members_that_the_page_says(
    inside: Inside, docker_registry: real_registry.Running, tmp_path: Path
) -> None:
    def check(row: str, *words: str | Path, code: int = 0) -> Any:
        done = inside(*words, "--json")
        assert done.code == code, done.err
        value = json.loads(done.out)
        first = value[0] if isinstance(value, list) else value
        assert set(first) == members(row), row
        return value

    one, two, host = tmp_path / "one", tmp_path / "two", docker_registry.host
    model_only(one)
    model_only(two, b"other" * 1000)
    bare = tmp_path / "bare"
    bare.mkdir()
    (bare / "score.py").write_text("def init(): ...\n\n\ndef run(data):\n    return data\n")
    (tmp_path / "list").write_text(f"{one}\n")
    check("`init`", "init", bare)
    check("`lock`", "lock", one)
    check("`check`", "check", one)
    check("`plan`", "plan", one)
    check("`build --each`", "build", "--each", tmp_path / "list", "-t", "{name}:1")
    inside("build", one, "-t", "alone:1", "--sources", "--push", f"{host}/json/alone:1").succeeded()
    inside("build", two, "-t", "alone:2").succeeded()
    check("`images`", "images")
    check("`inspect`", "inspect", "alone:1")
    check("`inspect --html`, `diff --html`", "inspect", "alone:1", "--html", tmp_path / "page.html")
    stored, pushed = (check("`digest`", "digest", each) for each in ("alone:1", f"{host}/json/alone:1"))
    assert {**stored, "image": ""} == {**pushed, "image": ""}, "wherever it is"
    check("`tags`", "tags", f"{host}/json/alone")
    check("`explain`", "explain", "alone:1", "alone:2")
    check("`diff`", "diff", "alone:1", "alone:2")
    check("`verify IMAGE`", "verify", "alone:1")
    check("`verify IMAGE --rebuild`", "verify", "alone:1", "--rebuild")
    check("`verify PROJECT`", "verify", one, "--against", "alone:1")
    check("`verify PROJECT`", "verify", one, "--against", "alone:2", code=5)
    check("`keygen`", "keygen", tmp_path / "key")
    check("`sign`", "sign", "alone:1", "--key", tmp_path / "key.key")
    check("`verify IMAGE --key`", "verify", "alone:1", "--key", tmp_path / "key.pub")
    check("`sources`", "sources", "alone:1", tmp_path / "sources")
    check("`swap-model`", "swap-model", "alone:2", "--model", one / "model.bin", "-o", "store:alone:3")
    check("`outdated`", "outdated", "alone:1")
    check("`bundle inventory`", "bundle", "inventory", "store", "-o", tmp_path / "inventory.json")
    check("`bundle create`", "bundle", "create", "alone:1", "-o", tmp_path / "a.bundle")
    check("`bundle load`", "bundle", "load", tmp_path / "a.bundle", "--to", "store")
    check("`bundle show`", "bundle", "show", tmp_path / "a.bundle")
    check(MODEL, "model", "register", "sums", one / "model.bin")
    check(MODEL, "model", "show", "sums")
    check(MODEL, "model", "tag", "sums", "a=b")
    for row in ("`model list`", "`model download`"):
        assert "the same" in PAGE[PAGE.index(row) : PAGE.index(row) + 80]
    ROWS["`model list`"] = ROWS[MODEL]
    ROWS["`model download`"] += ROWS[MODEL]
    check("`model list`", "model", "list")
    check("`model download`", "model", "download", "sums", tmp_path)
    check("`model export`", "model", "export", "sums", "-o", f"oci:{tmp_path / 'car'}:1")
    check("`model delete`", "model", "delete", "sums:1")
    check("`emit`", "emit", "k8s", f"{host}/json/alone:1")
    check("`cache du`, `cache prune`", "cache", "du")
    check("`cache du`, `cache prune`", "cache", "prune", "--dry-run")
    check("`cache check`", "cache", "check")
    check("`logout`", "logout", host)
    check("`completion`", "completion", "bash")
