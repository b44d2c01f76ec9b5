"""The credentials for a registry, and the place where they were found.

The first of: given for the repository; given explicitly; our own variables; the auth file given; REGISTRY_AUTH_FILE; DOCKER_AUTH_CONFIG; the files of
containers tools and Docker; the variables of GitHub's and GitLab's jobs; none. A .netrc is never read for registries.
"""

from __future__ import annotations

import base64
import codecs
import re
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

from modelcrate.images.reference import HUB, HUB_ALIASES
from modelcrate.net.files import read_file
from modelcrate.registry.config import RegistryConfig
from modelcrate.registry.credential import Credential
from modelcrate.registry.keychain import Keychain
from modelcrate_layers.content import parse_object
from modelcrate_layers.errors import CrateError, MachineError, UserError

HUB_KEY = "https://index.docker.io/v1/"
"""The key under which Docker keeps the credentials of its Hub, for historical reasons."""

IDENTITY = "<token>"
MAX_CONFIG = 4 << 20


Warn = Callable[[str], None]
"""Receives a sentence about a credential helper that failed."""


def find(registry: str, repository: str, settings: RegistryConfig, warn: Warn = lambda text: None) -> Credential | None:
    """Returns the credential for a repository of this registry (host[:port]), None for anonymous access.

    A credential helper that is missing or fails is reported to `warn`, and the search goes on, as Docker does it: a
    public image needs no login.

    Raises:
        UserError: A configuration file can't be read, or holds nonsense.
    """
    for look in _places(settings, warn):
        found = look(registry, repository)
        if found is not None:
            return found
    return None


CredentialSearch = Callable[[str, str], Credential | None]


def _places(settings: RegistryConfig, warn: Warn) -> Iterator[CredentialSearch]:
    environment = settings.environment
    yield lambda registry, repository: settings.logins.get(f"{registry}/{repository}")
    if settings.username is not None:
        given = Credential(settings.username, settings.password or "", source="given explicitly")
        yield lambda registry, repository: given
    yield lambda registry, repository: _own_variables(registry, environment)
    for path, source in _files(settings):
        if path is None:
            yield _in_variable(environment, source, warn)
        else:
            yield _in_file(path, source, environment, warn)
    yield lambda registry, repository: _of_ci(registry, environment)


def _own_variables(registry: str, environment: Mapping[str, str]) -> Credential | None:
    """MODELCRATE_REGISTRY_TOKEN, or _USERNAME and _PASSWORD; with the host at the end (_REGISTRY_EXAMPLE_5000) for one registry.

    Without a host they hold for MODELCRATE_REGISTRY, and for all registries where that is not set.
    """
    suffix = "_" + re.sub(r"[^A-Z0-9]", "_", registry.upper())
    only = environment.get("MODELCRATE_REGISTRY", "")
    for end in (suffix, "") if only in ("", registry) else (suffix,):
        token, name, password = (
            environment.get(f"MODELCRATE_REGISTRY_{key}{end}", "") for key in ("TOKEN", "USERNAME", "PASSWORD")
        )
        if token:
            return Credential(access_token=token, source=f"MODELCRATE_REGISTRY_TOKEN{end}")
        if name and password:
            return Credential(name, password, source=f"MODELCRATE_REGISTRY_USERNAME{end}")
    return None


def _files(settings: RegistryConfig) -> Iterator[tuple[Path | None, str]]:
    """Configuration files in their order, with the words for messages; None stands for DOCKER_AUTH_CONFIG."""
    environment, home = settings.environment, settings.home
    if settings.auth_file is not None:
        yield settings.auth_file, "the auth file given"
    if named := environment.get("REGISTRY_AUTH_FILE"):
        yield Path(named), "REGISTRY_AUTH_FILE"
    if environment.get("DOCKER_AUTH_CONFIG"):
        yield None, "DOCKER_AUTH_CONFIG"
    if runtime := environment.get("XDG_RUNTIME_DIR"):
        yield Path(runtime) / "containers/auth.json", ""
    config = environment.get("XDG_CONFIG_HOME")
    if config or home:
        yield (Path(config) if config else Path(home or "") / ".config") / "containers/auth.json", ""
    if docker := environment.get("DOCKER_CONFIG"):
        yield Path(docker) / "config.json", ""
    elif home:
        yield home / ".docker/config.json", ""
    if home:
        yield home / ".dockercfg", ""


def _in_file(path: Path, source: str, environment: Mapping[str, str], warn: Warn) -> CredentialSearch:
    def look(registry: str, repository: str) -> Credential | None:
        where = f"{source} ({path})" if source else str(path)
        try:
            data = read_file(path, MAX_CONFIG)
        except (OSError, ValueError) as fault:
            if source:
                why = (fault.strerror if isinstance(fault, OSError) else None) or str(fault)
                raise UserError("the file with credentials can't be read", where=where, why=why) from None
            return None
        return in_config(_parsed(data, where), registry, repository, environment, where, warn)

    return look


def _in_variable(environment: Mapping[str, str], source: str, warn: Warn) -> CredentialSearch:
    def look(registry: str, repository: str) -> Credential | None:
        config = _parsed(environment[source].encode(), source)
        return in_config(config, registry, repository, environment, source, warn)

    return look


def _parsed(data: bytes, where: str) -> dict[str, Any]:
    try:
        config = parse_object(data.removeprefix(codecs.BOM_UTF8), where) if data.strip() else {}
    except CrateError as fault:
        raise UserError("the file with credentials is not JSON", where=where, why=fault.what[:80]) from None
    for key in ("auths", "credHelpers"):
        if not isinstance(config.get(key) or {}, dict):
            hint = "log in again: modelcrate login HOST"
            raise UserError(f"{key!r} is no table of registries in the file with credentials", where=where, hint=hint)
    return config


