"""Generated Dockerfiles: what they mean, and that what takes an engine is refused by its line."""

from __future__ import annotations

import pytest

from modelcrate.plugins.generated_dockerfile import read
from modelcrate_layers.errors import UserError

CONTEXT = {"req.txt": "# made\ntabulate\n\nidna==3\n", "more.txt": "idna==3\nsix\n"}


def test_all_that_zenml_and_kubeflow_write() -> None:
    found = read(
        """
FROM place/parent:1
WORKDIR /app
ENV A='b c' B=2
RUN apt-get update && apt-get install -y --no-install-recommends 'curl' 'libgomp1'
RUN pip install uv
COPY req.txt .
RUN --mount=type=cache,target=/root/.cache uv pip install --no-cache-dir --index-url=https://i.example/simple --pre -r req.txt
COPY more.txt more.txt
RUN pip install --extra-index-url https://j.example/simple --default-timeout=60 -r more.txt
RUN pip install --no-deps kfp==2.17.3
COPY . .
RUN chmod -R a+rw .
RUN chown -R 1000 .
USER 1000
ENTRYPOINT ["python", "-m", "x"]
""",
        CONTEXT,
    )
    assert found.base == "place/parent:1"
    assert found.folder == "/app"
    assert found.env == {"A": "b c", "B": "2"}
    assert found.packages == ("curl", "libgomp1")
    assert sorted(found.requirements) == [
        "--extra-index-url https://j.example/simple",
        "--index-url https://i.example/simple",
        "--pre",
        "idna==3",
        "kfp==2.17.3",
        "six",
        "tabulate",
    ]
    assert found.files == {"req.txt", "more.txt"}
    assert (found.user, found.entrypoint) == ("1000", ("python", "-m", "x"))
    assert len(found.notices) == 1


def test_an_entry_point_may_be_a_line_for_the_shell() -> None:
    assert read("FROM a\nENTRYPOINT exec python x.py", {}).entrypoint == ("/bin/sh", "-c", "exec python x.py")
    assert read('FROM a\nENTRYPOINT ["a", 1]', {}).entrypoint[0] == "/bin/sh"


def test_an_entry_point_in_json_that_is_no_list_is_a_line_for_the_shell() -> None:
    assert read('FROM a\nENTRYPOINT "abc"', {}).entrypoint == ("/bin/sh", "-c", '"abc"')
    deep = "[" * 100_000
    assert read(f"FROM a\nENTRYPOINT {deep}", {}).entrypoint == ("/bin/sh", "-c", deep)


def test_a_folder_is_below_the_last_one() -> None:
    assert read("FROM a\nWORKDIR /a\nWORKDIR b", {}).folder == "/a/b"
    assert read("FROM a\nWORKDIR /a\nWORKDIR /c", {}).folder == "/c"
    assert read("FROM a\nWORKDIR /a\nWORKDIR ../c", {}).folder == "/c"


def test_what_is_quoted_means_nothing_to_the_shell() -> None:
    text = "FROM a\nRUN pip install 'numpy>=1.0,<3' \"idna==3; python_version<'4'\" six"
    assert read(text, {}).requirements == ("numpy>=1.0,<3", "idna==3; python_version<'4'", "six")
    assert read("FROM a\nRUN pip install a\\[b\\] c\\>=1", {}).requirements == ("a[b]", "c>=1")


@pytest.mark.parametrize(
    "line",
    [
        "RUN make",
        "RUN pip install -e .",
        "RUN pip install --target /x a",
        "RUN pip install -r missing.txt",
        "RUN pip install -r",
        "RUN pip install tabulate && make",
        "RUN pip install $(make)",
        "RUN pip install 'x",
        'RUN pip install "$(make)"',
        "RUN pip install 'x' > y",
        "RUN pip install a>=1",
        "COPY req.txt /etc/req.txt",
        "RUN apt-get install -y curl",
        "RUN apt-get update && apt-get install -y --no-install-recommends a && make",
        "RUN chmod -R a+rw . && make",
        "FROM b",
        "COPY secret /etc/secret",
        "ADD x y",
        "ARG X",
        "ENV A=$B",
        "WORKDIR $X",
        "VOLUME /x",
        "COPY",
        "RUN",
    ],
)
def test_a_line_that_takes_an_engine_is_refused(line: str) -> None:
    with pytest.raises(UserError) as caught:
        read(f"FROM a\n{line}\n", CONTEXT)
    assert "Dockerfile:2" in str(caught.value)


@pytest.mark.parametrize("text", ["", "# nothing", "WORKDIR /x"])
def test_without_a_base_there_is_nothing(text: str) -> None:
    with pytest.raises(UserError, match="FROM"):
        read(text, {})
