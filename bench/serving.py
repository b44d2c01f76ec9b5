"""Servers of one model beside each other: requests a second and latencies at 1, 8 and 64 clients, by wrk.

Every server has one worker and the settings it comes with, each in an environment of its own, and answers the same row of the
diabetes model. They take turns, several rounds of them, so that what else the machine does strikes all alike.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import signal
import statistics
import subprocess
import time
import urllib.request
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from uv import find_uv_bin

from bench.lab import REPOSITORY, Lab, Lacking
from support.ports import free_port

CLIENTS = (1, 8, 64)
SECONDS = 2
ROW = [0.01, 0.05, 0.06, 0.02, -0.04, -0.03, -0.04, 0.0, 0.02, -0.02]
DEMO = REPOSITORY / "fixtures/projects/diabetes"
MODEL = DEMO / "model/sklearn_regression_model.pkl"
SKLEARN = "scikit-learn==1.9.1"
BATCHED = """
import json
import os
from pathlib import Path

import joblib
import numpy


def init():
    global model
    model = joblib.load(Path(os.environ["AZUREML_MODEL_DIR"]) / "sklearn_regression_model.pkl")


def run(inputs):
    rows = [json.loads(each)["data"] for each in inputs]
    found = iter(model.predict(numpy.concatenate(rows)).tolist())
    return [[next(found) for _ in each] for each in rows]
"""
"""The demo's script for several requests at once."""
BENTO = """
import bentoml
import joblib
import numpy


@bentoml.service
class Diabetes:
    def __init__(self):
        self.model = joblib.load("model.pkl")

    @bentoml.api
    def predict(self, data: list[list[float]]) -> list[float]:
        return self.model.predict(numpy.array(data)).tolist()
"""
MLSERVER = {"name": "diabetes", "implementation": "mlserver_sklearn.SKLearnModel", "parameters": {"uri": "model.pkl"}}
SAVE = """
import joblib
import mlflow.sklearn

mlflow.sklearn.save_model(joblib.load("model.pkl"), "saved", serialization_format="cloudpickle")
"""


@dataclass(frozen=True, slots=True)
class Contender:
    """A server: what it needs, what is written for it, and how it is started and asked.

    Attributes:
        name: What it is called.
        packages: Requirements of its environment.
        files: Texts by file name.
        argv: Its command line, from the folder of its programs and a port.
        path: The path of predictions.
        body: A request.
        env: Its variables.
        setup: A Python script that is run once in its folder.
    """

    name: str
    packages: tuple[str, ...]
    argv: Callable[[Path, int], Sequence[str]]
    path: str
    body: object
    files: Mapping[str, str]
    env: Callable[[int], Mapping[str, str]] = lambda port: {}
    setup: str = ""


def _ours(more: Mapping[str, str]) -> Callable[[int], Mapping[str, str]]:
    return lambda port: {
        "PYTHONPATH": str(REPOSITORY / "layers"),
        "AZUREML_ENTRY_SCRIPT": "score.py",
        "MODELCRATE_HOST": "127.0.0.1",
        **more,
    }


def _module(bin_: Path, port: int) -> Sequence[str]:
    return [str(bin_ / "python"), "-m", "modelcrate_server", "--port", str(port)]


_ROWS = {"data": [ROW]}
_SCRIPT = {"score.py": (DEMO / "src/score.py").read_text()}
_OURS = ("gunicorn", SKLEARN)
CONTENDERS = (
    Contender("modelcrate", _OURS, _module, "/score", _ROWS, _SCRIPT, _ours({})),
    Contender(
        "modelcrate, batch",
        _OURS,
        _module,
        "/score",
        _ROWS,
        {"score.py": BATCHED},
        _ours({"MODELCRATE_BATCH_MAX": "32"}),
    ),
    Contender(
        "azureml-inference-server-http",
        ("azureml-inference-server-http==1.5.1", SKLEARN),
        lambda bin_, port: [str(bin_ / "azmlinfsrv"), "--entry_script", "score.py", "--port", str(port)],
        "/score",
        _ROWS,
        _SCRIPT,
    ),
    Contender(
        "MLServer",
        ("mlserver==1.7.1", "mlserver-sklearn==1.7.1", "uvloop<0.22", SKLEARN),
        lambda bin_, port: [str(bin_ / "mlserver"), "start", "."],
        "/v2/models/diabetes/infer",
        {"inputs": [{"name": "x", "shape": [1, 10], "datatype": "FP64", "data": [ROW]}]},
        {"model-settings.json": json.dumps(MLSERVER)},
        lambda port: {
            "MLSERVER_HTTP_PORT": str(port),
            "MLSERVER_GRPC_PORT": str(free_port()),
            "MLSERVER_METRICS_PORT": str(free_port()),
        },
    ),
    Contender(
        "BentoML",
        ("bentoml==1.4.40", SKLEARN),
        lambda bin_, port: [str(bin_ / "bentoml"), "serve", "service:Diabetes", "--port", str(port)],
        "/predict",
        _ROWS,
        {"service.py": BENTO},
        lambda port: {"BENTOML_DO_NOT_TRACK": "true"},
    ),
    Contender(
        "mlflow models serve",
        ("mlflow==3.17.2", SKLEARN),
        lambda bin_, port: [
            *(str(bin_ / "mlflow"), "models", "serve", "-m", "saved", "--env-manager", "local"),
            *("--host", "127.0.0.1", "--port", str(port)),
        ],
        "/invocations",
        {"inputs": [ROW]},
        {},
        setup=SAVE,
    ),
)


