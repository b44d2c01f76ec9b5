"""`run` and its family as people type them: an image that is an OCI layout made by hand, containers seen, entered, read and removed."""

from __future__ import annotations

import json
import os
import shlex
import signal
import socket
import stat
import subprocess
import time
import urllib.request
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

import modelcrate
from modelcrate.containers.processes import ProcessId, parent_of
from modelcrate.containers.ready import NotReadyError
from modelcrate_layers.content import Literal
from modelcrate_layers.errors import UserError
from support.command import Crate, in_this_process
from support.containers import SERVER, why_not
from support.images_by_hand import write_index, write_layout
from support.terminal import Terminal
from support.waiting import HANG, until

MINE = "arm64" if os.uname().machine == "aarch64" else "amd64"
OTHER = "amd64" if MINE == "arm64" else "arm64"


@pytest.fixture(autouse=True)
def _an_engine() -> None:
    if why_not("runc") and why_not("namespaces"):
        pytest.skip("no engine works here")


@pytest.fixture
def crate(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]) -> Iterator[Crate]:
    """Its commands run in this process, which saves their starts; what is started by `crate.command` is a process of its own."""
    crate = Crate.at(tmp_path / "home", folder=tmp_path, WHO="from here")
    monkeypatch.chdir(tmp_path)
    with in_this_process(monkeypatch, capfd):
        yield crate
        names = crate("ps", "-aq").out.split()
        if names:
            crate("rm", "-f", *names).succeeded()


@pytest.fixture
def image(tmp_path: Path, rootfs: Literal) -> str:
    config = {"Entrypoint": list(SERVER), "Env": ["WHO=image"], "User": "server", "WorkingDir": "/srv"}
    return write_layout(tmp_path / "image", [rootfs], config)


def listed(crate: Crate, *words: str) -> dict[str, Any]:
    return {each["name"]: each for each in crate("ps", "--json", *words).succeeded().json}


def get(port: int) -> str:
    with urllib.request.urlopen(f"http://127.0.0.1:{port}/score", timeout=60) as answer:
        return str(answer.read().decode())


def test_the_life_of_a_container(crate: Crate, image: str) -> None:
    started = crate("run", "-d", "-p", "0:5001", "--name", "it", "--json", image).succeeded().json
    port = started["ports"]["5001"]
    assert started["ready"] is True
    assert get(port).startswith("image got")
    row = listed(crate)["it"]
    assert (row["status"], row["image"], row["ports"]) == ("running", image, {"5001": port})
    shown = crate("ps").succeeded().out
    assert f"127.0.0.1:{port}->5001" in shown
    assert "running" in shown
    crate("rm", "it").failed(2, "the container it runs")
    assert crate("stop", "it").succeeded().out == "it  exit code 7\n"
    assert listed(crate) == {}
    ended = listed(crate, "-a")["it"]
    assert (ended["status"], ended["exit_code"]) == ("ended", 7)
    assert "1 that ended" in crate("ps").out
    assert "exit code 7" in crate("ps", "--all").out
    again = crate("start", "it", "--json").succeeded().json
    assert get(again["ports"]["5001"]).startswith("image got")
    assert crate("logs", "it").out == "listening\nbye\nlistening\n"
    crate("start", "it").failed(2, "runs already")
    assert crate("rm", "-f", "it").succeeded().out == "it\n"
    assert listed(crate, "-a") == {}
    crate("logs", "it").failed(2, "no container 'it'", "ps --all")


def test_variables_user_folder_and_entry_point(crate: Crate, image: str, tmp_path: Path) -> None:
    (tmp_path / "vars").write_text("\n# a comment\nFILE=of the file\nBOTH=file\nWHO\nNOT_HERE\n", encoding="utf-8")
    script = "echo $(id -u):$(id -g); pwd; echo $FILE, $BOTH, $WHO, ${NOT_HERE-unset}"
    words = (
        "--env-file",
        "vars",
        "-e",
        "BOTH=option",
        "-e",
        "NOT_HERE_EITHER",
        "-w",
        "/tmp",
        "-u",
        "77:78",
        "--entrypoint",
        "sh",
    )
    done = crate("run", "--rm", *words, image, "-c", script).succeeded()
    assert done.out == "77:78\n/tmp\nof the file, option, from here, unset\n"
    assert listed(crate, "-a") == {}


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("-e", "=x"), "not a variable"),
        (("-w", "srv"), "not a working folder"),
        (("-v", "none:/x"), "no named volumes"),
        (("-v", "./none:/x"), "no folder or file to mount"),
        (("-v", ".:/proc"), "nothing can be mounted on /proc"),
        (("-u", "nobody-here"), "no user 'nobody-here'"),
        (("--wait", "-1"), "--wait"),
        (("--name", "a/b"), "not a container name"),
    ],
)
def test_wrong_words(crate: Crate, image: str, words: tuple[str, ...], message: str) -> None:
    crate("run", *words, image).failed(2, message)
    assert listed(crate, "-a") == {}


