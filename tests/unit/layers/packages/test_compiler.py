"""Bytecode by the Python of an image: the same bytes in any order and company, on every processor, and nothing is executed."""

from __future__ import annotations

import dataclasses
import importlib.util
import marshal
import random
import subprocess
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from modelcrate_layers.errors import MachineError, SourceError
from modelcrate_layers.packages import compile_worker, compiler
from modelcrate_layers.packages.compiler import Module
from modelcrate_layers.tar.sources import Bytes
from support import compilers

LIBRARY = Path(f"/usr/lib/python{compilers.system_python()}") if compilers.PROGRAM.exists() else Path("/nowhere")

SETS = b"def f(x):\n    return x in {'one', 'two', 'three'}\n\ndef g(x):\n    return x in {'one', 'two', 'three'}\n"
"""Whether its two sets are one constant depends on which of the names the interpreter has met before."""

SHARED = "decoding_table = '\xe4', '\xe9'\n".encode()
"""A name that the codec below has, too, and texts that Python has once: marshal writes whether anything has used them as a name."""

NAMES = "# -*- coding: cp1252 -*-\none = two = three = \xe4 = '\xe9'\n".encode("cp1252")
"""Its names, and those of the codec that it imports, stay in the interpreter."""


def made(cache: Path, sources: Mapping[str, bytes], *, checked: bool = False) -> dict[bytes, bytes]:
    with compilers.compiler(cache).run() as run:
        modules = [Module(name.encode(), Bytes(data), checked) for name, data in sources.items()]
        return {module.path: data for module, data in run.compile(modules)}


def computed(source: str) -> Any:
    """The code of a module as the worker makes it, in the Python of the tests."""
    flags = compile_worker.SEARCHED * compiler._is_suspect(source.encode())
    data = compile_worker.compiled(source.encode(), importlib.util.MAGIC_NUMBER, flags)
    assert data is not None
    return marshal.loads(data[16:])


@pytest.mark.parametrize("seed", [1, 2])
def test_a_module_has_the_same_bytecode_in_any_order(tmp_path: Path, seed: int) -> None:
    compilers.needs_compiler()
    found = {str(each): each.read_bytes() for each in sorted(LIBRARY.glob("[a-e]*.py"))}
    sources = {**found, "sets.py": SETS, "names.py": NAMES}
    assert len(sources) > 30
    shuffled = list(sources)
    random.Random(seed).shuffle(shuffled)
    assert made(tmp_path, sources) == made(tmp_path, {name: sources[name] for name in shuffled})


@pytest.mark.parametrize("source", [SETS, SHARED])
def test_a_module_has_the_same_bytecode_alone_and_after_others(tmp_path: Path, source: bytes) -> None:
    alone = made(tmp_path, {"m.py": source})
    assert made(tmp_path, {"names.py": NAMES, "m.py": source})[b"m.py"] == alone[b"m.py"]


def test_a_set_has_one_order_however_it_was_filled() -> None:
    """Up to Python 3.10 it is written in its own order; what was put in first counts where places collide."""
    filled = [frozenset(each) for each in ([0, 8, "a"], [8, 0, "a"])]
    assert list(filled[0]) != list(filled[1])
    code = compile("", "/m.py", "exec")
    first, second = (compile_worker._ordered(code.replace(co_consts=(each,))).co_consts for each in filled)
    assert list(first[0]) == list(second[0])
    assert first == second == (filled[0],)


def test_a_set_whose_order_is_by_addresses_is_left_out() -> None:
    with pytest.raises(ValueError, match="by addresses"):
        compile_worker._ordered(compile("x in {1, None}", "/m.py", "exec"))


def test_what_a_module_says_twice_is_stored_once(tmp_path: Path) -> None:
    """Version 2 of marshal repeats each name: bytecode is a seventh larger then, and takes a third longer to load."""
    once, twice = (b"".join(b"def f%d(argument_of_it): ...\n" % n for n in range(count)) for count in (1, 2))
    first, both = (made(tmp_path, {"m.py": each})[b"m.py"] for each in (once, twice))
    assert both.count(b"argument_of_it") == first.count(b"argument_of_it") == 1


def imported(folder: Path, bytecode: bytes, source: str, wish: str) -> str:
    """What the Python that compiled prints of a module `m` with this bytecode beside this source."""
    cached = folder / "__pycache__" / f"m.cpython-{compilers.system_python().replace('.', '')}.pyc"
    cached.parent.mkdir(parents=True)
    cached.write_bytes(bytecode)
    (folder / "m.py").write_text(source)
    command = [compilers.PROGRAM, "-S", "-B", "-c", f"import m; print({wish})"]
    return subprocess.run(command, capture_output=True, text=True, check=True, cwd=folder).stdout.strip()


