"""Serve a project on this machine, without an image: its packages in a virtual environment, its sources and models as they lie.

The server and its contracts are those of the image. It listens on 127.0.0.1 only, and starts again when a file of the project changes.
--verbose says what differs from the image; `modelcrate run` has no such differences. The program of a
`command:` is started as well, with its own port.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from modelcrate.cli import build_options
from modelcrate.cli.console import Console
from modelcrate.cli.variant_option import variant_argument
from modelcrate_layers.errors import CrateError, UserError

if TYPE_CHECKING:
    from modelcrate.pipeline.local_server import LocalServer
    from modelcrate.pipeline.session import Session

LOOK = 0.3
"""Seconds between two looks at the files."""


def arguments(parser: argparse.ArgumentParser) -> None:
    build_options.project_argument(parser)
    parser.add_argument(
        "-p", "--port", type=int, metavar="PORT", help="the port of 127.0.0.1 (default: the contract's, such as 5001)"
    )
    variant_argument(parser, "serve it with the packages and settings of a variant")
    parser.add_argument("--no-reload", action="store_true", help="do not start again when a file changes")
    parser.add_argument("--locked", action="store_true", help="with exactly what modelcrate.lock pins")


def run(args: argparse.Namespace, console: Console) -> int:
    if args.port is not None and not 1 <= args.port <= 65535:
        raise UserError(f"not a port: {args.port}", hint="expected 1 to 65535")
    with console.session() as session:
        while True:
            code = _serve(args, session, console)
            if code is not None:
                return code


def _serve(args: argparse.Namespace, session: Session, console: Console) -> int | None:
    """Serves until the project file or the declared dependencies change (None), or the server ends without reload (its exit code)."""
    from modelcrate.images.image import DEFAULT_VARIANT
    from modelcrate.pipeline.local_server import PortInUseError, local_server
    from modelcrate_layers.frozen import replace

    declared = _Watch(_declarations(args.project))
    try:
        prepared = session.prepare(
            replace(session.read(args.project).for_variant(args.variant or DEFAULT_VARIANT), locked=args.locked)
        )
        with local_server(prepared, session, args.port) as server:
            _say_differences(server, args, console)
            return _run_again_and_again(server, declared, args, console)
    except CrateError as fault:
        if args.no_reload or not declared.usable or isinstance(fault, PortInUseError):
            raise
        console.print_message(f"{fault}\nwaiting for a change")
        declared.wait()
        return None


def _run_again_and_again(
    server: LocalServer, declared: _Watch, args: argparse.Namespace, console: Console
) -> int | None:
    from modelcrate.pipeline.local_server import stop

    while True:
        sources = _Watch(server.watched)
        begun = time.monotonic()
        process = server.start()
        try:
            _report_when_ready(server, process, begun, console)
            if args.no_reload:
                return process.wait()
            while process.poll() is None and not sources.changed() and not declared.changed():
                time.sleep(LOOK)
            if process.poll() is not None and not sources.changed():
                console.print_message(f"the server ended with exit code {process.returncode}; waiting for a change")
                while not sources.changed() and not declared.changed():
                    time.sleep(LOOK)
        finally:
            stop(process)
        if declared.changed():
            console.print_message("the project has changed; it is resolved again")
            return None
        console.print_message(f"{sources.name} has changed")


def _say_differences(server: LocalServer, args: argparse.Namespace, console: Console) -> None:
    """Says what is not as in the image: all of it with --verbose, else in a line."""
    for text in server.differences if args.verbose else ():
        console.print_message(f"not as in the image: {text}")
    if not args.verbose:
        text = "served by this machine, not by the image: modelcrate run starts that, and --verbose says what differs"
        console.print_message(text)


def _report_when_ready(server: LocalServer, process: subprocess.Popen[bytes], begun: float, console: Console) -> None:
    from modelcrate.inspect.conformance import Target, send_request
    from modelcrate.inspect.serving import READY_AFTER

    url = f"http://127.0.0.1:{server.port}"
    while server.port and process.poll() is None and time.monotonic() < begun + READY_AFTER:
        if server.is_ready(lambda path: send_request(Target(url, timeout=5), "GET", path).status):
            seconds = time.monotonic() - begun
            ask = f"modelcrate predict {url} -d DATA" if server.own else url
            console.print_message(f"ready after {seconds:.1f} s: {ask}")
            return
        time.sleep(0.05)


class _Watch:
    """Files and folders, and what they were like when it was made. Not a value, because it remembers what has changed.

    Our own output is left out: with `> serve.log` or nohup it is in the project, and what is said of a change would be the next one.
    """

    def __init__(self, places: Sequence[Path]) -> None:
        self.places = places
        self.name = ""
        self._own = [os.fstat(number) for number in (1, 2)]
        self._before = dict(self._stamps())

    @property
    def usable(self) -> bool:
        """Whether there is anything that can change."""
        return bool(self._before)

    def changed(self) -> bool:
        """Returns whether anything is not as it was; `name` is the first of it."""
        now = dict(self._stamps())
        different = [path for path in (*now, *self._before) if now.get(path) != self._before.get(path)]
        self.name = different[0].name if different else self.name
        return bool(different)

    def wait(self) -> None:
        """Waits for a change."""
        while not self.changed():
            time.sleep(LOOK)

    def _stamps(self) -> Iterator[tuple[Path, tuple[int, int, int]]]:
        for place in self.places:
            for path in sorted(place.rglob("*")) if place.is_dir() else [place]:
                if "__pycache__" in path.parts or not path.is_file():
                    continue
                stat = path.stat()
                if any(os.path.samestat(stat, own) for own in self._own):
                    continue
                yield path, (stat.st_mtime_ns, stat.st_size, stat.st_ino)


def _declarations(project: Path) -> tuple[Path, ...]:
    """The files at the top of a project that are no Python: the project file, requirements, locks."""
    folder = project if project.is_dir() else project.parent
    return tuple(
        sorted(path for path in folder.iterdir() if path.suffix in (".yaml", ".yml", ".txt", ".toml", ".lock"))
        if folder.is_dir()
        else ()
    )
