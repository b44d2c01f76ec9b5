"""Rows 22 to 25 of the client's checklist: whose secret is used, and how it is kept. `aNN` in a name is the row."""

from __future__ import annotations

import base64
import json
import os
import stat
from pathlib import Path

import pytest

from modelcrate.registry.config import RegistryConfig
from modelcrate.registry.credentials import HUB_KEY, find
from modelcrate.registry.keychain import Keychain
from modelcrate.registry.login import login, logout
from modelcrate_layers.errors import CrateError, MachineError, UserError
from support.scripted import scripted
from support.waiting import HANG

HOST = "registry.example"


def auth(user: str, password: str = "p") -> dict[str, str]:
    return {"auth": base64.b64encode(f"{user}:{password}".encode()).decode()}


def write(path: Path, value: object) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(value))
    return path


def auths(path: Path, user: str, key: str = HOST) -> Path:
    return write(path, {"auths": {key: auth(user)}})


def test_a22_the_order_of_sources_and_their_names(tmp_path: Path) -> None:
    """All at once; then one by one is taken away, and the next one counts."""
    home = tmp_path / "home"
    environment = {
        "MODELCRATE_REGISTRY_USERNAME_REGISTRY_EXAMPLE": "own-host", "MODELCRATE_REGISTRY_PASSWORD_REGISTRY_EXAMPLE": "p",
        "MODELCRATE_REGISTRY_USERNAME": "own", "MODELCRATE_REGISTRY_PASSWORD": "p",
        "REGISTRY_AUTH_FILE": str(auths(tmp_path / "named.json", "named")),
        "DOCKER_AUTH_CONFIG": json.dumps({"auths": {HOST: auth("variable")}}),
        "XDG_RUNTIME_DIR": str(tmp_path / "run"), "XDG_CONFIG_HOME": str(tmp_path / "config"),
        "DOCKER_CONFIG": str(tmp_path / "docker"),
        "GITLAB_CI": "true", "CI_REGISTRY": HOST, "CI_REGISTRY_USER": "gitlab", "CI_REGISTRY_PASSWORD": "p",
    }  # fmt: skip
    auths(tmp_path / "run/containers/auth.json", "runtime")
    auths(tmp_path / "config/containers/auth.json", "config")
    auths(tmp_path / "docker/config.json", "docker")
    write(home / ".dockercfg", {HOST: auth("old")})
    given = auths(tmp_path / "given.json", "given-file")
    expected = [
        ("explicit", "given explicitly", "username"),
        ("own-host", "MODELCRATE_REGISTRY_USERNAME_REGISTRY_EXAMPLE", "MODELCRATE_REGISTRY_USERNAME_REGISTRY_EXAMPLE"),
        ("own", "MODELCRATE_REGISTRY_USERNAME", "MODELCRATE_REGISTRY_USERNAME"),
        ("given-file", "the auth file given", "auth_file"),
        ("named", "REGISTRY_AUTH_FILE", "REGISTRY_AUTH_FILE"),
        ("variable", "DOCKER_AUTH_CONFIG", "DOCKER_AUTH_CONFIG"),
        ("runtime", "run/containers/auth.json", "XDG_RUNTIME_DIR"),
        ("config", "config/containers/auth.json", "XDG_CONFIG_HOME"),
        ("docker", "docker/config.json", "DOCKER_CONFIG"),
        ("old", ".dockercfg", "home"),
        ("gitlab", "CI_REGISTRY_PASSWORD of the job", "CI_REGISTRY"),
    ]
    settings: dict[str, object] = {"username": "explicit", "password": "p", "auth_file": given, "home": home}
    for user, source, removed in expected:
        found = find(HOST, "team/x", RegistryConfig(environment=environment, **settings))  # type: ignore[arg-type]
        assert found is not None
        assert found.username == user
        assert source in found.source
        if removed in settings:
            settings[removed] = None
        environment.pop(removed, None)
    assert find(HOST, "team/x", RegistryConfig(environment=environment, **settings)) is None  # type: ignore[arg-type]


