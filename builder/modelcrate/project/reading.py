"""The project file: bytes in, a `Project` out, or every fault of the file at once with its place, its line and a way out."""

from __future__ import annotations

import difflib
from pathlib import Path
from typing import TYPE_CHECKING

from modelcrate.project.document import MAX_BYTES, Document, Fault, Steps, Table, parse, quoted
from modelcrate.project.values import FILE_NAME, Base, Project
from modelcrate_layers.errors import UserError, unreadable
from modelcrate_layers.named_file import open_named_file

if TYPE_CHECKING:
    from pydantic_core import ErrorDetails

_SHAPES = {
    "string_type": "a text",
    "list_type": "a list",
    "dict_type": "a mapping",
    "model_type": "a text or a mapping",
    "union_tag_not_found": "a text or a list",
}
_KINDS = {str: "a text", list: "a list", dict: "a mapping", type(None): "empty"}
_STAND_IN = {"name": "x", "base": "scratch", "command": ["program"]}
"""What stands in for a key that is wrong while the rules between keys are checked; scratch is under no rule, and a command
that can't be read is a command."""


def read_project(path: Path) -> Project:
    """Returns the project in this file; its paths may not leave the file's folder through links either.

    Raises:
        SourceError: The file does not exist.
        UserError: The file has faults; `also` has the others.
    """
    try:
        with open_named_file(path) as file:
            data = file.read(MAX_BYTES + 1)
    except OSError as fault:
        hint = "`modelcrate init` writes one" if isinstance(fault, FileNotFoundError) else ""
        raise unreadable(fault, path, "the project file", hint) from None
    return parse_project(data, str(path), folder=path.parent)


def parse_project(data: bytes, name: str = FILE_NAME, folder: Path | None = None) -> Project:
    """Returns the project in these bytes. `name` is what faults call the file; without a `folder`, links are not looked at.

    Raises UserError with all faults (the others in `also`).
    """
    document = parse(data, name)
    if not isinstance(document.root, Table):
        found = _KINDS[type(document.plain())]
        what = "the file is empty" if found == "empty" else f"a project file is a mapping, not {found}"
        raise document.error([*document.faults, Fault(document.root.spot, what, "begin with name: my-model")])
    project, faults = _validated(document, folder)
    if project is None or faults or document.faults:
        raise document.error([*document.faults, *faults])
    return project


def _validated(document: Document, folder: Path | None) -> tuple[Project | None, list[Fault]]:
    """Returns what the document means, if it means something, and what is wrong with it.

    Rules between keys are checked over the keys that are right by themselves, so that one fault doesn't hide another.
    """
    from pydantic import ValidationError

    from modelcrate.project import form
    from modelcrate.project.cross_field_rules import violations

    plain = document.plain()
    assert isinstance(plain, dict)
    errors: list[ErrorDetails] = []
    guesses: dict[Steps, str] = {}
    meant: set[Steps] = set()
    try:
        whole = form.ProjectForm.model_validate(plain, context=folder)
    except ValidationError as fault:
        errors = fault.errors(include_url=False)
        guesses = {loc: guess for loc in map(_loc, _of_type("extra_forbidden", errors)) if (guess := _guess(loc))}
        meant = {(*loc[:-1], guess) for loc, guess in guesses.items()}
        wrong = {error["loc"][0] for error in errors if error["loc"]} | {path[0] for path in meant if len(path) == 1}
        right = {key: value for key, value in plain.items() if key not in wrong}
        stand_in = {key: value for key, value in _STAND_IN.items() if key in wrong}
        whole = form.ProjectForm.model_validate({**stand_in, **right}, context=folder)
    faults = [
        _fault(document, error, guesses) for error in errors if error["type"] != "missing" or _loc(error) not in meant
    ]
    given = frozenset(plain) | {str(path[0]) for path in meant if len(path) == 1}
    faults += [Fault(document.spot_of(b.path), b.what, b.hint) for b in violations(whole, given)]
    return (None if faults else form.value_of(whole)), faults


