"""Many projects at once, by any executor of concurrent.futures. One that fails stops no other.

An executor of threads shares connections, downloads and layers in one process. Others (processes, a Dask cluster) share what
all of them see: the home of `config`, if one is given, and the registry, whose images carry the keys of their layers.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Executor, ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

from modelcrate.arguments import as_one_of
from modelcrate.config import Config
from modelcrate.environment import of_the_system, read_config
from modelcrate.pipeline.order import Order, read_order
from modelcrate.pipeline.session import Build, Session
from modelcrate.transports.store import StoreOutput
from modelcrate_layers.errors import CrateError, MachineError, UserError
from modelcrate_layers.frozen import dataclass, field, replace
from modelcrate_layers.named_file import read_named_file

MAX_PROJECTS = 100_000
"""Lines of a list of projects."""


@dataclass(frozen=True, slots=True)
class Outcome:
    """The result of an order: the receipt as data, or the message of an error and its exit code. It is sent between processes."""

    project: str
    receipt: dict[str, Any] | None = field(default=None, hash=False)
    fault: str = ""
    code: int = 0

    def json(self) -> dict[str, Any]:
        """Returns the result as `modelcrate build --each --json` prints it."""
        return {"project": self.project, "exit_code": self.code, "fault": self.fault or None, "receipt": self.receipt}


MAX_LIST = 16 << 20
"""Bytes of a list of projects."""


def read_list(path: Path) -> list[Path]:
    """Returns the folders that a file lists, one on each line, relative to the file. Empty lines and lines with `#` are ignored.

    Raises:
        UserError: The file can't be read, is not a text, names no folder, or has more than MAX_PROJECTS lines.
    """
    try:
        lines = read_named_file(path, MAX_LIST).decode().splitlines()
    except OSError as fault:
        raise UserError(
            f"can't read the list of projects: {fault.strerror}",
            where=str(path),
            hint="name a file with one project a line",
        ) from None
    except UnicodeDecodeError:
        hint = "write the folders of the projects, one on each line"
        raise UserError("is not a list of projects: it is not UTF-8 text", where=str(path), hint=hint) from None
    if len(lines) > MAX_PROJECTS:
        raise UserError(
            f"has more than {MAX_PROJECTS} lines",
            where=str(path),
            hint="cut the list, and build its parts one after the other",
        )
    folders = [path.parent / line.strip() for line in lines if line.strip() and not line.lstrip().startswith("#")]
    if not folders:
        raise UserError("lists no project", where=str(path), hint="write the folders of the projects, one on each line")
    return folders


def build_all(
    orders: Sequence[Order],
    executor: Executor | None = None,
    config: Config | None = None,
    done: Callable[[Outcome], None] = lambda outcome: None,
) -> list[Outcome]:
    """Builds many projects at once. An order that fails does not end the others.

    Args:
        orders: The projects, and how each is built.
        executor: Runs the builds: threads, processes, or a cluster's executor; by default threads.
        config: The configuration; by default that of each process.
        done: Is called with each outcome as soon as it and those before it are known.

    Returns:
        The outcomes, in the order of the orders.

    Raises:
        UserError: One of the orders is something else.
        CrateError: The configuration can't be used. Errors of builds are part of the outcomes.
    """
    for order in orders:
        as_one_of("an item of orders", order, Order, "a modelcrate.Order")
    with ExitStack() as stack:
        pool = executor or stack.enter_context(ThreadPoolExecutor((config or read_config()).workers, "fleet"))
        if isinstance(pool, ThreadPoolExecutor):
            work = stack.enter_context(_sharing(config or read_config()))
            waiting = [pool.submit(work, order) for order in orders]
        else:
            waiting = [pool.submit(build_order, order, config) for order in orders]
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


def build_order(order: Order, config: Config | None = None) -> Outcome:
    """One project, with connections of its own. A fault is an outcome, not an exception."""
    with _sharing(config or read_config()) as work:
        return work(order)


@contextmanager
def _sharing(config: Config) -> Iterator[Callable[[Order], Outcome]]:
    """Opens a session that builds one order after the other, or several at once."""
    with Session(config) as session:
        yield lambda order: _attempt(order, session)


def _attempt(order: Order, session: Session) -> Outcome:
    try:
        return Outcome(str(order.project), _build(order, session).receipt.json())
    except CrateError as fault:
        return Outcome(str(order.project), None, str(fault), fault.exit_code)
    except OSError as fault:
        said = of_the_system(fault)
        return Outcome(str(order.project), None, f"{order.project}: {said}", said.exit_code)


def _build(order: Order, session: Session) -> Build:
    """Builds an order. One without outputs goes into the local store."""
    request = read_order(order, session)
    return session.build(replace(request, outputs=request.outputs or (StoreOutput(request.usual_name),)))
