"""Golden requests: requests with the answers that an image has to give. They travel beside the image, as an artifact about it.

A project names them under `tests`. A build puts them beside its image, and `modelcrate test` sends them to the image years later, from the
registry alone. Pure, but for `load`, which reads the project's files.
"""

from __future__ import annotations

import json
import math
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from modelcrate.images.artifact import GOLDEN, Artifact, make_referrer
from modelcrate.images.image import Image
from modelcrate.images.reading import Found
from modelcrate.project.values import DEFAULT_TOLERANCE, GoldenTest, is_json
from modelcrate_layers.content import Descriptor, Literal, canonical_json, parse_json, parse_object
from modelcrate_layers.errors import CrateError, IntegrityError, UserError, unreadable
from modelcrate_layers.frozen import dataclass
from modelcrate_layers.named_file import read_named_file

KIND = GOLDEN
"""The type of the artifact and of its only layer."""

MAX_BODY = 16 << 20
"""Bytes of a request or an answer."""

MAX_STORED = 64 << 20
"""Bytes of the artifact's document."""

MAX_TESTS = 10_000
MAX_DIFFERENCES = 5
"""Differences of one answer that are reported."""

_REQUEST, _ANSWER = ".request.json", ".response.json"


@dataclass(frozen=True, slots=True)
class GoldenRequest:
    """A request, and what the answer has to be.

    Attributes:
        name: Its name in reports.
        body: The bytes to send, JSON.
        answer: The answer, JSON as text; None where only the status counts.
        tolerance: How far a number of the answer may be off: relative, and absolute near zero.
        path: The path to send it to; empty for that of the image's first contract.
        status: The status of the answer; None for any of 200 to 299.
    """

    name: str
    body: str
    answer: str | None = None
    tolerance: float = DEFAULT_TOLERANCE
    path: str = ""
    status: int | None = None


def load(tests: Sequence[GoldenTest], folder: Path) -> tuple[GoldenRequest, ...]:
    """Reads the golden requests of a project.

    Args:
        tests: What the project file says.
        folder: The project's folder.

    Raises:
        SourceError: A file does not exist.
        UserError: A file is no JSON, a folder has no requests, or an answer has no request.
    """
    return tuple(each for number, test in enumerate(tests, 1) for each in _load(test, folder, number))


def _load(test: GoldenTest, folder: Path, number: int) -> Iterator[GoldenRequest]:
    rest = (test.tolerance, test.path, test.status)
    if is_json(test.request):
        answer = _text(test.answer, folder) if test.answer is not None else None
        yield GoldenRequest(f"tests[{number}]", _text(test.request, folder), answer, *rest)
        return
    place = folder / test.request
    if not place.is_dir():
        answer = _text(test.answer, folder) if test.answer is not None else None
        yield GoldenRequest(test.request, _text(test.request, folder), answer, *rest)
        return
    names = sorted(path.relative_to(place).as_posix() for path in place.rglob("*.json"))
    requests = [name for name in names if name.endswith(_REQUEST)]
    answers = [name for name in names if name.endswith(_ANSWER)]
    alone = [name for name in answers if name.removesuffix(_ANSWER) + _REQUEST not in requests]
    if not requests or alone:
        raise UserError(
            f"{alone[0]} has no request beside it" if alone else f"no file is called NAME{_REQUEST}",
            where=str(place),
            hint=f"a test is NAME{_REQUEST}, with its answer in NAME{_ANSWER}",
        )
    for name in requests:
        expected = name.removesuffix(_REQUEST) + _ANSWER
        answer = _text(f"{test.request}/{expected}", folder) if expected in answers else None
        yield GoldenRequest(
            f"{test.request}/{name.removesuffix(_REQUEST)}", _text(f"{test.request}/{name}", folder), answer, *rest
        )


def _text(text: str, folder: Path) -> str:
    """Returns JSON that stands in the project file, or that of a file that it names."""
    where = "tests"
    if not is_json(text):
        where = str(folder / text)
        try:
            text = read_named_file(folder / text, MAX_BODY).decode()
        except OSError as fault:
            raise unreadable(fault, where) from None
        except UnicodeDecodeError as fault:
            raise UserError(f"is not UTF-8 at byte {fault.start}", where=where, hint="save the file as UTF-8") from None
    try:
        parse_json(text.encode(), limit=MAX_BODY)
    except IntegrityError as fault:
        from modelcrate.project.pages import page  # a build that has nothing to do starts without it

        raise UserError(
            f"a golden request or answer is no JSON: {fault.what}",
            where=where,
            hint=f"requests and answers are JSON; {page('golden-requests')} has an example",
        ) from None
    return text