def test_a22_our_variables_hold_for_the_registry_that_they_name() -> None:
    told = {"MODELCRATE_REGISTRY": "one.example", "MODELCRATE_REGISTRY_TOKEN": "t"}
    one = find("one.example", "x", RegistryConfig(environment=told))
    assert one is not None
    assert one.access_token == "t"
    assert find("two.example", "x", RegistryConfig(environment=told)) is None


def test_a22_the_jobs_of_github_and_gitlab() -> None:
    github = {"GITHUB_ACTIONS": "true", "GITHUB_ACTOR": "me", "GITHUB_TOKEN": "t"}
    found = find("ghcr.io", "x", RegistryConfig(environment=github))
    assert found is not None
    assert (found.username, found.password) == ("me", "t")
    assert find(HOST, "x", RegistryConfig(environment=github)) is None
    gitlab = {"GITLAB_CI": "true", "CI_REGISTRY": HOST, "CI_JOB_TOKEN": "j"}
    found = find(HOST, "x", RegistryConfig(environment=gitlab))
    assert found is not None
    assert (found.username, found.password) == ("gitlab-ci-token", "j")


def helper(folder: Path, name: str, script: str) -> dict[str, str]:
    path = folder / f"docker-credential-{name}"
    path.write_text(f"#!/bin/sh\n{script}\n")
    path.chmod(0o755)
    return {"PATH": f"{folder}:/usr/bin:/bin"}


SERVES = """read -r server || true
case "$server" in
registry.example) echo '{"ServerURL":"x","Username":"<token>","Secret":"identity"}';;
https://index.docker.io/v1/) echo '{"ServerURL":"x","Username":"hub","Secret":"s"}';;
*) echo "credentials not found in native keychain"; exit 1;; esac"""


def test_a23_a_helper_s_identity_token_is_known_as_one(tmp_path: Path) -> None:
    write(tmp_path / "config.json", {"credsStore": "lab"})
    environment = helper(tmp_path, "lab", SERVES) | {"DOCKER_CONFIG": str(tmp_path)}
    found = find(HOST, "x", RegistryConfig(environment=environment))
    assert found is not None
    assert (found.identity_token, found.password) == ("identity", "")
    assert "credential helper lab" in found.source


def test_a23_nothing_found_is_no_fault_and_the_file_is_asked_next(tmp_path: Path) -> None:
    write(tmp_path / "config.json", {"credsStore": "lab", "auths": {"other.example": auth("filed")}})
    environment = helper(tmp_path, "lab", SERVES) | {"DOCKER_CONFIG": str(tmp_path)}
    found = find("other.example", "x", RegistryConfig(environment=environment))
    assert found is not None
    assert found.username == "filed"
    assert find("third.example", "x", RegistryConfig(environment=environment)) is None


@pytest.mark.parametrize(
    ("script", "seconds", "why"),
    [
        ("exit 3", HANG, "code 3"),
        ("echo SECRET garbage", HANG, "not the JSON"),
        ('echo \'{"Username": "x"}\'', HANG, "lacks Username or Secret"),
        (f"exec sleep {HANG}", 0.3, "did not answer"),
    ],
)
def test_a23_a_broken_helper_is_named_and_its_words_are_not_shown(
    tmp_path: Path, script: str, seconds: float, why: str
) -> None:
    environment = helper(tmp_path, "bad", script)
    with pytest.raises(MachineError, match="docker-credential-bad") as caught:
        Keychain("bad", environment, timeout=seconds).get(HOST)
    assert why in caught.value.why
    assert "SECRET" not in str(caught.value)


@pytest.mark.parametrize("name", ["../evil", "a/b", "", "-x", "a;b", "a b"])
def test_a23_a_helper_s_name_is_no_path(name: str) -> None:
    with pytest.raises(UserError, match="not the name"):
        Keychain(name, {})


@pytest.mark.parametrize("config", [{"credHelpers": {HOST: "gone"}}, {"credsStore": "gone"}, {"credsStore": "bad"}])
def test_a23_a_helper_that_is_missing_or_fails_is_named_and_ends_no_search(
    tmp_path: Path, config: dict[str, object]
) -> None:
    path = {"PATH": helper(tmp_path, "bad", "exit 3")["PATH"], "DOCKER_CONFIG": str(tmp_path)}
    write(tmp_path / "config.json", config)
    warnings: list[str] = []
    assert find(HOST, "x", RegistryConfig(environment=path), warnings.append) is None
    assert len(warnings) == 1
    assert "docker-credential-" in warnings[0]
    assert "config.json" in warnings[0]
    write(tmp_path / "config.json", {**config, "auths": {HOST: auth("me", "pw")}})
    found = find(HOST, "x", RegistryConfig(environment=path), warnings.append)
    assert found is not None
    assert found.username == "me"


