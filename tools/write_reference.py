"""Write the pages of docs/reference that are made from the code: the command line (for `man` too), the project file, the exit codes, the registries."""

from __future__ import annotations

import argparse
import inspect
import re
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from modelcrate.cli import SUMMARY, VERBS, parser, subcommands
from modelcrate.project.byte_sizes import format_size
from modelcrate.project.schema import schema
from modelcrate.registry.profiles import TABLE, Rule, profile_of
from modelcrate_layers import errors

HERE = Path(__file__).parents[1] / "docs" / "reference"
NOTE = "This page is made from the code by `make docs`; a test keeps them equal."


def pages() -> dict[str, str]:
    """The pages by their file names."""
    return {
        "command-line.md": "\n".join(command_line()) + "\n",
        "project-file.md": "\n".join(project_file()) + "\n",
        "exit-codes.md": "\n".join(exit_codes()) + "\n",
        "registry-matrix.md": "\n".join(registries()) + "\n",
        "modelcrate.1": "\n".join(manual()) + "\n",
    }


def command_line() -> Iterator[str]:
    yield from ("# The command line", "", NOTE, "")
    yield from ("| command | what it does |", "|---|---|")
    yield from (f"| [`{name}`](#{name}) | {summary} |" for name, summary in VERBS.items())
    for name in VERBS:
        verb = subcommands(parser([name]))[name]
        yield from ("", f"## {name}", "", (verb.description or "").strip(), "")
        yield from nested(verb)
    yield from ("", "## Every command also takes", "", *rows(common(subcommands(parser(["images"]))["images"])))


def nested(verb: argparse.ArgumentParser) -> Iterator[str]:
    """A verb's arguments; of a verb with sub-commands, theirs."""
    inner = subcommands(verb)
    if not inner:
        yield f"    {usage(verb)}"
        yield ""
        yield from rows(own(verb))
    for name, each in inner.items():
        yield from (
            f"### {verb.prog.split()[-1]} {name}",
            "",
            (each.description or "").strip(),
            "",
            f"    {usage(each)}",
            "",
        )
        yield from rows(own(each))
        yield ""


def usage(verb: argparse.ArgumentParser) -> str:
    """One line, whatever the width of the terminal; the common options are told once, at the end of the page."""
    shown = own(verb)
    words = [f"[{each.option_strings[0]}{value(each)}]" for each in shown if each.option_strings]
    words += [
        f"[{metavar(each)}]" if each.nargs in ("?", "*", "...") else metavar(each)
        for each in shown
        if not each.option_strings
    ]
    return " ".join([verb.prog, *words])


def own(verb: argparse.ArgumentParser) -> list[argparse.Action]:
    shared = {id(each) for each in common(verb)}
    return [each for each in verb._actions if id(each) not in shared and each.dest not in ("help",)]


def common(verb: argparse.ArgumentParser) -> list[argparse.Action]:
    return next((group._group_actions for group in verb._action_groups if group.title == "common options"), [])


def rows(actions: list[argparse.Action]) -> Iterator[str]:
    if not actions:
        return
    yield from ("| argument | meaning |", "|---|---|")
    for each in actions:
        name = ", ".join(f"`{option}{value(each)}`" for option in each.option_strings) or f"`{metavar(each)}`"
        meaning = (each.help or "").replace("|", r"\|").replace("][", r"]\[")  # Markdown takes [a][b] for a link
        yield f"| {name} | {meaning} |"


def value(action: argparse.Action) -> str:
    return "" if action.nargs == 0 else f" {metavar(action)}"


def metavar(action: argparse.Action) -> str:
    if action.choices and action.option_strings:
        return "{" + ",".join(map(str, action.choices)) + "}"
    shown = action.metavar or action.dest.upper()
    return shown if isinstance(shown, str) else " ".join(shown)


def project_file() -> Iterator[str]:
    document = schema()
    yield from ("# The project file, modelcrate.yaml", "", NOTE, "")
    yield "Editors complete it from [modelcrate.schema.json](modelcrate.schema.json)."
    yield from keys(document, document, "")
    for name, inner in sorted(document.get("$defs", {}).items()):
        if inner.get("properties"):
            yield from ("", f"## {title(name)}", "", inner.get("description", ""))
            yield from keys(document, inner, name)


