"""The library: modelcrate from Python, with the same line and the same results as on the command line. Nothing here prints.

import modelcrate

image = modelcrate.build("fixtures/projects/diabetes")        # measured; nothing written yet
receipt = image.push("registry.example/team/diabetes:1")
print(image.digest, receipt.sent_bytes, [layer.role for layer in image.layers])
"""

from __future__ import annotations

import queue
import threading
from collections.abc import Iterator
from dataclasses import field
from pathlib import Path

from modelcrate.events import Emit, Event, silent
from modelcrate.home.home_lock import shared_home_lock
from modelcrate.home.settings import Settings
from modelcrate.images.image import Deliverable, ImageLayer
from modelcrate.pipeline import session
from modelcrate.pipeline.receipt import Receipt
from modelcrate_layers.content import Digest
from modelcrate_layers.frozen import dataclass


@dataclass(frozen=True, slots=True)
class Built:
    """An image that was built, or found. Its bytes are made when it is pushed or saved."""

    receipt: Receipt
    settings: Settings = field(repr=False)

    @property
    def image(self) -> Deliverable:
        return self.receipt.image

    @property
    def digest(self) -> Digest:
        """The digest of the manifest, or of the index of several platforms."""
        return self.image.digest

    @property
    def id(self) -> Digest:
        """The image id of the first platform: the digest of its config."""
        return self.image.images[0].id

    @property
    def layers(self) -> tuple[ImageLayer, ...]:
        """The layers of the first platform, lowest first."""
        return self.image.images[0].layers

    def push(self, *references: str, emit: Emit = silent) -> Receipt:
        """Send it to registries. A RegistryError says which one refused, and why."""
        return self.save(*(f"registry:{reference}" for reference in references), emit=emit)

    def save(self, *targets: str, emit: Emit = silent) -> Receipt:
        """Write it to outputs as the command line names them: `oci:DIR`, `docker-archive:FILE`, `store:NAME`."""
        from modelcrate import transports

        with shared_home_lock(self.settings):
            return session.deliver(self.receipt, [transports.parse(target) for target in targets], self.settings, emit)


class Building:
    """A build under way in a thread of its own: iterate it for its events, then take the `result`. Not a value: it is the run.

    Leaving the iteration early does not end the build; `cancel` does.
    """

    def __init__(self, project: str | Path, settings: Settings, locked: bool = False) -> None:
        self._events: queue.SimpleQueue[Event | None] = queue.SimpleQueue()
        self._cancelled = threading.Event()
        self._outcome: Built | BaseException | None = None
        self._thread = threading.Thread(
            target=self._work, args=(Path(project), settings, locked), name="modelcrate", daemon=True
        )
        self._thread.start()

    def __iter__(self) -> Iterator[Event]:
        while (event := self._events.get()) is not None:
            yield event

    def cancel(self) -> None:
        """End it at the next event; `result` raises KeyboardInterrupt then."""
        self._cancelled.set()

    def result(self) -> Built:
        """Wait for the end; what the build raised is raised here."""
        self._thread.join()
        if isinstance(self._outcome, Built):
            return self._outcome
        assert self._outcome is not None
        raise self._outcome

    def _work(self, project: Path, settings: Settings, locked: bool) -> None:
        try:
            self._outcome = build(project, settings=settings, locked=locked, emit=self._emit)
        except BaseException as fault:
            self._outcome = fault
        finally:
            self._events.put(None)

    def _emit(self, event: Event) -> None:
        if self._cancelled.is_set():
            raise KeyboardInterrupt
        self._events.put(event)


def build(project: str | Path, *, settings: Settings | None = None, locked: bool = False, emit: Emit = silent) -> Built:
    """Build the project in a folder, or of a project file: resolved, planned, measured. Nothing is delivered yet.

    Errors are `CrateError`s, by whose fault they are. `settings` are those of the process, where none are given.
    """
    from modelcrate.net.download import Downloader

    settings = settings or default_settings()
    request = session.read(Path(project), settings, emit)
    request = session.Request(request.project, request.folder, locked)
    with shared_home_lock(settings), Downloader(settings.network, emit) as fetcher:
        prepared = session.prepare(request, settings, fetcher, emit)
        return Built(session.build(prepared, settings, emit), settings)


def start(project: str | Path, *, settings: Settings | None = None, locked: bool = False) -> Building:
    """The same in the background, as an iterable of events."""
    return Building(project, settings or default_settings(), locked)


def find(address: str, *, settings: Settings | None = None) -> Built:
    """An image that exists, wherever it is: a name in the local store, `registry:REF`, `oci:DIR`, `docker-archive:FILE`."""
    from modelcrate.transports.addresses import find as found

    settings = settings or default_settings()
    return Built(Receipt(address, found(address, settings).whole()), settings)


def default_settings() -> Settings:
    """Settings from the environment of this process."""
    from modelcrate.environment import settings

    return settings()
