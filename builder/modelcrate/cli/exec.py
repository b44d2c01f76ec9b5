"""Run a program in a container that runs, as its user and in its working folder, with the same limits as the container's own program."""

from __future__ import annotations

import argparse

from modelcrate.cli.console import Console
from modelcrate.cli.container_options import process_arguments, variables
from modelcrate_layers.errors import UserError


def arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("name", metavar="CONTAINER", help="the container's name")
    parser.add_argument("command", nargs=argparse.REMAINDER, help="the program and its arguments")
    parser.add_argument("-i", "--interactive", action="store_true", help="give it our standard input")
    parser.add_argument("-t", "--tty", action="store_true", help="give it a terminal")
    process_arguments(parser)


def run(args: argparse.Namespace, console: Console) -> int:
    from modelcrate.containers import find
    from modelcrate.containers.enter import ExecRequest
    from modelcrate.containers.execution import execute_in
    from modelcrate.containers.process import check_working_folder

    if not args.command:
        raise UserError("no program to run", hint=f"modelcrate exec {args.name} COMMAND")
    env = variables(args, console.config.environment)
    if args.tty:
        env.setdefault("TERM", console.config.environment.get("TERM", "xterm"))
    request = ExecRequest(
        tuple(args.command),
        tuple(f"{name}={value}" for name, value in env.items()),
        args.workdir and check_working_folder(args.workdir),
        args.user,
    )
    container = find(console.config.containers, args.name)
    return execute_in(container, request, args.interactive or args.tty, args.tty)
