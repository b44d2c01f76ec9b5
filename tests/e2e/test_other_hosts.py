"""A machine that is no Linux builds the same image: the file system, the system's name and its lacks are laid over this one's.

That is a simulation: a real macOS has another libc and another uv. What it lacks of Linux's calls, how it finds names, and in which
order it lists them is as there.
"""

from __future__ import annotations

import io
import json
import subprocess
import sys
import tarfile
from pathlib import Path
from typing import Any

from support.shared_command import REPOSITORY, Modelcrate
from support.small_projects import model_only, served
from support.validator import assert_valid_layout
from support.waiting import HANG


def on_macos(home: Path, *words: str | Path) -> subprocess.CompletedProcess[str]:
    program = REPOSITORY / "tests/support/macos.py"
    env = Modelcrate(home).environment
    return subprocess.run(
        [sys.executable, program, *map(str, words)], env=env, capture_output=True, text=True, timeout=HANG, cwd="/"
    )


def on_linux(home: Path, *words: str | Path) -> Any:
    return Modelcrate(home).json(*words)


def test_the_same_digest(tmp_path: Path) -> None:
    project = served(tmp_path / "project")
    (project / "src" / "tool.sh").write_text("#!/bin/sh\n")
    (project / "src" / "tool.sh").chmod(0o700)
    (project / "src" / "link").symlink_to("tool.sh")
    (project / "src" / "lines.txt").write_bytes(b"a\r\nb\r")
    for name in ("Zed.txt", "abc.txt", "\u00e9.txt", "e\u0301x.txt"):
        (project / "src" / name).write_text(name)
    here = on_linux(tmp_path / "here", "build", project, "-o", f"oci:{tmp_path / 'linux'}")
    done = on_macos(
        tmp_path / "there", "build", project, "--json", "--progress", "none", "-o", f"oci:{tmp_path / 'macos'}"
    )
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["digest"] == here["digest"]
    assert_valid_layout(tmp_path / "macos")


def test_a_name_in_another_case_is_refused_where_the_file_system_takes_it(tmp_path: Path) -> None:
    """macOS finds score.py as Score.py. Linux, on which the container runs, does not."""
    project = served(tmp_path / "project")
    path = project / "modelcrate.yaml"
    path.write_text(path.read_text().replace("score.py", "Score.py"))
    done = on_macos(tmp_path / "home", "build", project, "-o", f"oci:{tmp_path / 'out'}")
    assert done.returncode in (2, 3), done.stderr
    assert "Score.py" in done.stderr
    assert not (tmp_path / "out").exists()


def test_a_model_in_another_case_is_refused_too(tmp_path: Path) -> None:
    project = model_only(tmp_path / "project")
    path = project / "modelcrate.yaml"
    path.write_text(path.read_text().replace("model.bin", "Model.BIN"))
    done = on_macos(tmp_path / "home", "build", project, "-o", f"oci:{tmp_path / 'out'}")
    assert done.returncode in (2, 3), done.stderr
    assert "Model.BIN" in done.stderr


def on_windows(home: Path, *words: str | Path) -> subprocess.CompletedProcess[bytes]:
    program = REPOSITORY / "tests/support/windows.py"
    scratch = home.with_name(
        "scratch"
    )  # processes of this machine would take its folders for abandoned: their locks are others
    scratch.mkdir(exist_ok=True)
    env = {**Modelcrate(home).environment, "TMPDIR": str(scratch)}
    words = (sys.executable, program, *words)
    return subprocess.run([*map(str, words)], env=env, capture_output=True, timeout=HANG, cwd="/")


def checked_out(project: Path) -> Path:
    """A checkout as Git makes it on Linux: with a program, a link, and a text with the line ends of the repository."""
    (project / "src" / "tool.sh").write_text("#!/bin/sh\n")
    (project / "src" / "helper").write_text("a program without its first two bytes\n")
    for name in ("tool.sh", "helper"):
        (project / "src" / name).chmod(0o755)
    (project / "src" / "not.sh").write_text("#!/bin/sh\n")  # Git knows it as no program
    (project / "src" / "link").symlink_to("tool.sh")
    (project / "src" / "lines.txt").write_bytes(b"a\r\nb\r")
    for name in ("Zed.txt", "abc.txt", "\u00e9.txt"):
        (project / "src" / name).write_text(name)
    for words in (("init", "-q"), ("add", "-A")):
        subprocess.run(["git", *words], cwd=project, check=True, capture_output=True)
    return project