@dataclass(frozen=True, slots=True)
class Shot:
    """What wrk measured: requests a second, milliseconds at the median and at the 99th percentile, requests that failed."""

    rate: float
    p50: float
    p99: float
    failed: int


def run(lab: Lab) -> dict[str, Any]:
    """Measures all servers that can be had here.

    Raises:
        Lacking: wrk is not installed, or our own server does not start.
    """
    if shutil.which("wrk") is None:
        raise Lacking("wrk is not installed")
    with ExitStack() as stack:
        running: dict[str, tuple[Contender, int, Path]] = {}
        missing = []
        for contender in CONTENDERS:
            folder = lab.folder / "serving" / re.sub(r"\W+", "-", contender.name)
            try:
                port = stack.enter_context(_started(contender, folder, lab))
            except (OSError, subprocess.CalledProcessError, TimeoutError) as why:
                missing.append(f"{contender.name}: {why}")
                continue
            running[contender.name] = contender, port, folder
        if "modelcrate" not in running:
            raise Lacking("; ".join(missing))
        shots: dict[str, dict[int, list[Shot]]] = {name: {count: [] for count in CLIENTS} for name in running}
        for turn in range(lab.runs + 1):
            for count in CLIENTS:
                for name in lab.order.sample(sorted(running), len(running)):
                    shot = _shot(*running[name], count)
                    if turn:  # the first one warms
                        shots[name][count].append(shot)
    return {
        "date": datetime.now(UTC).strftime("%Y-%m-%d %H:%M"),
        "load": round(os.getloadavg()[0], 1),
        "machine": _machine(),
        "runs": lab.runs,
        "missing": missing,
        "servers": {
            name: {str(count): _middle(each) for count, each in found.items()} for name, found in shots.items()
        },
    }


def _machine() -> str:
    cpu = next((line for line in Path("/proc/cpuinfo").read_text().splitlines() if line.startswith("model name")), "")
    return f"{cpu.partition(': ')[2]}, {os.cpu_count()} cores"


def _middle(shots: Sequence[Shot]) -> dict[str, float]:
    middle = {name: statistics.median(getattr(each, name) for each in shots) for name in ("rate", "p50", "p99")}
    return {**middle, "failed": sum(each.failed for each in shots)}


@contextmanager
def _started(contender: Contender, folder: Path, lab: Lab) -> Iterator[int]:
    folder.mkdir(parents=True)
    shutil.copy(MODEL, folder / "model.pkl")
    for name, text in contender.files.items():
        (folder / name).write_text(text)
    bin_ = _environment(contender.packages, lab)
    port = free_port()
    env = {"PATH": f"{bin_}:{os.environ['PATH']}", "HOME": str(folder), "AZUREML_MODEL_DIR": str(MODEL.parent)}
    env |= contender.env(port)
    if contender.setup:
        subprocess.run([bin_ / "python", "-c", contender.setup], cwd=folder, env=env, check=True, capture_output=True)
    with (folder / "log").open("wb") as log:
        words = contender.argv(bin_, port)
        process = subprocess.Popen(words, cwd=folder, env=env, stdout=log, stderr=log, start_new_session=True)
    try:
        _await(contender, port, process, folder)
        yield port
    finally:
        os.killpg(process.pid, signal.SIGTERM)
        try:
            process.wait(10)
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, signal.SIGKILL)
            process.wait()