def test_folders_of_the_machine(crate: Crate, image: str, tmp_path: Path) -> None:
    for name in ("data", "model"):
        (tmp_path / name).mkdir()
        (tmp_path / name).chmod(0o777)
        (tmp_path / name / "in").write_text(f"{name}\n")
    (tmp_path / "one").write_text("one file\n")
    script = (
        "cat /data/in /srv/model/in /etc/one; echo out > /data/out; (echo x > /srv/model/x) 2>/dev/null || echo read-only;"
        "(echo x > /srv/x) 2>/dev/null || echo no root"
    )
    mounts = ("-v", "./data:/data", "-v", f"{tmp_path}/model:/srv/model:ro", "-v", "./one:/etc/one:ro", "--read-only")
    done = crate("run", "--rm", *mounts, image, "sh", "-c", script).succeeded()
    assert done.out == "data\nmodel\none file\nread-only\nno root\n"
    assert (tmp_path / "data" / "out").read_text() == "out\n"
    assert [path.name for path in (tmp_path / "model").iterdir()] == ["in"]


def test_a_taken_port_is_said_before_anything_is_unpacked(crate: Crate, image: str, tmp_path: Path) -> None:
    with socket.socket() as held:
        held.bind(("127.0.0.1", 0))
        held.listen()
        port = held.getsockname()[1]
        crate("run", "-p", f"{port}:5001", image).failed(2, f"can't publish port {port}")
    assert not (tmp_path / "home" / "containers").exists()


def test_what_is_not_ready_runs_and_the_message_says_how_to_look(crate: Crate, image: str) -> None:
    words = ("run", "-d", "-p", "0:5001", "--name", "slow", image, "sh", "-c", "echo loading; sleep 1000")
    demanded = crate(words[0], "--wait", "0.2", *words[1:])
    assert demanded.code == 6
    assert "the container slow runs, and is not ready after 0.2 seconds" in demanded.err
    assert "modelcrate logs -f slow" in demanded.err
    assert "nothing was changed" not in demanded.err
    assert listed(crate)["slow"]["status"] == "running"
    assert crate("logs", "slow").out == "loading\n"
    crate("kill", "slow").succeeded()
    assert crate(words[0], "--no-wait", *words[1:]).succeeded().out == "slow\n"
    assert listed(crate)["slow"]["status"] == "running"


def test_any_answer_of_an_image_without_a_health_path_says_that_it_is_ready(crate: Crate, image: str) -> None:
    """A web application need have nothing at `/`."""
    serves = (
        'socket(S, 2, 1, 0) && bind(S, pack("S n N x8", 2, 5001, 0)) && listen(S, 5) or die $!;'
        'while (accept(C, S)) { sysread C, $_, 999; syswrite C, "HTTP/1.1 404 Not Found\\r\\nContent-Length: 0\\r\\n\\r\\n"; close C }'
    )
    program = (image, "perl", "-e", serves)
    done = crate("run", "-d", "--wait", str(HANG), "-p", "0:5001", "--name", "web", *program).succeeded()
    assert "web: it answers" in done.err
    settings, options = modelcrate.Config(crate.home), modelcrate.ContainerOptions(command=program[1:])
    modelcrate.run(image, name="again", ports={0: 5001}, wait=HANG, options=options, settings=settings)


def test_an_end_before_an_answer_is_an_error_with_the_log(crate: Crate, image: str) -> None:
    crate("run", "-d", "-p", "0:5001", image, "sh", "-c", "echo the reason; exit 3").failed(
        6, "exit code 3", "the reason"
    )


