"""Which Authorization goes with a request, and what follows from a 401.

A push asks for `pull,push` with its first token, so that no token has to be replaced by a wider one. Tokens are kept by
scope; one thread fetches a token while the others wait. Credentials that were refused are not tried again, so that no
account is locked.
"""

from __future__ import annotations

import threading
from collections.abc import Sequence

from modelcrate.net.client import HttpClient
from modelcrate.net.counters import Counters
from modelcrate.net.messages import Response
from modelcrate.net.retry import Clock, RetryEngine
from modelcrate.net.urls import host
from modelcrate.registry import addresses, credentials, tokens
from modelcrate.registry.challenges import Challenge, choose, parse_challenges
from modelcrate.registry.config import RegistryConfig
from modelcrate.registry.credential import Credential
from modelcrate.registry.errors import ErrorResponse, error_response
from modelcrate.registry.events import CredentialsUsed, Emit, Warned
from modelcrate.registry.remote import Remote
from modelcrate.registry.token_server import TokenServer
from modelcrate.registry.tokens import Token
from modelcrate.registry.wire import Access, RegistryRequest
from modelcrate_layers.errors import CrateError
from modelcrate_layers.frozen import dataclass, field, replace

DENIED = frozenset({400, 403})
"""How token servers refuse a scope that is too wide, where the credentials are right."""


@dataclass(slots=True)
class _AuthState:
    """What is known about logging in to one registry. It changes with every answer; `lock` is held while it does.

    `denied` has the accesses that a token server refused together, with the token for the scope that the registry
    itself named in answer to the request.
    """

    lock: threading.RLock = field(default_factory=threading.RLock)
    challenge: Challenge | None = None
    tokens: list[Token] = field(default_factory=list)
    denied: dict[frozenset[Access], Token | None] = field(default_factory=dict)
    refresh: dict[str, str] = field(default_factory=dict)
    refused: dict[str, CrateError] = field(default_factory=dict)
    reported: set[str] = field(default_factory=set)


@dataclass(frozen=True, slots=True)
class _AuthRequest:
    """What is needed for one request: its accesses, the credential, and the challenge to answer."""

    state: _AuthState
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

    def without_server(self, *, basic: bool) -> str:
        """The Authorization that needs no token server, "" where there is none."""
        if self.credential is None:
            return ""
        if self.credential.access_token:
            return f"Bearer {self.credential.access_token}"
        return self.credential.basic if basic else ""


