"""The demo: the image of a real scikit-learn model, built and started with nothing but Python, asked the article's question."""

from __future__ import annotations

import json
import socket
import subprocess
import sys
import urllib.request
from pathlib import Path

PROJECT = Path(__file__).parents[1] / "fixtures" / "projects" / "diabetes"
NAME = "modelcrate-demo"
REQUEST = {"data": [list(range(1, 11)), list(range(10, 0, -1))]}


def main() -> int:
    say("build", str(PROJECT.relative_to(Path.cwd())) if PROJECT.is_relative_to(Path.cwd()) else str(PROJECT))
    modelcrate("build", str(PROJECT))
    port = free_port()
    say("run", "diabetes")
    modelcrate("run", "--detach", "--read-only", "--publish", f"{port}:5001", "--name", NAME, "diabetes")
    try:
        print(f"\nPOST http://127.0.0.1:{port}/score {json.dumps(REQUEST)}")
        print(f"  -> {ask(port)}")
    finally:
        say("stop", NAME)
        modelcrate("stop", "--rm", NAME)
    return 0


def modelcrate(*words: str) -> None:
    """The command, as anybody would type it."""
    subprocess.run([sys.executable, "-m", "modelcrate", *words], check=True)


def ask(port: int) -> str:
    request = urllib.request.Request(
        f"http://127.0.0.1:{port}/score", json.dumps(REQUEST).encode(), {"Content-Type": "application/json"}
    )
    with urllib.request.urlopen(request, timeout=60) as answer:
        text: str = answer.read().decode()
    return text


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
    return port


def say(verb: str, what: str) -> None:
    print(f"\n$ modelcrate {verb} {what}", flush=True)


if __name__ == "__main__":
    try:
        sys.exit(main())
    except subprocess.CalledProcessError as fault:
        sys.exit(fault.returncode)