def test_removed_by_itself(crate: Crate, image: str) -> None:
    crate("run", "-d", "--rm", "--name", "it", image, "sh", "-c", "sleep 1000").succeeded()
    assert listed(crate)["it"]["status"] == "running"
    crate("stop", "-t", "0", "it").succeeded()
    assert listed(crate, "-a") == {}
    done = crate("run", "--rm", "--name", "it", image, "sh", "-c", "echo out; exit 9")
    assert (done.code, done.out) == (9, "out\n")
    assert listed(crate, "-a") == {}


def test_of_an_index_the_image_of_this_machine_runs(crate: Crate, rootfs: Literal, tmp_path: Path) -> None:
    say = {"Entrypoint": ["sh", "-c"], "Cmd": ["echo mine"]}
    image = write_index(tmp_path / "both", {OTHER: ([rootfs], {"Cmd": ["not this one"]}), MINE: ([rootfs], say)})
    assert crate("run", "--rm", image).succeeded().out == "mine\n"
    others = write_index(tmp_path / "others", {"s390x": ([rootfs], say), "ppc64le": ([rootfs], say)})
    crate("run", "--rm", others).failed(3, f"no image for linux/{MINE}", "linux/s390x", "--platform")
    shown = crate("run", "--rm", "--platform", "linux/s390x", others).succeeded()
    assert f"the image is for linux/s390x, and this machine is linux/{MINE}" in shown.err


def test_a_program_in_a_container(crate: Crate, image: str) -> None:
    crate("run", "-d", "--name", "it", "-e", "A=run", image).succeeded()
    script = "echo $(id -u) $(pwd) $WHO $A $B $HOME; echo wrong >&2; exit 4"
    done = crate("exec", "-e", "B=exec", "it", "sh", "-c", script)
    assert (done.code, done.out, done.err) == (4, "4321 /srv image run exec /home/server\n", "wrong\n")
    assert crate("exec", "-w", "/", "it", "sh", "-c", "pwd").out == "/\n"
    if os.geteuid() == 0:
        assert crate("exec", "-u", "0", "it", "sh", "-c", "id -u; echo $HOME").out == "0\n/root\n"
    assert crate("exec", "it", "sh", "-c", "cat").out == ""  # it has no input
    fed = subprocess.run(
        [*crate.command("exec", "-i", "it", "cat")],
        input=b"x" * 300_000,
        capture_output=True,
        env=crate.environment,
        cwd=crate.folder,
    )
    assert fed.stdout == b"x" * 300_000
    crate("exec", "it", "no-such-program").failed(2, "can't start 'no-such-program'")
    crate("exec", "it").failed(2, "no program to run")
    crate("exec", "-t", "it", "sh").failed(2, "not a terminal")
    crate("stop", "-t", "0", "it").succeeded()
    crate("exec", "it", "id").failed(2, "does not run", "modelcrate start it")


def test_a_program_in_a_container_has_no_more_rights_than_its_own(crate: Crate, image: str) -> None:
    crate("run", "-d", "--name", "it", "-u", "0", image).succeeded()
    script = (
        "my ($x, $at, $kind) = ('x', '/srv', 'tmpfs'); print qq(mount\\n) if syscall(165, $x, $at, $kind, 0, 0) >= 0; print qq(unshare\\n) if syscall(272, 0x10000000) >= 0;"
        "open F, '/proc/self/status'; while (<F>) { print if /^(CapEff|CapBnd|NoNewPrivs|Seccomp):/ }"
    )
    own = crate("exec", "it", "perl", "-e", script).succeeded().out
    assert "mount" not in own
    assert "unshare" not in own
    assert "NoNewPrivs:\t1" in own
    assert "Seccomp:\t2" in own
    assert "CapEff:\t00000000000005fb" in own
    assert "CapBnd:\t00000000000005fb" in own


def test_signals_reach_a_program_in_a_container(crate: Crate, image: str) -> None:
    crate("run", "-d", "--name", "it", image).succeeded()
    script = "trap 'echo got it; exit 5' TERM; echo up; while :; do sleep 0.05; done"
    with subprocess.Popen(
        crate.command("exec", "it", "sh", "-c", script),
        stdout=subprocess.PIPE,
        text=True,
        env=crate.environment,
        cwd=crate.folder,
    ) as front:
        assert front.stdout is not None
        assert front.stdout.readline() == "up\n"
        front.send_signal(signal.SIGTERM)
        assert front.stdout.read() == "got it\n"
    assert front.returncode == 5


