"""Containers for real, with every engine that this machine has: a tiny root file system made of the machine's own programs."""

from __future__ import annotations

import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import pytest

from modelcrate.containers import Container, Port, RunOptions, containers, find, start, wait_ready
from modelcrate.containers.engine import engine
from modelcrate.containers.spec import SupervisorSpec
from modelcrate_layers.content import Literal
from modelcrate_layers.errors import IntegrityError, MachineError, UserError
from support.containers import ROOT, SERVER, Run, finished, output
from support.rootfs import layer, member
from support.waiting import HANG, until


def get(container: Container, port: int = 0) -> str:
    with urllib.request.urlopen(f"http://127.0.0.1:{container.state().ports[port].host}/score", timeout=HANG) as answer:
        return str(answer.read().decode())


def test_output_and_exit_code(run: Run) -> None:
    container = run("sh", "-c", "echo hi; echo oops >&2; exit 5")
    assert finished(container) == (5, "hi\noops\n")
    assert container.state().status == "ended"
    assert not (container.folder / "rootfs").exists()


def test_death_by_signal_is_128_and_its_number(run: Run) -> None:
    assert run("sh", "-c", "sh -c 'kill -9 $$'; exit $?").wait(HANG) == 137


def test_environment_working_folder_and_user_of_the_image(run: Run) -> None:
    config = {"Env": ["A=1", "B=image"], "WorkingDir": "/srv/new", "User": "server", "Entrypoint": ["sh", "-c"]}
    code, words = finished(run("id -u; id -g; id -G; pwd; echo $A $B $HOME", config=config, env={"B": "mine"}))
    assert (code, words.split("\n")[:5]) == (0, ["4321", "4322", "4322", "/srv/new", "1 mine /home/server"])


@pytest.mark.parametrize(
    ("user", "ids"), [("10001:0", "10001 0"), ("0", "0 0"), ("77", "77 0"), ("server:staff", "4321 50")]
)
def test_users(run: Run, user: str, ids: str) -> None:
    assert finished(run("sh", "-c", "echo $(id -u) $(id -G)", user=user)) == (0, ids + "\n")


def test_an_unknown_user_is_refused_and_nothing_is_left(run: Run, state_dir: Path) -> None:
    with pytest.raises(UserError, match="no user 'nobody-here'"):
        run("id", user="nobody-here")
    assert list(state_dir.iterdir()) == []


@pytest.mark.parametrize("command", [("no-such-program",), ("/etc/passwd",)])
def test_what_can_not_be_executed_is_refused_and_nothing_is_left(
    run: Run, state_dir: Path, command: tuple[str, ...]
) -> None:
    with pytest.raises(UserError, match="can't start"):
        run(*command)
    assert list(state_dir.iterdir()) == []


def test_a_read_only_root_with_a_tmp(run: Run, engine_name: str) -> None:
    script = "touch /x 2>/dev/null && echo written; touch /etc/x 2>/dev/null && echo written; touch /tmp/x && echo ok"
    if engine_name == "chroot":
        with pytest.raises(MachineError, match="no engine") as caught:
            run("sh", "-c", script, read_only=True)
        assert "can't make the root read-only" in caught.value.why
        return
    assert finished(run("sh", "-c", script, read_only=True, user="0")) == (0, "ok\n")


def test_root_in_a_container_has_no_power_over_the_machine(run: Run, engine_name: str) -> None:
    script = (
        "echo x > /proc/sys/kernel/domainname && echo sysctl; perl -e 'print qq(chroot\\n) if chroot qq(/etc)';"
        "perl -e 'my ($x, $at, $kind) = (qq(x), qq(/etc), qq(tmpfs)); print qq(mount\\n) if syscall(165, $x, $at, $kind, 0, 0) == 0;"
        "print qq(tried\\n)'; ls /dev"
    )
    words = finished(run("sh", "-c", f"exec 2>/dev/null; {script}", user="0"))[1].split()
    assert "sysctl" not in words
    assert "chroot" not in words
    assert "mount" not in words
    assert "tried" in words
    assert set(words) <= {
        "tried",
        "null", "zero", "full", "random", "urandom", "tty", "fd", "stdin", "stdout", "stderr", "shm", "core", "ptmx", "pts",
    }  # fmt: skip


def test_the_machine_is_not_to_be_seen(run: Run, engine_name: str, tmp_path: Path) -> None:
    (tmp_path / "secret").write_text("secret")
    code, words = finished(run("sh", "-c", f"ls {tmp_path} 2>/dev/null; cd /proc; echo [0-9]*"))
    assert code == 0
    assert "secret" not in words
    assert len(words.split()) < 5


