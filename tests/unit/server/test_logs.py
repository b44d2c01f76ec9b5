"""The log: the form of its lines, and what print becomes."""

from __future__ import annotations

import builtins
import io
import logging
import os
import re
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from modelcrate_server.logs import (
    AMLLogFormatter,
    LineHandler,
    RootAccessFilter,
    reroute_prints,
    set_up_logs,
    write_plain,
)
from modelcrate_server.variables import SettingsError
from support.logs import records
from support.wsgi import PLAIN, settings_for


@pytest.fixture(autouse=True)
def logging_as_before(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setattr(builtins, "print", print)
    loggers = [logging.getLogger(name) for name in ("azmlinfsrv", "gunicorn.error", "")]
    before = [(logger, logger.level, logger.handlers[:], logger.propagate) for logger in loggers]
    yield
    for logger, level, handlers, propagate in before:
        logger.setLevel(level)
        logger.handlers, logger.propagate = handlers, propagate


def line(level: int, text: str) -> logging.LogRecord:
    return logging.LogRecord("azmlinfsrv", level, "", 1, text, None, None)


def test_a_line_has_utc_time_level_process_and_logger() -> None:
    written = AMLLogFormatter().format(line(logging.WARNING, "text"))
    assert re.fullmatch(r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d,\d{3} W \[\d+\] azmlinfsrv - text", written)
    epoch = line(logging.INFO, "text")
    epoch.created = 0.0
    assert AMLLogFormatter(datefmt="%H:%M").format(epoch).startswith("00:00 I ")


def test_probes_are_left_out_of_access_lines() -> None:
    assert not RootAccessFilter().filter(line(logging.INFO, '"GET / HTTP/1.1" 200'))
    assert RootAccessFilter().filter(line(logging.INFO, '"GET /score HTTP/1.1" 200'))


def test_prints_to_standard_output_are_logged_and_others_are_not() -> None:
    reroute_prints()
    reroute_prints()
    other = io.StringIO()
    with records() as log:
        print("a", 1, sep="-")
        print("b", file=sys.stdout)
        print("c", 2, file=other, end="!")
    assert log == ["a-1", "b"]
    assert other.getvalue() == "c 2!"


def test_the_level_comes_from_the_environment(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    set_up_logs(settings_for(tmp_path, PLAIN, AZUREML_LOG_LEVEL="debug"))
    logging.getLogger("azmlinfsrv").debug("seen")
    assert " D [" in capsys.readouterr().out


@pytest.mark.parametrize("text", ["{", "{}", "[]", '{"version": 1, "handlers": {"x": {"class": "no.such"}}}'])
def test_a_logging_file_that_cannot_be_used_is_named(tmp_path: Path, text: str) -> None:
    (tmp_path / "logging.json").write_text(text)
    with pytest.raises(SettingsError, match=r"logging\.json"):
        set_up_logs(settings_for(tmp_path, PLAIN))


def test_a_line_is_written_without_a_record_only_where_nobody_would_see_one() -> None:
    out = io.StringIO()
    handler = LineHandler(out)
    handler.setFormatter(AMLLogFormatter())
    logger = logging.Logger("azmlinfsrv")  # one of this test alone, which no other one has
    logger.propagate = False
    logger.addHandler(handler)
    assert write_plain(logger, logging.INFO, "here")
    record = logger.makeRecord(logger.name, logging.INFO, "", 0, "here", (), None)
    plain, whole = out.getvalue().removesuffix("\n"), handler.format(record)
    assert plain.split(" ", 2)[2] == whole.split(" ", 2)[2] == f"I [{os.getpid()}] azmlinfsrv - here"
    assert re.fullmatch(r"[0-9-]{10} [0-9:]{8},[0-9]{3}", " ".join(plain.split(" ")[:2]))
    for spoil in (
        lambda: logger.addFilter(lambda record: False),
        lambda: handler.addFilter(lambda record: False),
        lambda: handler.setLevel(logging.ERROR),
        lambda: handler.setFormatter(logging.Formatter("%(message)s")),
        lambda: logger.addHandler(logging.NullHandler()),
        lambda: setattr(logger, "propagate", True),
        out.close,
    ):
        logger.filters, logger.handlers, logger.propagate, handler.filters = [], [handler], False, []
        handler.setLevel(logging.NOTSET)
        handler.setFormatter(AMLLogFormatter())
        spoil()
        assert not write_plain(logger, logging.INFO, "not here")
