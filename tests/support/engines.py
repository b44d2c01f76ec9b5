"""Container engines, each private to one test run: own storage, own socket, own loopback; all ended and unmounted by handle.

They live in a network namespace of their own. So `--network host` is a network in which port 5001 is free whatever else runs on
the machine; a bridge, which `docker run -p` would want, is not had.
"""

from __future__ import annotations

import ctypes
import json
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest

from support.tools import PATH, call, need
from support.waiting import HANG, until

LOOPBACK_UP = """
import fcntl, socket, struct
with socket.socket() as s:
    fcntl.ioctl(s, 0x8914, struct.pack("16sh14x", b"lo", 0x1))
"""

POST = f"""
import sys, urllib.request
asked = urllib.request.Request(sys.argv[1], sys.argv[2].encode(), {{"Content-Type": "application/json"}})
with urllib.request.urlopen(asked, timeout={HANG}) as answer:
    sys.stdout.write(answer.read().decode())
"""

READY = f"""
import sys, time, urllib.request
deadline = time.monotonic() + {HANG}
while time.monotonic() < deadline:
    try:
        urllib.request.urlopen(sys.argv[1], timeout={HANG}).close()
        break
    except OSError:
        time.sleep(0.1)
else:
    sys.exit("nothing answers on " + sys.argv[1])
"""


@dataclass(frozen=True)
class PrivateNetwork:
    """A network namespace with nothing but a loopback, held by a process that does nothing."""

    holder: int

    def words(self, *words: str | Path) -> list[str]:
        return ["nsenter", f"--net=/proc/{self.holder}/ns/net", "--", *map(str, words)]

    def post(self, url: str, body: str) -> str:
        call(*self.words(sys.executable, "-c", READY, url.rpartition("/")[0] + "/"))
        return call(*self.words(sys.executable, "-c", POST, url, body))


@contextmanager
def private_network() -> Iterator[PrivateNetwork]:
    need("unshare", "nsenter", root=True)
    holder = subprocess.Popen(
        [
            "unshare",
            "--net",
            sys.executable,
            "-c",
            f"{LOOPBACK_UP}\nprint('up', flush=True)\nimport signal\nsignal.pause()",
        ],
        stdout=subprocess.PIPE,
    )
    try:
        assert holder.stdout is not None
        if holder.stdout.readline() != b"up\n":
            pytest.skip("this machine allows no network namespace")
        yield PrivateNetwork(holder.pid)
    finally:
        holder.kill()
        holder.communicate()


@contextmanager
def short_folder() -> Iterator[Path]:
    """A folder whose name leaves room: sockets may have 107 characters, podman's runroot 50."""
    folder = Path(tempfile.mkdtemp(prefix="mc-", dir="/tmp"))
    try:
        yield folder
    finally:
        unmount_below(folder)
        shutil.rmtree(folder)


def storage_driver(folder: Path) -> str:
    """overlay, but where the folder lies on an overlay itself, as in a container."""
    kind = subprocess.run(["stat", "-f", "-c", "%T", str(folder)], capture_output=True, text=True).stdout.strip()
    return "vfs" if kind == "overlayfs" else "overlay"


@contextmanager
def daemon(words: list[str], log: Path) -> Iterator[subprocess.Popen[bytes]]:
    """A server until the end of the block: asked to end, and ended."""
    with log.open("wb") as words_of_it:
        process = subprocess.Popen(
            words, stdout=words_of_it, stderr=words_of_it, stdin=subprocess.DEVNULL, env={**os.environ, "PATH": PATH}
        )
    try:
        yield process
    finally:
        process.terminate()
        try:
            process.wait(HANG)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def unmount_below(folder: Path) -> None:
    """Whatever an engine left mounted."""
    mounts = [line.split()[4] for line in Path("/proc/self/mountinfo").read_text().splitlines()]
    libc = ctypes.CDLL(None, use_errno=True)
    for place in sorted((each for each in mounts if each.startswith(f"{folder}/")), reverse=True):
        libc.umount2(place.encode(), 2)


def build_with_buildah(folder: Path, work: Path, *pushed: str) -> str:
    """Build a folder with a Dockerfile, without a network.

    buildah mounts in a mount namespace of its own: what a killed run leaves mounted ends with it, and its folder can be deleted.

    Args:
        folder: The folder with the Dockerfile.
        work: A folder for buildah's storage and the image.
        pushed: Options of `buildah push`.

    Returns:
        The address of the image, an OCI layout.
    """
    need("buildah", "unshare", root=True)
    there = ["--root", work / "r", "--runroot", work / "rr", "--storage-driver", "overlay"]
    buildah = ["unshare", "-mn", "buildah", *there]
    call(*buildah, "bud", "--isolation", "chroot", "-t", "theirs", folder, timeout=HANG)
    image = f"oci:{work / 'out'}:theirs"
    call(*buildah, "push", *pushed, "theirs", image, timeout=HANG)
    return image


