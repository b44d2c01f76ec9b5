"""Hostile bytes into every parser of trust: facts or one of our errors, never anything else, and never anything run."""

from __future__ import annotations

import codecs
import gzip
import io
import json
import lzma
import pickle
import re
import zipfile
import zlib
from base64 import b64encode, encodebytes
from collections.abc import Callable
from contextlib import suppress
from unittest.mock import patch

import pytest
from hypothesis import assume, example, given, settings
from hypothesis import strategies as st

from modelcrate.images.artifact import read_artifact_index, read_layers
from modelcrate.modelfiles import recognition
from modelcrate.modelfiles.byte_reader import ByteReader
from modelcrate.modelfiles.facts import Verdict
from modelcrate.modelfiles.pickle.containers import contents_of
from modelcrate.modelfiles.pickle.interpreter import interpret_plain
from modelcrate.modelfiles.pickle.opcodes import NEEDY
from modelcrate.modelfiles.pickle.policy import judge
from modelcrate.modelfiles.recognition import facts_at_hand, facts_of
from modelcrate.security.sbom import licences
from modelcrate.security.sbom.installed import debs, wheel
from modelcrate.security.scan.secret_forms import FORMS, Form
from modelcrate.security.scan.secrets import SHORT, secrets_in
from modelcrate.security.signing import keys, statements
from modelcrate_layers.content import Digest
from modelcrate_layers.errors import CrateError
from support.pickles import EVIL, MALICIOUS, joblib_array, npy, short, tarred, zipped
from support.secret_forms import find_suspects

NAMES = ["m.pkl", "m.safetensors", "m.gguf", "m.onnx", "m.pt", "m.npy", "m", "m.joblib", "m.tar"]
SEEDS = [*MALICIOUS.values(), npy(EVIL), zipped({"a": EVIL}), tarred({"a": EVIL}), zlib.compress(EVIL)]
plain = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8) | st.binary(max_size=8),
    lambda inner: (
        st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=4), inner, max_size=4) | st.tuples(inner, inner)
    ),
    max_leaves=12,
)
opcodes = st.lists(
    st.sampled_from(
        [bytes([code]) for code in b"(.012}])lo\x85\x86\x87\x88\x89\x8f\x90\x91\x92\x93\x94\x97\x98RNQabdestu\x81"]
    )
    | st.sampled_from(
        [
            b"cos\nsystem\n",
            short("os"),
            short("system"),
            b"h\x00",
            b"q\x00",
            b"g0\n",
            b"p0\n",
            b"\x80\x04",
            b"K\x01",
            b"ios\nx\n",
            b"\x82\x01",
        ]
    ),
    max_size=40,
).map(b"".join)


@st.composite
def damaged(draw: st.DrawFn) -> bytes:
    """A seed with some bytes changed, cut or doubled."""
    data = bytearray(draw(st.sampled_from(SEEDS)))
    for _ in range(draw(st.integers(1, 4))):
        at = draw(st.integers(0, max(0, len(data) - 1)))
        how = draw(st.integers(0, 2))
        if how == 0 and data:
            data[at] = draw(st.integers(0, 255))
        elif how == 1:
            del data[at : at + draw(st.integers(1, 20))]
        else:
            data[at:at] = draw(st.binary(max_size=12))
    return bytes(data)


@given(st.binary(max_size=400) | damaged() | opcodes, st.sampled_from(NAMES))
@settings(max_examples=400)
def test_model_files_give_facts(data: bytes, name: str) -> None:
    found = facts_of(io.BytesIO(data), name, len(data))
    json.dumps(found.facts)
    assert found.verdict in Verdict


MODELS = [
    b"GGUF\3\0",
    b'  {"learner": 1',
    b"{L........learner",
    b"binf....",
    b"tree\nversion=v4\n",
    b"\x89HDF",
    b"CBM1",
]


@given(
    st.builds(bytes.__add__, st.binary(min_size=1, max_size=1), st.binary(max_size=80))
    | damaged()
    | opcodes
    | st.sampled_from(MODELS)
    | st.text(alphabet="c\n o.s_é-", max_size=12).map(lambda text: b"c" + text.encode() + b"\nsystem\n.")
)
@settings(max_examples=600)
def test_a_file_that_is_passed_over_by_its_first_byte_says_nothing(data: bytes) -> None:
    quick = facts_of(io.BytesIO(data), "m", len(data))
    with patch.object(recognition, "may_begin_pickles", lambda head: True):
        assert facts_of(io.BytesIO(data), "m", len(data)) == quick


