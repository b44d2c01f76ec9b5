"""The demo: builds the image of a real scikit-learn model, starts it without an engine, and asks it for two predictions."""

from __future__ import annotations

import json
import os
import shlex
import socket
import subprocess
import sys
import urllib.request
from pathlib import Path

PROJECT = Path(__file__).parents[1] / "fixtures" / "projects" / "diabetes"
NAME = "modelcrate-demo"
REQUEST = {"data": [list(range(1, 11)), list(range(10, 0, -1))]}
ANSWER_SECONDS = 60
PROJECT_HERE = os.path.relpath(PROJECT)
COMMAND = Path(sys.executable).with_name("modelcrate")
COMMAND_HERE = os.path.relpath(COMMAND)

NEXT = f"""
modelcrate built an image, started it as a container, and got two predictions from it. What to do next:

    see the image's layers     {COMMAND_HERE} inspect diabetes
    build it again             {COMMAND_HERE} build {PROJECT_HERE}
    export it for Docker       {COMMAND_HERE} build {PROJECT_HERE} -o docker-archive:diabetes.tar
    begin with your own model  cd FOLDER && {COMMAND} init

README.md, "Your own model", has the steps after `init`."""


def main() -> int:
    """Runs the demo.

    Returns:
        The exit code of this process.
    """
    modelcrate("build", PROJECT_HERE)
    port = free_port()
    modelcrate("run", "--detach", "--read-only", "--publish", f"{port}:5001", "--name", NAME, "diabetes")
    try:
        url = f"http://127.0.0.1:{port}/score"
        print(f"\nPOST {url} {json.dumps(REQUEST)}\n{score(url)}")
    finally:
        modelcrate("stop", "--rm", NAME)
    print(NEXT)
    return 0


def modelcrate(*words: str) -> None:
    """Shows a command and runs it, as a user would type it."""
    show(shlex.join(["modelcrate", *words]))
    subprocess.run([sys.executable, "-m", "modelcrate", *words], check=True)


def score(url: str) -> str:
    """Sends the request, and returns the body of the response."""
    request = urllib.request.Request(url, json.dumps(REQUEST).encode(), {"Content-Type": "application/json"})
    with urllib.request.urlopen(request, timeout=ANSWER_SECONDS) as response:
        text: str = response.read().decode()
    return text


def free_port() -> int:
    """Returns a port of loopback on which no program listens."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
    return port


def show(command: str) -> None:
    """Prints a command as a shell would show it."""
    print(f"\n$ {command}", flush=True)


if __name__ == "__main__":
    try:
        sys.exit(main())
    except subprocess.CalledProcessError as fault:
        sys.exit(fault.returncode)
