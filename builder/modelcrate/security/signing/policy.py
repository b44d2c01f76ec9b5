"""A policy: which images are trusted, by which keys, and what has to be proven. A YAML file with rules; the first that matches counts.

rules:
  - images: [registry.example/team/*]       # repositories, * matches anything
    keys: [team.pub]                        # relative to this file
    require: [signature, sbom, provenance, safe-pickles]
    licences: {allow: [MIT, BSD-3-Clause]}  # or deny: [...]
    max-age: 90d                            # by the time in the signed provenance
  - images: ["*"]
    refuse: true
"""

from __future__ import annotations

import fnmatch
import re
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from modelcrate.images.reading import Found
from modelcrate.project.document import MAX_BYTES, Document, Fault, Steps, parse
from modelcrate.security.sbom.cyclonedx import GAP, INCOMPLETE, VERDICT
from modelcrate.security.sbom.licences import expression, ids
from modelcrate.security.signing.keys import PublicKey, load_public
from modelcrate.security.signing.statements import CYCLONEDX, PROVENANCE, SPDX
from modelcrate.security.signing.verifying import Verified, require_signature, verify
from modelcrate_layers.errors import CrateError, IntegrityError, SourceError, UserError, unreadable
from modelcrate_layers.frozen import dataclass
from modelcrate_layers.named_file import open_named_file

DEMANDS = ("signature", "sbom", "provenance", "safe-pickles")
SKEW = timedelta(minutes=10)
"""How far the clock of the signer may be ahead of ours."""

_KEYS = {"images", "keys", "require", "licences", "max-age", "refuse"}


@dataclass(frozen=True, slots=True)
class PolicyRule:
    """One rule of a policy. An empty `allow` allows every licence that `deny` doesn't name."""

    images: tuple[str, ...]
    keys: tuple[PublicKey, ...] = ()
    require: tuple[str, ...] = ("signature",)
    allow: frozenset[str] = frozenset()
    deny: frozenset[str] = frozenset()
    max_age: timedelta | None = None
    refuse: bool = False


@dataclass(frozen=True, slots=True)
class Policy:
    """A policy, and the path of its file."""

    where: str
    rules: tuple[PolicyRule, ...]

    def rule_for(self, name: str) -> PolicyRule:
        """Returns the first rule that matches an image's name.

        Raises:
            IntegrityError: No rule matches.
        """
        for rule in self.rules:
            if any(fnmatch.fnmatchcase(name, pattern) for pattern in rule.images):
                return rule
        raise IntegrityError(
            f"no rule of the policy matches {name}",
            where=self.where,
            hint="a last rule with images: ['*'] matches all others",
        )


def check(found: Found, name: str, policy: Policy, now: datetime) -> Verified:
    """Verifies an image by the policy.

    Args:
        found: The image.
        name: Its name, which rules are matched with.
        policy: The policy.
        now: The time by which `max-age` is counted.

    Raises:
        IntegrityError: The image is refused, or does not meet its rule; one error with all reasons.
    """
    rule = policy.rule_for(name)
    if rule.refuse:
        raise IntegrityError(f"the policy refuses {name}", where=policy.where)
    verified = verify(found, rule.keys, name)
    require_signature(verified)
    unmet = list(_unmet(verified, rule, now))
    if unmet:
        first, *rest = unmet
        first.also = tuple(rest)
        raise first
    return verified