def keys(document: Mapping[str, Any], node: Mapping[str, Any], name: str) -> Iterator[str]:
    yield from ("", "| key | type | meaning |", "|---|---|---|")
    required = node.get("required", [])
    for key, each in node["properties"].items():
        must = " (required)" if key in required else ""
        yield f"| `{key}`{must} | {kind(each)} | {told(each)} |"


def kind(node: Mapping[str, Any]) -> str:
    if "$ref" in node:
        return f"mapping ([{title(node['$ref'])}](#{title(node['$ref'])}))"
    if "const" in node:
        return f"`{node['const']}`"
    if "enum" in node:
        return ", ".join(f"`{each}`" for each in node["enum"])
    options = node.get("anyOf") or node.get("oneOf") or node.get("allOf")
    if options:
        found = dict.fromkeys(kind(each) for each in options if each.get("type") != "null")
        return " or ".join(found).replace("text or number or yes or no", "text").replace("text or number", "text")
    found = node.get("type", "anything")
    if isinstance(found, list):
        return "text" if "string" in found else " or ".join(found)
    words = {"array": "list", "object": "mapping", "string": "text", "integer": "number", "boolean": "yes or no"}
    if found == "array" and "items" in node:
        return f"list of {kind(node['items'])}"
    return words.get(found, found)


def title(name: str) -> str:
    """A form's heading: `ModelForm` is about a model."""
    return name.rpartition("/")[2].removesuffix("Form").lower()


def told(node: Mapping[str, Any]) -> str:
    text = str(node.get("description", "")).replace("\n", " ").replace("|", "\\|")
    examples = node.get("examples")
    shown = ", ".join(f"`{each}`" for each in examples if isinstance(each, (str, int, float))) if examples else ""
    return f"{text}{' For instance ' + shown if shown else ''}"


def exit_codes() -> Iterator[str]:
    yield from ("# Exit codes", "", NOTE, "", EXIT_CODES)
    yield from ("", "| code | meaning |", "|---|---|")
    yield from (f"| {code} | {meaning} |" for code, meaning in meanings())
    yield from ("", PASSED_ON)


EXIT_CODES = "The code is the kind of cause. After any of them, no incomplete image or file is left behind."
PASSED_ON = "`modelcrate run` in the foreground, `exec` and `azureml run` end with the exit code of the program that they started."


def meanings() -> Iterator[tuple[str, str]]:
    """The exit codes with what they mean."""
    yield ("0", "done")
    kinds = [each for _, each in inspect.getmembers(errors, inspect.isclass) if issubclass(each, errors.CrateError)]
    own = {each.exit_code: each for each in sorted(kinds, key=lambda each: len(each.__mro__))}
    for code, each in sorted(own.items()):
        first = (inspect.getdoc(each) or "").split("\n\n")[0].replace("\n", " ")
        yield (str(code), f"{first} (`{each.__name__}`)")
    yield (str(errors.INTERRUPTED), "Interrupted by Ctrl-C.")
    yield ("129, 143", "Ended by a signal: 128 and its number, of SIGHUP and SIGTERM.")


REGISTRIES = {
    "*": "any other",
    "docker.io": "Docker Hub",
    "ghcr.io": "GitHub",
    "*.dkr.ecr.*.amazonaws.com*": "Amazon ECR",
    "public.ecr.aws": "Amazon ECR Public",
    "*.pkg.dev": "Google Artifact Registry",
    "gcr.io": "Google Container Registry",
    "*.gcr.io": "Google Container Registry, by region",
    "quay.io": "Quay",
    "registry.gitlab.com": "GitLab",
}
"""What people call the registries of the table."""

MATRIX = """\
Registries differ in what they take. modelcrate has this table (`builder/modelcrate/registry/profiles.py`); `registries.yaml` adds to it, and its
rules count after these ([the keys](registries.md)). A rule holds for the hosts that it names, and what it leaves open is that of the first row.

A registry that is not in the table is asked: where it refuses chunks, or accepts them without keeping them, the blob is sent in one request; where it
has no API for referrers, the fallback tag of the specification is written. So a row saves the asking, or avoids a fault that a registry
does not tell.

- **upload**: how blobs are sent that are larger than a chunk ([the three methods](registries.md#the-three-methods-of-upload)).
- **goes on**: whether an upload that was cut is continued behind what the registry has confirmed.
- **limits**: the most that goes in one request, above which chunks are taken; the largest layer, above which a push is refused before its first byte.
- **at once**: uploads at the same time; halved while a registry says "too many requests".
- **referrers**: how signatures and bills of materials are found: `probe` asks once whether there is an API, `tag` goes by the fallback tag."""

