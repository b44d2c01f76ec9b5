"""The format of a model file by its first bytes, and the facts that it states. Other rooms use the readers through this module."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from io import BytesIO
from typing import BinaryIO

from modelcrate.modelfiles import embedded_code, gguf, lightgbm, onnx, safetensors, xgboost
from modelcrate.modelfiles.beginnings import HEAD, ends_as_zip, may_begin_pickles, may_configure, may_have_facts
from modelcrate.modelfiles.facts import NO_FACTS, ModelFacts
from modelcrate.modelfiles.formats import Format, Sample, format_of
from modelcrate.modelfiles.pickle.containers import contents_of
from modelcrate.modelfiles.pickle.contents import Archive, Configuration, Members
from modelcrate.modelfiles.pickle.findings import JOBLIB
from modelcrate.modelfiles.pickle.policy import Judgement, judge
from modelcrate_layers.errors import IntegrityError
from modelcrate_layers.frozen import replace

MAX_NAMES = 200
"""Names of pickles that are kept as facts."""


def facts_of(file: BinaryIO, name: str, size: int, allowed: Iterable[str] = ()) -> ModelFacts:
    """Returns the facts in a file's header, or in its pickles. Nothing of it is loaded; it may be hostile.

    Args:
        file: The file, which is seekable and at its beginning.
        name: Its name; the ending counts.
        size: Its bytes.
        allowed: The modules that pickles may name in addition to the list.
    """
    sample = Sample(name, file.read(HEAD), size)
    known, zipped = format_of(sample), ends_as_zip(file)
    if known is None and not zipped and not may_begin_pickles(sample.head) and not may_configure(name):
        return NO_FACTS
    if known is None or known.word not in _READERS:
        return _facts_of_pickles(file, sample, known, allowed)
    try:
        facts = _READERS[known.word](file, size)
    except (IntegrityError, OverflowError) as fault:
        if known.is_certain(sample):
            return ModelFacts(known.word, fault=fault.what if isinstance(fault, IntegrityError) else str(fault))
        return _facts_of_pickles(file, sample, None, allowed)
    if zipped or may_begin_pickles(sample.head):
        # PyTorch loads a zip at the end of a file, whatever the file begins with; and the same bytes can be a header and a pickle
        anything = replace(sample, name="")
        return replace(facts, pickles=facts.pickles + _facts_of_pickles(file, anything, None, allowed).pickles)
    return facts


def facts_at_hand(data: bytes, name: str, allowed: Iterable[str] = ()) -> ModelFacts:
    """Returns the same for a file in memory."""
    return facts_of(BytesIO(data), name, len(data), allowed) if may_have_facts(data, name) else NO_FACTS


def _gguf(file: BinaryIO, size: int) -> ModelFacts:
    model = gguf.read(file, size)
    return ModelFacts("gguf", model.facts(), pickles=tuple(embedded_code.in_gguf(model)))


def _onnx(file: BinaryIO, size: int) -> ModelFacts:
    model = onnx.read(file, size)
    return ModelFacts("onnx", model.facts(), pickles=tuple(embedded_code.in_onnx(model)))


_READERS: Mapping[str, Callable[[BinaryIO, int], ModelFacts]] = {
    "safetensors": lambda file, size: ModelFacts("safetensors", safetensors.read(file, size).facts()),
    "gguf": _gguf,
    "onnx": _onnx,
    "xgboost": lambda file, size: ModelFacts("xgboost", xgboost.read(file, size).facts()),
    "lightgbm": lambda file, size: ModelFacts("lightgbm", lightgbm.read(file, size).facts()),
}
"""The readers of the formats that state facts in a header; all other files are searched for pickles."""


def _facts_of_pickles(file: BinaryIO, sample: Sample, known: Format | None, allowed: Iterable[str]) -> ModelFacts:
    found: list[Judgement] = []
    for each in contents_of(file, sample.name):
        if isinstance(each, Configuration):
            found += embedded_code.in_member(each)
        elif isinstance(each, Members):
            found += embedded_code.in_tar(each)
        elif isinstance(each, Archive):
            found += embedded_code.in_archive(each)
        elif (judged := judge(each, allowed)) is not None:
            found.append(judged)
    word = known.word if known else ""
    found += embedded_code.in_file(file, sample, known)
    if not found:
        return ModelFacts(word) if word else NO_FACTS
    facts = {
        "modules": sorted({named.module.partition(".")[0] for each in found for named in each.names}),
        "names": sorted({str(named) for each in found for named in each.names})[:MAX_NAMES],
        "pickles": sum(not each.embedded for each in found),
        "frameworks": sorted({each.framework for each in found}),
    }
    if versions := {each.package: each.version for judged in found for each in judged.versions}:
        facts["versions"] = versions
    return ModelFacts(_with_pickles(word, sample.head, found), facts, pickles=tuple(found))


def _with_pickles(word: str, head: bytes, found: list[Judgement]) -> str:
    """Returns the format of a file with pickles or other code in it. What is in a zip says more than its first bytes."""
    if word and word not in ("pickle", "joblib", "pytorch"):
        return word
    if head.startswith(b"PK"):
        if any(each.framework == "keras" for each in found):
            return "keras"
        return "pytorch" if any(each.inner.endswith("data.pkl") for each in found) else "zip"
    if all(each.embedded for each in found):
        return "keras" if any(each.framework == "keras" for each in found) else ""
    return "joblib" if any(named.module in JOBLIB for each in found for named in each.names) else "pickle"
