"""The pages of docs/, carried out as a reader would: files are saved, commands are typed, and what they print is held to the page.

What a fenced block is, by the words behind its fence:

- `console`: commands behind `$ `, each with what it prints. `inside$ ` types on the machine `inside`. `[...]` stands for any lines.
- `pycon`: Python behind `>>> ` and `... `, with what it prints.
- `sh`, `python`: commands and programs without what they print.
- any language with `title="PATH"`: a file that the reader saves.

A command may fail only where `echo $?` comes next, so that the page tells the exit code.
"""

from __future__ import annotations

import json
import os
import re
import shlex
import subprocess
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType

from support.printed import matches, without_passing_lines
from support.shared_command import Modelcrate
from support.sources import REPOSITORY
from support.waiting import HANG

FENCE = re.compile(r"^```(\w+)(?: title=\"([^\"]+)\")?\n(.*?)^```$", re.MULTILINE | re.DOTALL)
TYPED = re.compile(r"^(?:(\w+))?\$ (.*)$")

INTERPRETER = """\
import contextlib, io, json, sys, traceback
names = {"__name__": "__main__"}
for line in sys.stdin:
    told = io.StringIO()
    with contextlib.redirect_stdout(told), contextlib.redirect_stderr(told):
        try:
            exec(compile(json.loads(line), "<page>", "single"), names)
        except BaseException as fault:
            print("Traceback (most recent call last):\\n  ...")
            traceback.print_exception(type(fault), fault.with_traceback(None), None, chain=False)
    print(json.dumps(told.getvalue()), flush=True)
"""


@dataclass(frozen=True)
class Block:
    """A fenced block. `title` is the path of the file that it is, or ""; `start` and `end` are where its text lies in the page."""

    language: str
    title: str
    text: str
    start: int
    end: int


def blocks(page: str) -> list[Block]:
    """The blocks of a page of docs/, such as `next-steps/tls.md`, in their order."""
    text = (REPOSITORY / "docs" / page).read_text()
    found = [Block(each[1], each[2] or "", each[3], each.start(3), each.end(3)) for each in FENCE.finditer(text)]
    assert 2 * len(found) == len(re.findall("^```", text, re.MULTILINE)), f"{page}: a block without a language"
    return found


def install(folder: Path, python: str) -> None:
    """`python` and `modelcrate`, as programs for the reader's path."""
    folder.mkdir(exist_ok=True)
    for name, more in (("python", ""), ("modelcrate", " -m modelcrate")):
        (folder / name).write_text(f'#!/bin/sh\nexec {shlex.quote(python)}{more} "$@"\n')
        (folder / name).chmod(0o755)


def end_containers(crate: Modelcrate) -> None:
    """Nothing runs on where a page broke off."""
    if names := crate.said("ps", "-aq").split():
        crate.said("rm", "-f", *names)


class Session:
    """A program that is told one thing after another and answers each; it is ended by its handle."""

    def __init__(self, words: Sequence[str], folder: Path, environment: Mapping[str, str]) -> None:
        self._process = subprocess.Popen(
            [*words], cwd=folder, env=dict(environment), stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )

    def __enter__(self) -> Session:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, fault: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._process.communicate()

    def tell(self, text: str) -> None:
        assert self._process.stdin is not None
        self._process.stdin.write(text)
        self._process.stdin.flush()

    def line(self) -> str:
        assert self._process.stdout is not None
        line = self._process.stdout.readline()
        assert line, "the session ended"
        return line


class Shell(Session):
    """A shell that keeps its folder, its variables and the last exit code, as a person's does."""

    MARK = "-- typed --"

    def __init__(self, folder: Path, environment: Mapping[str, str], within: Sequence[str] = ()) -> None:
        super().__init__([*within, "sh"], folder, environment)
        self.code = 0

    def type(self, command: str) -> str:
        """What a command prints, on both outputs in their order."""
        self.tell(f"( exit {self.code} )\n{{ {command}\n}} </dev/null 2>&1\nprintf '\\n%s %s\\n' '{self.MARK}' $?\n")
        said = ""
        while not (end := re.fullmatch(rf"{self.MARK} (\d+)\n", line := self.line())):
            said += line
        self.code = int(end[1])
        return said.removesuffix("\n")


class Interpreter(Session):
    """Python, told statements."""

    def __init__(self, folder: Path, environment: Mapping[str, str]) -> None:
        super().__init__(["python", "-c", INTERPRETER], folder, environment)

    def type(self, statement: str) -> str:
        """What a statement prints, the end of a traceback included."""
        self.tell(json.dumps(statement) + "\n")
        return str(json.loads(self.line()))