def test_bytecode_is_what_the_interpreter_takes(tmp_path: Path) -> None:
    """The Python that compiled imports it without the source; with a checked hash, it takes the source where the two differ."""
    for checked, answer in ((False, "1"), (True, "2")):
        (data,) = made(tmp_path / "debs", {"m.py": b"answer = 1\n"}, checked=checked).values()
        assert imported(tmp_path / str(checked), data, "answer = 2\n", "m.answer") == answer


def test_code_is_where_its_module_is(tmp_path: Path) -> None:
    """Bytecode has no path; tracebacks show the one that the module is imported from, for each function of it."""
    (data,) = made(tmp_path / "debs", {"m.py": b"def f():\n    def g(): ...\n    return g\n"}).values()
    assert b"m.py" not in data
    found = imported(tmp_path / "m", data, "", "[each.__code__.co_filename for each in (m.f, m.f())]")
    assert found == str([str(tmp_path / "m/m.py")] * 2)


def test_nothing_is_executed(tmp_path: Path) -> None:
    witness = tmp_path / "witness"
    made(tmp_path / "debs", {"m.py": f"open({str(witness)!r}, 'w')\n".encode()})
    assert not witness.exists()


def test_what_is_no_python_is_left_out_and_the_rest_is_there(tmp_path: Path) -> None:
    sources = {"a.py": b"print 'two'\n", "b.py": b"\0", "c.py": b"# coding: none-such\n", "d.py": b"d = 1\n"}
    assert set(made(tmp_path, sources)) == {b"d.py"}


def test_a_module_that_is_too_large_is_left_out(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(compiler, "MAX_SOURCE", 10)
    assert set(made(tmp_path, {"a.py": b"a = 1\n", "b.py": b"b = 1  # long\n"})) == {b"a.py"}


@pytest.mark.parametrize(
    "source",
    [
        "x = 2 ** 0.5",
        "x = 2**.5",
        "x = 10 ** -3",
        "x = (1/3)**2",
        "x = 1e-5 ** 2",
        "x = 2 ** 3 ** 0.5",
        "x = (2 # two\n) ** 0.5",
        "x = 2 \\\n ** 0.5",
        "x = (1+2j) * (3+4j)",
        "x = 1.j / 3",
        "def f(x=1024.0 ** 2): return x\nx = f()",
    ],
)
def test_what_processors_compute_differently_is_computed_when_the_module_runs(source: str) -> None:
    """The C library's pow has variants by processor, which differ in the last bit."""
    names: dict[str, Any] = {}
    exec(computed(source), names)
    plain: dict[str, Any] = {}
    exec(source, plain)
    assert names["x"] == plain["x"]
    assert names["x"] not in computed(source).co_consts
    assert names["x"] in compile(source, "", "exec").co_consts or "def" in source


@pytest.mark.parametrize("source", ["x = 2 ** 10", "x = 1.5 * 2", "x = -1", "def f(**options): ...", "x = a2 ** 2"])
def test_the_rest_is_computed_by_the_compiler_as_ever(source: str) -> None:
    code, plain = computed(source), compile(source, "/m.py", "exec", dont_inherit=True, optimize=0)
    assert code.co_code == plain.co_code
    assert repr(code.co_consts) == repr(plain.co_consts) or "def" in source


def test_a_module_that_ends_the_compiler_is_named(tmp_path: Path) -> None:
    """What a machine's memory decides is an error, and no difference between images."""
    deep = b"x = " + b"-" * 300_000 + b"1\n"
    with pytest.raises(SourceError, match=r"deep\.py.* ended Python") as raised:
        made(tmp_path, {"deep.py": deep})
    assert "bytecode: false" in raised.value.hint


def test_a_compiler_for_another_machine_is_refused(tmp_path: Path) -> None:
    own = compilers.compiler(tmp_path)
    foreign = tuple(dataclasses.replace(each, architecture="riscv64") for each in own.debs)
    with pytest.raises(MachineError, match="can't be compiled here") as raised:
        dataclasses.replace(own, debs=foreign).run()
    assert "linux/riscv64" in raised.value.why


def test_a_python_that_does_not_start_is_reported_with_its_words(tmp_path: Path) -> None:
    own = compilers.compiler(tmp_path)
    without = dataclasses.replace(own, debs=tuple(each for each in own.debs if "libpython" not in each.package))
    with pytest.raises(MachineError, match="does not start here") as raised, without.run() as run:
        list(run.compile([Module(b"m.py", Bytes(b""), False)]))
    assert "encodings" in raised.value.why


def test_a_rebuild_for_one_architecture_is_the_same_compiler(tmp_path: Path) -> None:
    own = compilers.compiler(tmp_path)
    rebuilt = tuple(dataclasses.replace(each, version=f"{each.version}+b2") for each in own.debs)
    assert dataclasses.replace(own, debs=rebuilt).version == own.version == compilers.VERSION