def test_a_terminal_in_a_container(crate: Crate, image: str) -> None:
    crate("run", "-d", "--name", "it", image).succeeded()
    with Terminal(crate.command("exec", "-it", "it", "sh"), crate.environment) as terminal:
        terminal.write("PS1=; [ -t 0 ] && [ -t 1 ] && echo a $((20 + 3)) terminal\n")
        terminal.read_until("a 23 terminal")
        terminal.write("exit 6\n")
        assert terminal.wait() == 6


def test_logs_by_lines_and_by_time(crate: Crate, image: str) -> None:
    crate(
        "run", "-d", "--name", "it", image, "sh", "-c", "echo one; echo two; sleep 3; echo three; sleep 1000"
    ).succeeded()
    until(lambda: crate("logs", "it").out == "one\ntwo\nthree\n")
    assert crate("logs", "--tail", "1", "it").out == "three\n"
    assert crate("logs", "-n", "2", "it").out == "two\nthree\n"
    assert crate("logs", "-n", "0", "it").out == ""
    assert crate("logs", "--tail", "all", "it").out == "one\ntwo\nthree\n"
    assert crate("logs", "--since", "1h", "it").out == "one\ntwo\nthree\n"
    began = listed(crate)["it"]["started"]
    assert crate("logs", "--since", str(began + 2), "it").out == "three\n"
    until(lambda: "three" not in crate("logs", "--since", "1s", "it").out)
    crate("logs", "--since", "yesterday", "it").failed(2, "not a time")
    crate("logs", "--tail", "x", "it").failed(2, "not a number of lines")
    with subprocess.Popen(
        crate.command("logs", "-f", "--tail", "1", "it"),
        stdout=subprocess.PIPE,
        text=True,
        env=crate.environment,
        cwd=crate.folder,
    ) as following:
        assert following.stdout is not None
        assert following.stdout.readline() == "three\n"
        crate("stop", "-t", "0", "it").succeeded()
        assert following.stdout.read() == ""


def test_a_signal_by_name(crate: Crate, image: str) -> None:
    crate("run", "-d", "--name", "it", image).succeeded()
    until(lambda: "listening" in crate("logs", "it").out)
    crate("kill", "-s", "NONE", "it").failed(2, "no signal")
    crate("kill", "--signal", "term", "it").succeeded()
    until(lambda: listed(crate, "-a")["it"]["status"] == "ended")
    assert listed(crate, "-a")["it"]["exit_code"] == 7
    crate("kill", "-s", "TERM", "it").failed(2, "does not run")


def test_a_container_whose_state_is_damaged_is_found_by_its_processes(crate: Crate, image: str, tmp_path: Path) -> None:
    crate("run", "-d", "-p", "0:5001", "--name", "it", image).succeeded()
    state = tmp_path / "home" / "containers" / "it" / "state.json"
    for damaged in (b"", b"{", b"[]", b'{"status": "ended"}', b"\xff\xfe", None):
        state.unlink()
        if damaged is not None:
            state.write_bytes(damaged)
        assert listed(crate)["it"]["status"] == "running"
        crate("run", "--name", "it", image).failed(2, "runs already")
        crate("rm", "it").failed(2, "the container it runs")
        assert crate("exec", "it", "sh", "-c", "echo inside").out == "inside\n"
        if damaged is not None:
            assert not state.exists() or state.read_bytes() == damaged
    assert crate("stop", "it").succeeded().out == "it  exit code 7\n"
    assert listed(crate, "-a")["it"]["status"] == "ended"


def test_a_damaged_container_that_has_ended_can_be_removed(crate: Crate, image: str, tmp_path: Path) -> None:
    crate("run", "--name", "it", image, "sh", "-c", "exit 0").succeeded()
    folder = tmp_path / "home" / "containers" / "it"
    for name in ("state.json", "spec.json"):
        (folder / name).write_text("?")
    assert listed(crate, "-a")["it"]["status"] == "ended"
    crate("start", "it").failed(6, "can't be read")
    crate("rm", "it").succeeded()
    assert not folder.exists()


def test_a_container_outlives_the_terminal_that_it_was_started_from(crate: Crate, image: str) -> None:
    with Terminal(["sh"], {**crate.environment, "PS1": ""}) as terminal:
        terminal.write(
            shlex.join(crate.command("run", "-d", "-p", "0:5001", "--name", "it", image)) + "; echo do''ne\n"
        )
        terminal.read_until("done")
    time.sleep(0.2)
    row = listed(crate)["it"]
    assert row["status"] == "running"
    assert get(row["ports"]["5001"]).startswith("image got")