def test_a_server_answers_on_the_published_port_and_stops_by_sigterm(run: Run) -> None:
    container = run(*SERVER, env={"WHO": "me"}, ports=(Port(0, 5001),))
    wait_ready(container, "/", timeout=HANG)
    assert get(container) == "me got GET /score HTTP/1.1\r\n"
    host = container.state().ports[0].host
    assert container.stop() == 7
    assert output(container) == "listening\nbye\n"
    with pytest.raises(urllib.error.URLError):
        urllib.request.urlopen(f"http://127.0.0.1:{host}/", timeout=HANG)


def test_two_containers_listen_on_the_same_port_and_nothing_is_exposed(run: Run) -> None:
    one = run(*SERVER, name="one", env={"WHO": "one"}, ports=(Port(0, 5001),))
    two = run(*SERVER, name="two", env={"WHO": "two"}, ports=(Port(0, 5001), Port(0, 5001)))
    if "host" in (one.state().network, two.state().network):
        pytest.skip("this machine gives containers no network of their own")
    wait_ready(one, timeout=HANG)
    wait_ready(two, timeout=HANG)
    assert (get(one)[:3], get(two)[:3], get(two, 1)[:3]) == ("one", "two", "two")
    with socket.socket() as door:
        assert door.connect_ex(("127.0.0.1", 5001)) != 0
    one.stop()
    assert get(two).startswith("two")


def test_large_transfers_and_half_closed_connections(run: Run) -> None:
    echo = (
        'socket(S,2,1,0); bind(S,pack("S n a4 x8",2,5001,"\\0\\0\\0\\0")) or die; listen(S,5); print "up\\n"; accept(C,S);'
        "binmode C; my $n = 0; while (sysread(C, my $b, 65536)) { $n += length $b } syswrite(C, $n); close C"
    )
    container = run("perl", "-e", "$|=1;" + echo, ports=(Port(0, 5001),))
    until(lambda: "up" in output(container))
    with socket.create_connection(("127.0.0.1", container.state().ports[0].host), timeout=HANG) as door:
        for _ in range(50):
            door.sendall(bytes(100_000))
        door.shutdown(socket.SHUT_WR)
        assert door.recv(100) == b"5000000"
    assert container.wait(HANG) == 0


def test_a_taken_port_is_refused_before_anything_is_unpacked(run: Run, state_dir: Path) -> None:
    with socket.socket() as door:
        door.bind(("127.0.0.1", 0))
        door.listen()
        with pytest.raises(UserError, match="can't publish port"):
            run(*SERVER, ports=(Port(door.getsockname()[1], 5001),), config={"User": "no-such-user"})
    assert not state_dir.exists()  # nothing was unpacked: the user was not even looked up


def test_the_machines_network_on_wish(run: Run) -> None:
    with socket.socket() as door:
        door.bind(("127.0.0.1", 0))
        free = door.getsockname()[1]
    container = run(*SERVER, network="host", env={"WHO": "host", "PORT": str(free)}, ports=(Port(0, free),))
    assert container.state().network == "host"
    wait_ready(container, timeout=HANG)
    assert get(container).startswith("host got")


def test_a_deaf_program_is_killed(run: Run) -> None:
    container = run("sh", "-c", "trap '' TERM; echo up; while :; do sleep 1; done")
    until(lambda: "up" in output(container))
    assert container.stop(timeout=0.3) == 137


def test_no_process_is_left_behind(run: Run) -> None:
    mark = str(os.getpid() * 1000 + 77)
    container = run("sh", "-c", f"sleep {mark} & (sleep {mark} &) ; echo up; exit 0")
    assert container.wait(HANG) == 0
    until(lambda: mark not in _commands())


def test_following_the_log(run: Run) -> None:
    container = run("sh", "-c", "echo one; sleep 0.3; echo two")
    assert b"".join(container.logs(follow=True)) == b"one\ntwo\n"


def test_in_the_foreground_signals_are_handed_on(run: Run, rootfs: Literal, state_dir: Path) -> None:
    """`attach` in a process of its own, as a command line would call it, ended by SIGTERM from outside."""
    container = run(*SERVER)
    until(lambda: "listening" in output(container))
    script = (
        "import sys; from pathlib import Path; from modelcrate.containers import attach, find;"
        "sys.exit(attach(find(Path(sys.argv[1]), 'it'), lambda piece: (sys.stdout.buffer.write(piece), sys.stdout.flush())))"
    )
    command = [sys.executable, "-c", script, str(state_dir)]
    env = {"PYTHONPATH": os.pathsep.join(sys.path)}
    with subprocess.Popen(command, stdout=subprocess.PIPE, env=env, text=True) as front:
        assert front.stdout is not None
        assert front.stdout.readline() == "listening\n"
        front.send_signal(signal.SIGTERM)
        assert front.stdout.read() == "bye\n"
    assert front.returncode == 7


