"""What a pickle would import and call, found by following its opcodes over stand-ins for values. Nothing is imported, nothing is made.

Stack, marks and memo are followed as Python's own machine follows them, because a name may be put together far from its use.
"""

from __future__ import annotations

import _compat_pickle
from collections import Counter

from modelcrate.modelfiles.byte_reader import ByteReader, LimitError
from modelcrate.modelfiles.pickle.arrays import hides_objects, joblib_array_bytes
from modelcrate.modelfiles.pickle.findings import (
    COMPUTED,
    LoadedBytes,
    MadeDict,
    MadeList,
    MadeObject,
    NamedObject,
    PickleFindings,
    StatedVersion,
    Storage,
    Use,
    is_array_wrapper,
    is_file_wrapper,
    is_named,
)
from modelcrate.modelfiles.pickle.guarded import (
    ATTRIBUTE,
    PARTIAL,
    array_parts,
    attribute,
    holds_partial,
    is_guarded,
    is_partial,
    kept_function,
    names_in,
    shows_all,
)
from modelcrate.modelfiles.pickle.loaded_bytes import bytes_loaded_by, bytes_loaded_in_state
from modelcrate.modelfiles.pickle.names import allowed
from modelcrate.modelfiles.pickle.opcodes import ARGUMENTS, OPAQUE, OPAQUE_TEXT, Passage
from modelcrate.modelfiles.pickle.vm import MARK, OPCODE_ACTIONS
from modelcrate_layers.errors import IntegrityError

MAX_STACK = 1 << 20
MAX_MEMO = 1 << 23
"""How many values are followed; models have some hundred thousand."""

MAX_NAMES = 10_000

MAX_FILES = 100_000
"""How many files in its bytes a pickle may load: one for each tensor."""

VERSIONS = {"_sklearn_version": "scikit-learn"}
"""Keys under which objects keep the version of the package that pickled them."""

FEATURES = "n_features_in_"
"""Where scikit-learn's estimators keep how many features they were fitted with."""

FEATURE_NAMES = "feature_names_in_"
"""Where they keep the names of the columns, if they were fitted on a frame of pandas with such names."""

MAX_VERSIONS = 16

MAKERS = frozenset(
    {
        *(f"numpy.{each}._reconstruct" for each in ("core.multiarray", "_core.multiarray", "core._internal")),
        *("numpy.ma.core._mareconstruct", "numpy.ma._mareconstruct", "pandas.core.indexes.base._new_Index"),
        "copyreg._reconstructor",
    }
)
"""Functions that make an instance of a class among their arguments without a call of its constructor; so do Cython's own."""

RECONSTRUCTOR = "copyreg._reconstructor"
"""It makes an instance of its first argument, and calls the constructor of the second, the class of Python's own that it is based on."""

OF_TYPE = "torch._tensor._rebuild_from_type_v2"
"""It calls its first argument, and takes what comes out for an instance of the second, without a call of its constructor."""

FORMULA_DATA = "statsmodels.base.data"
"""The module whose classes evaluate a formula while they are given their state (`ModelData.__setstate__`), if the state asks for it."""

HOLDING = frozenset({NamedObject, MadeObject, MadeDict, MadeList, tuple})
"""The types of stand-ins that are names, or may have some in them."""

_MAKE_TEXT = frozenset({"str", "str_", "scalar", "encode"})
"""Names on the list that can make a text."""

_ITEM_BYTES = {
    **dict.fromkeys(("Char", "Byte", "Bool", "QInt8", "QUInt8", "QUInt4x2", "QUInt2x4", "Untyped"), 1),
    **dict.fromkeys(("Half", "BFloat16", "Short"), 2),
    **dict.fromkeys(("Float", "Int", "QInt32"), 4),
    **dict.fromkeys(("Double", "Long", "ComplexFloat"), 8),
    "ComplexDouble": 16,
}
"""The bytes of an item of PyTorch's storages, by the first word of the class's name."""

Value = object