def test_each_process_killed_in_turn(crate: Crate, image: str, tmp_path: Path) -> None:
    crate("run", "-d", "--name", "it", image).succeeded()
    held = json.loads((tmp_path / "home" / "containers" / "it" / "state.json").read_text())
    os.kill(held["main"]["pid"], signal.SIGKILL)
    until(lambda: listed(crate, "-a")["it"]["status"] == "ended")
    assert listed(crate, "-a")["it"]["exit_code"] == 137
    crate("start", "it").succeeded()
    held = json.loads((tmp_path / "home" / "containers" / "it" / "state.json").read_text())
    os.kill(held["supervisor"]["pid"], signal.SIGKILL)
    until(lambda: listed(crate, "-a")["it"]["status"] in ("orphaned", "ended"))
    crate("stop", "-t", "0", "it").succeeded()
    assert listed(crate, "-a")["it"]["status"] == "ended"
    assert not ProcessId(**held["main"]).alive()


def test_started_again_until_it_is_stopped_or_has_failed_often_enough(crate: Crate, image: str, tmp_path: Path) -> None:
    count = ["sh", "-c", "echo run; exit 3"]
    crate("run", "-d", "--no-wait", "--name", "fails", "--restart", "2", image, *count).succeeded()
    until(lambda: listed(crate, "-a")["fails"]["status"] == "ended")
    found = listed(crate, "-a")["fails"]
    assert (found["exit_code"], found["restarts"]) == (3, 2)
    assert crate("logs", "fails").out == "run\n" * 3
    crate(
        "run", "-d", "--no-wait", "--name", "well", "--restart", "on-failure", image, "sh", "-c", "echo run"
    ).succeeded()
    until(lambda: listed(crate, "-a")["well"]["status"] == "ended")
    assert crate("logs", "well").out == "run\n"
    started = (
        crate("run", "-d", "--json", "-p", "0:5001", "--name", "serves", "--restart", "always", image).succeeded().json
    )
    port = started["ports"]["5001"]
    for number in (1, 2):
        crate("kill", "--signal", "KILL", "serves").succeeded()
        until(lambda number=number: listed(crate)["serves"]["restarts"] == number)  # type: ignore[misc]
        until(lambda: answers(port))
    assert "started again 2 times" in crate("ps").out
    crate("stop", "serves").succeeded()
    assert listed(crate, "-a")["serves"]["status"] == "ended"
    crate("start", "serves").succeeded()
    assert listed(crate)["serves"]["restarts"] == 0
    crate("rm", "-f", "serves").succeeded()


def answers(port: int) -> bool:
    try:
        return bool(get(port))
    except OSError:
        return False


def test_each_process_killed_in_turn_of_one_that_is_started_again(crate: Crate, image: str, tmp_path: Path) -> None:
    """The program's parent, and then the supervisor above both."""
    crate("run", "-d", "--no-wait", "--name", "serves", "--restart", "always", image).succeeded()
    state = json.loads((tmp_path / "home/containers/serves/state.json").read_text())
    between = parent_of(state["main"]["pid"])
    assert parent_of(between) == state["supervisor"]["pid"]
    os.kill(between, signal.SIGKILL)
    until(lambda: listed(crate)["serves"]["restarts"] == 1)
    os.kill(state["supervisor"]["pid"], signal.SIGKILL)
    until(lambda: listed(crate, "-a")["serves"]["status"] in ("ended", "orphaned"))
    crate("rm", "-f", "serves").succeeded()
    assert listed(crate, "-a") == {}


def test_limits_of_memory_and_processors(crate: Crate, image: str) -> None:
    if why_not("runc"):
        crate("run", "--memory", "64m", image, "sh", "-c", "exit 0").failed(6, "only a runtime")
        return
    tells = "cat /sys/fs/cgroup/memory.max /sys/fs/cgroup/memory/memory.limit_in_bytes 2>/dev/null; exit 0"
    assert crate("run", "--memory", "64m", "--cpus", "0.5", "-u", "0", image, "sh", "-c", tells).code == 0
    eats = 'my $x = "x" x (200 << 20); print "ate it\\n"'
    eaten = crate("run", "--memory", "64m", image, "perl", "-e", eats)
    assert (eaten.code, eaten.out) == (137, "")
    assert crate("run", image, "perl", "-e", eats).succeeded().out == "ate it\n"
    crate("run", "--engine", "namespaces", "--memory", "64m", image, "sh").failed(6, "only a runtime")


