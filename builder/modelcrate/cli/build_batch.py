"""`build --each`: builds many projects. It prints a line when a project is done, and a table at the end."""

from __future__ import annotations

import argparse
from collections.abc import Iterator, Sequence
from concurrent.futures import Executor, ThreadPoolExecutor
from contextlib import closing, contextmanager

from modelcrate.cli.console import Console
from modelcrate.pipeline import batch
from modelcrate.pipeline.batch import Outcome
from modelcrate.pipeline.order import Order
from modelcrate.project.byte_sizes import format_size
from modelcrate.render.text import format_table
from modelcrate_layers.errors import MachineError, UserError


def build_each(args: argparse.Namespace, console: Console) -> int:
    """Builds all projects of a list, also after one has failed. Returns the highest exit code of them."""
    alone = [f"--{name}" for name in ("against", "report", "trace") if getattr(args, name)]
    if alone:
        raise UserError(
            f"{' and '.join(alone)} can't be given for many projects", hint="build the project alone for it"
        )
    folders = batch.read_list(args.each)
    _check_targets([*map(str, args.push), *args.tag], len(folders))
    orders = [
        Order(
            folder.absolute(),
            (*args.output, *(f"store:{name}" for name in args.tag)),
            tuple(args.cache_from),
            args.locked,
            tuple(str(each) for each in args.push),
            args.sbom,
            args.provenance,
            args.sign or "",
            args.policy.absolute() if args.policy else None,
            not args.no_reuse,
            args.paranoid,
            args.max_size,
            args.test,
            args.max_layer_growth,
            args.sources,
            str(args.share_layers or ""),
            args.variant,
        )
        for folder in folders
    ]
    config = None if args.dask else console.config
    with _executor(args) as executor:
        outcomes = batch.build_all(orders, executor, config, lambda each: console.print_message(_line(each)))
    console.print_result(
        [each.json() for each in outcomes], format_table([_row(each) for each in outcomes], right=(2,))
    )
    return batch.worst(outcomes)


def _check_targets(targets: Sequence[str], projects: int) -> None:
    """Raises a UserError if several projects would get one name, for each image would replace the one before."""
    shared = [target for target in targets if "{name}" not in target]
    if shared and projects > 1:
        raise UserError(
            f"{projects} projects can't all be {shared[0]!r}",
            why="each image would replace the one before",
            hint="put {name} into it; it becomes the name of each project",
        )


@contextmanager
def _executor(args: argparse.Namespace) -> Iterator[Executor]:
    if not args.dask:
        with ThreadPoolExecutor(max(1, args.jobs), "batch") as pool:
            yield pool
        return
    try:
        from distributed import Client
    except ImportError:
        raise MachineError("Dask is not installed", hint="pip install 'modelcrate[dask]'") from None
    try:
        client = Client(args.dask)
    except (OSError, ValueError) as fault:
        raise MachineError("no Dask scheduler answers", where=args.dask, why=str(fault)) from None
    with closing(client), client.get_executor(pure=False) as pool:
        yield pool


def _line(each: Outcome) -> str:
    return each.fault or f"{each.project}: built"


def _row(each: Outcome) -> tuple[str, str, str]:
    if each.receipt is None:
        return (each.project, f"failed (exit {each.code})", "")
    sent = sum(output["bytes_sent"] for output in each.receipt["outputs"])
    return (each.project, each.receipt["digest"], f"{format_size(sent)} written")