@given(st.sampled_from(sorted(NEEDY)), opcodes | st.binary(max_size=40))
def test_what_takes_from_nothing_begins_no_pickle(code: int, data: bytes) -> None:
    seen = interpret_plain(ByteReader(io.BytesIO(bytes([code]) + data)))
    assert not seen.names
    assert not seen.whole
    with pytest.raises(Exception):  # noqa: B017 - the real machine has many ways to say so
        pickle.loads(bytes([code]) + b"0\n" + b".", fix_imports=False)


@given(plain, st.integers(0, 5))
def test_plain_values_are_always_safe(value: object, protocol: int) -> None:
    (found,) = contents_of(io.BytesIO(pickle.dumps(value, protocol)), "m.pkl")
    judged = judge(found)
    assert judged is not None
    assert judged.verdict is Verdict.SAFE, judged.because


IN_A_ROW: list[Callable[[bytes], bytes]] = [
    lambda data: data, npy, lambda data: joblib_array("u1", 3, b"abc") + data, lambda data: pickle.dumps(1, 0) + data,
]  # fmt: skip
PACKED: list[Callable[[bytes], bytes]] = [
    lambda data: zipped({"a": data}), lambda data: zipped({"a": data}, zipfile.ZIP_DEFLATED),
    lambda data: tarred({"a": data, "b": bytes(1 << 17)}), gzip.compress, lzma.compress, zlib.compress,
]  # fmt: skip


@given(plain, st.sampled_from(IN_A_ROW), st.lists(st.sampled_from(PACKED), max_size=2), st.binary(max_size=8))
@settings(max_examples=60)
def test_no_byte_behind_what_is_read_is_passed_over(
    value: object, row: Callable[[bytes], bytes], packs: list[Callable[[bytes], bytes]], rest: bytes
) -> None:
    """However a pickle is packed: every byte of a file belongs to something, or the file is not safe."""
    data = row(pickle.dumps(value))
    for pack in packs:
        data = pack(data)
    assert facts_of(io.BytesIO(data), "m.pkl", len(data)).verdict is Verdict.SAFE
    behind = data + b"\xff" + rest  # no opcode
    assert facts_of(io.BytesIO(behind), "m.pkl", len(behind)).verdict is not Verdict.SAFE


@given(plain, st.integers(0, 5), st.integers(0, 5))
def test_a_call_is_seen_whatever_stands_around_it(value: object, protocol: int, other: int) -> None:
    from support.pickles import reduced

    before = pickle.dumps(value, protocol)[:-1]
    call = reduced(max(protocol, other))
    data = before + b"0" + call[2:] if call[:1] == b"\x80" else before + b"0" + call
    (found, *_) = contents_of(io.BytesIO(b"\x80\x02" + data), "m.pkl")
    judged = judge(found)
    assert judged is not None
    assert judged.verdict is Verdict.UNSAFE


@given(opcodes)
def test_no_opcodes_that_the_real_machine_takes_are_called_safe_with_a_name_that_is_not(data: bytes) -> None:
    import pickletools

    try:
        named = {str(arg) for op, arg, _ in pickletools.genops(data) if op.name in ("GLOBAL", "INST")}
    except Exception:
        named = set()
    found = [judge(each) for each in contents_of(io.BytesIO(b"\x80\x02" + data), "m.pkl")]
    worst = max((each.verdict for each in found if each), key=lambda one: one.value, default=Verdict.SAFE)
    assert not named or worst is Verdict.UNSAFE


PARSERS: list[Callable[[bytes], object]] = [
    statements.parse_bundle,
    statements.parse_envelope,
    statements.parse_simple,
    statements.parse_statement,
    read_layers,
    lambda data: read_artifact_index(data, lambda one: data, lambda one: statements.Literal(data, "x")),
    lambda data: keys.read_public(data, "x"),
    lambda data: list(debs(data)),
    lambda data: list(wheel(data)),
    lambda data: secrets_in("a", data),
    lambda data: licences.of_debian(data.decode("utf-8", "replace")),
    lambda data: licences.expression(data.decode("utf-8", "replace")),
]
documents = st.recursive(
    st.none() | st.integers() | st.text(max_size=12) | st.just("e30="),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(
                [
                    "mediaType",
                    "verificationMaterial",
                    "publicKey",
                    "hint",
                    "dsseEnvelope",
                    "payload",
                    "payloadType",
                    "signatures",
                    "sig",
                    "_type",
                    "subject",
                    "digest",
                    "sha256",
                    "predicateType",
                    "predicate",
                    "critical",
                    "image",
                    "docker-manifest-digest",
                    "type",
                    "layers",
                    "manifests",
                    "size",
                    "annotations",
                    "config",
                ]
            ),
            inner,
            max_size=5,
        )
    ),
    max_leaves=20,
).map(lambda value: json.dumps(value).encode())


