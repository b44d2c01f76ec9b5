"""Many projects at once, by any executor of concurrent.futures. One that fails stops no other.

An executor of threads shares connections, downloads and layers in one process. Others (processes, a Dask cluster) share through what
they all see: the folder of `settings`, if one is given, and the registry, whose images carry the keys of their layers.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Executor, ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from dataclasses import field, replace
from pathlib import Path
from typing import Any

from modelcrate import transports as outputs
from modelcrate.events import Emit, silent
from modelcrate.home.home_lock import shared_home_lock
from modelcrate.home.settings import Settings
from modelcrate.net.download import Downloader
from modelcrate.pipeline import session
from modelcrate.transports import NameableOutput, Output, PreparedOutput
from modelcrate.transports.store import StoreOutput
from modelcrate_layers.errors import CrateError, MachineError, UserError
from modelcrate_layers.frozen import dataclass

MAX_PROJECTS = 100_000
"""Lines of a list of projects."""


@dataclass(frozen=True, slots=True)
class Order:
    """A project to be built, and where its image goes. `{name}` in an output or an image to take layers from is the project's name."""

    project: Path
    outputs: tuple[str, ...] = ()
    cache_from: tuple[str, ...] = ()
    locked: bool = False


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of an order: the receipt as data, or the fault in words and its exit code. It travels between processes."""

    project: str
    receipt: dict[str, Any] | None = field(default=None, hash=False)
    fault: str = ""
    code: int = 0

    def json(self) -> dict[str, Any]:
        return {"project": self.project, "exit_code": self.code, "fault": self.fault or None, "receipt": self.receipt}


def read_list(path: Path) -> list[Path]:
    """Folders, one a line, relative to the list's own; empty lines and those with `#` in front say nothing."""
    try:
        lines = path.read_text("utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as fault:
        raise UserError("is no list of projects", where=str(path), why=str(fault)) from None
    if len(lines) > MAX_PROJECTS:
        raise UserError(f"has more than {MAX_PROJECTS} lines", where=str(path))
    return [path.parent / line.strip() for line in lines if line.strip() and not line.lstrip().startswith("#")]


def build_all(
    orders: Sequence[Order],
    executor: Executor | None = None,
    settings: Settings | None = None,
    done: Callable[[Outcome], None] = lambda outcome: None,
) -> list[Outcome]:
    """The outcomes in the order of the orders. Without an executor, threads; without settings, those of each process.

    `done` is called for each, in their order, as soon as it is known.
    """
    with ExitStack() as stack:
        pool = executor or stack.enter_context(ThreadPoolExecutor((settings or _own()).workers, "fleet"))
        if isinstance(pool, ThreadPoolExecutor):
            work = stack.enter_context(_sharing(settings or _own()))
            waiting = [pool.submit(work, order) for order in orders]
        else:
            waiting = [pool.submit(build_order, order, settings) for order in orders]
        outcomes = []
        try:
            for order, future in zip(orders, waiting, strict=True):
                try:
                    outcomes.append(future.result())
                except Exception as fault:  # of the executor's own: a worker that died
                    text = f"{order.project}: the worker failed: {type(fault).__name__}: {fault}"
                    outcomes.append(Outcome(str(order.project), None, text, MachineError.exit_code))
                done(outcomes[-1])
        except BaseException:
            for future in waiting:
                future.cancel()
            raise
        return outcomes


def worst(outcomes: Sequence[Outcome]) -> int:
    """The exit code for all: our own fault (1) before others', else the highest."""
    codes = {each.code for each in outcomes}
    return 1 if 1 in codes else max(codes, default=0)


def build_order(order: Order, settings: Settings | None = None) -> Outcome:
    """One project, with connections of its own. A fault is an outcome, not an exception."""
    with _sharing(settings or _own()) as work:
        return work(order)


@contextmanager
def _sharing(settings: Settings) -> Iterator[Callable[[Order], Outcome]]:
    """What builds one order after the other, or several at once, over the same connections."""
    with shared_home_lock(settings), Downloader(settings.network) as fetcher, settings.registry() as client:
        live = replace(settings, client=client)
        yield lambda order: _attempt(order, live, fetcher)


def _attempt(order: Order, settings: Settings, fetcher: Downloader) -> Outcome:
    try:
        return _build(order, settings, fetcher, silent)
    except CrateError as fault:
        return Outcome(str(order.project), None, str(fault), fault.exit_code)
    except OSError as fault:
        return Outcome(str(order.project), None, f"{order.project}: {fault}", MachineError.exit_code)


def _build(order: Order, settings: Settings, fetcher: Downloader, emit: Emit) -> Outcome:
    request = session.read(order.project, settings, emit)
    name = request.project.name
    targets = [text.replace("{name}", name) for text in order.outputs]
    reuse = [text for text in targets if text.startswith("registry:")]
    reuse += [text.replace("{name}", name) for text in order.cache_from]
    request = replace(request, locked=order.locked, reuse=tuple(reuse))
    prepared = session.prepare(request, settings, fetcher, emit)
    wanted = [_named(outputs.parse(text), name) for text in targets] or [StoreOutput(name)]
    wanted = [each.prepared(prepared) if isinstance(each, PreparedOutput) else each for each in wanted]
    receipt = session.deliver(session.build(prepared, settings, emit), wanted, settings, emit)
    return Outcome(str(order.project), receipt.json())


def _named(output: Output, name: str) -> Output:
    return output.named(name) if isinstance(output, NameableOutput) else output


def _own() -> Settings:
    from modelcrate.api import default_settings

    return default_settings()
