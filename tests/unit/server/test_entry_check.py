"""The entry script is looked at before anything is built."""

from __future__ import annotations

import pytest

from modelcrate.project.entry_check import check_entry
from modelcrate_layers.errors import UserError

GOOD = "def init(): pass\ndef run(data): return data\n"


def faults(source: str, name: str = "src/score.py") -> list[str]:
    found = check_entry(source.encode(), name)
    assert all(isinstance(fault, UserError) for fault in found)
    return [f"{fault.where}: {fault.what}" for fault in found]


@pytest.mark.parametrize(
    "source",
    [
        GOOD,
        "from other import init, run",
        "from other import *",
        "import other as init, another as run",
        "init = run = lambda data=None: data",
        "init: object = print\n(run, _) = (print, 1)",
        "try:\n    from a import run\nexcept ImportError:\n    def run(data): pass\nif True:\n    def init(): pass",
        "with open('x') as f:\n    def init(x=1, *a, y=2, **k): pass\nwhile 0: 1\nelse:\n    def run(a, *, b=1): pass",
        "@decorated\ndef run(*args, **kwargs): pass\n@decorated\ndef init(x): pass",
        "class run: pass\ndef init(): pass",
        "\ufeff" + GOOD,
        "# -*- coding: latin-1 -*-\n" + GOOD,
        "def run(data, /): pass\n" + GOOD,
        "def run(data, request_headers): pass\ndef init(): pass",
        "def init(): pass\nasync def run(data): pass",
    ],
)
def test_a_usable_script_has_no_faults(source: str) -> None:
    assert faults(source) == []


def test_missing_functions_are_both_named() -> None:
    assert faults("x = 1") == [
        "src/score.py: the entry script has no function init()",
        "src/score.py: the entry script has no function run(data)",
    ]


def test_functions_inside_functions_and_bare_annotations_do_not_count() -> None:
    assert len(faults("def f():\n    def init(): pass\n    run = 1\nrun: int\nclass C:\n    init = 1")) == 2


@pytest.mark.parametrize(
    ("source", "fault"),
    [
        ("\ndef run(:", "src/score.py:2: the entry script is no Python: "),
        ("def init(): pass\ndef run(data, /): pass", "src/score.py:2: run() has positional-only arguments"),
        ("def init(): pass\n\ndef run(*a, **k): pass", "src/score.py:3: run() has *args and **kwargs"),
        ("def init(): pass\ndef run(): pass", "src/score.py:2: run() takes no input"),
        ("def init(): pass\ndef run(request_headers): pass", "src/score.py:2: run() takes no input"),
        ("def init(x): pass\ndef run(data): pass", "src/score.py:1: init() requires arguments"),
        ("def init(*, x): pass\ndef run(data): pass", "src/score.py:1: init() requires arguments"),
        ("async def init(): pass\ndef run(data): pass", "src/score.py:1: init() is asynchronous"),
        ("x = '\0'", "src/score.py: the entry script is no Python: "),
    ],
)
def test_a_fault_has_its_line(source: str, fault: str) -> None:
    (found,) = faults(source)
    assert found.startswith(fault), found


def test_bytes_that_are_no_text_are_a_fault() -> None:
    (fault,) = check_entry(b"x = '\xff'", "score.py")
    assert "no Python" in fault.what


def test_faults_come_in_the_order_of_lines() -> None:
    assert [line.split(":")[1] for line in faults("def run(*a): pass\ndef init(x): pass")] == ["1", "2"]


@pytest.mark.parametrize(
    ("name", "fault"),
    [
        ("score.txt", "does not end in .py"),
    ],
)
def test_a_name_that_is_no_pythons_is_a_fault(name: str, fault: str) -> None:
    (found,) = faults(GOOD, name)
    assert fault in found


@pytest.mark.parametrize("name", ["src/my-score.py", "1score.py", "class.py"])
def test_a_script_is_loaded_by_its_path_and_may_have_any_name(name: str) -> None:
    assert not faults(GOOD, name)


def test_all_faults_come_at_once() -> None:
    assert len(faults("def init(x): pass", "my-score.txt")) == 3


def test_an_asynchronous_run_is_refused_for_a_server_that_does_not_await_it() -> None:
    (fault,) = check_entry(b"def init(): pass\nasync def run(data): pass", "score.py", awaits=False)
    assert str(fault).startswith("score.py:2: run() is asynchronous")


def test_utf_16_is_named() -> None:
    (fault,) = check_entry(GOOD.encode("utf-16"), "score.py")
    assert str(fault).splitlines()[0] == "score.py: the entry script is in UTF-16"


def test_the_syntax_of_a_newer_python_is_not_judged_here() -> None:
    assert check_entry(b"def (", "score.py", python="3.99") == ()
    assert check_entry(b"def (", "score.py", python="3.9") != ()