@given(st.binary(max_size=200) | documents, st.sampled_from(PARSERS))
@settings(max_examples=500)
@example(
    b'{"mediaType":"application/vnd.dev.sigstore.bundle.v0.3+json","verificationMaterial":{},"dsseEnvelope":{}}',
    PARSERS[0],
)
def test_documents_give_values_or_our_errors(data: bytes, parser: Callable[[bytes], object]) -> None:
    with suppress(CrateError):
        parser(data)


@given(st.text(max_size=20), st.binary(max_size=300))
def test_what_was_signed_is_read_back(kind: str, payload: bytes) -> None:
    assert statements.pae(kind, payload).endswith(payload)
    said = statements.parse_statement(statements.statement(Digest.of(payload), kind, {"a": kind}))
    assert (said.predicate_type, said.subjects) == (kind, (Digest.of(payload),))


@given(st.text(max_size=200))
def test_expressions_are_valid_or_nothing(text: str) -> None:
    from packaging.licenses import canonicalize_license_expression

    found = licences.expression(text)
    assert found == "" or canonicalize_license_expression(found) == found


@pytest.mark.parametrize("kind", sorted(MALICIOUS.keys() - {"a zip behind a pickle"}))  # cut, that is no zip any more
def test_no_prefix_of_an_attack_is_safe_once_the_call_is_in_it(kind: str) -> None:
    data = MALICIOUS[kind]
    found = [judge(each) for each in contents_of(io.BytesIO(data[:-1]), "m.pkl")]
    assert (
        max((each.verdict for each in found if each), key=lambda one: one.value, default=Verdict.SAFE)
        is not Verdict.SAFE
    )


@pytest.mark.parametrize("form", FORMS, ids=lambda form: form.kind)
@given(data=st.data())
@settings(max_examples=30)
def test_what_a_pattern_finds_has_one_of_its_marks(form: Form, data: st.DataObject) -> None:
    found = data.draw(st.from_regex(form.pattern))
    match = re.search(form.pattern, found)
    assert match is not None
    assert any(mark in match[0] for mark in form.marks)


MARKS = st.sampled_from([mark for form in FORMS for mark in form.marks])
PIECES = st.binary(max_size=8) | MARKS | MARKS.map(lambda mark: mark[: len(mark) // 2]) | MARKS.map(b64encode)


@given(st.sampled_from(["a.py", ".env", "id_rsa"]), st.lists(PIECES, max_size=4).map(b"".join))
@settings(max_examples=300)
def test_what_has_a_secret_is_suspect_to_both_searches(name: str, data: bytes) -> None:
    suspect = find_suspects([(name, data)])
    assert suspect == find_suspects([(name, data)], many=True)
    assert suspect or not secrets_in(name, data)


@given(st.lists(st.tuples(st.sampled_from(["a.py", ".env"]), st.lists(PIECES, max_size=4).map(b"".join)), max_size=5))
@settings(max_examples=200)
def test_files_are_as_suspect_together_as_alone(files: list[tuple[str, bytes]]) -> None:
    alone = {number for number, each in enumerate(files) if find_suspects([each])}
    assert find_suspects(files) == find_suspects(files, many=True) == alone


@pytest.mark.parametrize("form", FORMS, ids=lambda form: form.kind)
@given(data=st.data(), before=st.integers(0, 80))
@settings(max_examples=20)
def test_a_secret_is_suspect_as_it_is_and_in_base64(form: Form, data: st.DataObject, before: int) -> None:
    found = data.draw(st.from_regex(form.pattern)).replace(b"\0", b"\1")
    assume(re.search(form.pattern, found))
    assume(not found.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)))  # that is another text
    assert find_suspects([("a", found)])
    assume(len(found) >= SHORT)
    assert find_suspects([("a", encodebytes(b"~" * before + found + b"~" * 24))])


@given(
    st.builds(bytes.__add__, st.binary(min_size=1, max_size=1), st.binary(max_size=80))
    | damaged()
    | opcodes
    | st.sampled_from(MODELS)
    | st.sampled_from(SEEDS).map(lambda seed: b"!" + seed),
    st.sampled_from(NAMES),
)
@settings(max_examples=400)
def test_a_file_in_memory_says_what_it_says_elsewhere(data: bytes, name: str) -> None:
    assert facts_at_hand(data, name) == facts_of(io.BytesIO(data), name, len(data))
