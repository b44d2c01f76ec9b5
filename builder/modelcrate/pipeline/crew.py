"""The threads that make the layers of a build."""

from __future__ import annotations

import os
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, TypeVar

from modelcrate.events import Emit, Event
from modelcrate.pipeline.plan import STORED_ROLES, PlannedLayer
from modelcrate_layers.errors import CrateError

if TYPE_CHECKING:
    from concurrent.futures import Executor

T = TypeVar("T")


class Crew:
    """Threads that work on layers, several at once. What one of them raises stops the others. It is no value: it is the threads.

    Layers that are kept use the processors, one each: with more at once, they take turns with the largest, and all wait for that one
    in the end. A model may wait for its sink, so models run in addition to them.
    """

    def __init__(self, packing: Executor, passing: Executor) -> None:
        self._packing, self._passing = packing, passing
        self._stopped = threading.Event()

    @classmethod
    @contextmanager
    def of(cls, workers: int) -> Iterator[Crew]:
        """Returns a crew that ends with the block; at once, where the block raises."""
        from concurrent.futures import ThreadPoolExecutor

        busy = min(workers, os.cpu_count() or 1)
        with ThreadPoolExecutor(busy, "pack") as packing, ThreadPoolExecutor(workers, "pass") as passing:
            crew = cls(packing, passing)
            try:
                yield crew
            except BaseException:
                crew._stopped.set()
                for pool in (packing, passing):
                    pool.shutdown(wait=False, cancel_futures=True)
                raise

    def run(
        self, work: Callable[[PlannedLayer], T], layers: Sequence[PlannedLayer]
    ) -> Iterator[tuple[PlannedLayer, T]]:
        """Begins to work on layers, in their order. The iterator yields each with what was made of it, as they are done."""
        from concurrent.futures import as_completed

        begun = {self._pool(each).submit(work, each): each for each in layers}
        return ((begun[done], done.result()) for done in as_completed(begun))

    def watched(self, emit: Emit) -> Emit:
        """Returns an `emit` that raises once the work is stopped."""

        def emit_unless_stopped(event: Event) -> None:
            if self._stopped.is_set():
                raise CrateError("something else of the same build has failed")
            emit(event)

        return emit_unless_stopped

    def _pool(self, planned: PlannedLayer) -> Executor:
        return self._packing if planned.role in STORED_ROLES else self._passing