@pytest.mark.parametrize("break_at", [0, 4])
def test_a_login_with_line_breaks_in_it_is_read(tmp_path: Path, break_at: int) -> None:
    text = auth("me", "pw")["auth"]
    write(tmp_path / "config.json", {"auths": {HOST: {"auth": f"{text[:break_at]}\n{text[break_at:]}\r\n"}}})
    found = find(HOST, "x", RegistryConfig(environment={"DOCKER_CONFIG": str(tmp_path)}))
    assert found is not None
    assert (found.username, found.password) == ("me", "pw")


def test_a_file_that_is_a_fifo_or_has_no_end_is_not_read(tmp_path: Path) -> None:
    (tmp_path / ".docker").mkdir()
    os.mkfifo(tmp_path / ".docker/config.json")
    assert find(HOST, "x", RegistryConfig(home=tmp_path)) is None
    with pytest.raises(UserError, match="can't be read"):
        find(HOST, "x", RegistryConfig(auth_file=Path("/dev/zero")))


@pytest.mark.parametrize(
    ("repository", "user"), [("a/b/c", "abc"), ("a/b/d", "ab"), ("a/x", "a"), ("z", "host"), ("a/bb", "a")]
)
def test_a24_the_most_specific_key_counts(tmp_path: Path, repository: str, user: str) -> None:
    table = {HOST: auth("host"), f"{HOST}/a": auth("a"), f"{HOST}/a/b": auth("ab"), f"{HOST}/a/b/c": auth("abc")}
    found = find(HOST, repository, RegistryConfig(auth_file=write(tmp_path / "auth.json", {"auths": table})))
    assert found is not None
    assert found.username == user


@pytest.mark.parametrize(
    "key", [HUB_KEY, "docker.io", "index.docker.io", "registry-1.docker.io", "https://index.docker.io/v2/"]
)
def test_a25_every_name_of_the_hub_is_one(tmp_path: Path, key: str) -> None:
    found = find("docker.io", "library/x", RegistryConfig(auth_file=auths(tmp_path / "auth.json", "hub", key)))
    assert found is not None
    assert found.username == "hub"


def test_a25_a_helper_is_asked_for_the_hub_by_its_old_key(tmp_path: Path) -> None:
    write(tmp_path / "config.json", {"credsStore": "lab"})
    environment = helper(tmp_path, "lab", SERVES) | {"DOCKER_CONFIG": str(tmp_path)}
    found = find("docker.io", "library/x", RegistryConfig(environment=environment))
    assert found is not None
    assert found.username == "hub"


@pytest.mark.parametrize("key", [HOST, f"https://{HOST}", f"http://{HOST}/v1/", f"https://{HOST}/v2/", HOST.upper()])
def test_keys_may_be_urls(tmp_path: Path, key: str) -> None:
    found = find(HOST, "x", RegistryConfig(auth_file=auths(tmp_path / "auth.json", "u", key)))
    assert found is not None
    assert found.username == "u"


def test_a_mark_of_utf_8_is_passed_over(tmp_path: Path) -> None:
    entry = {"auths": {HOST: {"auth": base64.b64encode(b"u:p").decode()}}}
    (tmp_path / "auth.json").write_bytes(b"\xef\xbb\xbf" + json.dumps(entry).encode())
    assert find(HOST, "x", RegistryConfig(auth_file=tmp_path / "auth.json")) is not None


def test_a_password_may_hold_colons_and_padding(tmp_path: Path) -> None:
    entry = {"auth": base64.b64encode(b"u:a:b\0\0").decode()}
    found = find(HOST, "x", RegistryConfig(auth_file=write(tmp_path / "auth.json", {"auths": {HOST: entry}})))
    assert found is not None
    assert (found.username, found.password) == ("u", "a:b")


