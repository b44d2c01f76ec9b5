"""Errors as values: they travel between processes, whatever their class takes."""

from __future__ import annotations

import pickle

import pytest

from modelcrate.net.errors import ConnectionFailed, NotFound
from modelcrate.net.messages import Headers, Request, Response
from modelcrate_layers.errors import CrateError, IntegrityError, UserError

REQUEST = Request("GET", "https://registry.example/v2/")


@pytest.mark.parametrize(
    "fault",
    [
        UserError("what", where="where", why="why", hint="hint", excerpt="line", also=[IntegrityError("other")]),
        NotFound(REQUEST, Response(404, Headers({}), b""), "is not there", codes=["MANIFEST_UNKNOWN"]),
        ConnectionFailed(REQUEST, "refused"),
    ],
    ids=lambda fault: type(fault).__name__,
)
def test_an_error_travels_between_processes(fault: CrateError) -> None:
    for protocol in range(2, pickle.HIGHEST_PROTOCOL + 1):
        again = pickle.loads(pickle.dumps(fault, protocol))
        assert type(again) is type(fault)
        assert (str(again), again.exit_code, again.args) == (str(fault), fault.exit_code, fault.args)
        assert vars(again).keys() == vars(fault).keys()
