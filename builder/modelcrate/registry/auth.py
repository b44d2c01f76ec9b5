"""Being let in: which Authorization goes with a request, and what follows from a 401.

A push asks for `pull,push` with its very first token, so no token ever has to grow. Tokens are kept by scope; one thread
fetches while the others wait. Credentials that were refused are not tried again, so that no account is locked by us.
"""

from __future__ import annotations

import threading
from collections.abc import Sequence
from dataclasses import field, replace

from modelcrate.net.client import HttpClient
from modelcrate.net.counters import Counters
from modelcrate.net.messages import Response
from modelcrate.net.retry import Clock, RetryEngine
from modelcrate.net.urls import host
from modelcrate.registry import addresses, credentials, tokens
from modelcrate.registry.challenges import Challenge, choose, parse_challenges
from modelcrate.registry.credentials import Credential
from modelcrate.registry.errors import ErrorResponse, error_response
from modelcrate.registry.events import CredentialsUsed, Emit, Warned
from modelcrate.registry.remote import Remote
from modelcrate.registry.settings import RegistryConfig
from modelcrate.registry.token_server import TokenServer
from modelcrate.registry.tokens import Token
from modelcrate.registry.wire import Access, RegistryRequest
from modelcrate_layers.errors import CrateError
from modelcrate_layers.frozen import dataclass

DENIED = frozenset({400, 403})
"""How token servers say that a scope is too much, the credentials being right."""


@dataclass(slots=True)
class _Desk:
    """What is known about getting into one registry. It changes as we learn; its lock makes fetching single.

    `narrow` has the accesses that were denied as a whole, with the token that the request itself led to.
    """

    lock: threading.RLock = field(default_factory=threading.RLock)
    challenge: Challenge | None = None
    tokens: list[Token] = field(default_factory=list)
    narrow: dict[frozenset[Access], Token | None] = field(default_factory=dict)
    refresh: dict[str, str] = field(default_factory=dict)
    refused: dict[str, CrateError] = field(default_factory=dict)
    told: set[str] = field(default_factory=set)


@dataclass(frozen=True, slots=True)
class _Errand:
    """One wish to be let in: for these accesses, with this credential, in answer to this challenge."""

    desk: _Desk
    challenge: Challenge
    access: tuple[Access, ...]
    credential: Credential | None
    server: TokenServer
    remote: Remote

    @property
    def key(self) -> frozenset[Access]:
        return frozenset(self.access)

    @property
    def only_reads(self) -> bool:
        return all(one.actions <= {"pull"} for one in self.access)


