"""A scenario: contenders that do the same work, in turns; what they cost; and the bars that we set ourselves."""

from __future__ import annotations

import shutil
import statistics
import tempfile
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

from bench.lab import Counted, Lab, Lacking, Sample, fresh_home, registry
from support import real_registry
from support.relay import Relay

Commands = Sequence[Sequence[str]]


@dataclass(frozen=True, slots=True)
class Place:
    """Where one run takes place. `corpus` is shared by all runs, `folder` is this run's own; `host` is the registry, if there is one."""

    lab: Lab
    corpus: Path
    folder: Path
    host: str

    @property
    def home(self) -> Path:
        return self.folder / "home"

    @property
    def target(self) -> str:
        return f"{self.host}/bench/x:1"


@dataclass(frozen=True, slots=True)
class Contender:
    """`commands` are measured; `prepare` is not. `seconds` reads the time out of what was printed, where a process is not the measure."""

    name: str
    commands: Callable[[Place], Commands]
    prepare: Callable[[Place], object] = lambda place: None
    needs: tuple[str, ...] = ()
    seconds: Callable[[str], float] | None = None


@dataclass(frozen=True, slots=True)
class Outcome:
    """What one contender cost: all times, the medians of the rest, and the counts of the round that wasn't timed."""

    walls: tuple[float, ...]
    cpu: float
    rss: int
    read: int
    written: int
    counted: Counted | None = None

    @property
    def wall(self) -> float:
        return statistics.median(self.walls)

    @classmethod
    def of(cls, samples: Sequence[Sample], counted: Counted | None) -> Outcome:
        def median(name: str) -> float:
            return statistics.median(getattr(sample, name) for sample in samples)

        walls = tuple(round(sample.wall, 4) for sample in samples)
        sizes = (round(median(name)) for name in ("rss", "read", "written"))
        return cls(walls, round(median("cpu"), 3), *sizes, counted)


Outcomes = Mapping[str, Outcome]


@dataclass(frozen=True, slots=True)
class Bar:
    """A figure to reach: at most `limit`. `value` is None where it can't be had, for want of a peer."""

    text: str
    value: Callable[[Outcomes], float | None]
    limit: float


def ratio(ours: str, theirs: str, limit: float) -> Bar:
    """Of wall times, by medians."""

    def value(found: Outcomes) -> float | None:
        return found[ours].wall / found[theirs].wall if ours in found and theirs in found else None

    return Bar(f"time of {ours} / {theirs}", value, limit)


def at_most(name: str, what: str, limit: float) -> Bar:
    """Of one contender's own figure: wall, cpu, rss, read, written (seconds, bytes), or received and returned by the registry."""

    def value(found: Outcomes) -> float | None:
        outcome = found.get(name)
        if outcome is None:
            return None
        if what in ("received", "returned"):
            return getattr(outcome.counted, what) if outcome.counted else None
        return float(getattr(outcome, what))

    return Bar(f"{what} of {name}", value, limit)


def only(name: str, *verbs: str) -> Bar:
    """Requests of other verbs than these."""

    def value(found: Outcomes) -> float | None:
        counted = found[name].counted if name in found else None
        return sum(n for verb, n in counted.requests.items() if verb not in verbs) if counted else None

    return Bar(f"requests of {name} but {', '.join(verbs)}", value, 0)


@dataclass(frozen=True, slots=True)
class Row:
    """What a scenario gave. `figures` are further facts, by name."""

    name: str
    title: str
    outcomes: Outcomes
    bars: tuple[Bar, ...]
    missing: tuple[str, ...] = ()
    figures: Mapping[str, float | str] = field(default_factory=dict)
    note: str = ""


class Scenario(Protocol):
    """Something that can be measured. A `Lacking` says why it can't be, here."""

    @property
    def name(self) -> str: ...

    def run(self, lab: Lab) -> Row: ...


@dataclass(frozen=True, slots=True)
class Race:
    """Contenders in turns. `corpus` makes what is packed, once; `furnish` fills the registry before each run: None means there is none."""

    name: str
    title: str
    contenders: tuple[Contender, ...]
    bars: tuple[Bar, ...]
    corpus: Callable[[Place], object] = lambda place: None
    furnish: Callable[[Place], object] | None = None
    runs: int = 0
    note: str = ""

    def run(self, lab: Lab) -> Row:
        if self.furnish and (why := real_registry.missing()):
            raise Lacking(why)
        able = [each for each in self.contenders if all(map(shutil.which, each.needs))]
        missing = sorted({need for each in self.contenders for need in each.needs if not shutil.which(need)})
        with tempfile.TemporaryDirectory(dir=lab.folder, prefix=f"{self.name}-") as scratch:
            ground = Path(scratch)
            port = real_registry.free_port()
            place = Place(
                lab, ground / "corpus", fresh_home(lab, ground / "setup" / "home").parent, f"127.0.0.1:{port}"
            )
            place.corpus.mkdir()
            self._setup(place, port)
            counted = {each.name: self._once(each, place, ground, counting=True)[1] for each in able}
            samples: dict[str, list[Sample]] = {each.name: [] for each in able}
            for _ in range(self.runs or lab.runs):
                for each in lab.order.sample(able, len(able)):
                    samples[each.name].append(self._once(each, place, ground, counting=False)[0])
        outcomes = {name: Outcome.of(found, counted[name]) for name, found in samples.items()}
        return Row(self.name, self.title, outcomes, self.bars, tuple(missing), note=self.note)

    def _setup(self, place: Place, port: int) -> None:
        with ExitStack() as stack:
            if self.furnish:
                stack.enter_context(registry(place.folder, port, counting=False))
            self.corpus(place)

    def _once(self, each: Contender, setup: Place, ground: Path, *, counting: bool) -> tuple[Sample, Counted | None]:
        """One run in a folder and a registry of its own, both gone afterwards."""
        with ExitStack() as stack:
            folder = Path(stack.enter_context(tempfile.TemporaryDirectory(dir=ground, ignore_cleanup_errors=True)))
            fresh_home(setup.lab, folder / "home")
            place = Place(setup.lab, setup.corpus, folder, setup.host)
            relay = None
            if self.furnish:
                port = int(setup.host.rpartition(":")[2])
                relay = stack.enter_context(registry(folder, port, counting=counting))
                self.furnish(place)
            each.prepare(place)
            before = _counts(relay)
            sample = setup.lab.measured(each.commands(place), place.home)
            after = _counts(relay)
            if each.seconds:
                sample = Sample(
                    each.seconds(sample.said), sample.cpu, sample.rss, sample.read, sample.written, sample.said
                )
            return sample, _difference(before, after) if relay else None


def _counts(relay: Relay | None) -> Counted:
    if relay is None:
        return Counted(0, 0, {})
    return Counted(relay.received, relay.returned, dict(relay.requests))


def _difference(before: Counted, after: Counted) -> Counted:
    requests = {verb: n - before.requests.get(verb, 0) for verb, n in sorted(after.requests.items())}
    return Counted(
        after.received - before.received,
        after.returned - before.returned,
        {verb: n for verb, n in requests.items() if n},
    )