def interpret(tape: ByteReader) -> PickleFindings:
    """Returns the findings in one pickle, read up to its end as joblib does. A fault of the pickle is a finding; nothing is raised.

    Behind a fault that ends Python's machine the reader goes on with what it has: it finds too much rather than too little.
    """
    return _run(_Machine(tape))


def interpret_plain(tape: ByteReader) -> PickleFindings:
    """Returns the findings in one pickle, read as `pickle.load` does.

    The bytes of joblib's arrays are opcodes, and the first fault is the end.
    """
    return _run(_PlainMachine(tape))


def _run(machine: _Machine) -> PickleFindings:
    whole = limited = False
    try:
        machine.run()
        whole = True
    except LimitError as fault:
        machine.faults.append(fault.what)
        limited = True
    except IntegrityError as fault:
        machine.faults.append(fault.what)
    except (OSError, EOFError, ValueError) as fault:  # a compressed stream that is damaged
        machine.faults.append(f"can't be unpacked: {type(fault).__name__}")
    machine.finish()
    machine.judge_guarded()
    return PickleFindings(
        names=tuple(sorted(machine.names.values())),
        whole=whole,
        faults=tuple(dict.fromkeys(machine.faults))[:8],
        tricks=tuple(dict.fromkeys(machine.tricks))[:8],
        limited=limited,
        arrays=machine.arrays,
        versions=tuple(machine.versions.values()),
        features=machine.features.pop() if len(machine.features) == 1 else 0,
        framed=machine.framed,
        storages=None if machine.storages is None else tuple(machine.storages.values()),
        files=tuple(machine.files),
        top=machine.stack[-1] if whole and machine.stack else None,
    )


