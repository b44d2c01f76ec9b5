"""Users of an image by name and number, read from hostile passwd files."""

from __future__ import annotations

from pathlib import Path

import pytest

from modelcrate.containers.identity import Identity, identify
from modelcrate.containers.inside import ContainerRoot
from modelcrate_layers.errors import UserError

PASSWD = "root:x:0:0:root:/root:/bin/sh\n\nbroken\nweb:x:33:34:w:/var/www:/bin/sh\nbad:x:abc:1::/:\n"


@pytest.fixture
def root(tmp_path: Path) -> Path:
    (tmp_path / "root/etc").mkdir(parents=True)
    (tmp_path / "root/etc/passwd").write_text(PASSWD)
    (tmp_path / "root/etc/group").write_text("root:x:0:\nstaff:x:50:\n")
    return tmp_path / "root"


@pytest.mark.parametrize(
    ("user", "expected"),
    [
        ("", Identity(0, 0, "/root")),
        ("root", Identity(0, 0, "/root")),
        ("web", Identity(33, 34, "/var/www")),
        ("33", Identity(33, 34, "/var/www")),
        ("web:staff", Identity(33, 50, "/var/www")),
        ("web:7", Identity(33, 7, "/var/www")),
        ("10001", Identity(10001, 0)),
        ("10001:0", Identity(10001, 0)),
    ],
)
def test_users(root: Path, user: str, expected: Identity) -> None:
    with ContainerRoot(root) as inside:
        assert identify(inside, user) == expected


@pytest.mark.parametrize("user", ["nobody", "web:nobody", "4294967295", "1:4294967295", "-1", "bad", "web:", "٣"])
def test_refused(root: Path, user: str) -> None:
    with ContainerRoot(root) as inside, pytest.raises(UserError):
        identify(inside, user)


def test_a_passwd_that_links_out_is_not_read(root: Path) -> None:
    (root.parent / "passwd").write_text("spy:x:1:1::/:\n")
    (root / "etc/passwd").unlink()
    (root / "etc/passwd").symlink_to(root.parent / "passwd")
    with ContainerRoot(root) as inside, pytest.raises(UserError, match="no user 'spy'"):
        identify(inside, "spy")
    (root / "etc/passwd").unlink()
    (root / "etc/passwd").symlink_to("../lib/passwd")
    (root / "lib").mkdir()
    (root / "lib/passwd").write_text("ok:x:5:6::/:\n")
    with ContainerRoot(root) as inside:
        assert identify(inside, "ok") == Identity(5, 6, "/")


def test_an_image_without_passwd(tmp_path: Path) -> None:
    with ContainerRoot(tmp_path) as inside:
        assert identify(inside, "5") == Identity(5, 0)
