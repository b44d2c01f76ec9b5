"""Which index is used: the first place that names one, and pip's meaning where pip's words name it."""

from __future__ import annotations

from pathlib import Path

import pytest

from modelcrate.project.values import Dependencies
from modelcrate.resolve.index import Index
from modelcrate.resolve.index_settings import choose_index, expand_indexes, hosts, without_names
from modelcrate.resolve.requirements import FileOptions, ReadRequirements
from modelcrate_layers.errors import UserError


def write(path: Path, text: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)


PLACES = ("project", "file", "uv", "pip", "uv.toml", "user uv.toml", "pip.conf")


def chosen(tmp_path: Path, *places: str, wheelhouse: Path | None = None) -> Index:
    """The index, where all of these places name one that is called after them."""
    folder, home = tmp_path / "project", tmp_path / "home"
    folder.mkdir(exist_ok=True)
    url = {place: f"https://user:pw@{place.replace(' ', '-')}.invalid/simple" for place in places}
    environment = {"HOME": str(home)}
    environment |= {"UV_DEFAULT_INDEX": url["uv"], "UV_INDEX": "corp=https://extra.invalid"} if "uv" in url else {}
    environment |= {"PIP_INDEX_URL": url["pip"]} if "pip" in url else {}
    for place, path in (("uv.toml", folder / "uv.toml"), ("user uv.toml", home / ".config/uv/uv.toml")):
        if place in url:
            write(path, f"[[index]]\nname = 'mine'\nurl = '{url[place]}'\ndefault = true\n")
    if "pip.conf" in url:
        write(
            home / ".config/pip/pip.conf",
            f"[global]\nindex-url = {url['pip.conf']}\nextra-index-url = https://extra.invalid\n",
        )
    needs = Dependencies(index_url=url.get("project"), wheelhouse=wheelhouse)
    read = ReadRequirements(options=FileOptions(url.get("file", "")))
    return choose_index(needs, folder, read, environment)


@pytest.mark.parametrize("place", PLACES)
def test_every_place_is_read_and_those_before_it_count_first(tmp_path: Path, place: str) -> None:
    index = chosen(tmp_path, *PLACES[PLACES.index(place) :])
    assert place.replace(" ", "-") in hosts(index)[0]
    assert "pw" not in "".join(hosts(index))
    assert "pw" not in repr(index)
    assert index.merged is (place in ("file", "pip", "pip.conf"))


def test_names_of_indexes_stay_so_that_credentials_are_found_by_them(tmp_path: Path) -> None:
    assert chosen(tmp_path, "uv").extra == ("corp=https://extra.invalid",)
    assert chosen(tmp_path, "uv.toml").url.startswith("mine=https://")


def settled(tmp_path: Path, environment: dict[str, str], *, extra: tuple[str, ...] = (), file: FileOptions) -> Index:
    """The index, by an environment whose home is the test's, the extra indexes of the project file, and a requirements file's options."""
    given = {"HOME": str(tmp_path / "home"), "XDG_CONFIG_DIRS": str(tmp_path / "xdg"), **environment}
    return choose_index(Dependencies(extra_index_urls=extra), tmp_path, ReadRequirements(options=file), given)


def test_pips_places_are_merged_by_their_settings_as_pip_does(tmp_path: Path) -> None:
    write(
        tmp_path / "xdg/pip/pip.conf",
        "[global]\nindex-url = https://corp.invalid\nextra-index-url = https://old.invalid\n",
    )
    write(tmp_path / "venv/pip.conf", "[global]\nextra-index-url = https://team.invalid\n")
    index = settled(tmp_path, {"VIRTUAL_ENV": str(tmp_path / "venv")}, file=FileOptions())
    assert (index.url, index.extra, index.merged) == ("https://corp.invalid", ("https://team.invalid",), True)
    asked = {"VIRTUAL_ENV": str(tmp_path / "venv"), "PIP_EXTRA_INDEX_URL": "https://mine.invalid"}
    assert settled(tmp_path, asked, file=FileOptions()).extra == ("https://mine.invalid",)


def test_uvs_places_are_added_up_as_uv_does(tmp_path: Path) -> None:
    write(tmp_path / "uv.toml", "[[index]]\nurl = 'https://team.invalid'\n")
    write(tmp_path / "home/.config/uv/uv.toml", "index-url = 'https://corp.invalid'\n")
    index = settled(
        tmp_path, {"UV_INDEX": "mine=https://mine.invalid", "PIP_INDEX_URL": "https://p.invalid"}, file=FileOptions()
    )
    assert index.url == "https://corp.invalid"
    assert index.extra == ("mine=https://mine.invalid", "https://team.invalid")
    assert not index.merged


