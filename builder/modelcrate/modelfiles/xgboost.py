"""An XGBoost model's own words: JSON, UBJSON, and the binary format that ended with XGBoost 3.1. Its trees are passed over.

All three are written in one order: UBJSON and JSON end with the version, right behind the learner's parameters and the objective;
the binary format begins with them (dmlc/xgboost, doc/model.schema and src/learner.cc). So the two ends of a file are enough.
"""

from __future__ import annotations

import re
import struct
from collections.abc import Iterator
from typing import Any, BinaryIO

from modelcrate_layers.errors import IntegrityError
from modelcrate_layers.frozen import dataclass
from modelcrate_layers.patterns import compile_later

END = 64 << 10
"""Bytes that are read at the end of a file: the parameters of ten thousand classes have room there."""

BINARY = b"binf"
_JSON_END = compile_later(rb'"version"\s*:\s*\[\s*(\d{1,4})\s*,\s*(\d{1,4})\s*,\s*(\d{1,4})\s*\]\s*\}\s*$')
_JSON_FEATURES = compile_later(rb'"num_feature"\s*:\s*"(\d{1,9})"')
_JSON_OBJECTIVE = compile_later(rb'"objective"\s*:\s*\{\s*"name"\s*:\s*"([a-z:_0-9]{1,60})"')
_UBJ_FEATURES = compile_later(rb"num_featureSL.{7}([\x01-\x09])(\d+)", re.DOTALL)
_UBJ_OBJECTIVE = compile_later(rb"objective\{L.{7}\x04nameSL.{7}(.)([a-z:_0-9]+)", re.DOTALL)
_UBJ_WIDTHS = {b"i": 1, b"U": 1, b"I": 2, b"l": 4, b"L": 8}
_LEGACY = struct.Struct("<4sfIiiiII")
"""The magic, base score, features, classes, two switches, and the version's first two numbers, which are 0 before XGBoost 1.0."""


@dataclass(frozen=True, slots=True)
class XGBoost:
    """The facts of an XGBoost model.

    `version` is empty where the file is older than its own version field; `features` is 0 where the file doesn't state it.
    """

    format: str
    version: str
    features: int = 0
    objective: str = ""

    def facts(self) -> dict[str, Any]:
        """Returns the facts for a report, as JSON values."""
        facts = {
            "encoding": self.format,
            "version": self.version,
            "features": self.features,
            "objective": self.objective,
        }
        return {key: value for key, value in facts.items() if value}


def read(file: BinaryIO, size: int) -> XGBoost:
    """Returns the facts of a model.

    Raises:
        IntegrityError: The file is cut short, so that the version at its end is missing; or it is damaged.
    """
    file.seek(0)
    head = file.read(_LEGACY.size)
    if head.startswith(BINARY):
        return _binary(head)
    file.seek(max(0, size - END))
    end = file.read(END)
    if head.startswith(b"{L"):
        return _ubjson(end)
    version_at_end = _JSON_END.search(end)
    if version_at_end is None:
        raise IntegrityError("is cut short, or no model of XGBoost: the version that such a file ends with is missing")
    objective = _last(_JSON_OBJECTIVE, end)
    version = b".".join(version_at_end.groups()).decode()
    return XGBoost("json", version, _number(_JSON_FEATURES, end), objective[1].decode() if objective else "")


def _binary(head: bytes) -> XGBoost:
    if len(head) < _LEGACY.size:
        raise IntegrityError("is cut short: a model of XGBoost has more bytes than this before its first tree")
    _, _, features, _, _, _, major, minor = _LEGACY.unpack(head)
    if major > 3 or features > 1 << 31:
        raise IntegrityError("is no binary model of XGBoost: its version or number of features can't be")
    return XGBoost("binary", f"{major}.{minor}" if major else "", features)


def _ubjson(end: bytes) -> XGBoost:
    at = end.rfind(b"version[#L")
    count = int.from_bytes(end[at + 10 : at + 18], "big")
    numbers = list(_integers(end[at + 18 : -1], count)) if at >= 0 and count == 3 and end.endswith(b"}") else []
    if len(numbers) != 3:
        raise IntegrityError("is cut short, or no model of XGBoost: the version that such a file ends with is missing")
    found = _last(_UBJ_FEATURES, end)
    features = int(found[2][: found[1][0]]) if found else 0
    named = _last(_UBJ_OBJECTIVE, end)
    return XGBoost("ubj", ".".join(map(str, numbers)), features, named[2][: named[1][0]].decode() if named else "")


def _integers(data: bytes, count: int) -> Iterator[int]:
    """UBJSON's typed integers, as many as there should be; fewer, where a byte is something else."""
    at = 0
    for _ in range(count):
        width = _UBJ_WIDTHS.get(data[at : at + 1], 0)
        if not width or at + 1 + width > len(data):
            return
        yield int.from_bytes(data[at + 1 : at + 1 + width], "big")
        at += 1 + width
    if at != len(data):
        yield -1  # bytes between the version and the end: so this is not the file's version


def _last(pattern: re.Pattern[bytes], data: bytes) -> re.Match[bytes] | None:
    found = None
    for found in pattern.finditer(data):  # noqa: B007 - the last one is what is wanted
        pass
    return found


def _number(pattern: re.Pattern[bytes], data: bytes) -> int:
    found = _last(pattern, data)
    return int(found[1]) if found else 0