def test_a_name_is_unique_while_it_runs_and_free_afterwards(run: Run, state_dir: Path) -> None:
    first = run("sh", "-c", "echo first; sleep 1000")
    with pytest.raises(UserError, match="runs already"):
        run("id")
    assert [container.name for container in containers(state_dir)] == ["it"]
    assert find(state_dir, "it") == first
    first.stop(timeout=0)
    assert finished(run("sh", "-c", "echo second")) == (0, "second\n")
    find(state_dir, "it").remove()
    assert containers(state_dir) == ()
    with pytest.raises(UserError, match="no container"):
        find(state_dir, "it")


def test_a_killed_supervisor_leaves_what_stop_cleans_up(run: Run) -> None:
    mark = str(os.getpid() * 1000 + 78)
    container = run("sh", "-c", f"sleep {mark}")
    os.kill(container.state().supervisor.pid, signal.SIGKILL)
    until(lambda: container.state().status in ("orphaned", "ended"))
    assert container.state().exit_code is None
    assert container.stop(timeout=0.2) is None
    until(lambda: mark not in _commands())
    assert not (container.folder / "rootfs").exists()


def test_a_killed_supervisor_leaves_a_name_that_can_be_used_again(run: Run) -> None:
    mark = str(os.getpid() * 1000 + 79)
    container = run(
        "sh", "-c", f"trap 'exit 0' TERM; sleep {mark} & wait"
    )  # a first process gets no signal that it does not handle
    os.kill(container.state().supervisor.pid, signal.SIGKILL)
    until(lambda: container.state().status in ("orphaned", "ended"))
    assert finished(run("sh", "-c", "echo again")) == (0, "again\n")
    until(lambda: mark not in _commands())


def test_the_root_folder_is_kept_on_wish(run: Run) -> None:
    container = run("sh", "-c", "echo x > /made", keep=True)
    assert container.wait(HANG) == 0
    assert (container.folder / "rootfs" / "made").read_text() == "x\n"


def test_an_end_before_ready_is_told_with_the_log(run: Run) -> None:
    container = run("sh", "-c", "echo the reason; exit 3", ports=(Port(0, 5001),))
    with pytest.raises(MachineError, match=r"ended \(exit code 3\)") as caught:
        wait_ready(container, timeout=HANG)
    assert "the reason" in caught.value.why


class Interrupted:
    """A layer during which the user presses Ctrl-C."""

    def __init__(self, blob: Literal) -> None:
        self.descriptor = blob.descriptor
        self._data = blob.data

    def chunks(self, start: int = 0) -> Iterator[bytes]:
        yield self._data[start : start + 100_000]
        raise KeyboardInterrupt


def test_an_interrupted_start_leaves_nothing(rootfs: Literal, state_dir: Path) -> None:
    with pytest.raises(KeyboardInterrupt):
        start({"config": {"Cmd": ["sh"]}}, [Interrupted(rootfs)], RunOptions("it", state_dir))
    assert list(state_dir.iterdir()) == []


def test_a_state_folder_behind_a_link(rootfs: Literal, tmp_path: Path) -> None:
    (tmp_path / "real").mkdir()
    (tmp_path / "link").symlink_to("real")
    container = start({"config": {"Cmd": ["sh", "-c", "exit 6"]}}, [rootfs], RunOptions("it", tmp_path / "link"))
    assert container.wait(HANG) == 6
    container.remove()
    assert list((tmp_path / "real").iterdir()) == []


def test_the_interpreter_of_the_first_process_is_out_of_reach(run: Run, engine_name: str) -> None:
    """Else a program of the image could write to the machine's own Python through /proc/1/exe."""
    if engine_name in ("runc", "crun"):
        pytest.skip("the runtime leaves no process of its own in the container")
    script = "readlink /proc/1/exe && echo seen; (exec 3</proc/1/exe) && echo read; (exec 3</proc/1/fd/0) && echo fds"
    for user in ("0", "10001"):
        assert finished(run("sh", "-c", f"exec 2>/dev/null; {script}; exit 0", user=user)) == (0, "")