class Authenticator:
    """The tokens and credentials of one client, for all registries. Safe for threads."""

    def __init__(self, settings: RegistryConfig, http: HttpClient, clock: Clock, emit: Emit) -> None:
        self._settings, self._http, self._clock, self._emit = settings, http, clock, emit
        self._engine = RetryEngine(settings.patience, clock, emit)
        self._lock = threading.Lock()
        self._states: dict[str, _AuthState] = {}
        self._found: dict[tuple[str, str], Credential | None] = {}
        self._notes: dict[str, str] = {}

    def learn(self, remote: Remote, answer: Response) -> None:
        """Keeps the challenge in the first response of a registry, so that no later request has to fail for it."""
        challenge = choose(parse_challenges(answer.headers.all("WWW-Authenticate")))
        if answer.status == 401 and challenge:
            self._state(remote).challenge = _without_scope(challenge)

    def header(self, remote: Remote, access: tuple[Access, ...], counters: Counters, *, fresh: bool = False) -> str:
        """Returns the Authorization for these accesses, "" where none is known to be needed.

        Args:
            remote: The registry.
            access: What the request does.
            counters: Where requests to token servers are counted.
            fresh: The token must have half of its lifetime left, because the request will take long.

        Raises:
            ErrorResponse: The token server refused.
        """
        state = self._state(remote)
        with state.lock:
            if state.challenge is None:
                return ""
            request = self._request(remote, state, state.challenge, access, counters)
            if state.challenge.scheme == "basic":
                return request.credential.basic if request.credential else ""
            if request.key in state.denied:
                token = state.denied[request.key]
                return f"Bearer {token.value}" if token and token.lasts(self._clock.now(), fresh=False) else ""
            try:
                return self._bearer(request, fresh=fresh)
            except ErrorResponse as fault:
                if fault.status not in DENIED:
                    raise
                state.denied[request.key] = None  # the registry will name the scope that the request really needs
                return ""

    def answer(self, remote: Remote, request: RegistryRequest, answer: Response, used: str, counters: Counters) -> str:
        """Returns the Authorization for a second attempt after a 401.

        Args:
            remote: The registry.
            request: What was sent.
            answer: The 401.
            used: The Authorization that it was sent with.
            counters: Where requests to token servers are counted.

        Raises:
            ErrorResponse: There is nothing else to try.
        """
        state = self._state(remote)
        with state.lock:
            challenge = choose(parse_challenges(answer.headers.all("WWW-Authenticate"))) or state.challenge
            if challenge is None:
                raise error_response(
                    request, answer, "request: it wants a login of an unknown scheme", self._clock.now()
                )
            state.challenge = _without_scope(challenge)
            wanted = self._request(remote, state, challenge, request.access, counters)
            ready = wanted.without_server(basic=challenge.scheme == "basic")
            if (used and used == ready) or (challenge.scheme == "basic" and not ready):
                source = f"credentials from {wanted.credential.source}" if wanted.credential else "request"
                raise error_response(request, answer, source, self._clock.now(), self.note(remote.registry))
            state.tokens = [token for token in state.tokens if f"Bearer {token.value}" != used]
            return ready or self._bearer(wanted)

    def note(self, registry: str) -> str:
        """Returns which credential helper failed for this registry, "" for none."""
        return self._notes.get(registry, "")

    def _bearer(self, request: _AuthRequest, *, fresh: bool = False) -> str:
        if ready := request.without_server(basic=False):
            return ready
        now, state = self._clock.now(), request.state
        kept = next((one for one in state.tokens if one.covers(request.access) and one.lasts(now, fresh=fresh)), None)
        if kept is None:
            kept = self._fetch(request)
            state.tokens = [*(one for one in state.tokens if one.scopes != kept.scopes), kept]
        return f"Bearer {kept.value}"

    def _fetch(self, request: _AuthRequest) -> Token:
        """Returns a token for all accesses; for the challenged scope alone where the server denies them together."""
        state, credential, challenged = request.state, request.credential, request.challenge.scopes
        if credential and credential.source in state.refused:
            raise state.refused[credential.source]
        self._report_other_domain(request)
        all_scopes = tokens.merge(challenged, request.access)
        scopes = list(challenged) if challenged and request.key in state.denied else all_scopes
        try:
            token = self._fetch_scopes(request, scopes)
        except ErrorResponse as fault:
            if fault.status not in DENIED | {401}:
                raise
            token = self._second_attempt(request, scopes, fault)
        if request.key in state.denied:
            state.denied[request.key] = token
        return token

    def _second_attempt(self, request: _AuthRequest, scopes: Sequence[str], fault: ErrorResponse) -> Token:
        """Tries the challenged scope alone; or, for reading, no credentials, so that an old login hides no public image.

        Where that fails too, the first error is raised, and the credentials are not tried again.
        """
        challenged, credential = request.challenge.scopes, request.credential
        try:
            if challenged and list(challenged) != list(scopes):
                token = self._fetch_scopes(request, challenged)
                request.state.denied[request.key] = token
                return token
            if credential and request.only_reads:
                token = request.server.fetch(scopes, None)
                text = f"the credentials from {credential.source} were refused; going on without"
                self._emit(Warned(request.remote.registry, text))
                return token
        except CrateError:
            pass
        if credential and fault.status == 401:
            request.state.refused[credential.source] = fault
        raise fault

    def _fetch_scopes(self, request: _AuthRequest, scopes: Sequence[str]) -> Token:
        credential, refresh = request.credential, request.state.refresh
        if credential is None or not credential.identity_token:
            return request.server.fetch(scopes, credential)
        token = request.server.fetch(scopes, credential, refresh.get(credential.source, credential.identity_token))
        if token.refresh:
            refresh[credential.source] = token.refresh
        return token

    def _report_other_domain(self, request: _AuthRequest) -> None:
        realm, remote = request.challenge.realm, request.remote
        if not addresses.related(realm, remote.origin) and realm not in request.state.reported:
            request.state.reported.add(realm)
            self._emit(Warned(remote.registry, f"tokens come from another domain: {host(realm)}"))

    def _request(
        self,
        remote: Remote,
        state: _AuthState,
        challenge: Challenge,
        access: tuple[Access, ...],
        counters: Counters,
    ) -> _AuthRequest:
        found = self._credential(remote.registry, access[0].repository if access else "")
        if found and found.source not in state.reported:
            state.reported.add(found.source)
            self._emit(CredentialsUsed(remote.registry, found.source))
        server = TokenServer(remote, challenge, self._settings, self._http, self._engine, counters)
        return _AuthRequest(state, challenge, access, found, server, remote)

    def _credential(self, registry: str, repository: str) -> Credential | None:
        key = (registry, repository)
        with self._lock:
            if key not in self._found:
                self._found[key] = credentials.find(
                    registry, repository, self._settings, lambda text: self._keep_note(registry, text)
                )
            return self._found[key]

    def _keep_note(self, registry: str, text: str) -> None:
        """Warns of a credential helper that failed, once. An error for a refused request repeats it."""
        if self._notes.get(registry) != text:
            self._notes[registry] = text
            self._emit(Warned(registry, f"{text}; going on without it"))

    def _state(self, remote: Remote) -> _AuthState:
        with self._lock:
            return self._states.setdefault(remote.origin, _AuthState())


def _without_scope(challenge: Challenge) -> Challenge:
    """The part of a challenge that can be kept. Its scope belongs to the request that it answered."""
    return replace(challenge, parameters={**challenge.parameters, "scope": ""})