def test_the_library_starts_containers_with_the_same_options(crate: Crate, image: str, tmp_path: Path) -> None:
    (tmp_path / "data").mkdir()
    (tmp_path / "data/in").write_text("of the machine")
    script = "cat /data/in; pwd; id -u; echo $A; touch /x 2>/dev/null || echo read-only; exit 3"
    settings = modelcrate.Config(crate.home)
    options = modelcrate.ContainerOptions(
        command=["-c", script], entrypoint="sh", user="77:78", workdir="/tmp", restart=1, read_only=True, network="none",
        volumes=f"{tmp_path}/data:/data:ro",
    )  # fmt: skip
    container = modelcrate.run(image, name="it", env={"A": "a"}, options=options, settings=settings)
    assert container.wait(HANG) == 3
    assert b"".join(container.logs()).decode() == "of the machine/tmp\n77\na\nread-only\n" * 2
    assert listed(crate, "-a")["it"]["restarts"] == 1
    with pytest.raises(UserError, match="no CDI file describes the device x/y=z"):
        modelcrate.run(image, name="other", options=modelcrate.ContainerOptions(devices="x/y=z"), settings=settings)
    sleeps = modelcrate.ContainerOptions(command=["sleep", "1000"], keep=True)
    with pytest.raises(NotReadyError, match=r"not ready after 0\.2 seconds"):
        modelcrate.run(image, name="other", ports={0: 5001}, wait=0.2, options=sleeps, settings=settings)
    assert listed(crate)["other"]["status"] == "running"
    if not why_not("runc"):
        eats = ["perl", "-e", 'my $x = "x" x (200 << 20); print "ate it\\n"']
        small = modelcrate.ContainerOptions(command=eats, memory=64 << 20, cpus=0.5, remove=True, engine="runc")
        container = modelcrate.run(image, name="small", options=small, settings=settings)
        until(lambda: "small" not in listed(crate, "-a"))


def test_no_network_at_all(crate: Crate, image: str) -> None:
    assert crate("run", "--network", "none", image, "sh", "-c", "cat /proc/net/dev").succeeded().out.count(":") == 1
    crate("run", "--network", "none", "-p", "0:5001", image).failed(2, "publishes no port")


def test_files_out_of_a_container_and_into_it(crate: Crate, image: str, tmp_path: Path) -> None:
    made = "mkdir -p /home/server/out/deep; echo one > /home/server/out/a; echo two > /home/server/out/deep/b; cd /home/server/out; exec sleep 1000"
    (tmp_path / "mounted").mkdir()
    (tmp_path / "mounted/m").write_text("of the machine")
    words = ("-u", "0", "-v", f"{tmp_path}/mounted:/v:ro", "--name", "it", image, "sh", "-c", f"{made}")
    crate("run", "-d", *words).succeeded()
    until(lambda: crate("exec", "it", "cat", "/home/server/out/deep/b").code == 0)
    assert crate("cp", "it:/home/server/out", "got", "--json").succeeded().json == {
        "files": 2,
        "size": 8,
        "left_out": 0,
    }
    assert (tmp_path / "got/deep/b").read_text() == "two\n"
    crate("cp", "it:/home/server/out", "got").succeeded()  # the folder is there now
    assert (tmp_path / "got/out/a").read_text() == "one\n"
    crate("cp", "it:/home/server/out/.", "got").succeeded()
    crate("cp", "it:/home/server/out/a", "b").succeeded()
    assert (tmp_path / "b").read_text() == "one\n"
    crate("cp", "it:/v/m", "m").succeeded()
    assert (tmp_path / "m").read_text() == "of the machine"
    crate("cp", "b", "it:/home/server/").succeeded()
    assert crate("exec", "it", "cat", "/home/server/b").out == "one\n"
    crate("cp", "got/.", "it:/home/server/new").succeeded()
    assert crate("exec", "it", "cat", "/home/server/new/out/deep/b").out == "two\n"
    crate("cp", "b", "it:/v/x").failed(6, "can't copy")
    crate("cp", "it:/nothing", "x").failed(2, "no such file or folder")
    crate("cp", "it:/home/server/out", "b").failed(2, "a folder can't be copied to a file")
    crate("cp", "it:/home/server/out/a", "none/").failed(2, "no such folder")
    crate("cp", "b", "x").failed(2, "has to be a container's path")
    crate("cp", "it:relative", "x").failed(2, "expected an absolute path")
    crate("cp", "it:/../etc", "x").failed(2, "not a path of a container")
    crate("stop", "-t", "0", "it").succeeded()
    crate("cp", "it:/home/server/out/a", "c").failed(2, "its files are gone")


