"""The entry script: loads it and finds out what its run() takes."""

from __future__ import annotations

import importlib
import importlib.util
import inspect
import logging
import os
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from types import ModuleType
from typing import TYPE_CHECKING, Any

from . import raw_http
from .described import Described, described
from .inputs import ObjectInput, RawInput, Reader, TextInput
from .stopping import Stopped

if TYPE_CHECKING:
    from .settings import Settings

_log = logging.getLogger("azmlinfsrv.user_script")
MODULE_NAME = "entry_module"


class EntryError(Exception):
    """The entry script can't be used; the text says why."""


@dataclass(frozen=True)
class Entry:
    """A loaded entry script.

    Attributes:
        init: The script's init().
        run: The script's run().
        read: Gives the arguments of run() for a request.
        wants_headers: Whether run() has an argument `request_headers`.
        described: What a run() without decorators takes and gives.
        signature: The script's own signature(), if it has one.
    """

    init: Callable[[], object]
    run: Callable[..., Any]
    read: Reader
    wants_headers: bool
    described: Described = field(default_factory=Described)
    signature: Callable[[], Any] | None = None

    def call(self, arguments: Mapping[str, Any], headers: Mapping[str, str]) -> Any:
        """Calls run() with these arguments, and with the header fields if it takes them."""
        if self.wants_headers:
            return self.run(**arguments, request_headers=dict(headers))
        return self.run(**arguments)


def load_entry(settings: Settings) -> Entry:
    """Imports the script and checks its two functions.

    Raises:
        EntryError: The script is wrong, or raised an exception.
    """
    raw_http.reset()
    try:
        module = _imported(settings)
    except Stopped:
        raise
    except BaseException as error:  # SystemExit too: a script that leaves while it is imported has failed
        raise EntryError("the entry script could not be imported, because it raised an exception") from error
    for name in ("init", "run"):
        if not hasattr(module, name):
            raise EntryError(f"the entry script {module.__file__} has no function {name}()")
    # a driver script forwards to the real one; its init() does work of its own, its run() only gets in the way of
    # decorators
    driven = getattr(module, "driver_module", None)
    run = driven.run if isinstance(driven, ModuleType) and hasattr(driven, "run") else module.run
    _log.info("Found the entry script at %s", module.__file__)
    signature = getattr(module, "signature", None)
    return replace(_examined(module.init, run, settings), signature=signature if callable(signature) else None)


def _imported(settings: Settings) -> ModuleType:
    sources = [os.path.join(settings.app_root, settings.source_dir)] if settings.source_dir else []
    sys.path += [folder for folder in (settings.app_root, *sources) if folder not in sys.path]
    if not settings.entry_script:
        return importlib.import_module("main")
    path = os.path.join(settings.app_root, settings.entry_script)
    spec = importlib.util.spec_from_file_location(MODULE_NAME, path)
    if spec is None or spec.loader is None:
        raise ImportError(f"{path} is no Python file")
    module = importlib.util.module_from_spec(spec)
    sys.modules[MODULE_NAME] = module  # dataclasses and pickle look their module up by name
    spec.loader.exec_module(module)
    return module


def _examined(init: Callable[[], object], run: Callable[..., Any], settings: Settings) -> Entry:
    parameters = list(inspect.signature(run).parameters.values())
    if any(p.kind not in (p.KEYWORD_ONLY, p.POSITIONAL_OR_KEYWORD) for p in parameters):
        raise EntryError("run() cannot accept positional-only arguments, *args, or **kwargs")
    inputs = [parameter for parameter in parameters if parameter.name != "request_headers"]
    if not inputs:
        raise EntryError("run() needs an argument for the input data, besides request_headers if it has that")
    try:
        description = described(settings)
    except (OSError, ValueError) as fault:
        raise EntryError(f"the description of the entry script can't be used: {fault}") from fault
    reader = _reader(run, inputs, description, settings)
    wants_headers = len(inputs) < len(parameters)
    if settings.process.batch is not None and (wants_headers or not isinstance(reader, TextInput)):
        raise EntryError("a batch takes a run(inputs) without decorators and without request_headers")
    return Entry(init, run, reader, wants_headers, description)


def _reader(
    run: Callable[..., Any], inputs: list[inspect.Parameter], description: Described, settings: Settings
) -> Reader:
    raw, decorated = raw_http.is_requested(), schema_of(run) is not None
    validates = settings.departures.bad_input_is_400
    if raw and decorated:
        raise EntryError("run() cannot be decorated with both @rawhttp and @input_schema")
    if decorated and settings.description is not None:
        raise EntryError("run() has @input_schema, and the project has `schema:` as well; keep one of them")
    if validates and (raw or not (decorated or description.takes)):
        reads = (
            "run() reads the request itself"
            if raw
            else "no schema is known: use @input_schema, or `schema:` in the project"
        )
        _log.warning("Input is held to nothing, although it should be: %s", reads)
    if raw:
        _log.info("run() gets the HTTP request itself, as @rawhttp asks")
        return RawInput(inputs[0].name, raw_http.adapt)
    if decorated:
        _log.info("run() has an input schema and gets these arguments: %s", ", ".join(p.name for p in inputs))
        schemas = schema_of(run).get_input_schema(run).get("properties", {})
        return ObjectInput(inputs, schemas, forgiving=validates)
    _log.info("run() has no input schema and gets the body as text")
    return TextInput(inputs[0].name, description, validates)


def schema_of(run: Callable[..., Any]) -> Any:
    """Returns the module with run()'s schema, `inference_schema` or our stand-in; None when run() has no decorator."""
    if "inference_schema.schema_decorators" not in sys.modules:
        return None
    module = importlib.import_module("inference_schema.schema_util")
    return module if module.is_schema_decorated(run) else None
