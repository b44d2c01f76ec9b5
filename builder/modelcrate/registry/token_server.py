"""The token server that a registry names in its challenge. It gets our password, so every step is checked."""

from __future__ import annotations

from collections.abc import Sequence

from modelcrate.net.addresses import check_hop
from modelcrate.net.client import HttpClient
from modelcrate.net.counters import Counters
from modelcrate.net.messages import Request, Response
from modelcrate.net.retry import RetryEngine
from modelcrate.net.tls import Trust
from modelcrate.net.urls import origin, resolve
from modelcrate.registry import addresses, tokens
from modelcrate.registry.challenges import Challenge
from modelcrate.registry.config import RegistryConfig
from modelcrate.registry.credential import Credential
from modelcrate.registry.errors import PASSING, error_response
from modelcrate.registry.remote import Remote
from modelcrate.registry.tokens import Token
from modelcrate_layers.frozen import dataclass, replace

MAX_HOPS = 5


@dataclass(frozen=True, slots=True)
class TokenServer:
    """The token server of one registry, for one challenge."""

    remote: Remote
    challenge: Challenge
    settings: RegistryConfig
    http: HttpClient
    engine: RetryEngine
    counters: Counters

    def fetch(self, scopes: Sequence[str], credential: Credential | None, refresh: str = "") -> Token:
        """Returns a token for these scopes.

        Args:
            scopes: In the words of the protocol, such as `repository:team/model:pull`.
            credential: The user's; None for anonymous access.
            refresh: An identity token to exchange, by POST, or by GET where the server does not support POST.

        Raises:
            ErrorResponse: The server refused. Its response is never shown, because it may hold a secret.
            RegistryError: The realm or a redirect is not to be trusted.
        """
        addresses.check_realm(
            self.challenge.realm,
            self.remote.origin,
            insecure=self.remote.plain,
            where=f"the challenge of {self.remote.registry}",
        )
        now = self.engine.clock.now()
        answer = self._call(tokens.refresh_request(self.challenge, scopes, refresh)) if refresh else None
        if answer is None or answer.status in (404, 405):
            answer = self._call(tokens.token_request(self.challenge, scopes, credential))
        if answer.status != 200:
            whose = f"credentials from {credential.source}" if credential else "anonymous access"
            realm = Request("GET", self.challenge.realm)
            raise error_response(realm, replace(answer, body=b""), f"token ({whose})", now)
        return tokens.parse_token(answer, scopes, now)

    def _call(self, request: Request) -> Response:
        """The response to one request, which is repeated where that may help."""

        def act() -> Response:
            answer = self._send_once(request)
            if answer.status in PASSING:
                raise error_response(replace(request, url=self.challenge.realm), replace(answer, body=b""), "token")
            return answer

        return self.engine.run(act)

    def _send_once(self, request: Request) -> Response:
        """Follows redirects, each checked like the realm itself. Nothing secret goes to another host."""
        for _ in range(MAX_HOPS):
            named = not self.remote.owns(request.url)
            reply = self.http.exchange(request, self._trust(request.url), self.counters, verb="TOKEN", named=named)
            answer = reply.read(tokens.MAX_RESPONSE)
            if answer.status not in (301, 302, 307, 308):
                return answer
            target = resolve(request.url, answer.headers.get("Location"), request.where())
            addresses.check_realm(target, self.remote.origin, insecure=self.remote.plain, where=request.where())
            check_hop(request.url, target, request.where())
            if origin(target) != origin(request.url):
                if request.method == "POST":
                    raise error_response(
                        request, replace(answer, body=b""), "token: it redirects our identity token to another host"
                    )
                kept = {key: value for key, value in request.headers.items() if key != "Authorization"}
                request = replace(request, headers=kept)
            request = replace(request, url=target)
        raise error_response(request, replace(answer, body=b""), "token: too many redirects")

    def _trust(self, url: str) -> Trust:
        """The token server's own rule where it has one, else the registry's CA. Neither `skip-verify` nor our certificate carry over."""
        if self.remote.owns(url):
            return self.remote.trust
        own = self.settings.trust(url.split("/")[2])
        return own if own != Trust() or self.remote.trust.verify is False else Trust(self.remote.trust.verify)
