"""Show what a build would do: which layers are known and who knows them, which are new and why, how many bytes would be
fetched, read, compressed and sent, and the image's digest, if all is known. Nothing is built.

-o and --push are taken as build takes them, and name what the plan is for."""

from __future__ import annotations

import argparse

from modelcrate.cli import building
from modelcrate.cli.console import Console
from modelcrate.home.home_lock import using
from modelcrate.images.reference import Reference
from modelcrate.net.download import Fetcher
from modelcrate.pipeline import session
from modelcrate.pipeline.cost import cost, held
from modelcrate.render import plan_json, plan_text


def arguments(parser: argparse.ArgumentParser) -> None:
    building.project_argument(parser)
    building.output_arguments(parser)


def run(args: argparse.Namespace, console: Console) -> int:
    with using(console.settings), Fetcher(console.settings.network, console.emit) as fetcher:
        prepared = building.prepare(args, console, fetcher)
        image = session.predict(prepared, console.settings)
    registries = frozenset(Reference.parse(text).registry for text in building.pushed(args))
    there = held(prepared.previous, registries) if registries else None
    costs = {each.fact: cost(each, there) for plan in prepared.plans for each in plan.layers}
    console.result(plan_json(prepared, costs, image), plan_text(prepared, costs, image))
    return 0