def test_a_container_that_lays_traps_for_copies(crate: Crate, image: str, tmp_path: Path) -> None:
    outside = tmp_path / "outside"
    outside.mkdir()
    (outside / "secret").write_text("secret")
    links = {
        "out": outside,
        "secret": outside / "secret",
        "up": f"../../../../../..{outside}",
        "root": "/",
        "link": "in",
        "proc": "/proc/self/cwd",
    }
    traps = "mkdir '/t'; mkdir '/t/in'; open(F, '>', '/t/in/x'); close F; my $fifo = '/t/fifo'; syscall(133, $fifo, 010644, 0); $| = 1;"
    traps += "".join(f"symlink('{target}', '/t/{name}') or die;" for name, target in links.items())
    crate(
        "run", "-d", "-u", "0", "--name", "it", image, "perl", "-e", f"{traps} print qq(ready\n); sleep 1000"
    ).succeeded()
    until(lambda: "ready" in crate("logs", "it").out)
    assert crate("cp", "it:/t", "got", "--json").succeeded().json["left_out"] == 1
    assert (tmp_path / "got/secret").is_symlink()
    (tmp_path / "mine").write_text("mine")
    for place in ("/t/out/new", "/t/up/new"):
        crate("cp", "mine", f"it:{place}").failed(2, "can't copy")
    crate("cp", "it:/t/out/secret", "x").failed(2, "no such file")
    crate("cp", "mine", "it:/t/secret").succeeded()  # the link in the container is replaced
    crate("cp", "it:/t", "got").succeeded()  # into the folder with the first copy's links
    crate("cp", "it:/t/.", "got").succeeded()  # over them
    crate("cp", "it:/proc", "p").succeeded()
    assert not list(tmp_path.glob("p/*"))
    assert [path.name for path in outside.iterdir()] == ["secret"]
    assert (outside / "secret").read_text() == "secret"


@pytest.mark.skipif(os.geteuid() != 0, reason="only root may make devices")
def test_devices_that_a_cdi_file_describes(crate: Crate, image: str, tmp_path: Path) -> None:
    """A tree of devices that are /dev/null under another name, a library, and a hook that tells that it ran."""
    for name in ("dev", "cdi"):
        (tmp_path / name).mkdir()
    for name in ("nvidia0", "nvidiactl"):
        os.mknod(tmp_path / "dev" / name, 0o666 | stat.S_IFCHR, os.makedev(1, 3))
        (tmp_path / "dev" / name).chmod(0o666)
    (tmp_path / "libcuda.so").write_text("the driver's")
    (tmp_path / "hook").write_text(f"#!/bin/sh\ncat > {tmp_path}/ran\n")
    (tmp_path / "hook").chmod(0o755)
    edits = {
        "env": ["NVIDIA_VISIBLE_DEVICES=void"],
        "deviceNodes": [{"path": "/dev/nvidiactl", "hostPath": f"{tmp_path}/dev/nvidiactl"}],
        "mounts": [{"hostPath": f"{tmp_path}/libcuda.so", "containerPath": "/usr/lib/libcuda.so.1", "options": ["ro"]}],
    }
    card = {"deviceNodes": [{"path": "/dev/nvidia0", "hostPath": f"{tmp_path}/dev/nvidia0", "permissions": "rw"}]}
    document: dict[str, Any] = {"cdiVersion": "0.5.0", "kind": "nvidia.com/gpu", "containerEdits": edits}
    document["devices"] = [{"name": name, "containerEdits": card} for name in ("0", "all")]
    file = tmp_path / "cdi/nvidia.json"
    file.write_text(json.dumps(document))
    crate = replace(crate, environment={**crate.environment, "MODELCRATE_CDI_DIRS": f"{tmp_path}/cdi"})
    script = "[ -c /dev/nvidia0 ] && echo x > /dev/nvidia0 && echo x > /dev/nvidiactl && cat /usr/lib/libcuda.so.1 && echo $NVIDIA_VISIBLE_DEVICES"
    for engine in ("runc", "namespaces"):
        if not why_not(engine):
            done = crate("run", "--engine", engine, "--gpus", "all", "-u", "10001", image, "sh", "-c", script)
            assert done.succeeded().out == "the driver'svoid\n"
            without = crate("run", "--engine", engine, image, "sh", "-c", "[ -e /dev/nvidia0 ] || echo none")
            assert without.succeeded().out == "none\n"
    document["containerEdits"]["hooks"] = [{"hookName": "createContainer", "path": f"{tmp_path}/hook"}]
    file.write_text(json.dumps(document))
    if not why_not("runc"):
        crate("run", "--engine", "runc", "--device", "nvidia.com/gpu=0", image, "sh", "-c", script).succeeded()
        assert json.loads((tmp_path / "ran").read_text())["status"] == "creating"
    crate("run", "--engine", "namespaces", "--gpus", "1", image, "sh").failed(6, "only a runtime")
    crate("run", "--gpus", "device=9", image, "sh").failed(2, "nvidia-ctk cdi generate")
    (tmp_path / "dev/nvidia0").unlink()
    crate("run", "--gpus", "all", image, "sh").failed(2, "there is no such device")