def as_on_windows(project: Path) -> None:
    """The same checkout as Git makes it on Windows: no modes, and links as texts."""
    for path in (project / "src").iterdir():
        if path.is_symlink():
            target = path.readlink()
            path.unlink()
            path.write_text(str(target))
        path.chmod(0o644)


def test_the_same_digest_on_windows(tmp_path: Path) -> None:
    project = checked_out(served(tmp_path / "project"))
    here = on_linux(tmp_path / "here", "build", project, "-o", f"oci:{tmp_path / 'linux'}")
    as_on_windows(project)
    done = on_windows(
        tmp_path / "there",
        "build",
        project,
        "--json",
        "--debug",
        "--progress",
        "none",
        "-o",
        f"oci:{tmp_path / 'windows'}",
    )
    assert done.returncode == 0, done.stderr.decode()
    assert json.loads(done.stdout)["digest"] == here["digest"]
    assert_valid_layout(tmp_path / "windows")


def test_what_git_and_the_file_system_know_of_a_checkout(tmp_path: Path) -> None:
    """Programs and links are those of Git's index. A file that it does not know is a program by its first two bytes."""
    project = checked_out(served(tmp_path / "project"))
    as_on_windows(project)
    with open(project / "modelcrate.yaml", "a") as file:
        file.write("codec: none\n")
    (project / "src" / "new.sh").write_text("#!/bin/sh\n")
    (project / "src" / "score.py").write_bytes((project / "src" / "score.py").read_bytes().replace(b"\n", b"\r\n"))
    done = on_windows(
        tmp_path / "home", "build", project, "--progress", "lines", "-o", f"oci-archive:{tmp_path / 'out.tar'}"
    )
    assert done.returncode == 0, done.stderr.decode()
    held = entries_of(tmp_path / "out.tar")
    programs = {
        name.rpartition("/")[2] for name, (kind, mode) in held.items() if kind == tarfile.REGTYPE and mode & 0o100
    }
    assert programs == {"tool.sh", "helper", "new.sh"}
    assert [name for name, (kind, _) in held.items() if kind == tarfile.SYMTYPE and name.endswith("src/link")]
    assert b"src/score.py has other line ends here than in Git" in done.stderr


def entries_of(archive: Path) -> dict[str, tuple[bytes, int]]:
    """The kinds and modes of the entries of the code's layer."""
    with tarfile.open(archive) as layout:

        def read(name: str) -> bytes:
            member = layout.extractfile(name)
            assert member is not None
            return member.read()

        def blob(digest: str) -> bytes:
            return read(f"blobs/sha256/{digest.partition(':')[2]}")

        manifest = json.loads(blob(json.loads(read("index.json"))["manifests"][0]["digest"]))
        with tarfile.open(fileobj=io.BytesIO(blob(manifest["layers"][-1]["digest"]))) as layer:
            return {each.name: (each.type, each.mode) for each in layer}


def test_all_that_makes_and_moves_images_works_on_windows(tmp_path: Path) -> None:
    home, project = tmp_path / "home", served(tmp_path / "project")
    for words in (
        ("lock", project),
        ("build", project, "--locked", "--sources", "-t", "served:1", "-o", f"docker-archive:{tmp_path / 'd.tar'}", "-o", f"dockerfile:{tmp_path / 'df'}"),
        ("sources", "served:1", tmp_path / "again"),
        ("bundle", "create", "-o", tmp_path / "served.bundle", "served:1"),
        ("bundle", "load", tmp_path / "served.bundle", "--to", "store"),
        ("copy", "served:1", f"oci:{tmp_path / 'there'}"),
        ("model", "register", "m", project / "model.bin"),
        ("model", "download", "m:1", tmp_path / "m"),
        ("verify", "served:1"),
        ("cache", "check"),
    ):  # fmt: skip
        done = on_windows(home, *words)
        assert done.returncode == 0, f"{words[0]}: {done.stderr.decode()}"
    assert_valid_layout(tmp_path / "there")
    assert (tmp_path / "again" / "src" / "score.py").read_bytes() == (project / "src" / "score.py").read_bytes()
    assert b"\r" not in (tmp_path / "df" / "Dockerfile").read_bytes() + (project / "modelcrate.lock").read_bytes()
    assert not [each for each in tmp_path.rglob("*.lock") if each.name.startswith(".modelcrate-scratch")]


def test_containers_want_linux(tmp_path: Path) -> None:
    """The exit code is that of a machine that can't do it, and it is said what can."""
    for words in (("run", "some:1"), ("ps",)):
        done = on_windows(tmp_path / "home", *words)
        assert done.returncode == 6, done.stderr.decode()
        assert b"containers are started on Linux alone" in done.stderr