def test_more_indexes_go_before_the_one_of_the_next_place(tmp_path: Path) -> None:
    corp = {"PIP_INDEX_URL": "https://corp.invalid"}
    of_file = settled(tmp_path, corp, file=FileOptions(extra_index_urls=("https://team.invalid",)))
    assert (of_file.url, of_file.extra, of_file.merged) == ("https://corp.invalid", ("https://team.invalid",), True)
    assert of_file.source == "the requirements file, pip's variables in the environment"
    of_project = settled(tmp_path, corp, extra=("https://team.invalid",), file=FileOptions())
    assert (of_project.url, of_project.extra, of_project.merged) == (
        "https://corp.invalid",
        ("https://team.invalid",),
        False,
    )
    whole = settled(tmp_path, corp, file=FileOptions("https://own.invalid", ("https://team.invalid",)))
    assert (whole.url, whole.extra) == ("https://own.invalid", ("https://team.invalid",))


def test_pypi_is_named_where_nothing_takes_its_part(tmp_path: Path) -> None:
    index = settled(tmp_path, {"PIP_EXTRA_INDEX_URL": "https://me:pw@team.invalid"}, file=FileOptions())
    assert hosts(index) == ("PyPI", "team.invalid")


def test_a_wheelhouse_alone_stands_alone(tmp_path: Path) -> None:
    index = chosen(tmp_path, "uv", "pip", "pip.conf", wheelhouse=Path("wheels"))
    assert (index.url, index.extra, index.wheelhouse) == ("", (), tmp_path / "project/wheels")
    assert chosen(tmp_path, "project", wheelhouse=Path("wheels")).url


def test_a_lock_adds_its_own_indexes_but_not_pypi(tmp_path: Path) -> None:
    public = ".".join(("https://pypi", "org/simple"))
    named = (public, "https://${USER}:${PW}@h.invalid/simple", "https://$GONE@g.invalid")
    environment = {"USER": "me", "PW": "x", "PIP_CONFIG_FILE": "/dev/null"}
    known = tuple(expand_indexes(named, environment))
    index = choose_index(Dependencies(), tmp_path, ReadRequirements(), environment, known)
    assert index.known == ("https://me:x@h.invalid/simple",)


def test_a_foreign_lock_gets_no_variables() -> None:
    assert list(expand_indexes(["https://h.invalid/${TOKEN}", "https://g.invalid"], None)) == ["https://g.invalid"]


def test_a_foreign_project_gets_no_login_by_the_name_of_an_index(tmp_path: Path) -> None:
    environment = {
        "UV_INDEX": "corp=https://mine.invalid",
        "UV_INDEX_CORP_PASSWORD": "x",
        "PIP_CONFIG_FILE": "/dev/null",
    }
    index = Index("corp=https://theirs.invalid", ("corp=https://mine.invalid", "corp=https://more.invalid"))
    found = without_names(index, environment)
    assert found.url == "https://theirs.invalid"
    assert found.extra == ("corp=https://mine.invalid", "https://more.invalid")


def test_a_configuration_that_can_not_be_read_says_nothing(tmp_path: Path) -> None:
    (tmp_path / "project").mkdir()
    (tmp_path / "project/uv.toml").write_text("[[[")
    write(tmp_path / "home/.config/pip/pip.conf", "no section\n")
    environment = {"HOME": str(tmp_path / "home"), "PIP_CONFIG_FILE": "/dev/zero"}
    index = choose_index(Dependencies(), tmp_path / "project", ReadRequirements(), environment)
    assert not index.url


@pytest.mark.parametrize("url", ["https://me:secret@[::1/simple", "https://host:99999/simple", "https:///simple"])
def test_an_address_that_is_none_is_refused_with_what_named_it(tmp_path: Path, url: str) -> None:
    environment = {"UV_DEFAULT_INDEX": url, "HOME": str(tmp_path)}
    with pytest.raises(UserError, match="not the URL of a package index") as caught:
        choose_index(Dependencies(), tmp_path, ReadRequirements(), environment)
    assert "uv's variables" in caught.value.where
    assert "secret" not in str(caught.value)
