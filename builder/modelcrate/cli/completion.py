"""Print the script that lets a shell complete commands, options, images and containers.

    modelcrate completion bash > ~/.local/share/bash-completion/completions/modelcrate
    modelcrate completion zsh > ~/.zfunc/_modelcrate      # a folder of $fpath
    modelcrate completion fish > ~/.config/fish/completions/modelcrate.fish

The script asks `modelcrate completion SHELL -- WORD...` what the last word may become.
"""

from __future__ import annotations

import argparse
import shlex
from collections.abc import Iterator, Sequence
from contextlib import suppress

from modelcrate.cli import VERBS, parser, subcommands
from modelcrate.cli.console import Console
from modelcrate.config import Config
from modelcrate.render.printable import printable
from modelcrate_layers.errors import MachineError

_SCRIPTS = {
    # Bash takes `=` and `:` for the ends of words, and would cut an image's name in two: modelcrate gets the line and cuts it itself.
    "bash": r"""_modelcrate() {
    local IFS=$'\n'
    COMPREPLY=($(modelcrate completion bash -- "${COMP_LINE:0:COMP_POINT}" 2>/dev/null))
}
complete -o bashdefault -o default -F _modelcrate modelcrate""",
    "zsh": r"""#compdef modelcrate
_modelcrate() {
    local -a found
    found=("${(@f)$(modelcrate completion zsh -- "${(@)words[2,CURRENT]}" 2>/dev/null)}")
    if [[ -n "$found" ]]; then _describe modelcrate found; else _files; fi
}
if [[ "$funcstack[1]" == _modelcrate ]]; then _modelcrate "$@"; else compdef _modelcrate modelcrate; fi""",
    "fish": r"""function __modelcrate
    set -l word (commandline -ct)
    set -l words (commandline -opc) $word
    set -l found (modelcrate completion fish -- $words[2..-1] 2>/dev/null)
    if set -q found[1]
        string join \n -- $found
    else if set -l parts (string match -r -- '^(-[^=]+=)(.*)$' $word)
        for path in (__fish_complete_path $parts[3])
            echo -- $parts[2]$path
        end
    else
        __fish_complete_path $word
    end
end
complete -c modelcrate -f -a '(__modelcrate)'""",
}


def arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("shell", choices=sorted(_SCRIPTS), help="the shell")
    parser.add_argument(
        "words", nargs="*", metavar="WORD", help="of a command line, behind --; for bash, the line itself"
    )


def run(args: argparse.Namespace, console: Console) -> int:
    if not args.words:
        console.print_result({"script": script(args.shell)}, script(args.shell))
        return 0
    words = _words(args.words[0])[1:] if args.shell == "bash" else args.words
    found = list(completions(words, console.config))
    lines = [printable(_shown(args.shell, word, meaning, words[-1])) for word, meaning in found]
    if lines or console.as_json:
        console.print_result([word for word, _ in found], "\n".join(lines))
    return 0


def script(shell: str) -> str:
    """Returns the script for a shell."""
    return _SCRIPTS[shell]


def completions(words: Sequence[str], config: Config) -> Iterator[tuple[str, str]]:
    """Yields what the last word of a command line may become, with its meaning; nothing where it is a file or unknown.

    Args:
        words: The words behind `modelcrate`; the last one is unfinished, and may be empty.
        config: Where images and containers are.
    """
    *before, word = words
    for each, meaning in _possible(before, word, config):
        if each.startswith(word):
            yield each, meaning


def _possible(before: Sequence[str], word: str, config: Config) -> Iterator[tuple[str, str]]:
    if not before:
        yield from VERBS.items()
        yield from _options(parser())
        return
    place, position, waits = parser(before), 0, None
    for each in before:
        inner = subcommands(place)
        if waits is not None:
            waits = None  # this is its value
        elif each in inner:
            place = inner[each]
        elif each.startswith("-"):
            named = place._option_string_actions.get(each)
            waits = named if named is not None and named.nargs != 0 else None
        elif inner:
            return  # an unknown command
        else:
            position += 1
    option, equals, _ = word.partition("=")
    if waits is None and equals and option in place._option_string_actions:
        found = _values(place._option_string_actions[option], config)
        yield from ((f"{option}={value}", meaning) for value, meaning in found)
    elif waits is not None:
        yield from _values(waits, config)
    elif inner := subcommands(place):
        yield from ((name, each.description or "") for name, each in inner.items())
    elif word.startswith("-"):
        yield from _options(place)
    elif (argument := _argument(place, position)) is not None:
        yield from _values(argument, config)


def _options(place: argparse.ArgumentParser) -> Iterator[tuple[str, str]]:
    for action in place._actions:
        for name in action.option_strings:
            if name.startswith("--") or len(action.option_strings) == 1:
                yield name, action.help or ""


def _argument(place: argparse.ArgumentParser, position: int) -> argparse.Action | None:
    """Returns the positional argument at a position."""
    for action in place._get_positional_actions():
        if position == 0 or action.nargs in ("*", "+", argparse.REMAINDER):
            return action
        position -= 1
    return None


def _values(action: argparse.Action, config: Config) -> Iterator[tuple[str, str]]:
    """Yields the values of an argument: its choices, or what its name in the usage stands for."""
    kinds = str(action.metavar).split("|")
    if action.choices is not None:
        yield from ((str(each), "") for each in action.choices)
    if "IMAGE" in kinds:
        from modelcrate.transports.store import list_names

        yield from ((name, "image of the local store") for name in list_names(config))
    if "CONTAINER" in kinds:
        with suppress(MachineError):  # there are none here
            from modelcrate.containers import containers

            yield from ((each.name, "container") for each in containers(config.containers))


def _words(line: str) -> list[str]:
    """Returns the words of a line as a shell cuts it; the last one is unfinished."""
    for closing in ("", "'", '"'):
        try:
            words = shlex.split(line + closing)
        except ValueError:
            continue
        return [*words, ""] if line[-1:].isspace() and not closing else words
    return [""]


def _shown(shell: str, word: str, meaning: str, typed: str) -> str:
    """Returns a completion as the script of the shell reads it."""
    if shell == "bash":
        return word[max(typed.rfind("="), typed.rfind(":")) + 1 :]  # it stands behind the last of these that was typed
    if shell == "zsh":
        return word.replace(":", r"\:") + f":{meaning}"
    return f"{word}\t{meaning}"
