"""Docker's credential helpers: programs called `docker-credential-NAME` that keep secrets.

Protocol: the server's key on standard input, JSON on standard output; exit 1 and a known sentence where there is nothing.
"""

from __future__ import annotations

import os.path
from collections.abc import Mapping
from typing import TYPE_CHECKING

from modelcrate_layers.content import parse_object
from modelcrate_layers.errors import CrateError, MachineError, UserError
from modelcrate_layers.frozen import dataclass, field
from modelcrate_layers.host import find_program
from modelcrate_layers.patterns import compile_later

if TYPE_CHECKING:
    from subprocess import CompletedProcess

TIMEOUT = 30.0
"""Seconds. Some helpers send a request to a cloud; none should wait longer for a user."""

MAX_OUTPUT = 1 << 20

_NAME = compile_later(r"[A-Za-z0-9][A-Za-z0-9._-]*")
_NOTHING = ("credentials not found", "no credentials server url", "no credentials username")


@dataclass(frozen=True, slots=True)
class StoredCredential:
    """A name and a secret for one server. The name `<token>` marks an identity token."""

    username: str
    secret: str = field(repr=False)


@dataclass(frozen=True, slots=True)
class Keychain:
    """One helper, by the last part of its name. Its PATH is that of `environment`, which is passed on to it."""

    name: str
    environment: Mapping[str, str] = field(repr=False)
    timeout: float = TIMEOUT

    def __post_init__(self) -> None:
        if not _NAME.fullmatch(self.name):
            raise UserError(
                f"not the name of a credential helper: {self.name!r:.80}",
                hint="a helper's name is letters, digits, '.', '-' and '_': docker-credential-NAME",
            )

    @property
    def program(self) -> str:
        """The program's name."""
        return f"docker-credential-{self.name}"

    def get(self, server: str) -> StoredCredential | None:
        """Returns what is kept for this server; None for nothing.

        Raises:
            MachineError: The program is missing, fails, or answers nonsense. Its output is never shown.
        """
        done = self._run("get", server)
        if done.returncode != 0:
            if any(text in done.stdout.decode(errors="replace").lower() for text in _NOTHING):
                return None
            raise self._fault(f"it ended with code {done.returncode}")
        try:
            answer = parse_object(done.stdout[:MAX_OUTPUT])
        except CrateError:
            raise self._fault("its output is not the JSON of a credential helper") from None
        username, secret = answer.get("Username"), answer.get("Secret")
        if not isinstance(username, str) or not isinstance(secret, str):
            raise self._fault("its output lacks Username or Secret")
        return StoredCredential(username, secret) if secret else None

    def store(self, server: str, username: str, secret: str) -> None:
        """Keeps this secret."""
        import json

        text = json.dumps({"ServerURL": server, "Username": username, "Secret": secret})
        if self._run("store", text).returncode != 0:
            raise self._fault("it did not store the credentials")

    def erase(self, server: str) -> None:
        """Removes this server's secret, if there is one."""
        done = self._run("erase", server)
        if done.returncode != 0 and not any(t in done.stdout.decode(errors="replace").lower() for t in _NOTHING):
            raise self._fault("it did not erase the credentials")

    def _run(self, verb: str, text: str) -> CompletedProcess[bytes]:
        import subprocess  # nearly all pushes do without a helper

        found = find_program(self.program, self.environment.get("PATH", os.path.defpath))
        if found is None:
            raise self._fault("there is no such program on PATH")
        try:
            return subprocess.run(
                [found, verb],
                input=text.encode(),
                capture_output=True,
                timeout=self.timeout,
                env=dict(self.environment),
            )
        except subprocess.TimeoutExpired:
            raise self._fault(f"it did not answer within {self.timeout:g} seconds") from None
        except OSError as fault:
            raise self._fault(f"it can't be started: {fault.strerror}") from None

    def _fault(self, why: str) -> MachineError:
        hint = "the Docker configuration names this helper in credsStore or credHelpers"
        return MachineError(f"the credential helper {self.program} failed", why=why, hint=hint)