class _Machine:
    """Stack, marks and memo of one run. It is not a value."""

    def __init__(self, tape: ByteReader) -> None:
        self.tape = tape
        self.faults: list[str] = []
        self.tricks: list[str] = []
        self.stack: list[Value] = []
        self.memo: dict[int, Value] = {}
        self.names: dict[tuple[str, str], NamedObject] = {}
        self.versions: dict[tuple[str, str], StatedVersion] = {}
        self.features: set[int] = set()
        self.storages: dict[str, Storage] | None = {}
        self.protocol, self.arrays, self.framed = 0, False, False
        self.frame_end = 0
        self.wrapper_pushes = self.wrapper_uses = 0
        """How often joblib's classes of wrappers came on the stack, and how often an instance was made of one and filled as joblib does."""
        self.guarded: Counter[tuple[str, str]] = Counter()
        """How often each guarded name came on the stack without a use that says all about it."""
        self.files: dict[LoadedBytes, None] = {}

    def run(self) -> None:
        """Follows the opcodes up to STOP. Raises an IntegrityError where Python's machine ends before it."""
        while byte := self.tape.maybe():
            code, start = byte[0], self.tape.position - 1
            read = ARGUMENTS.get(code)
            if read is None:
                raise IntegrityError(f"has no opcode at byte {start}")
            argument = read(self.tape)
            if start < self.frame_end < self.tape.position:
                self.trick("has an opcode that reaches out of its frame")
            if code == 0x2E:
                if self.tape.position < self.frame_end:
                    self.trick("ends within a frame")
                return
            act = OPCODE_ACTIONS.get(code)
            if act is None:
                self.push(argument)
            else:
                act(self, argument)
        raise IntegrityError("is cut short: it has no end")

    def finish(self) -> None:
        """Compares what was counted, at the end of the run."""
        if self.wrapper_pushes != self.wrapper_uses:
            self.trick("makes or fills joblib's wrapper of an array in a way that joblib never does")

    def fault(self, what: str) -> None:
        """Notes what would end Python's machine."""
        self.faults.append(what)

    def trick(self, what: str) -> None:
        """Notes a construct that no honest program writes."""
        self.tricks.append(what)

    def push(self, value: Value) -> None:
        if len(self.stack) >= MAX_STACK:
            raise LimitError(f"holds more than {MAX_STACK} values at once")
        self.stack.append(value)
        if type(value) is MadeObject:
            value.pushes += 1
        elif type(value) is NamedObject:
            self.wrapper_pushes += is_array_wrapper(value) or is_file_wrapper(value)
            if is_guarded(value):
                self.guarded[value.module, value.name] += 1

    def judge_guarded(self) -> None:
        """Gives each guarded name the use that counts, at the end of the run."""
        for pair, open_uses in self.guarded.items():
            if pair in self.names:
                self.names[pair] = NamedObject(*pair, Use.CALLED if open_uses else Use.FOLLOWED)

    def load(self, file: LoadedBytes) -> None:
        """Remembers a file in the pickle's bytes that is loaded."""
        self.files[file] = None
        if len(self.files) > MAX_FILES:
            raise LimitError(f"loads more than {MAX_FILES} files out of its bytes")

    def pop(self) -> Value:
        if not self.stack:
            self.fault("takes from an empty stack")
            return OPAQUE
        return self.stack.pop()

    def items(self) -> list[Value]:
        """Takes what is above the last mark, and the mark."""
        for at in range(len(self.stack) - 1, -1, -1):
            if self.stack[at] is MARK:
                found = self.stack[at + 1 :]
                del self.stack[at:]
                return found
        self.fault("goes back to a mark that it has not set")
        found, self.stack = self.stack, []
        return found

    def top(self) -> Value:
        if not self.stack:
            self.fault("uses the top of an empty stack")
            return OPAQUE
        return self.stack[-1]

    def keep(self, number: int, value: Value) -> None:
        if len(self.memo) >= MAX_MEMO:
            raise LimitError(f"remembers more than {MAX_MEMO} values")
        self.memo[number] = value

    def recall(self, number: int) -> None:
        if number not in self.memo:
            self.fault("recalls a value that it has not remembered")
        self.push(self.memo.get(number, OPAQUE))

    def frame(self, size: int) -> None:
        """FRAME: readers in C and in Python differ about what crosses a frame's end, so nothing may."""
        if self.tape.position - 9 < self.frame_end:
            self.trick("begins a frame within another")
        self.frame_end = self.tape.position + size

    def named(self, module: Value, name: Value) -> NamedObject:
        pair = module if isinstance(module, str) else COMPUTED, name if isinstance(name, str) else COMPUTED
        return self.note(NamedObject(*(_renamed(*pair) if self.protocol < 3 else pair)))

    def note(self, found: NamedObject, use: Use = Use.NAMED) -> NamedObject:
        """Remembers a name with the most that is done with it."""
        known = self.names.get((found.module, found.name))
        if known is None or known.use < use:
            if len(self.names) >= MAX_NAMES:
                raise LimitError(f"names more than {MAX_NAMES} things")
            self.names[found.module, found.name] = NamedObject(found.module, found.name, use)
        return found

    def item(self, key: str, value: Value) -> None:
        """Keeps the facts in an object's state: versions and features."""
        if key in VERSIONS and isinstance(value, str) and len(self.versions) < MAX_VERSIONS:
            where = f"byte {self.tape.position} of the pickle"
            self.versions.setdefault((key, value), StatedVersion(VERSIONS[key], value, where))
        elif key == FEATURES and type(value) is int and len(self.features) < MAX_VERSIONS:
            self.features.add(value)
        elif key == FEATURE_NAMES and value is not None:
            self.framed = True

    def persistent(self, number: Value) -> None:
        """A persistent id: PyTorch's storages are named by such, as a tuple of `storage`, type, key, device and number of items."""
        if not isinstance(number, tuple) or len(number) < 5 or number[0] != "storage" or self.storages is None:
            return
        _, kind, key, _, items = number[:5]
        width = None
        if isinstance(kind, NamedObject) and kind.module in ("torch", "torch.storage"):
            width = _ITEM_BYTES.get(kind.name.removesuffix("Storage"))
        if (
            width is None
            or type(items) is not int
            or not isinstance(key, str)
            or self.storages.setdefault(key, Storage(key, width * items)).size != width * items
        ):
            self.storages = None

    def call(self, what: Value, arguments: Value, use: Use) -> None:
        """Calls a stand-in, or makes an instance of it (`use`), and pushes a stand-in for what comes out."""
        given = arguments if isinstance(arguments, tuple) else None
        if is_partial(what):
            for each in names_in(what.state):
                self.note(each, Use.CALLED)
            what, first = kept_function(what)
            given = (*first, *given) if first is not None and given is not None else None
            self.guarded[PARTIAL] += not isinstance(what, NamedObject)
        elif isinstance(what, MadeObject):
            self.trick("calls an object that it has made")
        elif (
            isinstance(what, NamedObject) and is_guarded(what) and use is Use.CALLED and self.follow(what, given or ())
        ):
            return
        if isinstance(what, NamedObject) and not is_named(what, *PARTIAL):
            self.note(what, use)
            if given is None and (_is_maker(what) or str(what) == OF_TYPE):
                self.trick(f"calls {what} with arguments that are put together")
        if any(type(each) in HOLDING for each in given or ()):
            self.hand_over(what, given or (), use)
        self.push(MadeObject(what, given, use))

    def follow(self, what: NamedObject, given: tuple[object, ...]) -> bool:
        """Follows a call of a guarded name, if it is one that says all; returns whether what comes out of it is on the stack."""
        pair = what.module, what.name
        if pair == ATTRIBUTE and (found := attribute(given)) is not None:
            self.push(self.note(found))
        elif pair == PARTIAL and given and isinstance(given[0], NamedObject):
            self.guarded[pair] -= 1
            return False
        elif (file := bytes_loaded_by(what, given)) is not None:
            self.load(file)
            self.push(MadeObject(what, given))
        elif (parts := array_parts(what, given)) is not None:
            self.call(parts[0], parts[1], Use.CALLED)
            self.build(parts[2])
        else:
            return False
        self.guarded[pair] -= 1
        return True

    def hand_over(self, what: Value, given: tuple[object, ...], use: Use) -> None:
        """Notes the names among arguments, which a call may call."""
        self.guarded[PARTIAL] += holds_partial(given)
        named = names_in(given)
        base = given[1] if len(given) > 1 and str(what) == RECONSTRUCTOR else None
        kind = given[1] if len(given) > 1 and str(what) == OF_TYPE else None
        if sum(each is kind for each in named) > 1:
            kind = None  # it is called as well
        most = Use.KEPT if is_named(what, *PARTIAL) and use is Use.CALLED else Use.CALLED
        for each in named:
            self.note(each, Use.MADE if each is kind or (_is_maker(what) and each is not base) else most)

    def build(self, state: Value) -> None:
        """BUILD: sets an object's state. joblib reads an array's bytes where the object is its wrapper of an array."""
        made = self.top()
        if isinstance(made, NamedObject):
            self.trick(f"changes what it imports: {made}")
        if not isinstance(made, MadeObject):
            return
        made.state = state
        made.builds += 1
        for file in bytes_loaded_in_state(made.what, state):
            if file is None:
                self.trick("loads bytes out of its state that don't stand in the file as they are")
            else:
                self.load(file)
        if is_array_wrapper(made.what):
            self.array(made)
        elif is_file_wrapper(made.what):
            self.array_file(made)
        elif is_named(made.what, *PARTIAL):
            self.guarded[PARTIAL] += not shows_all(state)
            for each in names_in(state):
                self.note(each, Use.KEPT)
        elif isinstance(made.what, NamedObject) and made.what.module == FORMULA_DATA and not _has_no_formula(state):
            self.note(made.what, Use.CALLED)
        elif is_named(made.what, "numpy", "dtype") and hides_objects(made):
            self.trick("makes a type of numpy's that takes plain bytes for objects")

    def array(self, made: MadeObject) -> None:
        """Passes over an array. The wrapper that stood for it is no longer on the stack."""
        self.arrays = True
        try:
            size, padded = joblib_array_bytes(made.state)
        except IntegrityError as fault:
            self.trick(fault.what)
            raise
        self.use_wrapper(made)
        if self.tape.position < self.frame_end:
            self.trick("has an array of joblib's within a frame")
        self.stack[-1] = OPAQUE
        if size is None:
            self._objects()
            return
        if padded:
            self.tape.skip(self.tape.read(1)[0])
        self.tape.skip(size)

    def use_wrapper(self, made: MadeObject) -> None:
        """Counts a use of joblib's wrappers, if it is the one that joblib makes of them."""
        if made.arguments == () and made.use is Use.MADE and made.builds == made.pushes == 1:
            self.wrapper_uses += 1
        else:
            self.trick("uses joblib's wrapper of an array in a way that joblib never does")

    def array_file(self, made: MadeObject) -> None:
        """Takes note of an array in a file beside this one, which is read as a file of its own."""
        self.use_wrapper(made)
        name = made.state.get("filename") if isinstance(made.state, MadeDict) and made.state.complete else None
        if not isinstance(name, str) or set("/\\").intersection(name):
            self.trick("has an array in a file that lies elsewhere, or of no plain name")
        for each in names_in(made.state):
            self.note(each, Use.MADE)
        self.stack[-1] = OPAQUE

    def _objects(self) -> None:
        """Reads an array of objects: a pickle of its own in the middle of this one, which joblib reads as `pickle.load` does."""
        inner = interpret_plain(self.tape)
        for each in inner.names:
            self.note(each, each.use)
            if is_guarded(each):
                self.guarded[each.module, each.name] += each.use is not Use.FOLLOWED
        for file in inner.files:
            self.load(file)
        for version in inner.versions:
            self.versions.setdefault(("", f"{version.package} {version.version}"), version)
        self.features |= {inner.features} if inner.features else set()
        self.framed |= inner.framed
        self.faults += inner.faults
        self.tricks += inner.tricks
        if not inner.whole:
            kind = LimitError if inner.limited else IntegrityError
            raise kind("has an array of objects that can't be read to its end")