@pytest.mark.parametrize("auth", ["no base64", "d\u00ff\u4e2d", "/w==", "====", "a", "YWJj"])
def test_an_auth_that_is_not_base64_of_a_text_is_said(tmp_path: Path, auth: str) -> None:
    with pytest.raises(UserError, match="not base64") as raised:
        find(HOST, "x", RegistryConfig(auth_file=write(tmp_path / "auth.json", {"auths": {HOST: {"auth": auth}}})))
    assert "modelcrate login" in raised.value.hint


@pytest.mark.parametrize(
    "text", ["{", "[]", '{"auths": 7}', '{"credHelpers": "x"}', '{"auths": {"registry.example": {"auth": "%%%"}}}']
)
def test_a_broken_file_is_named_and_not_shown(tmp_path: Path, text: str) -> None:
    (tmp_path / "auth.json").write_text(text)
    with pytest.raises(UserError, match=r"auth.json"):
        find(HOST, "x", RegistryConfig(auth_file=tmp_path / "auth.json"))


@pytest.mark.parametrize(
    "value", [{"auths": []}, {"auths": {HOST: 7}}, {"auths": {HOST: {"auth": 7}}}, {"credHelpers": []}, {}]
)
def test_odd_values_are_no_credentials(tmp_path: Path, value: object) -> None:
    assert find(HOST, "x", RegistryConfig(auth_file=write(tmp_path / "auth.json", value))) is None


def test_a_login_is_tried_and_kept_as_docker_keeps_it(tmp_path: Path) -> None:
    path = write(tmp_path / "config.json", {"psFormat": "x", "auths": {"other": auth("o")}})
    settings = RegistryConfig(environment={"DOCKER_CONFIG": str(tmp_path)})
    with scripted(
        challenge='Basic realm="x"', allowed=lambda header, seen: header.endswith(auth("u")["auth"])
    ) as script:
        kept = login(script.host, "u", "p", settings)
        assert (kept.where, kept.plainly) == (str(path), True)
        written = json.loads(path.read_text())
        assert written == {"psFormat": "x", "auths": {"other": auth("o"), script.host: auth("u")}}
        assert stat.S_IMODE(os.stat(path).st_mode) == 0o600
        found = find(script.host, "x", settings)
        assert found is not None
        assert found.username == "u"
        assert logout(script.host, settings) is not None
        assert json.loads(path.read_text()) == {"psFormat": "x", "auths": {"other": auth("o")}}
        assert logout(script.host, settings) is None
    assert [one.name for one in tmp_path.iterdir()] == ["config.json"]


def test_a_refused_login_keeps_nothing(tmp_path: Path) -> None:
    with (
        scripted(challenge='Basic realm="x"', allowed=lambda header, seen: False) as script,
        pytest.raises(CrateError) as caught,
    ):
        login(script.host, "u", "hush", RegistryConfig(environment={"DOCKER_CONFIG": str(tmp_path)}))
    assert "hush" not in str(caught.value)
    assert not list(tmp_path.iterdir())


def test_a_login_prefers_the_helper(tmp_path: Path) -> None:
    folder = tmp_path / "docker"
    write(folder / "config.json", {"credsStore": "lab"})
    environment = helper(tmp_path, "lab", f'cat > "{tmp_path}/$1"') | {"DOCKER_CONFIG": str(folder)}
    with scripted() as script:
        kept = login(script.host, "u", "p", RegistryConfig(environment=environment))
        assert not kept.plainly
        assert json.loads((tmp_path / "store").read_text()) == {
            "ServerURL": script.host,
            "Username": "u",
            "Secret": "p",
        }
        logout(script.host, RegistryConfig(environment=environment))
        assert (tmp_path / "erase").read_text() == script.host
    assert json.loads((folder / "config.json").read_text()) == {"credsStore": "lab"}


@pytest.mark.parametrize("registry", ["https://x.y", "x y", "", "x.y/z", "x.y\n"])
def test_a_login_needs_a_registry(registry: str) -> None:
    with pytest.raises(UserError, match="not a registry"):
        login(registry, "u", "p", RegistryConfig())
