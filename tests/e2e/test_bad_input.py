"""What bad input gets: an error that says what, where, why and what to do, the exit code of its class, and nothing half-made."""

from __future__ import annotations

import gzip
import lzma
import os
import socket
import tarfile
from contextlib import chdir
from pathlib import Path

import pytest

from modelcrate_layers.content import Literal, MediaType
from support import bases
from support.bases import small
from support.command import Crate, Inside, blobs, half_made, names
from support.rootfs import layer, member
from support.small_projects import model_only, served, sparse_model, write_project
from support.waiting import HANG
from support.wheels import make_wheel, sdist_bytes

USER, SOURCE, REGISTRY, INTEGRITY, MACHINE, LOCKED = 2, 3, 4, 5, 6, 7
ROOT = os.geteuid() == 0


@pytest.fixture
def crate(inside: Inside) -> Crate:
    return inside


@pytest.fixture
def project(tmp_path: Path) -> Path:
    return tmp_path / "project"


def nothing_made(crate: Crate, *folders: Path) -> None:
    """No name in the store, no blob of an image, and no hidden file anywhere."""
    assert names(crate.home / "store") == []
    assert half_made(crate.home, *folders) == []


# the project


def test_all_faults_of_a_project_file_are_shown_at_once(crate: Crate, project: Path) -> None:
    write_project(
        project,
        """\
        name: Diabetes!
        base: scratch
        modle: model.bin
        models:
          - {path: model.bin, name: m, version: one}
        """,
    )
    failed = crate("build", project).failed(
        USER, "modelcrate.yaml:1:7:", "modelcrate.yaml:3:1:", "did you mean 'models'?", "modelcrate.yaml:5:", "3 faults"
    )
    assert failed.err.count("~") >= 3, "every fault has its caret"
    nothing_made(crate)


def test_a_project_file_that_is_no_yaml(crate: Crate, project: Path) -> None:
    write_project(project, "name: [unclosed\n")
    crate("build", project).failed(USER, "modelcrate.yaml:")


def test_a_folder_with_nothing_in_it(crate: Crate, project: Path) -> None:
    project.mkdir()
    failed = crate("build", project)
    assert failed.code in (USER, SOURCE)
    assert "Traceback" not in failed.err
    assert "neither an entry script" in failed.err


def test_every_file_that_is_missing_is_told(crate: Crate, project: Path) -> None:
    served(project)
    (project / "model.bin").unlink()
    (project / "requirements.txt").unlink()
    (project / "src" / "score.py").write_text("def init(): pass\n")
    crate("build", project).failed(SOURCE, "model.bin", "requirements.txt", "score.py", "run", "3 faults")
    nothing_made(crate)


def test_an_entry_script_that_does_not_parse(crate: Crate, project: Path) -> None:
    served(project)
    (project / "src" / "score.py").write_text("def init(:\n")
    failed = crate("build", project)
    assert failed.code in (USER, SOURCE), failed
    assert "score.py:1" in failed.err


# sources


@pytest.mark.parametrize("place", ["model", "src"])
@pytest.mark.parametrize("kind", ["socket", "pipe", "device", "link", "absolute link", "link to a folder"])
def test_what_can_not_be_packed_is_named(crate: Crate, project: Path, tmp_path: Path, place: str, kind: str) -> None:
    served(project)
    (project / "model.bin").unlink()
    (project / "model.bin").mkdir()
    (project / "model.bin" / "weights").write_bytes(b"w")
    bad = project / ("model.bin" if place == "model" else "src") / "bad"
    (tmp_path / "outside").mkdir()
    (tmp_path / "outside" / "secret").write_bytes(b"secret")
    door = None
    if kind == "socket":
        door = socket.socket(socket.AF_UNIX)
        with chdir(bad.parent):  # a socket's path may have 107 bytes
            door.bind("bad")
    elif kind == "pipe":
        os.mkfifo(bad)
    elif kind == "device":
        if not ROOT:
            pytest.skip("making a device file needs root")
        os.mknod(bad, 0o020644, os.makedev(1, 3))
    elif kind == "link":
        bad.symlink_to("../../outside/secret")
    elif kind == "absolute link":
        bad.symlink_to(project / "requirements.txt")
    else:
        bad.symlink_to("../../outside", target_is_directory=True)
    crate("build", project).failed(SOURCE, str(bad))
    if door is not None:
        door.close()
    nothing_made(crate)


