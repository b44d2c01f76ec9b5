"""Project files, requirements and deployments as nobody writes them: each is read, or refused in words with the code of a user's fault."""

from __future__ import annotations

import random
from collections.abc import Iterator
from pathlib import Path

import pytest

from support.command import Inside

VALUES = (
    "&a [*a]", "*nope", "!!python/object/apply:os.system ['id']", "!!binary aGk=", "!!set {a,b}", "!!timestamp 2020-01-01", "2020-01-01", "0o17",
    "017", "0x10", "1_000", "1e400", ".nan", ".inf", "9" * 5000, "~", "''", '"\\0"', '"\\ud800"', '"\\u202e"', "'\u202e'", "\u2028", "{<<: {a: b}}",
    "{a: 1, a: 2}", "{[a]: b}", "{? {a: b} : c}", "|\n  a\n  b", "> \n  a", "%TAG", "@a", "`a`", "\t- a", "- a\n- b", "[1,2", "{a", "'a", '"a',
    "!!int x", "! a", "!<tag:x> a", "yes", "null", "-0", "1:30", "=", "<<", "a: b: c", "# c", "--- a", "...", "\ufeff", "../x", "/etc/passwd", "-x",
    "--help", "$(id)", "a\0b", "x" * 100_000,
)  # fmt: skip
KEYS = (
    "name", "base", "python", "platforms", "models", "dependencies", "entry", "env", "labels", "user", "codec", "created", "gates", "contracts",
    "command", "tests", "build",
)  # fmt: skip
LINES = (
    "-e .", "--config-settings=x", "--cache-dir=/", "-foo", "a @ file:///etc/passwd", "a @ http://[::1/x", "a==" + "9" * 5000, "a==²", "a\0b", "a ; x",
    "a ; python_version > '" + "9" * 5000 + "'", "a[", "a[x,,y]", "a" * 100_000, "-r requirements.txt", "-r /dev/zero", "-c /etc/shadow", "\u202ea",
    "a --hash=sha256:zz", "a --hash=md5:" + "0" * 32, "git+https://x/y", "${HOME}", "./x.whl", "a-1.0-py3-none-any.whl", "a\\", "\\", "===", "@",
    "--index-url http://user:secret@127.0.0.1:1/", "--no-index", "--target=/", "--python=/bin/sh", "-- a", "a===b", "a~=1", "a>1,<0",
)  # fmt: skip
GOOD = "name: x\nbase: scratch\nmodels: [{path: model.bin, name: m, version: 1}]\n"


def projects(chance: random.Random) -> Iterator[bytes]:
    """200 drawn files with an odd value for a key, and those that are odd as a whole."""
    for _ in range(200):
        key, value = chance.choice(KEYS), chance.choice(VALUES)
        kept = "".join(line + "\n" for line in GOOD.splitlines() if not line.startswith(f"{key}:"))
        yield f"{kept}{key}: {value}\n".encode("utf-8", "surrogatepass")
    bomb = "a: &a [x,x,x,x,x,x,x,x,x]\n" + "".join(
        f"{chr(98 + n)}: &{chr(98 + n)} [{','.join(['*' + chr(97 + n)] * 9)}]\n" for n in range(9)
    )
    yield bomb.encode()
    for encoding in ("utf-16", "utf-32", "utf-7"):
        yield GOOD.encode(encoding)
    yield from (b"\xef\xbb\xbf" + GOOD.encode(), GOOD.encode() + b"env: {A: \xff}", GOOD.replace("\n", "\r").encode())
    yield from (
        b"",
        b"\0" * 100,
        b"...\n",
        b"#" + b"x" * (10 << 20),
        b"a: " + b"[" * 50_000,
        b"%YAML 9.9\n---\n" + GOOD.encode(),
    )
    yield "".join(" " * depth + "a:\n" for depth in range(3000)).encode()
    yield GOOD.encode() + b"---\n" + GOOD.encode()
    yield ("env: {" + ",".join(f"A{number}: b" for number in range(30_000)) + "}").encode()
    yield b"a: &a {<<: *a}\n"


@pytest.fixture
def inside(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]) -> Inside:
    return Inside.of(tmp_path / "home", monkeypatch, capfd)


@pytest.fixture
def project(tmp_path: Path) -> Path:
    folder = tmp_path / "project"
    folder.mkdir()
    (folder / "model.bin").write_bytes(b"x")
    (folder / "score.py").write_text("def init():\n    pass\n\n\ndef run(data):\n    return data\n")
    return folder


def read(inside: Inside, codes: frozenset[int], told: str, *words: str | Path) -> None:
    done = inside(*words)
    shown = f"{told[:200]}\n{done.err[-800:]}"
    assert done.code in codes, shown
    assert "Traceback" not in done.err, shown
    assert len(done.err) < 5000, shown
    assert all(each.isprintable() or each in "\n\t" for each in done.err + done.out), shown


@pytest.mark.parametrize("seed", range(2))
def test_a_project_file_is_read_or_refused(seed: int, inside: Inside, project: Path) -> None:
    for data in projects(random.Random(seed)):
        (project / "modelcrate.yaml").write_bytes(data)
        read(inside, frozenset({0, 2, 3}), repr(data[:200]), "plan", project, "--offline")


def test_requirements_are_read_or_refused(inside: Inside, project: Path) -> None:
    wanted = "dependencies: {requirements: requirements.txt, wheelhouse: .}\nentry: score.py\npython: '3.11'\n"
    text = GOOD.replace("base: scratch", "base: {from: scratch, interpreter: /usr/bin/python3.11}") + wanted
    (project / "modelcrate.yaml").write_text(text)
    for line in LINES:
        (project / "requirements.txt").write_text(line + "\n")
        read(inside, frozenset({2, 3, 4, 5, 6}), line, "plan", project, "--offline")


def test_deployments_are_read_or_refused(inside: Inside, project: Path) -> None:
    chance = random.Random(7)
    keys = (
        "name",
        "endpoint_name",
        "model",
        "environment",
        "code_configuration",
        "environment_variables",
        "instance_type",
        "request_settings",
    )
    for _ in range(80):
        (project / "deployment.yml").write_bytes(
            f"$schema: x\nname: a\n{chance.choice(keys)}: {chance.choice(VALUES)}\n".encode("utf-8", "surrogatepass")
        )
        read(inside, frozenset({2, 3}), "deployment", "deploy", "--local", project / "deployment.yml", "--offline")