def _unmet(verified: Verified, rule: PolicyRule, now: datetime) -> Iterator[CrateError]:
    subjects = verified.members or (verified.digest,)
    for word, kinds in (("sbom", (SPDX, CYCLONEDX)), ("provenance", (PROVENANCE,))):
        have = {each.digest for each in verified.of_type(*kinds)}
        if word in rule.require and not (verified.digest in have or have.issuperset(subjects)):
            yield _fault(verified, f"has no signed {'bill of materials' if word == 'sbom' else word}")
    boms = [each.statement.predicate for each in verified.of_type(CYCLONEDX)]
    covered = {each.digest for each in verified.of_type(CYCLONEDX)}
    if ("safe-pickles" in rule.require or rule.allow or rule.deny) and not covered.issuperset(subjects):
        yield _fault(verified, "has no signed CycloneDX document, which lists pickles and licences")
    if ("safe-pickles" in rule.require or rule.allow or rule.deny) and (
        gaps := sorted({gap for bom in boms for gap in _gaps(bom)})
    ):
        yield _fault(verified, f"has a bill of materials with gaps: {'; '.join(gaps)[:500]}")
    if "safe-pickles" in rule.require:
        for path, verdict in sorted({pair for bom in boms for pair in _verdicts(bom)}):
            if verdict != "safe":
                yield _fault(verified, f"carries {path}, a pickle that is {verdict}")
    for name, licence in sorted({pair for bom in boms for pair in _licences(bom)}):
        bad = (
            [each for each in ids(licence) if each in rule.deny or (rule.allow and each not in rule.allow)]
            if licence
            else []
        )
        if bad or (rule.allow and not licence):
            yield _fault(
                verified, f"carries {name} under {', '.join(bad) or 'no declared licence'}, which is not allowed"
            )
    if rule.max_age is not None:
        yield from _age(verified, rule.max_age, now)


def _age(verified: Verified, most: timedelta, now: datetime) -> Iterator[CrateError]:
    """Yields a fault if the build is too old. The time is the end of the build in the signed provenance: the only signed time."""
    times = [_finished(each.statement.predicate) for each in verified.of_type(PROVENANCE)]
    usable = [each for each in times if each is not None and each <= now + SKEW]
    if not usable:
        yield _fault(verified, "has no signed provenance with a time, so its age is unknown")
    elif now - max(usable) > most:
        yield _fault(verified, f"was built {(now - max(usable)).days} days ago; the policy allows {most.days}")


def _finished(predicate: Any) -> datetime | None:
    try:
        found = datetime.fromisoformat(predicate["runDetails"]["metadata"]["finishedOn"])
    except (KeyError, TypeError, ValueError):
        return None
    return found if found.tzinfo else found.replace(tzinfo=UTC)


def _components(bom: Any) -> Iterator[dict[str, Any]]:
    waiting = [bom]
    for _ in range(1_000_000):
        if not waiting:
            return
        node = waiting.pop()
        found = node.get("components") if isinstance(node, dict) else None
        for each in found if isinstance(found, list) else []:
            if isinstance(each, dict):
                yield each
                waiting.append(each)


def _gaps(bom: Any) -> Iterator[str]:
    """Yields the gaps that a bill of materials declares."""
    listed = bom.get("compositions") if isinstance(bom, dict) else None
    if isinstance(listed, list) and any(
        isinstance(each, dict) and each.get("aggregate") == INCOMPLETE for each in listed
    ):
        about = (bom.get("metadata") or {}).get("component") or {}
        notes = about.get("properties") if isinstance(about, dict) else None
        gaps = [str(each.get("value")) for each in notes or () if isinstance(each, dict) and each.get("name") == GAP]
        yield from gaps or ["it does not name them"]


def _verdicts(bom: Any) -> Iterator[tuple[str, str]]:
    for component in _components(bom):
        for entry in component.get("properties") or []:
            if isinstance(entry, dict) and entry.get("name") == VERDICT:
                yield str(component.get("name")), str(entry.get("value"))


def _licences(bom: Any) -> Iterator[tuple[str, str]]:
    for component in _components(bom):
        if component.get("type") != "library":
            continue
        licences = component.get("licenses") or [{}]
        for each in licences if isinstance(licences, list) else []:
            licence = each.get("license") or {} if isinstance(each, dict) else {}
            text = (
                each.get("expression")
                or licence.get("id")
                or (f"LicenseRef-{licence['name']}" if licence.get("name") else "")
            )
            yield f"{component.get('name')} {component.get('version', '')}", str(text)


def _fault(verified: Verified, what: str) -> CrateError:
    return IntegrityError(what, where=verified.name)


