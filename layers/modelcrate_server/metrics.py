"""Counters of all workers, in memory that they share, as the text that Prometheus reads (exposition format 0.0.4)."""

from __future__ import annotations

import mmap
import threading
from bisect import bisect_left
from collections.abc import Iterator, Mapping, Sequence

from . import VERSION

CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"
PATH = "/metrics"

STATUSES = (200, 400, 404, 405, 408, 413, 415, 431, 500)
"""Those with a counter of their own; the others share one, which is called "other"."""
SECONDS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0)
"""The upper bounds of the histogram."""

_PER_ROUTE = len(STATUSES) + 1 + len(SECONDS) + 1 + 1  # counts by status, by time, and the sum of the times
_RUNNING, _WAITING = 0, 1
_GAUGES = 2


class Metrics:
    """What the workers count. Made before they are forked; each writes to a slot of its own, and any of them can read all.

    Args:
        routes: The paths that are counted.
        slots: As many as workers can live at the same time.
    """

    def __init__(self, routes: Sequence[str], slots: int) -> None:
        self.slots = slots
        self._routes = {route: _GAUGES + at * _PER_ROUTE for at, route in enumerate(dict.fromkeys(routes))}
        self._size = _GAUGES + len(self._routes) * _PER_ROUTE
        self._cells = memoryview(mmap.mmap(-1, 8 * self._size * slots)).cast("d")
        self._own = 0
        self._lock = threading.Lock()  # of one process, whose threads may count at the same time

    def join(self, slot: int) -> None:
        """Makes this process write to a slot: it goes on with the counts of the worker that had it before."""
        self._own = slot * self._size
        self._cells[self._own + _RUNNING] = self._cells[self._own + _WAITING] = 0

    def begin(self) -> None:
        """Counts a request as being answered."""
        with self._lock:
            self._cells[self._own + _RUNNING] += 1

    def end(self, route: str, status: int, seconds: float) -> None:
        """Counts a request as answered."""
        first = self._own + self._routes[route]
        times = first + len(STATUSES) + 1
        with self._lock:
            self._cells[self._own + _RUNNING] -= 1
            self._cells[first + (STATUSES.index(status) if status in STATUSES else len(STATUSES))] += 1
            self._cells[times + bisect_left(SECONDS, seconds)] += 1
            self._cells[times + len(SECONDS) + 1] += seconds

    def wait(self, requests: int) -> None:
        """Notes how many requests are complete and wait for the script."""
        self._cells[self._own + _WAITING] = requests

    def text(self, model: str, version: str) -> str:
        """Returns the counts of all workers together."""
        return "\n".join([*self._lines({"model": model, "version": version}), ""])

    def _lines(self, model: Mapping[str, str]) -> Iterator[str]:
        yield from _head("modelcrate_model_info", "gauge", "The model that is served.")
        yield f"modelcrate_model_info{_labels({**model, 'server': VERSION})} 1"
        yield from _head("modelcrate_requests_running", "gauge", "Requests that the script is answering.")
        yield f"modelcrate_requests_running {self._sum(_RUNNING):g}"
        yield from _head("modelcrate_requests_waiting", "gauge", "Complete requests that wait for the script.")
        yield f"modelcrate_requests_waiting {self._sum(_WAITING):g}"
        yield from _head("modelcrate_requests_total", "counter", "Requests that were answered, by route and status.")
        for route, first in self._routes.items():
            for at, status in enumerate((*STATUSES, "other")):
                count = self._sum(first + at)
                if count:
                    yield f"modelcrate_requests_total{_labels({'route': route, 'status': str(status)})} {count:.0f}"
        yield from _head("modelcrate_request_seconds", "histogram", "Time from a complete request to its answer.")
        for route, first in self._routes.items():
            times = first + len(STATUSES) + 1
            total = 0.0
            for at, bound in enumerate((*map(str, SECONDS), "+Inf")):
                total += self._sum(times + at)
                yield f"modelcrate_request_seconds_bucket{_labels({'route': route, 'le': bound})} {total:.0f}"
            yield f"modelcrate_request_seconds_sum{_labels({'route': route})} {self._sum(times + len(SECONDS) + 1):.6f}"
            yield f"modelcrate_request_seconds_count{_labels({'route': route})} {total:.0f}"

    def _sum(self, cell: int) -> float:
        return sum(self._cells[slot * self._size + cell] for slot in range(self.slots))


def _head(name: str, kind: str, text: str) -> tuple[str, str]:
    return f"# HELP {name} {text}", f"# TYPE {name} {kind}"


def _labels(labels: Mapping[str, str]) -> str:
    escaped = {
        name: text.replace("\\", r"\\").replace('"', r"\"").replace("\n", r"\n") for name, text in labels.items()
    }
    return "{" + ",".join(f'{name}="{text}"' for name, text in escaped.items()) + "}"