@pytest.mark.parametrize("change", ["grows", "shrinks", "is written to", "is replaced", "vanishes"])
def test_a_model_that_changes_while_it_is_packed(crate: Crate, project: Path, change: str) -> None:
    sparse_model(project, 3 << 30)
    model = project / "model.bin"
    with crate.start("build", project, "--progress", "json", "-o", f"oci-archive:{project / 'out.tar'}") as process:
        assert process.stderr is not None
        for line in process.stderr:
            if b'"progress"' in line:
                break
        if change == "grows":
            os.truncate(model, 4 << 30)
        elif change == "shrinks":
            os.truncate(model, 1 << 20)
        elif change == "is written to":
            with open(model, "r+b") as file:
                file.write(b"new")
        elif change == "is replaced":
            (project / "other").write_bytes(b"other")
            os.replace(project / "other", model)
        else:
            model.unlink()
        out, rest = process.communicate(timeout=HANG)
    words = rest.decode()
    if change in ("is replaced", "vanishes") and process.returncode == 0:
        pytest.fail("the archive can't have been written from a file that is gone")
    assert process.returncode == SOURCE, words
    assert str(model) in words
    assert not out
    assert not (project / "out.tar").exists()
    nothing_made(crate, project)


@pytest.mark.parametrize("what", ["model.bin", "src"])
def test_a_path_of_the_project_that_is_a_link_to_outside(
    crate: Crate, project: Path, tmp_path: Path, what: str
) -> None:
    served(project)
    os.replace(project / what, tmp_path / "elsewhere")
    (project / what).symlink_to(tmp_path / "elsewhere")
    crate("build", project).failed(USER, f"'{what}' is a link that leads out of the project", "modelcrate.yaml:", "~~~")
    nothing_made(crate)


# bases


def over(base: str) -> str:
    """A base that is said to have a Python."""
    return f"{{from: '{base}', interpreter: /usr/bin/python3.11}}"


def on(project: Path, kind: str, content: dict[str, bytes]) -> Path:
    """A project over a base with this content, as a folder or an archive."""
    served(project, base=over(f"{kind}:base"))
    base = project / "base"
    if kind == "oci":
        bases.written(base, content)
    else:
        bases.tarred(base, content)
    return project


def blob_of(content: dict[str, bytes], data: bytes) -> str:
    return next(name for name, value in content.items() if value == data)


@pytest.mark.parametrize("kind", ["oci", "oci-archive"])
def test_a_right_base_is_built_on(crate: Crate, project: Path, kind: str) -> None:
    crate("build", on(project, kind, bases.files([small()]))).succeeded()


def test_a_right_docker_archive_is_built_on(crate: Crate, project: Path) -> None:
    crate("build", on(project, "docker-archive", bases.docker_files([small()]))).succeeded()


@pytest.mark.parametrize("kind", ["oci", "oci-archive"])
@pytest.mark.parametrize("what", ["layer", "config", "manifest"])
def test_a_base_with_other_bytes_than_its_digest_says(crate: Crate, project: Path, kind: str, what: str) -> None:
    content = bases.files([small()])
    mark = {"layer": b"hello", "config": b'"rootfs"', "manifest": b'"layers":['}[what]
    name = next(name for name, data in content.items() if name.startswith("blobs/") and mark in data)
    content[name] = content[name].replace(mark, mark.swapcase())
    crate("build", on(project, kind, content)).failed(INTEGRITY, "sha256:")
    nothing_made(crate)


@pytest.mark.parametrize("kind", ["oci", "oci-archive"])
def test_a_base_with_a_wrong_diff_id(crate: Crate, project: Path, kind: str) -> None:
    content = bases.files([small()], diff_ids=["sha256:" + "1" * 64])
    crate("build", on(project, kind, content)).failed(INTEGRITY, "diff id", "1" * 64)
    nothing_made(crate)


def test_a_docker_archive_with_a_wrong_diff_id(crate: Crate, project: Path) -> None:
    content = bases.docker_files([small()], diff_ids=["sha256:" + "1" * 64])
    crate("build", on(project, "docker-archive", content)).failed(INTEGRITY, "diff id", "1" * 64)
    nothing_made(crate)


@pytest.mark.parametrize("kind", ["oci", "oci-archive"])
@pytest.mark.parametrize("digest", ["sha256:../../x", "sha256:" + "A" * 64, "../../etc/passwd", "", "md5:" + "0" * 32])
def test_a_base_with_a_digest_that_is_none(crate: Crate, project: Path, kind: str, digest: str) -> None:
    promise = small().descriptor.json() | {"digest": digest}
    content = bases.files([small()], changes={"layers": [promise]})
    crate("build", on(project, kind, content)).failed(INTEGRITY, "not a digest", "base")
    nothing_made(crate)


def test_a_layout_whose_blobs_are_links(crate: Crate, project: Path, tmp_path: Path) -> None:
    content = bases.files([small()])
    on(project, "oci", content)
    blob = project / "base" / blob_of(content, small().data)
    os.replace(blob, tmp_path / "elsewhere")
    blob.symlink_to(tmp_path / "elsewhere")
    failed = crate("build", project)
    assert failed.code in (SOURCE, INTEGRITY), failed
    assert str(project / "base") in failed.err
    nothing_made(crate)


