"""Being let in: which Authorization goes with a request, and what follows from a 401.

A push asks for `pull,push` with its very first token, so no token ever has to grow. Tokens are kept by scope;
one thread
fetches while the others wait. Credentials that were refused are not tried again, so that no account is locked
out by us.
"""

from __future__ import annotations

import threading
from collections.abc import Sequence
from dataclasses import dataclass, field, replace

from modelcrate.registry import addresses, credentials, tokens
from modelcrate.registry.challenges import Challenge, choose, parse_challenges
from modelcrate.registry.counters import Counters
from modelcrate.registry.credentials import Credential
from modelcrate.registry.events import CredentialsUsed, Emit, Warned
from modelcrate.registry.faults import PASSING, Refusal, refusal
from modelcrate.registry.remote import Remote
from modelcrate.registry.retry import Clock, Engine
from modelcrate.registry.settings import Settings
from modelcrate.registry.tokens import Token
from modelcrate.registry.transport import Transport, Trust
from modelcrate.registry.wire import Access, Answer, Request, resolve
from modelcrate_layers.errors import CrateError

MAX_REALM_HOPS = 5
DENIED = frozenset({400, 403})
"""How token servers say that a scope is too much, the credentials being right."""


@dataclass(slots=True)
class _Desk:
    """What is known about getting into one registry. It changes as we learn; its lock makes fetching single."""

    lock: threading.RLock = field(default_factory=threading.RLock)
    challenge: Challenge | None = None
    tokens: list[Token] = field(default_factory=list)
    refused: dict[str, CrateError] = field(default_factory=dict)
    narrow: dict[frozenset[Access], Token | None] = field(default_factory=dict)
    refresh: dict[str, str] = field(default_factory=dict)
    told: set[str] = field(default_factory=set)


