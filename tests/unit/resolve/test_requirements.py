"""Requirements files are looked through before uv sees them: every fault at once, and the hashes."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from modelcrate.resolve import requirement_lines, requirements
from modelcrate.resolve.requirements import Requirements, package_of, read_requirements
from modelcrate_layers.errors import CrateError, SourceError, UserError


def write(folder: Path, text: str, name: str = "requirements.txt") -> Requirements:
    (folder / name).write_text(text)
    return Requirements(files=(folder / name,))


def test_hashes_are_collected_by_normalised_name(tmp_path: Path) -> None:
    (tmp_path / "more.txt").write_text(f"Other.Name==1 --hash=sha256:{'c' * 64}\n")
    text = f"Some_Thing==1.0 ; python_version > '3' \\\n  --hash=sha256:{'A' * 64} \\\n  --hash sha256:{'b' * 64}\n-r more.txt\n"
    assert read_requirements(write(tmp_path, text)).hashes == {
        "some-thing": {"a" * 64, "b" * 64},
        "other-name": {"c" * 64},
    }


def test_options_for_indexes_are_left_to_uv(tmp_path: Path) -> None:
    assert (
        read_requirements(
            write(tmp_path, "--extra-index-url https://example.invalid/simple\n--pre\nplain[extra]>=1\n")
        ).hashes
        == {}
    )


def test_all_faults_are_shown_with_their_lines(tmp_path: Path) -> None:
    text = "good\n-e .\n\nbad !\n./local\nx @ https://user:secret@example.invalid/x.whl\n-r missing.txt\n"
    with pytest.raises(UserError, match="5 faults") as caught:
        read_requirements(write(tmp_path, text))
    where = [fault.where.removeprefix(str(tmp_path)) for fault in caught.value.also]
    assert where == [
        "/requirements.txt:2",
        "/requirements.txt:4",
        "/requirements.txt:5",
        "/requirements.txt:6",
        "/missing.txt",
    ]
    assert not [fault for fault in caught.value.also if "secret" in str(fault)]


def test_a_hash_that_can_not_be_checked_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="no sha256"):
        read_requirements(write(tmp_path, f"plain==1 --hash=md5:{'a' * 32}\n"))


def test_files_that_include_each_other_end(tmp_path: Path) -> None:
    (tmp_path / "b.txt").write_text("-r requirements.txt\n")
    assert read_requirements(write(tmp_path, "-r b.txt\n")).hashes == {}


def test_includes_from_the_network_are_refused(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="from the network"):
        read_requirements(write(tmp_path, "-r https://example.invalid/r.txt\n"))


def test_limits_hold(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(requirement_lines, "MAX_FILE", 10)
    with pytest.raises(UserError, match="more than 10 bytes"):
        read_requirements(write(tmp_path, "a" * 11))
    monkeypatch.setattr(requirements, "MAX_FILES", 1)
    (tmp_path / "b.txt").write_text("b\n")
    with pytest.raises(UserError, match="more than 1 requirements files"):
        read_requirements(write(tmp_path, "-rb.txt\n"))


@pytest.mark.parametrize(("data", "error"), [(b"\xff\xfe\x00", UserError), (None, SourceError)])
def test_a_file_that_can_not_be_read_is_named(tmp_path: Path, data: bytes | None, error: type[CrateError]) -> None:
    path = tmp_path / "r.txt"
    if data is not None:
        path.write_bytes(data)
    with pytest.raises(error) as caught:
        read_requirements(Requirements(files=(path,)))
    assert caught.value.where == str(path)


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "utf-16-le", "utf-32"])
def test_every_encoding_that_pip_reads_is_read(tmp_path: Path, encoding: str) -> None:
    mark = b"\xff\xfe" if encoding == "utf-16-le" else b""
    (tmp_path / "r.txt").write_bytes(mark + "plain==1  # ä\r\nother\r\n".encode(encoding))
    assert read_requirements(Requirements(files=(tmp_path / "r.txt",))).lines == ("plain==1", "other")


def test_a_comment_names_the_encoding(tmp_path: Path) -> None:
    (tmp_path / "r.txt").write_bytes(b"# -*- coding: latin-1 -*-\nplain # \xe4\n")
    assert read_requirements(Requirements(files=(tmp_path / "r.txt",))).lines == ("plain",)
    (tmp_path / "r.txt").write_bytes(b"plain # \xe4\n")
    with pytest.raises(UserError, match="is not UTF-8"):
        read_requirements(Requirements(files=(tmp_path / "r.txt",)))


def test_options_say_where_packages_come_from(tmp_path: Path) -> None:
    (tmp_path / "wheels").mkdir()
    text = (
        "-ihttps://a.invalid/simple\n--extra-index-url=https://b.invalid --extra-index-url https://c.invalid\n"
        "-f wheels\n--find-links https://d.invalid/page\n--pre\n--prefer-binary\n--only-binary :all:\n"
        "--trusted-host h.invalid\n--no-binary x\nplain\n"
    )
    found = read_requirements(write(tmp_path, text))
    assert found.options.index_url == "https://a.invalid/simple"
    assert found.options.extra_index_urls == ("https://b.invalid", "https://c.invalid")
    assert found.options.find_links == (str(tmp_path / "wheels"), "https://d.invalid/page")
    assert found.options.prereleases
    assert [notice.partition(": ")[2].split()[0] for notice in found.notices] == ["--trusted-host", "--no-binary"]
    assert found.lines == ("plain",)


def test_variables_are_looked_up_and_a_missing_one_is_named(tmp_path: Path) -> None:
    wanted = write(
        tmp_path,
        "-i https://me:${MY_PW}@h.invalid/simple\nplain # ${NOT_THIS}\n$no ${lower}\n".replace("$no ${lower}\n", ""),
    )
    assert read_requirements(wanted, {"MY_PW": "x"}).options.index_url == "https://me:x@h.invalid/simple"
    with pytest.raises(UserError, match="the variable MY_PW is not set") as caught:
        read_requirements(wanted)
    assert caught.value.where.endswith("requirements.txt:1")


@pytest.mark.parametrize(
    ("line", "words"),
    [
        ("--unheard-of", ["the option --unheard-of is not understood"]),
        ("-i", ["the option -i has no value"]),
        ("-e .", ["the project itself", "source folder", "project: true"]),
        (".[extra]", ["the project itself"]),
        ("../lib[x]; python_version > '3'", ["a path on this machine"]),
        ("C:\\wheels\\my_lib-1.0-py3-none-any.whl", ["a wheel on this machine", "write my-lib==1.0"]),
        ("wheels/my_lib-1.0-py3-none-any.whl", ["a wheel on this machine", "write my-lib==1.0"]),
        ("lib.whl", ["a wheel on this machine"]),
        ("lib-1.0.tar.gz", ["a path on this machine"]),
        (
            "git+https://me:s3cret@h.invalid/me/thing.git@v1",
            ["'git+https://h.invalid/me/thing.git@v1'", "write thing in"],
        ),
        ("-e git+https://h.invalid/me/thing#egg=other", ["write other in its place"]),
        ("x @ git+ssh://git@h.invalid/x", ["'x @ git+ssh://git@h.invalid/x'"]),
        ("./lib", ["a path on this machine"]),
        ("x @ git+ssh://git@h.invalid/x", ["a version control address", "pip wheel", "write x in its place"]),
        ("x @ https://h.invalid/x-1.0.tar.gz", ["something that is not a wheel"]),
        (f"x @ https://h.invalid/{'long/' * 60}x-1.0.tar.gz", ["wheels 'x @ https://", "/x-1.0.tar.gz'; write x in"]),
        ("x @ file:///croot/x_1/work", ["conda package on the machine that built it", "x==VERSION"]),
        ("numpy=1.26.4=py311_0", ["conda's spelling", "numpy==1.26.4"]),
        ("numpy ^1.26", ["Poetry's spelling", "numpy>=1.26"]),
        ("numpy==latest", ["write numpy alone"]),
        ("numpy 1.26.4", ["write numpy==1.26.4"]),
        ("-f nowhere", ["there is no such place of wheels: 'nowhere'"]),
        ("-r 'unclosed", ["can't be read"]),
    ],
)
def test_what_can_not_be_taken_says_what_it_is_and_the_way_out(tmp_path: Path, line: str, words: list[str]) -> None:
    with pytest.raises(CrateError) as caught:
        read_requirements(write(tmp_path, f"plain\n{line}\n"))
    assert caught.value.where.endswith("requirements.txt:2")
    assert all(word in str(caught.value) for word in words)


@pytest.mark.parametrize(
    ("line", "read"),
    [
        ("./w/lib-1.0-py3-none-any.whl", "lib @ {url}"),
        ("w/lib-1.0-py3-none-any.whl[x] ; python_version > '3'", "lib[x] @ {url} ; python_version > '3'"),
        ("lib @ file:w/lib-1.0-py3-none-any.whl", "lib @ {url}"),
        ("lib[x] @ ./w/lib-1.0-py3-none-any.whl", "lib[x] @ {url}"),
        ("{url}", "lib @ {url}"),
        ("lib @ {url}", "lib @ {url}"),
    ],
)
def test_a_wheel_on_this_machine_is_taken_and_in_somebody_elses_project_its_version_alone(
    tmp_path: Path, line: str, read: str
) -> None:
    wheel = tmp_path / "w" / "lib-1.0-py3-none-any.whl"
    wheel.parent.mkdir()
    wheel.write_bytes(b"")
    wanted = write(tmp_path, line.replace("{url}", wheel.as_uri()))
    found = read_requirements(wanted)
    assert found.lines == (read.replace("{url}", wheel.as_uri()),)
    assert found.urls == {"lib": wheel.as_uri()}
    wheel.unlink()
    foreign = read_requirements(wanted, None)
    assert foreign.lines == (re.sub(r" @ \{url\}", "==1.0", read),)
    assert foreign.urls == {}


@pytest.mark.parametrize(
    ("line", "read"),
    [
        ("https://h.invalid/My_x-1.0-py3-none-any.whl", "My_x @ https://h.invalid/My_x-1.0-py3-none-any.whl"),
        (
            "https://h.invalid/x-1.0%2Bcpu-py3-none-any.whl#sha256=aa ; python_version > '3'",
            "x @ https://h.invalid/x-1.0%2Bcpu-py3-none-any.whl#sha256=aa ; python_version > '3'",
        ),
        ("x>=1 ;", "x>=1"),
        ("https://h.invalid/x-1.0-py3-none-any.whl#egg=x", "x @ https://h.invalid/x-1.0-py3-none-any.whl#egg=x"),
    ],
)
def test_the_address_of_a_wheel_alone_is_its_package(tmp_path: Path, line: str, read: str) -> None:
    found = read_requirements(write(tmp_path, f"{line}\n"))
    assert found.lines == (read,)
    assert list(found.urls) == ([package_of(read)] if "@" in read else [])


def test_a_hash_in_an_address_is_one_where_hashes_are_required(tmp_path: Path) -> None:
    address = f"https://h.invalid/x-1.0-py3-none-any.whl#sha256={'a' * 64}"
    assert read_requirements(write(tmp_path, f"--require-hashes\nx @ {address}\n")).urls == {"x": address}


def test_a_file_that_requires_hashes_gets_them(tmp_path: Path) -> None:
    hashed = f"plain==1 --hash=sha256:{'a' * 64}\n"
    for good in (hashed, f"--require-hashes\n{hashed}"):
        assert read_requirements(write(tmp_path, good)).lines == ("plain==1",)
        for more in ("other==1\n", "-r more.txt\n"):
            write(tmp_path, "other==1\n", "more.txt")
            with pytest.raises(UserError, match="other has no hash"):
                read_requirements(write(tmp_path, good + more))
    assert read_requirements(write(tmp_path, f"{hashed}-c more.txt\n")).constraints == ("other==1",)


def test_constraints_limit_and_are_not_installed(tmp_path: Path) -> None:
    (tmp_path / "limits.txt").write_text("other<2\n")
    found = read_requirements(write(tmp_path, "plain\n-c limits.txt\n"))
    assert (found.lines, found.constraints) == (("plain",), ("other<2",))


def test_a_file_outside_of_the_project_is_not_quoted(tmp_path: Path) -> None:
    """Whoever may change the requirements could otherwise print any file of the machine."""
    (tmp_path / "project").mkdir()
    for name in ("-r", "-c"):
        (tmp_path / "login").write_text("root:$6$hunter2:20228:0\n--hunter2\n-e hunter2/x\nhunter2 @ file:///hunter2\n")
        (tmp_path / "project/requirements.txt").write_text(f"a\n{name} ../login\n")
        with pytest.raises(UserError) as caught:
            read_requirements(Requirements(files=(tmp_path / "project/requirements.txt",)))
        assert caught.value.faults >= 4
        assert "hunter2" not in str(caught.value)
        assert "outside of the project" in str(caught.value)


def test_the_value_of_a_variable_is_not_quoted(tmp_path: Path) -> None:
    file = tmp_path / "requirements.txt"
    file.write_text("${TOKEN}\na @ file:///${TOKEN}\n-e ${TOKEN}\n--${TOKEN}\n")
    with pytest.raises(UserError) as caught:
        read_requirements(Requirements(files=(file,)), {"TOKEN": "hunter 2/two"})
    assert caught.value.faults >= 4
    assert "hunter" not in str(caught.value)
    assert "${TOKEN}" in str(caught.value)


@pytest.mark.parametrize(
    ("line", "what"),
    [
        ("a --index-url http://127.0.0.1:9/", "an option that no requirement takes"),
        ("a==1 --hash=sha256:xyz", "a hash that can't be read"),
        ("a==1 --hash=SHA256:00", "a hash that can't be read"),
        ("a==1 --hash sha256 : 00", "a hash that can't be read"),
        ("a -e .", "not a requirement"),
    ],
)
def test_an_option_behind_a_requirement_is_known_or_refused(line: str, what: str, tmp_path: Path) -> None:
    file = tmp_path / "requirements.txt"
    file.write_text(line + "\n")
    with pytest.raises(UserError, match=what):
        read_requirements(Requirements(files=(file,)))
    file.write_text('a --config-settings="--x=y" --global-option=z\n')
    read = read_requirements(Requirements(files=(file,)))
    assert read.lines == ("a",)
    assert len(read.notices) == 2


@pytest.mark.parametrize("head", ["a", "Some_Thing==1.0", "x2>=1.10,<2", "a-b == 1", "a!=3,>0", "a<=1.2.3", "a>0 , <2", "a==1.*", "a=1", "a.b==1",
                                  "thing.whl", "a==", "a~=1.2", "a===1", "-a", "a-", "a[b]==1", "a==1.0rc1", "a== 1", "a==1,", "1", "a>=1;"])  # fmt: skip
def test_a_plain_line_means_what_the_grammar_says(head: str, tmp_path: Path) -> None:
    plain = requirements._PLAIN.fullmatch(head)
    if plain is not None:
        assert package_of(head) == canonicalize_name(Requirement(head).name)
        assert read_requirements(write(tmp_path, head + "\n")).lines == (head,)
    assert (plain is not None) == (head in ("a", "Some_Thing==1.0", "x2>=1.10,<2", "a-b == 1", "a!=3,>0", "a<=1.2.3", "1", "a== 1"))  # fmt: skip