class Authenticator:
    """The tokens and credentials of one client, for all registries it talks to."""

    def __init__(self, settings: RegistryConfig, http: HttpClient, clock: Clock, emit: Emit) -> None:
        self._settings, self._http, self._clock, self._emit = settings, http, clock, emit
        self._engine = RetryEngine(settings.patience, clock, emit)
        self._lock = threading.Lock()
        self._desks: dict[str, _Desk] = {}
        self._found: dict[tuple[str, str], Credential | None] = {}
        self._notes: dict[str, str] = {}

    def learn(self, remote: Remote, answer: Response) -> None:
        """Keep the challenge of a first look at the registry, so that no request has to fail for it."""
        challenge = choose(parse_challenges(answer.headers.all("WWW-Authenticate")))
        if answer.status == 401 and challenge:
            self._desk(remote).challenge = _without_scope(challenge)

    def header(self, remote: Remote, access: tuple[Access, ...], counters: Counters, *, young: bool = False) -> str:
        """The Authorization for these accesses, "" where none is known to be needed."""
        desk = self._desk(remote)
        with desk.lock:
            if desk.challenge is None:
                return ""
            errand = self._errand(remote, desk, desk.challenge, access, counters)
            if desk.challenge.scheme == "basic":
                return errand.credential.basic if errand.credential else ""
            if errand.key in desk.narrow:
                token = desk.narrow[errand.key]
                return f"Bearer {token.value}" if token and token.lasts(self._clock.now(), young=False) else ""
            try:
                return self._bearer(errand, young=young)
            except ErrorResponse as fault:
                if fault.status not in DENIED:
                    raise
                desk.narrow[errand.key] = None  # the request itself will be told which scope it really needs
                return ""

    def answer(self, remote: Remote, request: RegistryRequest, answer: Response, used: str, counters: Counters) -> str:
        """The Authorization to try once more with after a 401; the Refusal itself where nothing else can be tried."""
        desk = self._desk(remote)
        with desk.lock:
            challenge = choose(parse_challenges(answer.headers.all("WWW-Authenticate"))) or desk.challenge
            if challenge is None:
                raise error_response(
                    request, answer, "request: it asks for a login in no way that we know", self._clock.now()
                )
            desk.challenge = _without_scope(challenge)
            errand = self._errand(remote, desk, challenge, request.access, counters)
            ready = _ready(errand, basic=challenge.scheme == "basic")
            if (used and used == ready) or (challenge.scheme == "basic" and not ready):
                source = f"credentials from {errand.credential.source}" if errand.credential else "request"
                raise error_response(request, answer, source, self._clock.now(), self.note(remote.registry))
            desk.tokens = [token for token in desk.tokens if f"Bearer {token.value}" != used]
            return ready or self._bearer(errand)

    def note(self, registry: str) -> str:
        """Returns which credential helper failed for this registry, "" for none."""
        return self._notes.get(registry, "")

    def _bearer(self, errand: _Errand, *, young: bool = False) -> str:
        if ready := _ready(errand, basic=False):
            return ready
        now, desk = self._clock.now(), errand.desk
        kept = next((one for one in desk.tokens if one.covers(errand.access) and one.lasts(now, young=young)), None)
        if kept is None:
            kept = self._fetch(errand)
            desk.tokens = [*(one for one in desk.tokens if one.scopes != kept.scopes), kept]
        return f"Bearer {kept.value}"

    def _fetch(self, errand: _Errand) -> Token:
        """A token for all that is wanted; for the challenged scope alone where the server denies the whole."""
        desk, credential, challenged = errand.desk, errand.credential, errand.challenge.scopes
        if credential and credential.source in desk.refused:
            raise desk.refused[credential.source]
        self._tell_of_other_domain(errand)
        whole = tokens.merge(challenged, errand.access)
        scopes = list(challenged) if challenged and errand.key in desk.narrow else whole
        try:
            token = self._ask(errand, scopes)
        except ErrorResponse as fault:
            if fault.status not in DENIED | {401}:
                raise
            token = self._second_try(errand, scopes, fault)
        if errand.key in desk.narrow:
            desk.narrow[errand.key] = token
        return token

    def _second_try(self, errand: _Errand, scopes: Sequence[str], fault: ErrorResponse) -> Token:
        """Once more with less: the challenged scope alone; or, to read, as nobody (a stale login must not hide a public
        image). Where that fails too, the first fault stands, and the credentials are not tried again."""
        challenged, credential = errand.challenge.scopes, errand.credential
        try:
            if challenged and list(challenged) != list(scopes):
                token = self._ask(errand, challenged)
                errand.desk.narrow[errand.key] = token
                return token
            if credential and errand.only_reads:
                token = errand.server.fetch(scopes, None)
                text = f"the credentials from {credential.source} were refused; going on without"
                self._emit(Warned(errand.remote.registry, text))
                return token
        except CrateError:
            pass
        if credential and fault.status == 401:
            errand.desk.refused[credential.source] = fault
        raise fault

    def _ask(self, errand: _Errand, scopes: Sequence[str]) -> Token:
        credential, desk = errand.credential, errand.desk
        if credential is None or not credential.identity_token:
            return errand.server.fetch(scopes, credential)
        token = errand.server.fetch(scopes, credential, desk.refresh.get(credential.source, credential.identity_token))
        if token.refresh:
            desk.refresh[credential.source] = token.refresh
        return token

    def _tell_of_other_domain(self, errand: _Errand) -> None:
        realm, remote = errand.challenge.realm, errand.remote
        if not addresses.related(realm, remote.origin) and realm not in errand.desk.told:
            errand.desk.told.add(realm)
            self._emit(Warned(remote.registry, f"tokens come from another domain: {host(realm)}"))

    def _errand(
        self, remote: Remote, desk: _Desk, challenge: Challenge, access: tuple[Access, ...], counters: Counters
    ) -> _Errand:
        found = self._find(remote.registry, access[0].repository if access else "")
        if found and found.source not in desk.told:
            desk.told.add(found.source)
            self._emit(CredentialsUsed(remote.registry, found.source))
        server = TokenServer(remote, challenge, self._settings, self._http, self._engine, counters)
        return _Errand(desk, challenge, access, found, server, remote)

    def _find(self, registry: str, repository: str) -> Credential | None:
        key = (registry, repository)
        with self._lock:
            if key not in self._found:
                self._found[key] = credentials.find(
                    registry, repository, self._settings, lambda text: self._note(registry, text)
                )
            return self._found[key]

    def _note(self, registry: str, text: str) -> None:
        """Warn of a credential helper that failed, once; a refusal will name it again."""
        if self._notes.get(registry) != text:
            self._notes[registry] = text
            self._emit(Warned(registry, f"{text}; going on without it"))

    def _desk(self, remote: Remote) -> _Desk:
        with self._lock:
            return self._desks.setdefault(remote.origin, _Desk())


def _ready(errand: _Errand, *, basic: bool) -> str:
    """The Authorization that needs no token server, "" where there is none."""
    credential = errand.credential
    if credential is None:
        return ""
    if credential.access_token:
        return f"Bearer {credential.access_token}"
    return credential.basic if basic else ""


def _without_scope(challenge: Challenge) -> Challenge:
    """What can be kept of a challenge; its scope belongs to the request that it answered."""
    return replace(challenge, parameters={**challenge.parameters, "scope": ""})
