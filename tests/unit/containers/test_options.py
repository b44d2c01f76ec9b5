"""What a user may ask of a run."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from modelcrate.containers.options import Port, RunOptions, Volume
from modelcrate_layers.errors import UserError

HERE = Path("state")


@pytest.mark.parametrize(
    ("text", "port"),
    [
        ("8080:5001", Port(8080, 5001)),
        ("5001", Port(5001, 5001)),
        ("0:1", Port(0, 1)),
        ("127.0.0.1:1:2", Port(1, 2)),
        ("0.0.0.0:8080:5001", Port(8080, 5001, "0.0.0.0")),
        ("[::0]:8080:5001", Port(8080, 5001, "::")),
    ],
)
def test_ports(text: str, port: Port) -> None:
    assert Port.parse(text) == port


@pytest.mark.parametrize(
    "text",
    [
        "",
        ":",
        "a:1",
        "1:0",
        "1:65536",
        "70000:1",
        "1:2:3",
        "-1:2",
        "1:",
        "٣:1",
        "127.0.0.1:1",
        "::1:1:2",
        "host:1:2",
        "127.0.0.1::2",
    ],
)
def test_not_ports(text: str) -> None:
    with pytest.raises(UserError, match="not a port mapping"):
        Port.parse(text)


def test_how_this_machine_reaches_a_port() -> None:
    texts = ("80:1", "0.0.0.0:80:1", "[::]:80:1", "192.0.2.1:80:1")
    assert [Port.parse(each).reached for each in texts] == ["127.0.0.1:80", "127.0.0.1:80", "[::1]:80", "192.0.2.1:80"]
    assert str(Port.parse("[::]:80:1")) == "[::]:80->1"


@pytest.mark.parametrize("text", ["1.2.3.256:1:2", "[1::2::3]:1:2", "[127.0.0.1.1]:1:2"])
def test_not_addresses(text: str) -> None:
    with pytest.raises(UserError, match="not an IP address"):
        Port.parse(text)


@pytest.mark.parametrize("name", ["", "..", ".x", "a/b", "a b", "x" * 64, "-x", "a\n"])
def test_not_names(name: str) -> None:
    with pytest.raises(UserError, match="not a container name"):
        RunOptions(name, HERE)


def test_other_wrong_wishes() -> None:
    for wrong in ({"engine": "docker"}, {"network": "bridge"}, {"ports": (Port(80, 1), Port(80, 2))}):
        with pytest.raises(UserError):
            RunOptions("n", HERE, **wrong)  # type: ignore[arg-type]
    RunOptions("n", HERE, ports=(Port(0, 1), Port(0, 2)))


def test_mounts(tmp_path: Path) -> None:
    assert Volume.parse(f"{tmp_path}:/data") == Volume(tmp_path, "/data")
    assert Volume.parse(f"{tmp_path}:/data:rw") == Volume(tmp_path, "/data")
    assert Volume.parse(f"{tmp_path}:/data:ro") == Volume(tmp_path, "/data", read_only=True)
    assert Volume.parse("./here:/data").host == Path.cwd() / "here"


@pytest.mark.parametrize(
    "text",
    ["", ":", "/a", "/a:", ":/a", "/a:b", "/a:/", "/a:/..", "/a:/b/../..", "/a:/b:rx", "/a:/b:ro:ro", "/a:/proc", "/a:/dev/shm",
     "/a:/sys/fs", "/a:/b\0", "name:/b"],
)  # fmt: skip
def test_not_mounts(text: str) -> None:
    with pytest.raises(UserError):
        Volume.parse(text)


def test_two_mounts_on_one_folder(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="same path"):
        RunOptions("n", HERE, volumes=(Volume(tmp_path, "/a"), Volume(tmp_path, "/a/")))


def test_a_mount_of_nothing(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="make the folder first"):
        Volume(tmp_path / "none", "/a").check()


@pytest.mark.parametrize("words", [("a", "b"), (1.5, 80), (8080, None), (True, 80)])
def test_a_port_of_another_type_is_refused(words: tuple[Any, Any]) -> None:
    with pytest.raises(UserError, match="not a port mapping"):
        Port(*words)