TRIED = """\
The tests run against docker-registry 2.8, and against a registry of their own that has the oddities of these rows
([the client's checklist](../registry-checklist.md)); none of them reaches a registry of the table. Registries change: if a row is no longer true, a
rule in `registries.yaml` overrides it, and a report is welcome."""


def registries() -> Iterator[str]:
    yield from ("# What registries take", "", NOTE, "", MATRIX, "")
    yield from ("| registry | upload | goes on | limits | at once | referrers |", "|---|---|---|---|---|---|")
    yield from map(registry, TABLE)
    yield from ("", "## Where each row comes from", "")
    for rule in TABLE:
        source = re.sub(r"([\w.-]+/[\w.-]+)#(\d+)", r"[\1#\2](https://github.com/\1/issues/\2)", rule.source)
        yield f"- {REGISTRIES[rule.match]}: {source}."
    yield from ("", TRIED)


def registry(rule: Rule) -> str:
    """A row of the table: what holds for a registry of this rule."""
    found = profile_of("x" if rule.match == "*" else rule.match.replace("*", "x"))
    method = found.upload_method(found.chunk_size + 1)
    goes_on = "yes" if method == "chunks" else f"over {format_size(found.max_put)}" if found.max_put else "no"
    sent = f"{method} of {found.chunk_size >> 20} MiB" if method == "chunks" else method
    told = {"request": found.max_put, "layer": found.max_layer}
    limits = ", ".join(f"{what} {format_size(limit)}" for what, limit in told.items() if limit)
    name = f"{REGISTRIES[rule.match]}, `{rule.match}`"
    return f"| {' | '.join([name, sent, goes_on, limits, str(found.concurrency), found.referrers])} |"


def manual() -> Iterator[str]:
    """The page for `man`, in the macros of man(7)."""
    yield from (".TH MODELCRATE 1", ".nh", ".SH NAME", rf"modelcrate \- {troff(SUMMARY)}", ".SH SYNOPSIS")
    yield from (r"\fBmodelcrate\fR \fICOMMAND\fR [\fIARGUMENT\fR ...]", ".SH COMMANDS")
    for name in VERBS:
        verb = subcommands(parser([name]))[name]
        inner = subcommands(verb)
        for each in inner.values() or [verb]:
            yield rf'.SS "{troff(each.prog)}"'
            yield from paragraphs(usage(each))
            if inner and each is next(iter(inner.values())):
                yield from paragraphs(verb.description or "")
            yield from paragraphs(each.description or "")
            yield from terms(own(each))
    yield from (".SH COMMON OPTIONS", *terms(common(subcommands(parser(["images"]))["images"])))
    yield from (".SH EXIT STATUS", *paragraphs(EXIT_CODES))
    for code, meaning in meanings():
        yield from (".TP", rf"\fB{code}\fR", troff(meaning))
    yield from paragraphs(PASSED_ON)


def paragraphs(text: str) -> Iterator[str]:
    """Paragraphs in the macros of man(7); indented lines stay as they are."""
    for paragraph in text.strip().split("\n\n"):
        if paragraph.startswith("    "):
            yield from (".PP", ".RS 4", ".EX", *(troff(line[4:]) for line in paragraph.splitlines()), ".EE", ".RE")
        elif paragraph:
            yield from (".PP", *map(troff, paragraph.splitlines()))


def terms(actions: list[argparse.Action]) -> Iterator[str]:
    for each in actions:
        names = [rf"\fB{troff(option)}\fR{troff(value(each))}" for option in each.option_strings]
        yield from (".TP", ", ".join(names) or rf"\fI{troff(metavar(each))}\fR", troff(each.help or ""))


def troff(text: str) -> str:
    """Text as troff reads it: what stands in backquotes is bold, a hyphen is the character that users type."""
    text = text.replace("\\", r"\e").replace("-", r"\-").replace('"', r"\(dq")
    text = re.sub(r"`([^`]+)`", r"\\fB\1\\fR", text)
    return rf"\&{text}" if text.startswith((".", "'")) else text


def main() -> int:
    for name, text in pages().items():
        (HERE / name).write_text(text, encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