def _of_type(kind: str, errors: list[ErrorDetails]) -> list[ErrorDetails]:
    return [error for error in errors if error["type"] == kind]


def _loc(error: ErrorDetails) -> Steps:
    """Returns where an error is, in the file's own keys."""
    from modelcrate.project.form import TAGS

    *around, last = error["loc"] or ("",)
    return (
        *(step for step in around if step not in TAGS),
        *(() if error["type"] != "extra_forbidden" and last in TAGS else (last,)),
    )


def _fault(document: Document, error: ErrorDetails, guesses: dict[Steps, str]) -> Fault:
    """Returns a validation error in our words, at its place."""
    from modelcrate.project.grammar import OURS

    kind, loc, context = error["type"], _loc(error), error.get("ctx", {})
    if kind == "extra_forbidden":
        place, known = _form_at(loc[:-1])
        guess = guesses.get(loc)
        hint = f"did you mean {guess!r}?" if guess else f"known keys: {', '.join(known)}"
        if len(loc) == 1 and loc[0] in _form_at(("server",))[1]:
            hint = f"it stands under 'server': server: {{{loc[0]}: ...}}"
        return Fault(document.key_spot(loc), f"unknown key {quoted(str(loc[-1]))} in {place}", hint)
    if kind == "missing":
        return Fault(document.spot_of(loc[:-1]), f"'{loc[-1]}' is missing in {_form_at(loc[:-1])[0]}")
    spot = document.key_spot(loc[:-1]) if loc[-1] == "[key]" else document.spot_of(loc)
    if kind == OURS and error["input"] is not None:
        return Fault(spot, context["what"], context["hint"])
    return Fault(spot, *_shape_fault(error, loc))


def _shape_fault(error: ErrorDetails, loc: Steps) -> tuple[str, str]:
    """Returns the message and the hint where a value has the wrong type, such as a list in the place of a text."""
    item = isinstance(loc[-1], int) and len(loc) > 1
    label = f"an item of {quoted(str(loc[-2]))}" if item else quoted(str(loc[-1]))
    if error["input"] is None:
        return f"{label} has no value", 'leave it out, or write "" for an empty text'
    if error["type"] == "too_short":
        return f"{label} is empty", "leave it out for the default"
    short = not isinstance(error["input"], str)  # a text is no short form there, or it would stand for its mapping
    wanted = _SHAPES.get(error["type"]) if short or error["type"] != "model_type" else "a mapping"
    if wanted is None:
        return f"{label}: {error['msg'].lower()}", ""
    return f"{label} has to be {wanted}, not {_KINDS[type(error['input'])]}", ""


def _form_at(loc: Steps) -> tuple[str, tuple[str, ...]]:
    """Returns what the mapping at this place is called, and the keys it may have."""
    from modelcrate.project import form

    place, found = form.FORMS[tuple(step for step in loc if isinstance(step, str))]
    return place, form.keys(found)


def _guess(loc: Steps) -> str:
    """Returns the key that was probably meant by an unknown one, or nothing."""
    known = _form_at(loc[:-1])[1]
    return next(iter(difflib.get_close_matches(str(loc[-1])[:100].lower(), known, 1, 0.6)), "")


def parse_base_words(text: str) -> Base:
    """Returns a base in the words of the key `base`: `debian`, an image reference, `oci:DIR`, `rootfs:FILE`; else a UserError."""
    from pydantic import TypeAdapter, ValidationError

    from modelcrate.project.grammar import BaseWords

    try:
        base: Base = TypeAdapter(BaseWords).validate_python(text)
    except ValidationError as fault:
        context = fault.errors()[0].get("ctx", {})
        raise UserError(
            str(context.get("what", f"{text!r:.80} is not a base")), hint=str(context.get("hint", ""))
        ) from None
    return base
