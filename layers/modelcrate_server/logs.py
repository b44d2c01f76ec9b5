"""The log: lines of one form on standard output, in UTC. A logging.json of the user's replaces this configuration."""

from __future__ import annotations

import builtins
import json
import logging
import logging.config
import os
import sys
import time
from contextlib import nullcontext
from typing import Any

from .settings import Settings
from .variables import SettingsError

FORMAT = "%(asctime)s %(levelname).1s [%(process)d] %(name)s - %(message)s"


class AMLLogFormatter(logging.Formatter):
    """Writes the contract's line: UTC time, one letter for the level, the process, the logger, the message."""

    converter = time.gmtime  # type: ignore[assignment]  # the base class declares it for local time

    def __init__(self, fmt: str = FORMAT, datefmt: str | None = None, style: Any = "%") -> None:
        super().__init__(fmt=fmt, datefmt=datefmt, style=style)
        self._second: tuple[int, str] = 0, ""

    def formatTime(self, record: logging.LogRecord, datefmt: str | None = None) -> str:  # noqa: N802 - logging's name
        """Returns the record's time; the text of a second is made once."""
        if datefmt:
            return super().formatTime(record, datefmt)
        return self.moment(record.created)

    def moment(self, created: float) -> str:
        """Returns a time as the lines have it."""
        second, text = self._second
        if int(created) != second:
            second = int(created)
            text = time.strftime("%Y-%m-%d %H:%M:%S", self.converter(second))  # type: ignore[misc, call-arg]  # it is no method
            self._second = second, text
        return f"{text},{int((created - second) * 1000):03d}"


class JsonLogFormatter(logging.Formatter):
    """Writes a JSON object for each record: time, level, process, logger, message, and what the record's function `fields` returns."""

    def format(self, record: logging.LogRecord) -> str:
        """Returns the line of a record."""
        moment = time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(record.created))
        document = {
            "time": f"{moment}.{int(record.msecs):03d}Z",
            "level": record.levelname,
            "pid": record.process,
            "logger": record.name,
            "message": record.getMessage(),
            **getattr(record, "fields", dict)(),
        }
        if record.exc_info:
            document["exception"] = self.formatException(record.exc_info)
        return json.dumps(document, default=str)


class LineHandler(logging.StreamHandler):  # type: ignore[type-arg]  # not subscriptable in Python 3.9 and 3.10
    """Writes the contract's lines, whole ones at once (see `write_plain`)."""


def write_plain(logger: logging.Logger, level: int, message: str) -> bool:
    """Writes a line as the logger would, in a third of its time; returns False where the logger has to do it.

    Nobody but our own handler may be there to see or to change a record of it.

    Args:
        logger: The logger; it takes this level.
        level: The level.
        message: The text.
    """
    handler = logger.handlers[0] if len(logger.handlers) == 1 else None
    if (
        not isinstance(handler, LineHandler)
        or logger.filters
        or handler.filters
        or logger.propagate
        or level < handler.level
    ):
        return False
    form = handler.formatter
    if type(form) is not AMLLogFormatter or form._fmt != FORMAT:
        return False
    moment, letter = form.moment(time.time()), logging.getLevelName(level)[0]
    line = f"{moment} {letter} [{os.getpid()}] {logger.name} - {message}\n"
    try:
        with handler.lock or nullcontext():
            handler.stream.write(line)
            handler.stream.flush()
    except Exception:  # the handler reports it in its own way
        return False
    return True


class RootAccessFilter(logging.Filter):
    """Leaves out the access lines of health probes."""

    def filter(self, record: logging.LogRecord) -> bool:
        """Returns whether a record is kept."""
        return "GET / HTTP/1.1" not in record.getMessage()


def set_up_logs(settings: Settings) -> None:
    """Configures logging by logging.json in the app root or beside the entry script, else by our own configuration.

    Raises:
        SettingsError: That file can't be used.
    """
    path = _user_file(settings)
    if path is None:
        logging.config.dictConfig(_own(settings.log_level, settings.log_format))
        return
    try:
        with open(path, encoding="utf-8") as file:
            logging.config.dictConfig(json.load(file))
    except (OSError, ValueError, TypeError, AttributeError, ImportError) as error:
        raise SettingsError(f"the logging configuration {path} can't be used: {error}") from error
    logging.getLogger("azmlinfsrv").info("Loaded the logging configuration %s", path)


def reroute_prints() -> None:
    """Makes `print` write to the log instead of standard output; to other files it writes as before."""
    if builtins.print is not _print_to_log:
        builtins.print = _print_to_log


_plain_print = builtins.print
_prints = logging.getLogger("azmlinfsrv.print")


def _print_to_log(
    *values: object, sep: str | None = " ", end: str | None = "\n", file: Any = None, flush: bool = False
) -> None:
    if file is None or file is sys.stdout:
        _prints.info("%s", (" " if sep is None else sep).join(map(str, values)))
    else:
        _plain_print(*values, sep=sep, end=end, file=file, flush=flush)


def _user_file(settings: Settings) -> str | None:
    folders = [settings.app_root]
    if settings.entry_script:
        folders.append(os.path.dirname(os.path.realpath(os.path.join(settings.app_root, settings.entry_script))))
    paths = (os.path.join(folder, "logging.json") for folder in folders)
    return next((path for path in paths if os.path.isfile(path)), None)


def _own(level: str, form: str) -> dict[str, Any]:
    handler = {"class": f"{__name__}.LineHandler", "formatter": "line"}
    return {
        "version": 1,
        "disable_existing_loggers": False,
        "formatters": {"line": {"()": JsonLogFormatter if form == "json" else AMLLogFormatter}},
        "handlers": {
            "out": {**handler, "stream": "ext://sys.stdout"},
            "err": {**handler, "stream": "ext://sys.stderr"},
        },
        "loggers": {
            "azmlinfsrv": {"level": level, "handlers": ["out"], "propagate": False},
            "gunicorn.error": {"level": "INFO", "handlers": ["err"], "propagate": False},
        },
        "root": {"level": "WARNING", "handlers": ["err"]},
    }