def read_policy(path: Path) -> Policy:
    """Reads a policy from a file.

    Raises:
        UserError: The policy has faults; one error with all of them and their lines.
        SourceError: The file can't be read.
    """
    try:
        with open_named_file(path) as file:
            data = file.read(MAX_BYTES + 1)
    except OSError as fault:
        raise unreadable(fault, path, "the policy") from None
    document = parse(data, str(path))
    reader = _Reader(document, path.parent)
    rules = tuple(reader.rules())
    faults = [*document.faults, *reader.faults]
    if faults:
        raise document.error(faults)
    return Policy(str(path), rules)


class _Reader:
    """Reads the rules of one document, and collects its faults."""

    def __init__(self, document: Document, folder: Path) -> None:
        self._document, self._folder = document, folder
        self.faults: list[Fault] = []

    def rules(self) -> Iterator[PolicyRule]:
        plain: Any = self._document.plain()
        listed = plain.get("rules") if isinstance(plain, dict) else None
        if not isinstance(listed, list) or not listed or set(plain) != {"rules"}:
            self._fault((), "a policy is a mapping with one key, rules, and its value is a list")
            return
        for place, rule in enumerate(listed):
            if not isinstance(rule, dict):
                self._fault(("rules", place), "a rule is a mapping")
            else:
                yield self._rule(("rules", place), rule)

    def _rule(self, at: Steps, rule: dict[str, Any]) -> PolicyRule:
        for key in rule.keys() - _KEYS:
            self._fault((*at, key), f"unknown key {key!r} in a rule", f"known keys: {', '.join(sorted(_KEYS))}")
        refuse = rule.get("refuse", "false")
        if refuse not in ("true", "false"):
            self._fault((*at, "refuse"), f"{refuse!r:.40} is not true or false")
        keys = [self._key((*at, "keys", n), name) for n, name in enumerate(self._texts(at, rule, "keys"))]
        require = tuple(self._texts(at, rule, "require")) or ("signature",)
        for n, word in enumerate(require):
            if word not in DEMANDS:
                self._fault((*at, "require", n), f"{word!r} can't be required", f"expected {', '.join(DEMANDS)}")
        images = tuple(self._texts(at, rule, "images"))
        if not images or (not keys and refuse == "false"):
            self._fault(at, "a rule needs images, and keys unless it refuses", "images: [...], keys: [...]")
        licences = rule.get("licences") or {}
        if not isinstance(licences, dict) or set(licences) - {"allow", "deny"}:
            self._fault((*at, "licences"), "licences is a mapping with allow and deny")
            licences = {}
        allow, deny = (
            frozenset(expression(each) or each for each in self._texts((*at, "licences"), licences, key))
            for key in ("allow", "deny")
        )
        return PolicyRule(
            images,
            tuple(each for each in keys if each),
            require,
            allow,
            deny,
            self._age(at, rule.get("max-age")),
            refuse != "false",
        )

    def _texts(self, at: Steps, rule: dict[str, Any], key: str) -> list[str]:
        value = rule.get(key, [])
        if not isinstance(value, list) or not all(isinstance(each, str) for each in value):
            self._fault((*at, key), f"{key!r} has to be a list of strings")
            return []
        return value

    def _key(self, at: Steps, name: str) -> PublicKey | None:
        try:
            return load_public(self._folder / name)
        except (UserError, SourceError) as fault:
            self._fault(at, fault.what)
            return None

    def _age(self, at: Steps, text: Any) -> timedelta | None:
        if text is None:
            return None
        match = re.fullmatch(r"([0-9]{1,5})([dh])", text) if isinstance(text, str) else None
        if match is None:
            self._fault((*at, "max-age"), f"{text!r:.40} is not an age", "for instance 90d or 12h")
            return None
        return timedelta(**{"days" if match[2] == "d" else "hours": int(match[1])})

    def _fault(self, at: Steps, what: str, hint: str = "") -> None:
        self.faults.append(Fault(self._document.spot_of(at), what, hint))
