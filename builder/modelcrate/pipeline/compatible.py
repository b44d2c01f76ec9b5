"""Which dependency layers were in one image already, with no file that two of their packages own.

Whether packages conflict is checked when a layer of them is made. Layers that are all known may never have been in one image: one comes from
this project, the other from that. So what was checked together is remembered, and an earlier image with all of them counts as well.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from contextlib import suppress

from modelcrate.config import Config
from modelcrate.home.result_cache import ResultCache
from modelcrate.images.previous import Previous
from modelcrate.pipeline.plan import Plan
from modelcrate_layers.content import Digest, canonical_json, parse_json
from modelcrate_layers.errors import CrateError

MAX_KEPT = 2000
"""Layers that are remembered beside one layer; the oldest are forgotten, which costs a check."""


def were_checked_together(plans: Iterable[Plan], previous: Sequence[Previous], config: Config) -> bool:
    """Returns whether the packages of all dependency layers were checked with each other before, for each platform."""
    kept = _kept(config)
    for plan in plans:
        keys = _keys(plan)
        if any(keys <= {each.key for each in one.image.layers} for one in previous):
            continue
        if any(not keys <= {key, *_beside(kept, key)} for key in keys):
            return False
    return True


def remember_checked(plans: Iterable[Plan], config: Config) -> None:
    """Remembers that the packages of all dependency layers were checked with each other."""
    kept = _kept(config)
    for plan in plans:
        keys = _keys(plan)
        for key in keys:
            beside = _beside(kept, key)
            if not keys <= {key, *beside}:
                all_of_them = [*(each for each in beside if each not in keys), *sorted(keys - {key}, key=str)]
                kept.put(_question(key), canonical_json([str(each) for each in all_of_them[-MAX_KEPT:]]))


def _keys(plan: Plan) -> set[Digest]:
    return {each.key or each.cache_key for each in plan.layers if each.role == "dependencies"}


def _beside(kept: ResultCache, key: Digest) -> list[Digest]:
    with suppress(CrateError, TypeError):
        return [Digest.parse(each) for each in parse_json(kept.get(_question(key)) or b"[]")]
    return []


def _question(key: Digest) -> list[str]:
    return ["compatible", str(key)]


def _kept(config: Config) -> ResultCache:
    return ResultCache(config.home / "compatible")
