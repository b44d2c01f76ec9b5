"""/swagger.json: the documents in the versions that can describe the script's types."""

from __future__ import annotations

import json
import logging
import os
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from .entry import Entry, schema_of
from .request import HttpError
from .swagger_document import openapi_3, swagger_2

if TYPE_CHECKING:
    from .settings import Settings

_log = logging.getLogger("azmlinfsrv.swagger")

ALIASES = {"2": "2", "2.0": "2", "3": "3", "3.0": "3", "3.1": "3.1"}
"""What a client may ask for, and the version that is meant."""
_VERSIONS_OF_TYPES = {"2": "2.0", "3": "3.0", "3.1": "3.1"}
_USER_FILES = {"2": ("swagger.json", "swagger2.json"), "3": ("swagger3.json",), "3.1": ("swagger3.1.json",)}
_ANYTHING = {"type": "object", "example": {}}


class Documents:
    """The documents of one entry script by version. They are made once, when the server starts."""

    def __init__(self, by_version: Mapping[str, Any]) -> None:
        self._by_version = by_version

    def of(self, version: str) -> Any:
        """Returns the document of a version; `HttpError` 404 without one, which names the others."""
        supported = ", ".join(sorted(self._by_version))
        if version not in ALIASES:
            raise HttpError(404, f"Swagger version [{version}] is not valid. Supported versions: [{supported}].")
        document = self._by_version.get(ALIASES[version])
        if not document:
            raise HttpError(
                404,
                f"Swagger version [{version}] is not supported for the scoring script. "
                f"Supported swagger versions: [{supported}].",
            )
        return document


def write_documents(entry: Entry, settings: Settings) -> Documents:
    """Returns the user's own documents from the app root, and generated ones for the other versions."""
    documents = {version: _document(version, entry, settings) for version in _USER_FILES}
    found = {version: document for version, document in documents.items() if document is not None}
    _log.info("Swagger documents are ready for these versions: %s", ", ".join(sorted(found)) or "none")
    return Documents(found)


def _document(version: str, entry: Entry, settings: Settings) -> Any:
    for name in _USER_FILES[version]:
        path = os.path.join(settings.app_root, name)
        if os.path.isfile(path):
            with open(path, encoding="utf-8") as file:
                _log.info("Using %s for version %s", path, version)
                return json.load(file)
    return _generated(version, entry, settings)


def _generated(version: str, entry: Entry, settings: Settings) -> Any:
    module = schema_of(entry.run)
    if module is None:
        given, answered = entry.described.takes or _ANYTHING, entry.described.gives or _ANYTHING
    elif _VERSIONS_OF_TYPES[version] in module.get_supported_versions(entry.run):
        given, answered = module.get_input_schema(entry.run), module.get_output_schema(entry.run)
    else:
        return None
    if version == "2":
        return swagger_2(settings.service, given, answered)
    return openapi_3("3.1.0" if version == "3.1" else "3.0.3", settings.service, given, answered)
