"""Users of an image by name and number, read from hostile passwd files."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from hypothesis import given
from hypothesis import strategies as st

from modelcrate.containers.identity import Identity, identify
from modelcrate.images.root_folder import ContainerRoot
from modelcrate_layers.errors import CrateError, IntegrityError, UserError

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


@pytest.mark.parametrize(
    "user", ["nobody", "web:nobody", "4294967295", "1:4294967295", "-1", "web:", "٣", "9" * 5000, "0:" + "9" * 5000]
)
def test_refused(root: Path, user: str) -> None:
    with ContainerRoot(root) as inside, pytest.raises(UserError):
        identify(inside, user)


def test_a_passwd_that_links_out_is_not_read(root: Path) -> None:
    (root.parent / "passwd").write_text("spy:x:1:1::/:\n")
    (root / "etc/passwd").unlink()
    (root / "etc/passwd").symlink_to(root.parent / "passwd")
    with ContainerRoot(root) as inside, pytest.raises(IntegrityError, match="leads nowhere"):
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


@pytest.mark.parametrize(
    "line",
    [
        "bad:x:abc:1::/:",
        f"bad:x:{'9' * 5000}:1::/:",
        f"bad:x:1:{'9' * 5000}::/:",
        "bad:x:4294967295:1::/:",
        "bad:x::1::/:",
    ],
)
def test_numbers_of_a_passwd_file_are_bounded(root: Path, line: str) -> None:
    (root / "etc/passwd").write_text(line + "\n")
    with ContainerRoot(root) as inside, pytest.raises(IntegrityError, match="not the number") as caught:
        identify(inside, "bad")
    assert caught.value.where == "/etc/passwd of the image"


def fifo(path: Path) -> None:
    os.mkfifo(path)


def folder(path: Path) -> None:
    path.mkdir()


def link_into_dev(path: Path) -> None:
    path.symlink_to("/dev/zero")


def link_into_proc_by_another(path: Path) -> None:
    (path.parents[1] / "self").symlink_to("/proc/self/fd")
    path.symlink_to("/self/0")


def circle(path: Path) -> None:
    path.symlink_to("passwd")


def huge(path: Path) -> None:
    with open(path, "wb") as file:
        file.truncate(1 << 40)


@pytest.mark.parametrize("name", ["passwd", "group"])
@pytest.mark.parametrize("make", [fifo, folder, link_into_dev, link_into_proc_by_another, huge])
def test_a_runtime_is_never_given_a_passwd_that_is_no_file(root: Path, make: Callable[[Path], None], name: str) -> None:
    """runc reads both files in the container, whoever the user is: a fifo would hold it for ever."""
    (root / "etc" / name).unlink()
    make(root / "etc" / name)
    with ContainerRoot(root) as inside, pytest.raises(IntegrityError, match=f"/etc/{name} of the image"):
        identify(inside, "10001:10001")


def test_a_passwd_that_links_to_itself(root: Path) -> None:
    (root / "etc/passwd").unlink()
    circle(root / "etc/passwd")
    with ContainerRoot(root) as inside, pytest.raises(IntegrityError, match="circle"):
        identify(inside, "5")


@pytest.mark.parametrize("home", ["relative", "/\0", "/\udcff", "/" + "x" * 5000])
def test_a_home_that_no_program_can_use(root: Path, home: str) -> None:
    (root / "etc/passwd").write_bytes(f"odd:x:5:6::{home}:\n".encode("utf-8", "surrogateescape"))
    with ContainerRoot(root) as inside:
        assert identify(inside, "odd") == Identity(5, 6, "")


LINE = st.lists(
    st.sampled_from(["", "a", "root", "0", "7", "-1", "٣", "4294967295", "/h", "\udcff", "\0", "\r"]), max_size=8
).map(":".join)


@given(
    st.lists(LINE, max_size=4),
    st.lists(LINE, max_size=3),
    st.sampled_from(["", "a", "a:a", "7", "0:a", ":", "a:", "root:0"]),
)
def test_any_passwd_gives_numbers_or_a_named_refusal(users: list[str], groups: list[str], user: str) -> None:
    with TemporaryDirectory() as folder:
        (Path(folder) / "etc").mkdir()
        for name, lines in (("passwd", users), ("group", groups)):
            (Path(folder) / "etc" / name).write_bytes("\n".join(lines).encode("utf-8", "surrogateescape"))
        try:
            with ContainerRoot(Path(folder)) as inside:
                found = identify(inside, user)
        except CrateError:
            return
    assert 0 <= found.uid < 1 << 32
    assert 0 <= found.gid < 1 << 32
    found.home.encode()