def in_config(
    config: Mapping[str, Any],
    registry: str,
    repository: str,
    environment: Mapping[str, str],
    source: str,
    warn: Warn,
) -> Credential | None:
    """Returns the credential in a configuration of Docker or containers: credHelpers first, then credsStore, then auths."""
    server = HUB_KEY if registry in HUB_ALIASES else registry
    helpers = table_of(config, "credHelpers")
    for key in keys(registry, repository):
        if isinstance(named := helpers.get(key), str):
            kept = _from_keychain(named, server if key == registry else key, environment, source, warn)
            if kept is not None:
                return kept
            break
    if isinstance(store := config.get("credsStore"), str) and store:
        kept = _from_keychain(store, server, environment, source, warn)
        if kept is not None:
            return kept
    auths = (
        table_of(config, "auths") if "auths" in config or "credsStore" in config else config
    )  # .dockercfg has no "auths"
    return _from_auths(auths, registry, repository, environment, source)


def keys(registry: str, repository: str) -> Iterator[str]:
    """Yields the keys that may name this repository, the most specific first. Docker Hub has several names."""
    names = [HUB, HUB_KEY, "index.docker.io", "registry-1.docker.io"] if registry in HUB_ALIASES else [registry]
    parts = repository.split("/") if repository else []
    for end in range(len(parts), 0, -1):
        yield from ("/".join([name, *parts[:end]]) for name in names if "://" not in name)
    yield from names


def _from_keychain(
    name: str, server: str, environment: Mapping[str, str], source: str, warn: Warn
) -> Credential | None:
    try:
        kept = Keychain(name, environment).get(server)
    except MachineError as fault:
        warn(f"{fault.what}, which {source} names: {fault.why}")
        return None
    if kept is None:
        return None
    found = f"credential helper {name} ({source})"
    if kept.username == IDENTITY:
        return Credential(identity_token=kept.secret, source=found)
    return Credential(kept.username, kept.secret, source=found)


def _from_auths(
    auths: Mapping[str, Any], registry: str, repository: str, environment: Mapping[str, str], source: str
) -> Credential | None:
    normal = {_bare(key): entry for key, entry in reversed(list(auths.items()))}
    for key in keys(registry, repository):
        entry = auths.get(key, normal.get(_bare(key)))
        if isinstance(entry, Mapping) and (found := _entry(entry, f"{source}, {key}")) is not None:
            return found
    return None


def _entry(entry: Mapping[str, Any], source: str) -> Credential | None:
    def text(key: str) -> str:
        value = entry.get(key)
        return value if isinstance(value, str) else ""

    name, password = text("username"), text("password")
    if text("auth"):
        name, colon, password = _decoded(text("auth"), source).partition(":")
        if not (colon or text("identitytoken") or text("registrytoken")):
            raise _no_auth(source)
    if token := text("identitytoken"):
        return Credential(name, identity_token=token, source=source)
    if token := text("registrytoken"):
        return Credential(access_token=token, source=source)
    return Credential(name, password, source=source) if name and password else None


def _decoded(text: str, source: str) -> str:
    try:
        return base64.b64decode("".join(text.split()), validate=True).decode().rstrip("\0")
    except ValueError:  # of base64, of UTF-8, and for a text that is not ASCII
        raise _no_auth(source) from None


def _no_auth(source: str) -> UserError:
    return UserError(
        "an 'auth' that is not base64 of user:password", where=source, hint="log in again: modelcrate login HOST"
    )


def _bare(key: str) -> str:
    """A key without scheme and API version; Hub's historical key becomes its host."""
    bare = re.sub(r"^https?://", "", key)
    return re.sub(r"/v[12]/?$", "", bare).rstrip("/").lower()


def table_of(config: Mapping[str, Any], key: str) -> Mapping[str, Any]:
    """Returns an object in a configuration; an empty one where the configuration has none."""
    value = config.get(key)
    return value if isinstance(value, Mapping) else {}


def _of_ci(registry: str, environment: Mapping[str, str]) -> Credential | None:
    """GitHub's job token for ghcr.io; GitLab's for its own registry and dependency proxy."""
    value = environment.get
    if registry == "ghcr.io" and value("GITHUB_ACTIONS") == "true" and value("GITHUB_TOKEN"):
        return Credential(
            value("GITHUB_ACTOR") or "github", value("GITHUB_TOKEN", ""), source="GITHUB_TOKEN of the job"
        )
    if registry == value("CI_REGISTRY") and value("GITLAB_CI"):
        if value("CI_REGISTRY_USER") and value("CI_REGISTRY_PASSWORD"):
            return Credential(
                value("CI_REGISTRY_USER", ""),
                value("CI_REGISTRY_PASSWORD", ""),
                source="CI_REGISTRY_PASSWORD of the job",
            )
        if value("CI_JOB_TOKEN"):
            return Credential("gitlab-ci-token", value("CI_JOB_TOKEN", ""), source="CI_JOB_TOKEN of the job")
    if value("CI_DEPENDENCY_PROXY_SERVER") == registry and value("CI_DEPENDENCY_PROXY_PASSWORD"):
        return Credential(
            value("CI_DEPENDENCY_PROXY_USER") or "gitlab-ci-token",
            value("CI_DEPENDENCY_PROXY_PASSWORD", ""),
            source="CI_DEPENDENCY_PROXY_PASSWORD of the job",
        )
    return None