def test_started_again_from_a_kept_root_and_from_the_image(crate: Crate, image: str) -> None:
    count = "cat /count 2>/dev/null; echo x >> /count"
    for keep, second in ((("--keep",), "x\n"), ((), "")):
        crate("run", "-u", "0", "--name", "it", *keep, image, "sh", "-c", count).succeeded()
        assert crate("start", "--attach", "it").succeeded().out == second
        crate("rm", "it").succeeded()


def test_started_again_where_the_image_is_another_now(
    crate: Crate, image: str, rootfs: Literal, tmp_path: Path
) -> None:
    crate("run", "--name", "it", image, "sh", "-c", "exit 0").succeeded()
    write_layout(tmp_path / "image", [rootfs], {"Cmd": ["sh"]})
    crate("start", "it").failed(2, "not to be had any more", image)
    assert listed(crate, "-a")["it"]["status"] == "ended"


def test_a_kept_root_that_its_program_has_changed_into_a_trap(crate: Crate, image: str, tmp_path: Path) -> None:
    (tmp_path / "outside").mkdir()
    (tmp_path / "outside").chmod(0o777)
    trap = f"symlink '{tmp_path}/outside', '/srv/dev' or die"
    crate("run", "--keep", "-u", "0", "--name", "it", image, "perl", "-e", trap).succeeded()
    rootfs = tmp_path / "home" / "containers" / "it" / "rootfs"
    (rootfs / "dev").rmdir()  # a program can't do this below a mount; one that was started with another root could
    (rootfs / "srv" / "dev").rename(rootfs / "dev")
    done = crate("start", "--attach", "it").succeeded()
    assert "/dev of the image was no folder" in done.err
    assert list((tmp_path / "outside").iterdir()) == []


def test_chroot_says_what_it_does_not_hold(crate: Crate, image: str) -> None:
    if why := why_not("chroot"):
        pytest.skip(why)
    done = crate("run", "--rm", "--engine", "chroot", image, "sh", "-c", "echo hi").succeeded()
    assert done.out == "hi\n"
    assert "chroot is no container" in done.err
    assert "ptrace" in done.err


def test_what_a_killed_process_was_making_is_removed_by_the_next_start(
    crate: Crate, image: str, tmp_path: Path
) -> None:
    state_dir = tmp_path / "home" / "containers"
    for name in (
        ".new-4194304-1000000001",
        ".gone-4194304-1000000002",
        f".gone-{os.getpid()}-1000000003",
    ):  # pids end at 4194304
        (state_dir / name / "rootfs").mkdir(parents=True)
    crate("run", "--rm", image, "sh", "-c", "exit 0").succeeded()
    assert [path.name for path in state_dir.iterdir()] == [f".gone-{os.getpid()}-1000000003"]


def test_times_in_ps_are_words(crate: Crate, image: str) -> None:
    began = time.time()
    crate("run", "--name", "it", image, "sh", "-c", "exit 0").succeeded()
    row = listed(crate, "-a")["it"]
    assert began <= row["started"] <= row["ended"] <= time.time()
    assert "second" in crate("ps", "-a").out