class Authenticator:
    """The tokens and credentials of one client, for all registries it talks to."""

    def __init__(self, settings: Settings, transport: Transport, clock: Clock, emit: Emit) -> None:
        self._settings, self._transport, self._clock, self._emit = settings, transport, clock, emit
        self._engine = Engine(settings.patience, clock, emit)
        self._lock = threading.Lock()
        self._desks: dict[str, _Desk] = {}
        self._found: dict[tuple[str, str], Credential | None] = {}

    def learn(self, remote: Remote, answer: Answer) -> None:
        """Keep the challenge of a first look at the registry, so that no request has to fail for it."""
        challenge = choose(parse_challenges(answer.headers.all("WWW-Authenticate")))
        if answer.status == 401 and challenge:
            self._desk(remote).challenge = challenge

    def header(self, remote: Remote, access: Sequence[Access], counters: Counters, *, young: bool = False) -> str:
        """The Authorization for these scopes, "" where none is known to be needed."""
        desk = self._desk(remote)
        with desk.lock:
            challenge = desk.challenge
            if challenge is None:
                return ""
            if challenge.scheme == "basic":
                credential = self._credential(remote, access, desk)
                return credential.basic if credential else ""
            key = frozenset(access)
            if key in desk.narrow:
                token = desk.narrow[key]
                return f"Bearer {token.value}" if token and token.lasts(self._clock.now(), young=False) else ""
            try:
                return self._bearer(remote, desk, challenge, access, (), counters, young=young)
            except Refusal as fault:
                if fault.status not in DENIED:
                    raise
                desk.narrow[key] = None  # the request itself will be told which scope it really needs
                return ""

    def answer(self, remote: Remote, request: Request, answer: Answer, used: str, counters: Counters) -> str:
        """The Authorization to try once more with after a 401; the Refusal itself where nothing else can be tried."""
        desk = self._desk(remote)
        challenge = choose(parse_challenges(answer.headers.all("WWW-Authenticate")))
        with desk.lock:
            challenge = challenge or desk.challenge
            if challenge is None:
                raise refusal(request, answer, "request: it asks for a login in no way that we know", self._clock.now())
            desk.challenge = replace(challenge, parameters={**challenge.parameters, "scope": ""})
            if challenge.scheme == "basic":
                return self._basic(remote, desk, request, answer, used)
            desk.tokens = [token for token in desk.tokens if f"Bearer {token.value}" != used]
            if self._settings_token(remote, request.access, desk) and used:
                raise refusal(request, answer, "token", self._clock.now())
            return self._bearer(remote, desk, challenge, request.access, challenge.scopes, counters)

    def _basic(self, remote: Remote, desk: _Desk, request: Request, answer: Answer, used: str) -> str:
        credential = self._credential(remote, request.access, desk)
        if credential is None or credential.basic == used:
            source = f" (from {credential.source})" if credential else ""
            raise refusal(request, answer, f"credentials{source}" if credential else "request", self._clock.now())
        return credential.basic

    def _bearer(
        self,
        remote: Remote,
        desk: _Desk,
        challenge: Challenge,
        access: Sequence[Access],
        challenged: Sequence[str],
        counters: Counters,
        *,
        young: bool = False,
    ) -> str:
        if ready := self._settings_token(remote, access, desk):
            return f"Bearer {ready}"
        now = self._clock.now()
        kept = next((t for t in desk.tokens if t.covers(access) and t.lasts(now, young=young)), None)
        if kept is None:
            kept = self._fetch(remote, desk, challenge, access, challenged, counters)
            desk.tokens = [t for t in desk.tokens if t.scopes != kept.scopes] + [kept]
        return f"Bearer {kept.value}"

    def _settings_token(self, remote: Remote, access: Sequence[Access], desk: _Desk) -> str:
        credential = self._credential(remote, access, desk)
        return credential.access_token if credential else ""

    def _fetch(
        self,
        remote: Remote,
        desk: _Desk,
        challenge: Challenge,
        access: Sequence[Access],
        challenged: Sequence[str],
        counters: Counters,
    ) -> Token:
        """A token for all that is wanted; for the challenged scope alone where the server denies the whole."""
        self._check_realm(remote, desk, challenge)
        credential = self._credential(remote, access, desk)
        key, scopes = frozenset(access), tokens.merge(challenged, access)
        if key in desk.narrow and challenged:
            scopes = list(challenged)
        if credential and credential.source in desk.refused:
            raise desk.refused[credential.source]
        try:
            token = self._ask(remote, desk, challenge, scopes, credential, counters)
            if key in desk.narrow:
                desk.narrow[key] = token
            return token
        except Refusal as fault:
            if fault.status not in DENIED | {401}:
                raise
            if challenged and list(challenged) != scopes:
                token = self._narrower(remote, desk, challenge, challenged, credential, counters)
                desk.narrow[key] = token
                return token
            if credential and all(one.actions <= {"pull"} for one in access):
                return self._anonymously(remote, desk, challenge, scopes, credential, fault, counters)
            if credential and fault.status == 401:
                desk.refused[credential.source] = fault
            raise

    def _narrower(
        self,
        remote: Remote,
        desk: _Desk,
        challenge: Challenge,
        challenged: Sequence[str],
        credential: Credential | None,
        counters: Counters,
    ) -> Token:
        try:
            return self._ask(remote, desk, challenge, challenged, credential, counters)
        except Refusal as fault:
            if credential and fault.status == 401:
                desk.refused[credential.source] = fault
            raise

    def _anonymously(
        self,
        remote: Remote,
        desk: _Desk,
        challenge: Challenge,
        scopes: Sequence[str],
        credential: Credential,
        fault: Refusal,
        counters: Counters,
    ) -> Token:
        """A stale login must not hide a public image; the first error stands where this fails too."""
        try:
            token = self._ask(remote, desk, challenge, scopes, None, counters)
        except CrateError:
            desk.refused[credential.source] = fault
            raise fault from None
        self._emit(Warned(remote.registry, f"the credentials from {credential.source} were refused; going on without"))
        return token

    def _ask(
        self,
        remote: Remote,
        desk: _Desk,
        challenge: Challenge,
        scopes: Sequence[str],
        credential: Credential | None,
        counters: Counters,
    ) -> Token:
        now = self._clock.now()
        if credential and credential.identity_token:
            refresh = desk.refresh.get(credential.source, credential.identity_token)
            answer = self._call(remote, tokens.trade(challenge, scopes, refresh), counters)
            if answer.status in (404, 405):
                answer = self._call(remote, tokens.ask(challenge, scopes, credential), counters)
        else:
            answer = self._call(remote, tokens.ask(challenge, scopes, credential), counters)
        if answer.status != 200:
            whose = f"credentials from {credential.source}" if credential else "anonymous access"
            raise refusal(Request("GET", challenge.realm), replace(answer, body=b""), f"token ({whose})", now)
        token = tokens.granted(answer, scopes, now)
        if credential and token.refresh:
            desk.refresh[credential.source] = token.refresh
        return token

    def _call(self, remote: Remote, request: Request, counters: Counters) -> Answer:
        """One request to the token server, redirects checked like the realm itself, repeated where that may help."""

        def act() -> Answer:
            answer = self._walk(remote, request, counters)
            if answer.status in PASSING:
                raise refusal(replace(request, url=request.url.partition("?")[0]), replace(answer, body=b""), "token")
            return answer

        return self._engine.run(act)

    def _walk(self, remote: Remote, request: Request, counters: Counters) -> Answer:
        for _ in range(MAX_REALM_HOPS):
            trust = self._trust(remote, request.url)
            reply = self._transport.exchange(request, trust, counters, verb="TOKEN")
            answer = reply.read(tokens.MAX_ANSWER)
            if answer.status not in (301, 302, 307, 308):
                return answer
            target = resolve(request.url, answer.headers.get("Location"), request.where())
            addresses.check_realm(target, remote.origin, insecure=remote.plain, where=request.where())
            addresses.check_hop(request.url, target, request.where())
            if addresses.origin(target) != addresses.origin(request.url):
                kept = {key: value for key, value in request.headers.items() if key != "Authorization"}
                body = None if request.method == "POST" else request.body
                if request.method == "POST":
                    raise refusal(request, replace(answer, body=b""), "token: it sends our identity token elsewhere")
                request = replace(request, headers=kept, body=body)
            request = replace(request, url=target)
        raise refusal(request, answer, "token: too many redirects")

    def _trust(self, remote: Remote, url: str) -> Trust:
        """The token server's own rule where it has one, else the registry's CA; never its client certificate
        or leniency."""
        if remote.owns(url):
            return remote.trust
        netloc = url.split("/")[2]
        own = Trust.of(self._settings.habits(netloc), self._settings)
        return own if own != Trust() or remote.trust.verify is False else Trust(remote.trust.verify)

    def _check_realm(self, remote: Remote, desk: _Desk, challenge: Challenge) -> None:
        where = f"the challenge of {remote.registry}"
        addresses.check_realm(challenge.realm, remote.origin, insecure=remote.plain, where=where)
        if not addresses.related(challenge.realm, remote.origin) and challenge.realm not in desk.told:
            desk.told.add(challenge.realm)
            self._emit(Warned(remote.registry, f"tokens come from another domain: {addresses.host(challenge.realm)}"))

    def _credential(self, remote: Remote, access: Sequence[Access], desk: _Desk) -> Credential | None:
        repository = access[0].repository if access else ""
        found = self._find(remote.registry, repository)
        if found and found.source not in desk.told:
            desk.told.add(found.source)
            self._emit(CredentialsUsed(remote.registry, found.source))
        return found

    def _find(self, registry: str, repository: str) -> Credential | None:
        key = (registry, repository)
        with self._lock:
            if key not in self._found:
                self._found[key] = credentials.find(registry, repository, self._settings)
            return self._found[key]

    def _desk(self, remote: Remote) -> _Desk:
        with self._lock:
            return self._desks.setdefault(remote.origin, _Desk())