def test_mount_points_that_lead_out_stay_inside(run: Run, engine_name: str, tmp_path: Path) -> None:
    """An image whose /proc, /dev and /tmp are links to the machine's folders: nothing is mounted or made there."""
    target = tmp_path / "outside"
    target.mkdir()
    links = [member(name, kind=b"2", linkname=str(target)) for name in ("proc", "dev", "sys")]
    with suppress(MachineError, UserError, IntegrityError):
        run("sh", "-c", "true", extra=layer(*links)).wait(HANG)
    assert list(target.iterdir()) == []
    assert str(target) not in Path("/proc/self/mountinfo").read_text()


def test_the_first_engine_that_works_is_taken(rootfs: Literal, state_dir: Path) -> None:
    container = start({"config": {"Cmd": ["sh", "-c", "exit 4"]}}, [rootfs], RunOptions("auto", state_dir))
    assert container.wait(HANG) == 4
    assert container.state().engine in ("runc", "crun", "namespaces")


def test_a_runtime_that_fails_gives_way_to_the_next(rootfs: Literal, state_dir: Path, tmp_path: Path) -> None:
    """A runtime that is installed and broken, as crun is with hybrid cgroups."""
    from modelcrate.containers.engine import first_usable

    broken = tmp_path / "runc"
    broken.write_text('#!/bin/sh\necho "no cgroups today" >&2\nexit 1\n')
    broken.chmod(0o755)
    folder = tmp_path / "folder"
    folder.mkdir()
    container = start({"config": {"Cmd": ["sh"]}}, [rootfs], RunOptions("held", state_dir, keep=True))
    container.wait(HANG)
    held = json.loads((container.folder / "spec.json").read_text())
    (folder / "spec.json").write_text(json.dumps({**held, "programs": {"runc": str(broken)}, "engines": ["runc"]}))
    with open(tmp_path / "log", "wb") as log, pytest.raises(MachineError) as caught:
        first_usable(SupervisorSpec.load(folder), log.fileno())
    assert "runc: runc create ended with 1" in caught.value.why
    assert engine("runc").unusable(SupervisorSpec.load(folder)) == ""


def test_chroot_is_never_chosen_by_itself(rootfs: Literal, state_dir: Path, tmp_path: Path) -> None:
    """Root without CAP_SYS_ADMIN, as in many CI jobs: no runtime and no namespace works. The refusal says what to type, and that works."""
    if not ROOT or shutil.which("setpriv") is None:
        pytest.skip("needs root and setpriv")
    (tmp_path / "layer.tar").write_bytes(rootfs.data)
    script = """if True:
        import json, sys
        from pathlib import Path
        from modelcrate.containers import RunOptions, start
        from modelcrate_layers.content import Literal
        from modelcrate_layers.errors import MachineError
        rootfs = Literal(Path(sys.argv[1]).read_bytes(), "application/vnd.oci.image.layer.v1.tar")
        config, refused = {"config": {"Cmd": ["sh", "-c", "echo hi"]}}, None
        try:
            start(config, [rootfs], RunOptions("ci", Path(sys.argv[2]), image="demo"))
        except MachineError as fault:
            refused = [str(fault), [each.name for each in Path(sys.argv[2]).iterdir()]]
        container = start(config, [rootfs], RunOptions("ci", Path(sys.argv[2]), engine="chroot"))
        container.wait(60)
        state = container.state()
        print(json.dumps([refused, state.engine, state.network, b"".join(container.logs()).decode(), " ".join(state.notes)]))
    """
    command = ["setpriv", "--bounding-set", "-sys_admin,-net_admin", sys.executable, "-c", script]
    done = subprocess.run(
        [*command, str(tmp_path / "layer.tar"), str(state_dir)],
        env={"PYTHONPATH": os.pathsep.join(sys.path), "PATH": os.defpath}, capture_output=True, text=True,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    refused, engine_name, network, words, notes = json.loads(done.stdout)
    assert "namespaces: " in refused[0]
    assert "modelcrate run --engine chroot demo" in refused[0]
    assert "ptrace" in refused[0]
    assert refused[1] == []
    assert (engine_name, network, words) == ("chroot", "host", "hi\n")
    assert "chroot is no container" in notes
    assert "no network of its own" in notes


def test_as_an_ordinary_user(rootfs: Literal, tmp_path: Path) -> None:
    """The whole life of a container in a process without any right: start, ready, request, stop, clean."""
    if ROOT and (shutil.which("setpriv") is None or shutil.which("unshare") is None):
        pytest.skip("setpriv and unshare are not installed")
    drop = (
        ["setpriv", "--reuid", "54321", "--regid", "54322", "--clear-groups", "--bounding-set", "-all"] if ROOT else []
    )
    if subprocess.run([*drop, "unshare", "-Urmpfin", "true"], capture_output=True).returncode:
        pytest.skip("this machine gives ordinary users no namespaces")
    python = next((found for found in (sys.executable, "/usr/bin/python3") if _runs(drop, found)), None)
    if python is None:
        pytest.skip("no python 3.11 that an ordinary user can execute")
    home = _shared(tmp_path)
    (home / "layer.tar").write_bytes(rootfs.data)
    for source in ("modelcrate", "modelcrate_layers", "modelcrate_server", "support"):
        shutil.copytree(_package(source), home / source, ignore=shutil.ignore_patterns("__pycache__"))
    (home / "life.py").write_text(_LIFE)
    subprocess.run(["chmod", "-R", "a+rX", str(home)], check=True)
    done = subprocess.run(
        [*drop, python, "-B", "life.py"],
        cwd=home,
        env={"PATH": os.defpath},
        capture_output=True,
        text=True,
        timeout=HANG,
    )
    shutil.rmtree(home)
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout) == {
        "engine": "namespaces", "network": "own", "ids": "10001 0", "root": "0 0", "read_only": "tmp", "answer": "me got GET / HTTP/1.1",
        "code": 7, "left": [], "entered": 9, "written": "x\n",
    }  # fmt: skip