@pytest.mark.parametrize(
    "bad",
    [
        member("../evil", b"x"),
        member("etc/../../evil", b"x"),
        member("hard", kind=tarfile.LNKTYPE, linkname="../../etc/passwd"),
    ],
    ids=["dotdot", "dotdot inside", "hard link outside"],
)
@pytest.mark.parametrize("kind", ["oci", "docker-archive", "rootfs"])
def test_a_base_whose_members_lead_outside(crate: Crate, project: Path, kind: str, bad: object) -> None:
    hostile = layer(member("etc", kind=tarfile.DIRTYPE), bad)  # type: ignore[arg-type]
    if kind == "rootfs":
        served(project, base=over("rootfs:base.tar"))
        (project / "base.tar").write_bytes(hostile.data)
    else:
        on(project, kind, bases.files([hostile]) if kind == "oci" else bases.docker_files([hostile]))
    crate("build", project).failed(INTEGRITY, "leads outside")
    nothing_made(crate)
    assert not (project / "evil").exists()


@pytest.mark.parametrize(
    "settings", [{"Env": "A=1"}, {"Cmd": {"a": 1}}, {"ExposedPorts": ["80"]}, {"Labels": {"a": 1}}, {"User": 5}]
)
def test_a_base_whose_settings_have_wrong_types(crate: Crate, project: Path, settings: dict[str, object]) -> None:
    (name,) = settings
    on(project, "oci", bases.files([small()], settings=settings))
    crate("build", project).failed(INTEGRITY, f"config.{name} has to be")
    crate("inspect", f"oci:{project / 'base'}").failed(INTEGRITY, f"config.{name} has to be")
    nothing_made(crate)


@pytest.mark.parametrize("kind", ["oci-archive", "docker-archive"])
@pytest.mark.parametrize("left", [0, 100, 512, 2000, 5000])
def test_an_archive_cut_short(crate: Crate, project: Path, kind: str, left: int) -> None:
    content = bases.files([small()]) if kind == "oci-archive" else bases.docker_files([small()])
    on(project, kind, content)
    os.truncate(project / "base", left)
    failed = crate("build", project)
    assert failed.code in (SOURCE, INTEGRITY), failed
    assert "Traceback" not in failed.err
    assert str(project / "base") in failed.err
    nothing_made(crate)


def _zstd(data: bytes) -> bytes:
    from zstandard import ZstdCompressor

    return ZstdCompressor().compress(data)


PACKERS = {"gz": gzip.compress, "xz": lzma.compress, "zst": _zstd, "tar": lambda data: data}


@pytest.mark.parametrize("packing", PACKERS)
@pytest.mark.parametrize("share", [0.0, 0.3, 0.9])
def test_a_rootfs_cut_short(crate: Crate, project: Path, packing: str, share: float) -> None:
    data = PACKERS[packing](layer(member("etc/hello", os.urandom(100_000))).data)
    served(project, base=over("rootfs:base.tar"))
    (project / "base.tar").write_bytes(data[: int(len(data) * share)])
    failed = crate("build", project)
    assert failed.code in (SOURCE, INTEGRITY), failed
    assert "Traceback" not in failed.err
    assert str(project / "base.tar") in failed.err
    nothing_made(crate)


def test_a_rootfs_of_an_unknown_packing(crate: Crate, project: Path) -> None:
    served(project, base=over("rootfs:base.tar"))
    (project / "base.tar").write_bytes(b"LZIP\x01" + small().data)
    failed = crate("build", project)
    assert failed.code in (SOURCE, INTEGRITY), failed
    assert "base.tar" in failed.err


@pytest.mark.parametrize("kind", ["oci", "oci-archive", "docker-archive", "rootfs"])
def test_a_base_that_is_not_there(crate: Crate, project: Path, kind: str) -> None:
    served(project, base=over(f"{kind}:nowhere"))
    crate("build", project).failed(SOURCE, "nowhere")
    nothing_made(crate)


def test_a_base_of_a_layer_type_that_nobody_knows(crate: Crate, project: Path) -> None:
    odd = Literal(small().data, MediaType.LAYER + "+brotli")
    crate("build", on(project, "oci", bases.files([odd]))).failed(INTEGRITY, "unknown type")


# dependencies


def test_a_requirement_that_does_not_exist(crate: Crate, project: Path) -> None:
    served(project, requires="no-such-thing")
    crate("build", project).failed(USER, "no-such-thing")
    nothing_made(crate)


def test_a_requirement_without_a_wheel_for_the_platform(crate: Crate, project: Path) -> None:
    served(project, requires="native-thing")
    make_wheel(project / "wheels", "native-thing", "1.0", tag="cp311-cp311-win_amd64")
    crate("build", project).failed(USER, "native-thing", "cp311")
    nothing_made(crate)