class _PlainMachine(_Machine):
    """The machine of `pickle.load`: it has no arrays of joblib's, and ends at the first fault."""

    def fault(self, what: str) -> None:
        raise IntegrityError(what)

    def named(self, module: Value, name: Value) -> NamedObject:
        for each in (module, name):
            if not _may_be_text(each):
                raise IntegrityError("imports by a name that is no text")
            if each is module and isinstance(each, Passage):
                raise IntegrityError("imports what no module is called: a long text")
            if isinstance(each, str) and not all(part.isidentifier() for part in each.split(".")):
                raise IntegrityError(f"imports what no module is called: {each[:60]!r}")
        return super().named(module, name)

    def array(self, made: MadeObject) -> None:
        self.arrays = True

    def array_file(self, made: MadeObject) -> None:
        return None

    def finish(self) -> None:
        return None


def _may_be_text(value: Value) -> bool:
    """Whether a value may be a text when the pickle is loaded, which may be of no class but `str` there.

    What known classes and functions make is none, with a few exceptions, nor is an instance that is made without its constructor.
    """
    if isinstance(value, MadeObject) and isinstance(value.what, NamedObject):
        known = value.use is Use.MADE or allowed(value.what.module, value.what.name) is not None
        return value.what.name in _MAKE_TEXT or not known
    return isinstance(value, (str, MadeObject)) or value is OPAQUE_TEXT or (isinstance(value, Passage) and value.text)


def _has_no_formula(state: Value) -> bool:
    """Whether the state of the data of a model of statsmodels has nothing of a formula, whose text is evaluated while it is set."""
    return isinstance(state, MadeDict) and state.complete and not any(key.startswith("restore_") for key in state)


def _is_maker(what: Value) -> bool:
    if not isinstance(what, NamedObject):
        return False
    return str(what) in MAKERS or what.name == "newObj" or what.name.startswith("__pyx_unpickle_")


def _renamed(module: str, name: str) -> tuple[str, str]:
    """Returns what a name of Python 2 is today, as Python's machine maps it below protocol 3."""
    if (module, name) in _compat_pickle.NAME_MAPPING:
        return _compat_pickle.NAME_MAPPING[module, name]
    return _compat_pickle.IMPORT_MAPPING.get(module, module), name