@dataclass(frozen=True)
class Docker:
    """A docker daemon and its client."""

    socket: Path
    network: PrivateNetwork

    def __call__(self, *words: str | Path) -> str:
        return call("docker", "-H", f"unix://{self.socket}", *words)

    def version(self) -> str:
        return self("version", "--format", "{{.Server.Version}}").strip()


@contextmanager
def docker() -> Iterator[Docker]:
    """A daemon without a bridge. Its containers are removed, then it is ended."""
    need("docker", "dockerd", "containerd", "runc", root=True)
    with ExitStack() as stack:
        folder = stack.enter_context(short_folder())
        network = stack.enter_context(private_network())
        options = ("--iptables=false", "--ip6tables=false", "--ip-forward=false", "--ip-masq=false", "--bridge=none")
        places = ("--data-root", folder / "data", "--exec-root", folder / "exec", "--pidfile", folder / "pid")
        words = network.words("dockerd", *options, *places, "-H", f"unix://{folder / 'socket'}")
        process = stack.enter_context(daemon(words, folder / "log"))
        client = Docker(folder / "socket", network)

        def answers() -> bool:
            if process.poll() is not None:
                pytest.skip(f"dockerd can't run here: {(folder / 'log').read_text()[-300:]}")
            return (
                subprocess.run(["docker", "-H", f"unix://{client.socket}", "version"], capture_output=True).returncode
                == 0
            )

        until(answers, "dockerd")
        try:
            yield client
        finally:
            if left := client("ps", "-aq").split():
                client("rm", "-f", *left)


@dataclass(frozen=True)
class Podman:
    """podman or buildah with a storage of its own."""

    folder: Path
    driver: str
    program: str = "podman"

    @property
    def _options(self) -> list[str]:
        own = ["--root", f"{self.folder}/root", "--runroot", f"{self.folder}/runroot", "--storage-driver", self.driver]
        if self.program == "podman":
            own += ["--tmpdir", f"{self.folder}/tmp", "--cgroup-manager", "cgroupfs", "--events-backend", "file"]
            own += ["--runtime", "runc"]
        return own

    def words(self, *words: str | Path) -> list[str]:
        return [self.program, *self._options, *map(str, words)]

    def __call__(self, verb: str, *words: str | Path) -> str:
        accepted = ("--signature-policy", self.folder / "policy.json") if verb in ("pull", "load") else ()
        return call(*self.words(verb, *accepted, *words))


@contextmanager
def podman(program: str = "podman") -> Iterator[Podman]:
    """A storage that is emptied and unmounted in the end."""
    need(program, root=True)
    with short_folder() as folder:
        (folder / "policy.json").write_text(json.dumps({"default": [{"type": "insecureAcceptAnything"}]}))
        client = Podman(folder, storage_driver(folder), program)
        try:
            yield client
        finally:
            client("rm", "--all", *(["--force"] if program == "podman" else []))


@dataclass(frozen=True)
class Containerd:
    socket: Path

    @property
    def snapshots(self) -> tuple[str, str]:
        """The option that says how layers are unpacked."""
        return "--snapshotter", "native" if storage_driver(self.socket.parent) == "vfs" else "overlayfs"

    def __call__(self, *words: str | Path) -> str:
        return call("ctr", "-a", self.socket, *words)


@contextmanager
def containerd() -> Iterator[Containerd]:
    """A daemon without the CRI plugin."""
    need("containerd", "ctr", root=True)
    with ExitStack() as stack:
        folder = stack.enter_context(short_folder())
        (folder / "config.toml").write_text(
            f'version = 2\nroot = "{folder}/root"\nstate = "{folder}/state"\n'
            'disabled_plugins = ["io.containerd.grpc.v1.cri"]\n'
            f'[grpc]\n  address = "{folder}/socket"\n[ttrpc]\n  address = "{folder}/socket.ttrpc"\n'
        )
        process = stack.enter_context(daemon(["containerd", "-c", f"{folder}/config.toml"], folder / "log"))
        client = Containerd(folder / "socket")

        def answers() -> bool:
            if process.poll() is not None:
                pytest.skip(f"containerd can't run here: {(folder / 'log').read_text()[-300:]}")
            return subprocess.run(["ctr", "-a", str(client.socket), "version"], capture_output=True).returncode == 0

        until(answers, "containerd")
        yield client