def _environment(packages: Sequence[str], lab: Lab) -> Path:
    """Returns the folder of programs of an environment with these packages; it is kept for later runs."""
    place = lab.downloads / "environments" / re.sub(r"[^\w.=-]+", "_", ",".join(packages))
    if not (place / "done").exists():
        shutil.rmtree(place, ignore_errors=True)
        uv = find_uv_bin()
        subprocess.run([uv, "venv", "-q", place], check=True)
        subprocess.run([uv, "pip", "install", "-q", "--python", place / "bin/python", *packages], check=True)
        (place / "done").touch()
    return place / "bin"


def _await(contender: Contender, port: int, process: subprocess.Popen[bytes], folder: Path) -> None:
    request = urllib.request.Request(
        f"http://127.0.0.1:{port}{contender.path}",
        json.dumps(contender.body).encode(),
        {"Content-Type": "application/json"},
    )
    until = time.monotonic() + 240
    while time.monotonic() < until and process.poll() is None:
        try:
            with urllib.request.urlopen(request, timeout=60):
                return
        except OSError:
            time.sleep(0.5)
    raise TimeoutError(f"no answer; its log ends with {(folder / 'log').read_text(errors='replace')[-300:]!r}")


def _shot(contender: Contender, port: int, folder: Path, clients: int) -> Shot:
    lua = folder / "post.lua"
    lua.write_text(
        f"wrk.method = 'POST'\nwrk.body = '{json.dumps(contender.body)}'\nwrk.headers['Content-Type'] = 'application/json'\n"
    )
    words = ["wrk", "-t1", f"-c{clients}", f"-d{SECONDS}s", "--latency", "-s", str(lua)]
    said = subprocess.run(
        [*words, f"http://127.0.0.1:{port}{contender.path}"], capture_output=True, text=True, check=True
    ).stdout
    return read_wrk(said)


def read_wrk(said: str) -> Shot:
    """Reads what wrk prints."""
    rate = re.search(r"Requests/sec:\s+([0-9.]+)", said)
    half, last = (re.search(rf"{part}%\s+([0-9.]+)(us|ms|s|m)\b", said) for part in (50, 99))
    assert rate is not None, said
    assert half is not None and last is not None, said  # noqa: PT018
    failed = sum(map(int, re.findall(r"Non-2xx or 3xx responses: ([0-9]+)", said)))
    for errors in re.findall(r"Socket errors: connect ([0-9]+), read ([0-9]+), write ([0-9]+), timeout ([0-9]+)", said):
        failed += sum(map(int, errors))
    return Shot(float(rate[1]), _milliseconds(*half.groups()), _milliseconds(*last.groups()), failed)


def _milliseconds(number: str, unit: str) -> float:
    return float(number) * {"us": 0.001, "ms": 1, "s": 1000, "m": 60_000}[unit]


def page(found: Mapping[str, Any]) -> str:
    """Returns the section of docs/performance.md."""
    servers: Mapping[str, Mapping[str, Mapping[str, float]]] = found["servers"]
    own = servers["modelcrate"]
    lines = [
        "## The server beside others\n",
        f"""The diabetes model, one row a request, one worker, each server with the settings it comes with and in an environment of its own;
wrk with 1, 8 and 64 clients for {SECONDS} s each, in turns, {found["runs"]} rounds. Requests a second (and what ours are times those),
median and 99th percentile in milliseconds; medians of the rounds.
""",
        "| server | " + " | ".join(f"{count} clients: requests/s | p50 | p99" for count in CLIENTS) + " |",
        "|---|" + "---|" * 3 * len(CLIENTS),
    ]
    for name, by_count in servers.items():
        cells = []
        for count in map(str, CLIENTS):
            each = by_count[count]
            times = "" if name == "modelcrate" else f" ({own[count]['rate'] / each['rate']:.2f})"
            cells += [f"{each['rate']:,.0f}{times}", f"{each['p50']:.2f}", f"{each['p99']:.1f}"]
        lines.append(f"| {name} | " + " | ".join(cells) + " |")
    failed = {name: sum(each["failed"] for each in by_count.values()) for name, by_count in servers.items()}
    lost = ", ".join(f"{name} {count:.0f}" for name, count in failed.items() if count)
    lines += [
        f"\nMeasured {found['date']} UTC on {found['machine']}, load {found['load']}. Failed requests: {lost or 'none'}.\n"
    ]
    lines.append(Path(__file__).with_suffix(".md").read_text())
    lines += [f"Not measured: {'; '.join(found['missing'])}.\n"] if found["missing"] else []
    return "\n".join(lines)
