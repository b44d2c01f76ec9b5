"""Show what a build would do: which layers are known and who knows them, which are new and why, how many bytes would be
fetched, read, compressed and sent, and the image's digest, if all is known. Nothing is built.

-o and --push are taken as build takes them, and name what the plan is for."""

from __future__ import annotations

import argparse

from modelcrate.cli import build_options
from modelcrate.cli.console import Console
from modelcrate.home.home_lock import shared_home_lock
from modelcrate.images.reference import Reference
from modelcrate.net.download import Downloader
from modelcrate.pipeline import session
from modelcrate.pipeline.cost import cached_bytes, cost
from modelcrate.render import plan_json, plan_text


def arguments(parser: argparse.ArgumentParser) -> None:
    build_options.project_argument(parser)
    build_options.output_arguments(parser)


def run(args: argparse.Namespace, console: Console) -> int:
    with shared_home_lock(console.settings), Downloader(console.settings.network, console.emit) as fetcher:
        prepared = build_options.prepare(args, console, fetcher)
        image = session.predict(prepared, console.settings)
    registries = frozenset(Reference.parse(text).registry for text in build_options.pushed(args))
    there = cached_bytes(prepared.previous, registries) if registries else None
    costs = {each.cache_key: cost(each, there) for plan in prepared.plans for each in plan.layers}
    console.result(plan_json(prepared, costs, image), plan_text(prepared, costs, image))
    return 0
