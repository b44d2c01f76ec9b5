"""The format of a model file by its first bytes, and the facts that it states. Other rooms use the readers through this module."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import field
from io import BytesIO
from os.path import splitext
from typing import Any, BinaryIO
from zipfile import BadZipFile
from zlib import error

from modelcrate.modelfiles import embedded_code, gguf, lightgbm, onnx, safetensors, xgboost
from modelcrate.modelfiles.endings import PROMISING
from modelcrate.modelfiles.pickle.containers import HEAD, ends_as_zip, has_zip_end, may_begin_pickles, pickles_in
from modelcrate.modelfiles.pickle.findings import JOBLIB, Description
from modelcrate.modelfiles.pickle.policy import Judgement, Verdict, judge
from modelcrate_layers.errors import IntegrityError
from modelcrate_layers.frozen import dataclass


@dataclass(frozen=True, slots=True)
class ModelFacts:
    """The facts about a file. `format` is such as `safetensors`, empty for an unknown one; `fault` is the header's fault, in words."""

    format: str
    facts: Mapping[str, Any] = field(default_factory=dict, hash=False)
    fault: str = ""
    pickles: tuple[Judgement, ...] = ()

    @property
    def said(self) -> tuple[Description, ...]:
        """The versions that the file's pickles name."""
        return tuple(dict.fromkeys(said for each in self.pickles for said in each.descriptions))

    @property
    def verdict(self) -> Verdict:
        """The worst verdict on the file's pickles."""
        return max((each.verdict for each in self.pickles), key=lambda one: one.value, default=Verdict.SAFE)


def facts_of(file: BinaryIO, name: str, size: int, allowed: Iterable[str] = ()) -> ModelFacts:
    """Returns the facts in a file's header, or in its pickles. Nothing of it is loaded; it may be hostile."""
    head = file.read(HEAD)
    ending = splitext(name)[1].lower()
    if _is_no_model(head, ending) and not ends_as_zip(file):
        return _UNKNOWN
    try:
        if ending == ".safetensors":
            return ModelFacts("safetensors", safetensors.read(file, size).facts())
        if head.startswith(b"GGUF") or ending == ".gguf":
            model = gguf.read(file, size)
            return ModelFacts("gguf", model.facts(), pickles=tuple(embedded_code.in_gguf(model)))
        if ending == ".onnx":
            graph = onnx.read(file, size)
            return ModelFacts("onnx", graph.facts(), pickles=tuple(embedded_code.in_onnx(graph)))
        if xgboost.is_xgboost(head):
            return ModelFacts("xgboost", xgboost.read(file, size).facts())
        if lightgbm.is_lightgbm(head):
            return ModelFacts("lightgbm", lightgbm.read(file, size).facts())
    except (IntegrityError, OverflowError) as fault:
        return ModelFacts(
            _promised(head, ending), fault=fault.what if isinstance(fault, IntegrityError) else str(fault)
        )
    found = [judged for each in pickles_in(file, name) if (judged := judge(each, allowed)) is not None]
    known = _BY_HEAD.get(head[:4], _UNKNOWN)
    found += _embedded(file, head, known.format)
    if not found:
        return known
    names = sorted({str(named) for each in found for named in each.names})
    modules = sorted({named.module.partition(".")[0] for each in found for named in each.names})
    told = {
        "modules": modules,
        "names": names[:200],
        "pickles": sum(not each.embedded for each in found),
        "frameworks": sorted({each.framework for each in found}),
    }
    versions = {said.package: said.version for each in found for said in each.descriptions}
    if versions:
        told["versions"] = versions
    return ModelFacts(_pickled(head, found), told, pickles=tuple(found))


def _embedded(file: BinaryIO, head: bytes, known: str) -> Iterator[Judgement]:
    """Returns the verdicts on code in Keras' and PyTorch's archives that is no pickle."""
    if known == "hdf5":
        yield from embedded_code.in_hdf5(file)
    elif head.startswith(b"PK") or ends_as_zip(file):
        try:
            yield from embedded_code.in_zip(file)
        except (IntegrityError, OSError, EOFError, ValueError, RuntimeError, BadZipFile, error) as fault:
            yield embedded_code.unread("", f"has members that can't be read: {type(fault).__name__}")


def facts_at_hand(data: bytes, name: str, allowed: Iterable[str] = ()) -> ModelFacts:
    """Returns the same for a file in memory. Nearly all files are no models, which a few bytes show."""
    if _is_no_model(data[:HEAD], splitext(name)[1].lower()) and not has_zip_end(data):
        return _UNKNOWN
    return facts_of(BytesIO(data), name, len(data), allowed)


def _is_no_model(head: bytes, ending: str) -> bool:
    """Returns whether a file is no model, by its first bytes and its name; it may still end as a zip."""
    if ending in PROMISING or head[:1] in _BEGINNINGS or may_begin_pickles(head):
        return False
    return not (head[:1] in _BOOSTED and (xgboost.is_xgboost(head) or lightgbm.is_lightgbm(head)))


def _promised(head: bytes, ending: str) -> str:
    """Returns the format of a damaged file, by its first bytes or its name."""
    if xgboost.is_xgboost(head) or lightgbm.is_lightgbm(head):
        return "xgboost" if xgboost.is_xgboost(head) else "lightgbm"
    return ending.lstrip(".") or "gguf"


def _pickled(head: bytes, found: list[Judgement]) -> str:
    if head.startswith(b"\x89HDF"):
        return "hdf5"
    if head.startswith(b"PK"):
        if any(each.framework == "keras" for each in found):
            return "keras"
        return "pytorch" if any(each.inner.endswith("data.pkl") for each in found) else "zip"
    if head.startswith(b"\x93NUMPY"):
        return "numpy"
    return "joblib" if any(named.module in JOBLIB for each in found for named in each.names) else "pickle"


_UNKNOWN = ModelFacts("")
_BY_HEAD = {
    head: ModelFacts(word) for head, word in ((b"\x89HDF", "hdf5"), (b"CBM1", "catboost"), (b"\x93NUM", "numpy"))
}
_BEGINNINGS = frozenset({b"G", *(head[:1] for head in _BY_HEAD)})
"""The first bytes of formats with headers; GGUF's come first."""

_BOOSTED = frozenset(bytes([each]) for each in (*xgboost.BEGINNINGS, *lightgbm.BEGINNINGS))
"""The first bytes of boosted trees. Other texts begin with them as well; a few bytes more decide."""
