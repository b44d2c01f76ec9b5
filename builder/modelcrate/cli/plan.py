"""Show what a build would do: the layers that it would reuse, make and send. Nothing is built, and nothing is written to outputs."""

from __future__ import annotations

import argparse

from modelcrate.cli import build_options
from modelcrate.cli.console import Console
from modelcrate.pipeline.cost import cached_bytes, cost
from modelcrate.pipeline.reuse import RepositoryOutput
from modelcrate.render.text import plan_json, plan_text


def arguments(parser: argparse.ArgumentParser) -> None:
    build_options.project_argument(parser)
    build_options.output_arguments(parser)


def run(args: argparse.Namespace, console: Console) -> int:
    with console.session() as session:
        request = build_options.read_request(args, console, session)
        prepared = session.prepare(request)
        image = session.known_image(prepared)
    registries = frozenset(each.reference.registry for each in request.outputs if isinstance(each, RepositoryOutput))
    there = cached_bytes(prepared.all_previous, registries) if registries else None
    costs = {each.cache_key: cost(each, there) for plan in prepared.all_plans for each in plan.layers}
    console.print_result(plan_json(prepared, costs, image), plan_text(prepared, costs, image))
    return 0