_LIFE = """
import json, urllib.request
from pathlib import Path
import tempfile
from modelcrate.containers import *
from modelcrate.containers.enter import ExecRequest
from modelcrate.containers.execution import execute_in
from modelcrate_layers.content import Literal, MediaType
from support.waiting import HANG

def out(container):
    assert container.wait(HANG) == 0
    return b"".join(container.logs()).decode().strip()

rootfs = [Literal(Path("layer.tar").read_bytes(), MediaType.LAYER)]
with tempfile.TemporaryDirectory() as folder:
    state = Path(folder) / "state"
    config = {"config": {"User": "10001:0", "Entrypoint": ["sh", "-c"], "Cmd": ["echo $(id -u) $(id -g)"]}}
    one = start(config, rootfs, RunOptions("one", state))
    two = start(config, rootfs, RunOptions("two", state, user="0"))
    three = start(config, rootfs, RunOptions("three", state, read_only=True, command=(
        "touch /x 2>/dev/null && echo root; touch /tmp/x && echo tmp",)))
    four = start(config, rootfs, RunOptions("four", state, entrypoint=("perl", "/srv/server.pl"), command=(), env={"WHO": "me"},
        ports=(Port(0, 5001),)))
    wait_ready(four, timeout=HANG)
    with urllib.request.urlopen(f"http://127.0.0.1:{four.state().ports[0].host}/", timeout=HANG) as got:
        answer = got.read().decode().strip()
    (state.parent / "data").mkdir()
    mounted = (Volume(state.parent / "data", "/data"), Volume(Path("modelcrate").absolute(), "/code", read_only=True))
    five = start(config, rootfs, RunOptions("five", state, volumes=mounted, command=("sleep 1000",)))
    second = "[ $(id -u) = 10001 ] && echo x > /data/out && ! touch /code/x 2>/dev/null && [ -e /code/api.py ] && exit 9"
    entered = execute_in(five, ExecRequest(("sh", "-c", second)))
    written = (state.parent / "data" / "out").read_text()
    five.stop(0)
    found = {"engine": one.state().engine, "network": four.state().network, "ids": out(one), "root": out(two), "read_only": out(three),
        "answer": answer, "code": four.stop(), "entered": entered, "written": written}
    for container in containers(state):
        container.remove()
    print(json.dumps({**found, "left": [str(path) for path in state.iterdir()]}))
"""


def _runs(drop: list[str], python: str) -> bool:
    check = "import subprocess, sys; subprocess.run([sys.executable, '-V'], check=True); sys.exit(sys.version_info < (3, 11))"
    return subprocess.run([*drop, python, "-c", check], capture_output=True, cwd="/").returncode == 0


def _shared(tmp_path: Path) -> Path:
    """A folder that other users can enter; pytest's own can't be entered by them."""
    import tempfile

    return Path(tempfile.mkdtemp(prefix="modelcrate-test-"))


def _package(name: str) -> Path:
    return next(
        Path(folder, name) for folder in sys.path if Path(folder, name).is_dir() and "site-packages" not in folder
    )


def _commands() -> str:
    """The command lines of all processes of this machine."""
    found = []
    for path in Path("/proc").glob("[0-9]*/cmdline"):
        with suppress(OSError):
            found.append(path.read_bytes().replace(b"\0", b" ").decode(errors="replace"))
    return "\n".join(line for line in found if "pytest" not in line)