def test_a_requirement_that_would_have_to_be_built(crate: Crate, project: Path) -> None:
    served(project, requires="source-only")
    (project / "wheels" / "source_only-1.0.tar.gz").write_bytes(sdist_bytes("source-only", "1.0"))
    crate("build", project).failed(USER, "source-only", "nothing is built from source")
    nothing_made(crate)


def test_two_wheels_that_own_one_file(crate: Crate, project: Path) -> None:
    served(project, requires="one\ntwo")
    for name in ("one", "two"):
        make_wheel(project / "wheels", name, "1.0", {"shared.py": name.encode()})
    failed = crate("build", project)
    assert failed.code in (USER, SOURCE), failed
    assert all(word in failed.err for word in ("one", "two", "shared.py"))
    nothing_made(crate)


def test_a_damaged_wheel(crate: Crate, project: Path) -> None:
    served(project)
    wheel = next((project / "wheels").glob("tiny*"))
    wheel.write_bytes(wheel.read_bytes()[:-100])
    failed = crate("build", project)
    assert failed.code in (USER, SOURCE, INTEGRITY), failed
    assert "Traceback" not in failed.err
    assert "tiny" in failed.err
    nothing_made(crate)


# outputs


@pytest.mark.parametrize("text", ["tar:x", "oci", "oci:", "registry:UPPER/x:bad tag", ":", "registry:"])
def test_an_output_that_is_none(crate: Crate, project: Path, text: str) -> None:
    crate("build", model_only(project), "-o", text).failed(USER)
    nothing_made(crate)


@pytest.mark.parametrize("kind", ["oci-archive", "docker-archive"])
def test_an_output_in_a_folder_that_is_not_there(crate: Crate, project: Path, tmp_path: Path, kind: str) -> None:
    crate("build", model_only(project), "-o", f"{kind}:{tmp_path}/no/where.tar").failed(MACHINE, "no/where.tar")
    nothing_made(crate)


def test_an_output_that_is_a_folder(crate: Crate, project: Path, tmp_path: Path) -> None:
    crate("build", model_only(project), "-o", f"oci-archive:{tmp_path}").failed(MACHINE, str(tmp_path))


def test_a_layout_where_a_file_is(crate: Crate, project: Path, tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"mine")
    crate("build", model_only(project), "-o", f"oci:{tmp_path / 'file'}").failed(MACHINE, str(tmp_path / "file"))
    assert (tmp_path / "file").read_bytes() == b"mine"


def test_an_old_archive_stays_where_a_new_one_fails(crate: Crate, project: Path, tmp_path: Path) -> None:
    model_only(project)
    archive = tmp_path / "image.tar"
    crate("build", project, "-o", f"oci-archive:{archive}").succeeded()
    before = archive.read_bytes()
    (project / "model.bin").unlink()
    crate("build", project, "-o", f"oci-archive:{archive}").failed(SOURCE)
    assert archive.read_bytes() == before


def test_what_was_done_before_a_failure_is_told(crate: Crate, project: Path, tmp_path: Path) -> None:
    good, taken = tmp_path / "good.tar", tmp_path / "taken"
    words = ("build", model_only(project), "-o", f"oci-archive:{good}", "-o")
    crate(*words, f"oci-archive:{tmp_path}/no/bad.tar").failed(MACHINE, "bad.tar", "nothing was changed")
    assert not good.exists(), "that a file can't be written is found before anything is made"
    taken.mkdir()
    crate(*words, f"oci-archive:{taken}").failed(MACHINE, f"done before that: oci-archive {good}")
    assert good.exists()


def test_a_pipe_is_written_to_and_not_replaced(crate: Crate, project: Path, tmp_path: Path) -> None:
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    with crate.start("build", model_only(project), "-o", f"oci-archive:{pipe}") as process:
        with tarfile.open(pipe, "r|") as archive:
            members = archive.getnames()
        process.communicate()
    assert process.returncode == 0
    assert "index.json" in members
    assert pipe.is_fifo()


def test_a_failed_layout_is_taken_back(crate: Crate, project: Path, tmp_path: Path) -> None:
    content = bases.files([small(), layer(member("b", b"b"))])
    on(project, "oci", content)
    blob = project / "base" / blob_of(content, layer(member("b", b"b")).data)
    blob.write_bytes(blob.read_bytes().replace(b"b", b"c"))
    out = tmp_path / "out"
    crate("build", project, "-o", f"oci:{out}:1").failed(INTEGRITY, "sha256:")
    assert not out.exists()
    nothing_made(crate)
    good = model_only(tmp_path / "good")
    crate("build", good, "-o", f"oci:{out}:1").succeeded()
    before = blobs(out)
    crate("build", project, "-o", f"oci:{out}:1").failed(INTEGRITY)
    assert (blobs(out), names(out)) == (before, ["1"])
