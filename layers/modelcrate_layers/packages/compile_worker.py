"""The program that compiles modules to bytecode. It is run by the Python of an image, from 3.9 on, and imported by nothing.

It reads requests from its input and writes an answer to each: four bytes of length, then for each module its bytecode (PEP 552: magic, flags,
the hash of the source, the code). No module is executed.

A module has the same bytecode on every machine, in any order and beside any other, because

- what else the interpreter holds at that moment does not count for marshal's version 4, which writes once what is shared (see `_marshalled`);
- a set that is a constant has its order by hashes up to Python 3.10, and by what was put in first: it is made anew of its sorted members.
  The hash of None is an address: a module with such a set is left out;
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


def compiled(source: bytes, magic: bytes, flags: int) -> bytes | None:
    """Returns the bytecode of a module, or None where it is left out.

    The code has no name of a file: each function would repeat it, and Python writes the module's path into all of them when it loads it.

    Args:
        source: Its text.
        magic: The first bytes of bytecode of this Python.
        flags: CHECKED and SEARCHED.
    """
    try:
        tree = _uncomputed(compile(source, "", "exec", _ONLY_TREE, True)) if flags & SEARCHED else source
        code = compile(tree, "", "exec", 0, True, optimize=0)
        data = _marshalled(_ordered(code) if sys.version_info < (3, 11) else code)
    except (SyntaxError, ValueError, OverflowError, RecursionError):
        return None
    hashed = _imp.source_hash(int.from_bytes(magic, "little"), source)
    return magic + (3 if flags & CHECKED else 1).to_bytes(4, "little") + hashed + data


def _marshalled(code: Any) -> bytes:
    """Returns code in marshal's version 4, which is loaded in three quarters of the time of version 2.

    It marks each object that has more than one reference, so that it can be named again. A name may be shared with any other code. So a
    copy is written that is read from version 2, which shares nothing: each of its objects has one reference, but for names, which `code`
    has, too.
    """
    return marshal.dumps(marshal.loads(marshal.dumps(code, 2)), 4)  # noqa: S302 - our own bytes


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


def _ordered(code: Any) -> Any:
    """Returns code whose sets were made of their sorted members. ValueError for a set with members other than texts and numbers."""
    constants = []
    for each in code.co_consts:
        if isinstance(each, frozenset):
            if not all(isinstance(member, (str, bytes, int, float)) for member in each):
                raise ValueError("the set has its order by addresses")
            each = frozenset(sorted(each, key=lambda member: (type(member).__name__, member)))
        constants.append(_ordered(each) if isinstance(each, type(code)) else each)
    return code.replace(co_consts=tuple(constants))


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
        for source, flags in modules:
            made = compiled(source, MAGIC_NUMBER, flags)
            length = LEFT_OUT if made is None else len(made)
            out.write(length.to_bytes(4, "little") + (made or b""))
        out.flush()
        _signal.alarm(0)


def _module(read: Any) -> tuple[bytes, int]:
    head = read(5)
    return read(int.from_bytes(head[1:], "little")), head[0]


def _run() -> None:
    """Serves in a thread, because the size of its stack is ours to choose."""
    gc.disable()
    _warnings.filters.insert(0, ("ignore", None, Warning, None, 0))  # an option for it would import `warnings`
    for number in range(256):
        sys.intern(chr(number))  # these exist once, and marshal writes whether anything has interned them
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
