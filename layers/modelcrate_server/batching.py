"""Several requests answered by one call of run(): a list of inputs, and a list of results in the same order.

A model that computes many rows at once takes little longer for them than for one. How many come together is not fixed: a request that
comes alone is answered at once, and the more of them wait, the larger the list is.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence

from .app import ScoringApp
from .response import Response
from .service import SCRIPT_FAILED, SERVER_FAILED, Call, Outcome, ScriptFailedError, Service, Steps
from .work import Work

_log = logging.getLogger("azmlinfsrv")


def answer_together(app: ScoringApp, works: Sequence[Work], waiting: Callable[[], object]) -> None:
    """Answers requests; those that need the script by one call of it.

    Args:
        app: Makes the answers.
        works: The requests.
        waiting: Called about once a second while a slow client is waited for.

    Raises:
        Stopped: A signal ends the process.
    """
    asked: list[tuple[Work, Steps, Call]] = []
    for work in works:
        steps = app.steps(work.environ)
        try:
            asked.append((work, steps, next(steps)))
        except StopIteration as end:
            work.answer(app, waiting, end.value)
        except Exception as failure:
            _failed(app, work, failure, waiting)
    outcomes = run_together(app.service, [call for *_, call in asked])
    for (work, steps, _), outcome in zip(asked, outcomes):
        try:
            steps.send(outcome)
        except StopIteration as end:
            work.answer(app, waiting, end.value)
        except Exception as failure:
            _failed(app, work, failure, waiting)


def run_together(service: Service, calls: Sequence[Call]) -> list[Outcome]:
    """Returns what each call gave. A call that fails does not fail those of other clients: they are then repeated without it."""
    if not calls:
        return []
    names = {name for call in calls for name in call.arguments}
    inputs = {name: [call.arguments[name] for call in calls] for name in names}
    outcome = service.run(Call(inputs, {}, blames_clients=True))
    if outcome.fault is not None:
        return [outcome] if len(calls) == 1 else [each for call in calls for each in run_together(service, [call])]
    results = outcome.result
    if not isinstance(results, (list, tuple)) or len(results) != len(calls):
        what = f"{len(results)} results" if isinstance(results, (list, tuple)) else type(results).__name__
        _log.error(
            "run() got a list of %d inputs, and has to return a list of as many results; this is %s", len(calls), what
        )
        return [Outcome(fault=ScriptFailedError(SCRIPT_FAILED))] * len(calls)
    return [_outcome(service, each, outcome.elapsed_ms, call) for each, call in zip(results, calls)]


def _outcome(service: Service, result: object, elapsed_ms: float, call: Call) -> Outcome:
    if isinstance(result, BaseException):  # of this input alone
        return service.failed(result, call.blames_clients)
    return Outcome(result, elapsed_ms)


def _failed(app: ScoringApp, work: Work, failure: Exception, waiting: Callable[[], object]) -> None:
    _log.error("An answer could not be given: %r", failure, exc_info=failure)
    response: Response = app.refusal(str(work.environ.get("PATH_INFO", "/")), 500, SERVER_FAILED)
    work.answer(app, waiting, response)