@dataclass
class Reader:
    """Somebody who follows pages, in a folder of their own.

    Attributes:
        folder: Where they begin. Programs of `folder/bin` are in their path.
        crate: Whose home and environment all have that they start.
        replaced: What stands on a page, and what it is in the test: registries, ports. `/home/you` is the reader's folder.
        within: The words that lead onto a machine, by its name; the reader's own has no name.
        before: What happens before a command is typed, by the command.
        write: Whether what is printed is written onto the pages instead of being compared.
    """

    folder: Path
    crate: Modelcrate
    replaced: Mapping[str, str] = field(default_factory=dict)
    within: Mapping[str, Sequence[str]] = field(default_factory=dict)
    before: Mapping[str, Callable[[], object]] = field(default_factory=dict)
    write: bool = False
    _open: ExitStack = field(default_factory=ExitStack)
    _shells: dict[str, Shell] = field(default_factory=dict)
    _interpreter: Interpreter | None = None
    _machine: str = ""

    @property
    def environment(self) -> dict[str, str]:
        """Programs of `folder/bin` come first, and nothing that is printed is held back."""
        given = self.crate.environment
        path = f"{self.folder / 'bin'}{os.pathsep}{given['PATH']}"
        return {**given, "PATH": path, "PYTHONUNBUFFERED": "1"}

    def __post_init__(self) -> None:
        self.replaced = {**self.replaced, "/home/you": str(self.folder)}

    def __enter__(self) -> Reader:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, fault: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._open.close()

    def shell(self, machine: str = "") -> Shell:
        """The shell of a machine, which stays open between pages."""
        if machine not in self._shells:
            opened = Shell(self.folder, self.environment, self.within[machine] if machine else ())
            self._shells[machine] = self._open.enter_context(opened)
        return self._shells[machine]

    def follow(self, page: str) -> str:
        """Carries a page out. Returns what its commands without shown outputs printed."""
        said, written = [], []
        for block in blocks(page):
            text = block.text
            if block.title:
                place = self._here() / block.title
                place.parent.mkdir(parents=True, exist_ok=True)
                place.write_text(self._there(text))
            elif block.language in ("console", "pycon"):
                text = self._shown(page, block)
            elif block.language in ("sh", "python"):
                said.append(self._run(page, block))
            written.append((block, text))
        if self.write:
            path = REPOSITORY / "docs" / page
            whole = path.read_text()
            for block, text in reversed(written):
                whole = whole[: block.start] + text + whole[block.end :]
            path.write_text(whole)
        return "".join(said)

    def _here(self) -> Path:
        """The folder of the machine on which something was typed last."""
        return Path(self.shell(self._machine).type("pwd").strip())

    def _there(self, text: str) -> str:
        for shown, real in self.replaced.items():
            text = text.replace(shown, real)
        return text

    def _back(self, text: str) -> str:
        for shown, real in self.replaced.items():
            text = text.replace(real, shown)
        return text

    def _run(self, page: str, block: Block) -> str:
        words = ["sh", "-e", "-c"] if block.language == "sh" else ["python", "-c"]
        done = subprocess.run(
            [*words, self._there(block.text)],
            cwd=self._here(),
            env=self.environment,
            capture_output=True,
            text=True,
            timeout=HANG,
        )
        assert done.returncode == 0, f"{page}: {block.text}\n{done.stdout}\n{done.stderr[-3000:]}"
        return done.stdout

    def _shown(self, page: str, block: Block) -> str:
        """Types what a block types, and holds what is printed to it. Returns the block with what was printed."""
        faults, text = [], ""
        steps = list(typed(block.text) if block.language == "console" else statements(block.text))
        for step, after in zip(steps, [*steps[1:], None], strict=True):
            self.before.get(step.command, lambda: None)()
            if block.language == "console":
                self._machine = step.machine
                shell = self.shell(step.machine)
                said = shell.type(self._there(step.command))
                if shell.code and not (after and after.command == "echo $?"):
                    faults.append(f"{page}: {step.command}: exit {shell.code}\n{said}")
            else:
                self._interpreter = self._interpreter or self._open.enter_context(
                    Interpreter(self._here(), self.environment)
                )
                said = self._interpreter.type(self._there(step.command))
            said = without_passing_lines(self._back(said))
            same = matches(step.output, said)
            if not (same or self.write):
                faults.append(f"{page}: {step.command}\n--- the page\n{step.output}--- printed\n{said}")
            text += step.typed + (step.output if same else said)
        assert not faults, "\n".join(faults)
        return text


@dataclass(frozen=True)
class Step:
    """Something typed, as it stands on the page, and what the page says that it prints."""

    typed: str
    command: str
    output: str
    machine: str = ""


def typed(text: str) -> Iterator[Step]:
    """The commands of a `console` block. One that ends with a backslash goes on in the next line."""
    lines = text.splitlines(keepends=True)
    assert TYPED.match(lines[0]), f"a block that begins with no command: {lines[0]}"
    while lines:
        shown = lines.pop(0)
        begun = TYPED.match(shown)
        assert begun is not None
        command = begun[2]
        while command.endswith("\\"):
            shown += lines[0]
            command += "\n" + lines.pop(0).rstrip("\n")
        output = ""
        while lines and not TYPED.match(lines[0]):
            output += lines.pop(0)
        yield Step(shown, command, output, begun[1] or "")


def statements(text: str) -> Iterator[Step]:
    """The statements of a `pycon` block."""
    for each in re.finditer(r"^>>> .*\n(?:\.\.\. ?.*\n)*", text, re.MULTILINE):
        after = text.find("\n>>> ", each.end() - 1)
        output = text[each.end() : after + 1 if after >= 0 else len(text)]
        yield Step(each[0], re.sub(r"^(?:>>>|\.\.\.) ?", "", each[0], flags=re.MULTILINE), output)
