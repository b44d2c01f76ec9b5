"""The program that compiles modules to bytecode. It is run by the Python of an image, from 3.9 on, and imported by nothing.

It reads requests from its input and writes an answer to each: four bytes of length, then for each module its bytecode (PEP 552: magic, flags,
the hash of the source, the code). No module is executed.

A module has the same bytecode on every machine, in any order and beside any other, because

- the code is written by marshal's version 2. Later versions write what is shared, and whether a name is shared depends on what else
  the interpreter holds at that moment;
- a set that is a constant has its order by hashes up to Python 3.10, and the hash of None is an address: such a module is left out;
- a power of numbers that is computed while it is compiled is computed by the C library, in the last bit differently from processor to
  processor, and products and quotients of complex numbers may differ, too: these are left to be computed when the module runs.

What is no Python is left out, too: Python reports that when the module is imported. A module that is left out is compiled when it is
imported, as without all of this.
"""

from __future__ import annotations

import _ast
import _imp
import _signal  # type: ignore[import-not-found]  # `signal` would read files that the compiler does not have
import _thread
import _warnings
import gc
import marshal
import sys

TYPE_CHECKING = False
if TYPE_CHECKING:  # without an import: the compiler has no more of the library than it needs to start
    from typing import Any

LEFT_OUT = 0xFFFFFFFF
"""The length of a module that is left out."""

SECONDS = 300
"""Seconds of the clock for one request; then the kernel ends this process."""

STACK = 256 << 20
"""Bytes of the stack: enough for every nesting that the compiler allows, whatever the limits of this machine."""

CHECKED, SEARCHED = 1, 2
"""Bits of a module's flags: Python is to compare the source with the hash at each import; its tree is searched for powers of numbers."""

_ONLY_TREE = 0x400  # PyCF_ONLY_AST
_NUMBERS = (_ast.Pow, _ast.Mult, _ast.Div)


def compiled(name: str, source: bytes, magic: bytes, flags: int) -> bytes | None:
    """Returns the bytecode of a module, or None where it is left out.

    Args:
        name: Its path in the image, which tracebacks show.
        source: Its text.
        magic: The first bytes of bytecode of this Python.
        flags: CHECKED and SEARCHED.
    """
    try:
        tree = _uncomputed(compile(source, name, "exec", _ONLY_TREE, True)) if flags & SEARCHED else source
        code = compile(tree, name, "exec", 0, True, optimize=0)
        if sys.version_info < (3, 11) and _has_unordered(code):
            return None
        data = marshal.dumps(code, 2)
    except (SyntaxError, ValueError, OverflowError, RecursionError):
        return None
    hashed = _imp.source_hash(int.from_bytes(magic, "little"), source)
    return magic + (3 if flags & CHECKED else 1).to_bytes(4, "little") + hashed + data


def _uncomputed(tree: Any) -> Any:
    """Returns a tree in which the compiler computes no expression of numbers that is not the same on every processor.

    The compiler computes what has numbers on both sides. A conditional is none, even one that is decided: the code is the same as without it,
    but for the number.
    """
    waiting = [tree]
    while waiting:
        node = waiting.pop()
        if isinstance(node, list):
            waiting += node
        elif isinstance(node, _ast.AST):
            waiting += [getattr(node, field, None) for field in node._fields]
            if isinstance(node, _ast.BinOp) and isinstance(node.op, _NUMBERS) and _inexact(node):
                place = {name: getattr(node.left, name) for name in node.left._attributes}
                yes = _ast.Constant(value=True, **place)
                node.left = _ast.IfExp(test=yes, body=node.left, orelse=node.left, **place)
    return tree


def _inexact(node: Any) -> bool:
    kinds = _kinds(node)
    if kinds is None:
        return False
    if isinstance(node.op, _ast.Pow):
        return kinds != {int} or isinstance(node.right, _ast.UnaryOp)
    return complex in kinds


def _kinds(node: Any) -> set[type] | None:
    """Returns the types of the numbers of an expression, float where it divides; None where it is not of numbers alone."""
    if isinstance(node, _ast.Constant):
        return {type(node.value)} if isinstance(node.value, (int, float, complex)) else None
    if isinstance(node, _ast.UnaryOp):
        return _kinds(node.operand)
    if not isinstance(node, _ast.BinOp):
        return None
    left, right = _kinds(node.left), _kinds(node.right)
    if left is None or right is None:
        return None
    return left | right | ({float} if isinstance(node.op, _ast.Div) else set())


def _has_unordered(code: Any) -> bool:
    """Returns whether a constant is a set with members other than texts and numbers."""
    plain = (str, bytes, int, float)
    for each in code.co_consts:
        if isinstance(each, frozenset) and not all(isinstance(member, plain) for member in each):
            return True
        if isinstance(each, type(code)) and _has_unordered(each):
            return True
    return False


def _serve() -> None:
    """Answers requests until the input ends."""
    from _frozen_importlib_external import MAGIC_NUMBER

    read, out = sys.stdin.buffer.read, sys.stdout.buffer
    tag = (sys.implementation.cache_tag or "").encode()
    out.write(len(tag).to_bytes(4, "little") + tag)
    out.flush()
    while head := read(4):
        modules = [_module(read) for _ in range(int.from_bytes(head, "little"))]
        _signal.alarm(SECONDS)
        for name, source, flags in modules:
            made = compiled(name, source, MAGIC_NUMBER, flags)
            length = LEFT_OUT if made is None else len(made)
            out.write(length.to_bytes(4, "little") + (made or b""))
        out.flush()
        _signal.alarm(0)


def _module(read: Any) -> tuple[str, bytes, int]:
    lengths = read(9)
    name = read(int.from_bytes(lengths[1:5], "little")).decode("utf-8", "surrogateescape")
    return name, read(int.from_bytes(lengths[5:9], "little")), lengths[0]


def _run() -> None:
    """Serves in a thread, because the size of its stack is ours to choose."""
    gc.disable()
    _warnings.filters.insert(0, ("ignore", None, Warning, None, 0))  # an option for it would import `warnings`
    done = _thread.allocate_lock()
    done.acquire()
    _thread.stack_size(STACK)

    def serve() -> None:
        try:
            _serve()
        finally:
            done.release()

    _thread.start_new_thread(serve, ())
    done.acquire()


if __name__ == "__main__":
    _run()
