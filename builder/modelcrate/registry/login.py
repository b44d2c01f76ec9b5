"""Logging in and out as Docker does it, so that other tools find the credentials.

They are kept by a credential helper where one is configured, else in the file, which is replaced in one step, has mode
0600, and keeps all that was in it before.
"""

from __future__ import annotations

import base64
import json
import os
import tempfile
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

from modelcrate.images.reference import HUB_ALIASES, is_registry
from modelcrate.net.counters import Counters
from modelcrate.net.files import read_file
from modelcrate.net.retry import SystemClock
from modelcrate.registry import wire
from modelcrate.registry.config import RegistryConfig
from modelcrate.registry.credentials import HUB_KEY, MAX_CONFIG, table_of
from modelcrate.registry.events import Emit, silent
from modelcrate.registry.keychain import Keychain
from modelcrate.registry.transport import RegistryTransport
from modelcrate_layers.content import parse_object
from modelcrate_layers.errors import CrateError, MachineError, UserError
from modelcrate_layers.frozen import dataclass, replace


@dataclass(frozen=True, slots=True)
class LoginResult:
    """Where credentials were kept or removed: a helper's program, or a file. `plainly`: they are not encrypted there."""

    where: str
    plainly: bool


def login(registry: str, username: str, password: str, settings: RegistryConfig, emit: Emit = silent) -> LoginResult:
    """Tries the credentials at the registry, then keeps them.

    Args:
        registry: A host or host:port.
        username: The user's name.
        password: The password or access token.
        settings: Names the files and helpers.
        emit: Receives progress.

    Raises:
        UserError: The registry's name, the user's name or the password is no such.
        ErrorResponse: The registry refuses them; nothing is kept then.
        MachineError: They can't be kept.
    """
    _check(registry)
    if not username or not password:
        raise UserError(
            "a login needs a user name and a password", hint="expected: modelcrate login HOST -u USER --password-stdin"
        )
    transport = RegistryTransport(
        replace(settings, username=username, password=password), SystemClock(), emit, Counters()
    )
    try:
        remote = transport.remote("docker.io" if registry in HUB_ALIASES else registry)
        transport.send(wire.ping(remote.origin), remote, "login", (200,))
    finally:
        transport.close()
    path = config_path(settings)
    config = _read(path)
    if helper := _helper(config, registry):
        Keychain(helper, settings.environment).store(_key(registry), username, password)
        return LoginResult(f"docker-credential-{helper}", plainly=False)
    secret = base64.b64encode(f"{username}:{password}".encode()).decode()
    _write(path, {**config, "auths": {**table_of(config, "auths"), _key(registry): {"auth": secret}}})
    return LoginResult(str(path), plainly=True)


def logout(registry: str, settings: RegistryConfig) -> LoginResult | None:
    """Removes this registry's credentials. Returns where they were; None where there were none."""
    _check(registry)
    path = config_path(settings)
    config, found = _read(path), None
    if helper := _helper(config, registry):
        Keychain(helper, settings.environment).erase(_key(registry))
        found = LoginResult(f"docker-credential-{helper}", plainly=False)
    auths = table_of(config, "auths")
    names = {_key(registry), registry, f"https://{registry}", f"http://{registry}"}
    if names & set(auths):
        left = {key: value for key, value in auths.items() if key not in names}
        _write(path, {**config, "auths": left})
        found = found or LoginResult(str(path), plainly=True)
    return found


def config_path(settings: RegistryConfig) -> Path:
    """Returns the file that is written: the one given, else REGISTRY_AUTH_FILE, else Docker's."""
    if settings.auth_file is not None:
        return settings.auth_file
    if named := settings.environment.get("REGISTRY_AUTH_FILE"):
        return Path(named)
    if folder := settings.environment.get("DOCKER_CONFIG"):
        return Path(folder) / "config.json"
    if settings.home is None:
        raise UserError(
            "there is no home folder to keep credentials in", hint="set DOCKER_CONFIG or REGISTRY_AUTH_FILE"
        )
    return settings.home / ".docker/config.json"


def _check(registry: str) -> None:
    if not is_registry(registry):
        raise UserError(f"not a registry: {registry!r:.100}", hint="expected a host or host:port, without a scheme")


def _key(registry: str) -> str:
    return HUB_KEY if registry in HUB_ALIASES else registry


def _helper(config: Mapping[str, Any], registry: str) -> str:
    helper = table_of(config, "credHelpers").get(registry) or config.get("credsStore")
    return helper if isinstance(helper, str) else ""


def _read(path: Path) -> dict[str, Any]:
    try:
        data = read_file(path, MAX_CONFIG)
    except (OSError, ValueError) as fault:
        why = (fault.strerror if isinstance(fault, OSError) else None) or str(fault)
        raise MachineError("the file with credentials can't be read", where=str(path), why=why) from None
    try:
        return parse_object(data, str(path)) if data.strip() else {}
    except CrateError as fault:
        raise UserError(
            "the file with credentials is not JSON; it is left as it is",
            where=str(path),
            hint="mend it, or move it away, and log in again",
        ) from fault


def _write(path: Path, config: Mapping[str, Any]) -> None:
    """Write a file beside it, sync it, and rename it over the old one; a link stays a link."""
    target = Path(os.path.realpath(path))
    try:
        target.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        number, name = tempfile.mkstemp(dir=target.parent, prefix=".config-")  # mkstemp makes it 0600
        try:
            with open(number, "w", encoding="utf-8", newline="\n") as file:
                file.write(json.dumps(config, indent="\t") + "\n")
                file.flush()
                os.fsync(file.fileno())
            os.replace(name, target)
        except BaseException:
            with suppress(OSError):
                os.unlink(name)
            raise
    except OSError as fault:
        raise MachineError("credentials can't be kept", where=str(path), why=str(fault.strerror)) from None