def make_artifact(subject: Descriptor, tests: Sequence[GoldenRequest]) -> Artifact:
    """Returns the artifact with the golden requests of an image."""
    document = {
        "tests": [
            {
                "name": each.name,
                "request": each.body,
                "tolerance": repr(each.tolerance),
                **({"answer": each.answer} if each.answer is not None else {}),
                **({"path": each.path} if each.path else {}),
                **({"status": each.status} if each.status is not None else {}),
            }
            for each in tests
        ]
    }
    return make_referrer(subject, KIND, Literal(canonical_json(document), KIND))


def read_artifacts(found: Found, image: Image) -> tuple[GoldenRequest, ...]:
    """Returns the golden requests beside an image, of all artifacts about it.

    Raises:
        IntegrityError: An artifact is damaged, too large or not of this form.
    """
    subject = image.manifest.descriptor.digest
    tests: dict[GoldenRequest, None] = {}
    for artifact in found.about(subject, lambda entry: entry.rest.get("artifactType") == KIND):
        if artifact.subject == subject:
            (blob,) = artifact.blobs[-1:]
            if blob.descriptor.size > MAX_STORED:
                raise IntegrityError(f"golden requests of more than {MAX_STORED} bytes", where=str(subject))
            tests |= dict.fromkeys(parse(b"".join(blob.chunks()), str(subject)))
    return tuple(tests)


def parse(data: bytes, where: str) -> tuple[GoldenRequest, ...]:
    """Reads an artifact's document.

    Raises:
        IntegrityError: It is not of this form.
    """
    try:
        found = parse_object(data)["tests"]
        tests = tuple(
            GoldenRequest(
                str(each["name"])[:200],
                _of_type(each["request"], str),
                _of_type(each["answer"], str) if "answer" in each else None,
                float(_of_type(each["tolerance"], str)),
                _of_type(each.get("path", ""), str),
                _of_type(each["status"], int) if "status" in each else None,
            )
            for each in found[: MAX_TESTS + 1]
        )
    except (CrateError, KeyError, TypeError, ValueError, AttributeError) as fault:
        raise IntegrityError(f"no golden requests: {fault}", where=where) from None
    if len(tests) > MAX_TESTS:
        raise IntegrityError(f"more than {MAX_TESTS} golden requests", where=where)
    return tests


def _of_type(value: Any, kind: type) -> Any:
    if not isinstance(value, kind) or isinstance(value, bool):
        raise TypeError(f"a {type(value).__name__} where a {kind.__name__} should be")
    return value


def compare(test: GoldenRequest, status: int, body: bytes) -> tuple[str, ...]:
    """Returns what is wrong with an answer, in words with the place in the JSON; nothing for a right one."""
    right = 200 <= status < 300 if test.status is None else status == test.status
    if not right:
        wanted = "200 to 299" if test.status is None else str(test.status)
        return (f"the status is {status}, not {wanted}: {body[:200].decode('utf-8', 'replace')}",)
    if test.answer is None:
        return ()
    try:
        came = json.loads(body)
    except (ValueError, RecursionError):
        return (f"the answer is no JSON: {body[:200].decode('utf-8', 'replace')}",)
    found = []
    for each in _differences(json.loads(test.answer), came, test.tolerance, "$"):
        found.append(each)
        if len(found) > MAX_DIFFERENCES:
            return (*found[:MAX_DIFFERENCES], "and more")
    return tuple(found)


def _differences(wanted: Any, came: Any, tolerance: float, place: str) -> Iterator[str]:
    if _is_number(wanted) and _is_number(came):
        both_nan = wanted != wanted and came != came
        if not both_nan and not math.isclose(wanted, came, rel_tol=tolerance, abs_tol=tolerance):
            yield f"{place} is {came!r}, not {wanted!r} (tolerance {tolerance:g})"
    elif type(wanted) is not type(came):
        yield f"{place} is {_kind(came)}, not {_kind(wanted)}"
    elif isinstance(wanted, dict):
        for key in dict.fromkeys((*wanted, *came)):
            if key not in came or key not in wanted:
                yield f"{place}.{key} {'is missing' if key not in came else 'was not expected'}"
            else:
                yield from _differences(wanted[key], came[key], tolerance, f"{place}.{key}")
    elif isinstance(wanted, list):
        if len(wanted) != len(came):
            yield f"{place} has {len(came)} entries, not {len(wanted)}"
        for at, (one, other) in enumerate(zip(wanted, came, strict=False)):
            yield from _differences(one, other, tolerance, f"{place}[{at}]")
    elif wanted != came:
        yield f"{place} is {json.dumps(came)[:80]}, not {json.dumps(wanted)[:80]}"


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _kind(value: Any) -> str:
    if value is None:
        return "null"
    return {"dict": "an object", "list": "a list", "str": "a text", "bool": "true or false"}.get(
        type(value).__name__, "a number"
    )
