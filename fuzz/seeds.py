"""Where fuzzing begins: texts from `corpus/`, and bytes made here, so that no binary file has to be kept. Everything found is kept in `found/`."""

from __future__ import annotations

import base64
import gzip
import json
import pickle
import struct
import zlib
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

import zstandard

from modelcrate.resolve.debian.pinned import PinnedDeb
from modelcrate.resolve.lock import Lock, ModelPin, Pins
from modelcrate.resolve.pinned import PinnedWheel
from modelcrate.security.signing import keys, statements
from modelcrate_layers.content import Descriptor, Digest, MediaType, canonical_json
from modelcrate_server import wire
from support import debs, hdf5_files
from support.elf_files import make_elf
from support.pickles import EVIL, MALICIOUS, TENSOR, joblib_array, loaded, npy, tarred, zipped
from support.wheels import wheel_bytes

HERE = Path(__file__).parent


def of(name: str) -> Iterator[tuple[str, bytes]]:
    """The seeds of a parser by name: texts, what is made, and what was found before."""
    for folder in ("corpus", "found"):
        for path in sorted((HERE / folder / name).glob("*")):
            yield f"{folder}-{path.name}", path.read_bytes()
    yield from ((f"made-{number}", data) for number, data in enumerate(_made(name)))


def write(name: str, folder: Path) -> Path:
    """The seeds as files, for libFuzzer."""
    place = folder / name
    place.mkdir(parents=True)
    for title, data in of(name):
        (place / title).write_bytes(data)
    return place


def _made(name: str) -> Iterator[bytes]:
    if name in _PICKLED:
        yield from _pickles()
    elif name in _MAKERS:
        yield from _MAKERS[name]()


def _pickles() -> Iterator[bytes]:
    yield from MALICIOUS.values()
    for protocol in range(6):
        yield pickle.dumps({"a": [1, 2.5, None, True, b"x", "y" * 300, (1, 2), {3}], "b": 2**70}, protocol)
    yield joblib_array("f8", 2, b"\0" * 16)
    yield npy(pickle.dumps([1]))
    yield loaded(TENSOR)
    yield loaded(TENSOR, 2)
    yield zipped({"data": b'{"a": {":serialized:": "%b"}}' % base64.b64encode(pickle.dumps([1]))})


def _tars() -> Iterator[bytes]:
    plain = tarred({"a": b"1", "b/" + "c" * 120: b"2" * 600})
    yield plain
    yield gzip.compress(plain, mtime=0)
    yield debs.tar_of([debs.folder("d/"), debs.Put("d/f", b"1"), debs.link("l", "d/f"), debs.hard("h", "d/f")])


def _debs() -> Iterator[bytes]:
    for suffix in ("", ".gz", ".xz", ".zst"):
        yield debs.deb_bytes(debs.stanza("demo"), [debs.folder("usr/"), debs.Put("usr/f", b"1")], suffix)


def _wheels() -> Iterator[bytes]:
    yield wheel_bytes("demo", entry_points="[console_scripts]\ndemo = demo:main\n")
    yield wheel_bytes("demo", files={"demo/__init__.py": b"", "demo-1.0.data/scripts/x": b"#!python\n"})


def _safetensors() -> Iterator[bytes]:
    for header in (
        {"a": {"dtype": "F32", "shape": [2], "data_offsets": [0, 8]}, "__metadata__": {"format": "pt"}},
        {
            "a": {"dtype": "BF16", "shape": [], "data_offsets": [0, 2]},
            "b": {"dtype": "U8", "shape": [0], "data_offsets": [2, 2]},
        },
    ):
        text = json.dumps(header).encode()
        yield struct.pack("<Q", len(text)) + text + b"\0" * 8


def _gguf() -> Iterator[bytes]:
    def text(value: bytes) -> bytes:
        return struct.pack("<Q", len(value)) + value

    values = text(b"general.architecture") + struct.pack("<I", 8) + text(b"llama")
    values += text(b"list") + struct.pack("<IIQ", 9, 4, 2) + struct.pack("<II", 1, 2)
    tensors = text(b"w") + struct.pack("<IQQIQ", 2, 4, 2, 0, 0)
    head = b"GGUF" + struct.pack("<IQQ", 3, 1, 2) + values + tensors
    yield head + b"\0" * (-len(head) % 32) + b"\0" * 32
    yield b"GGUF" + struct.pack(">IQQ", 3, 0, 0)


def _hdf5() -> Iterator[bytes]:
    config = hdf5_files.attribute("model_config", hdf5_files.keras(hdf5_files.DENSE))
    yield hdf5_files.hdf5(
        config, hdf5_files.external_link(b"x"), hdf5_files.VIRTUAL, hdf5_files.PLUGIN, hdf5_files.DEFLATE
    )
    yield hdf5_files.hdf5(hdf5_files.hard_link(48), hdf5_files.hard_link(60))


def _onnx() -> Iterator[bytes]:
    """ModelProto by hand: ir_version, producer, opset_import, a graph with a node, a weight, an input and an output (onnx.proto)."""

    def part(number: int, data: bytes) -> bytes:
        return bytes([number << 3 | 2, len(data)]) + data

    side = part(1, b"\x08\x02") + part(1, part(2, b"batch"))
    port = part(1, b"x") + part(2, part(1, b"\x08\x01" + part(2, side)))
    weight = b"\x08\x02\x10\x01" + part(8, b"w") + part(9, b"\0" * 8)
    graph = part(1, part(1, b"x") + part(2, b"y") + part(4, b"Relu")) + part(2, b"g")
    graph += part(5, weight) + part(11, port) + part(12, port)
    yield (
        b"\x08\x08"
        + part(2, b"seed")
        + part(8, part(1, b"") + b"\x10\x11")
        + part(7, graph)
        + part(14, part(1, b"k") + part(2, b"v"))
    )


class _Signer:
    """Signs with nothing: what is fuzzed is the frame."""

    public = keys.read_public(keys.generate(None)[1], "seed")

    def sign(self, data: bytes) -> bytes:
        return b"signature"


def _signed() -> tuple[Descriptor, _Signer]:
    return Descriptor(MediaType.MANIFEST, Digest.of(b"image"), 5), _Signer()


def _bundles() -> Iterator[bytes]:
    subject, signer = _signed()
    for kind in (statements.SIGNED, "https://model_signing/signature/v1.0"):
        how = {
            "serialization": {"method": "files", "hash_type": "sha256"},
            "resources": [{"name": "a", "digest": "0" * 64, "algorithm": "sha256"}],
        }
        yield statements.bundle(statements.statement(subject.digest, kind, how), signer)


def _envelopes() -> Iterator[bytes]:
    subject, _ = _signed()
    payload = statements.statement(subject.digest, statements.SIGNED, {})
    yield payload
    yield statements.simple_payload(subject.digest, "registry.example/team/model")
    text = base64.b64encode(payload).decode()
    yield canonical_json(
        {"payload": text, "payloadType": statements.IN_TOTO, "signatures": [{"sig": text, "keyid": ""}]}
    )


def _artifacts() -> Iterator[bytes]:
    subject, signer = _signed()
    for each in (statements.attest(subject, statements.SPDX, {}, signer), statements.simple(subject, "x", signer)):
        yield each.manifest.data
        yield canonical_json({"schemaVersion": 2, "mediaType": MediaType.INDEX, "manifests": [each.descriptor.json()]})


def _keys() -> Iterator[bytes]:
    for password in (None, "secret"):
        yield from keys.generate(password)
    scrypt = {"name": "scrypt", "params": {"N": 32768, "r": 8, "p": 1}, "salt": base64.b64encode(b"s" * 32).decode()}
    box = {"name": "nacl/secretbox", "nonce": base64.b64encode(b"n" * 24).decode()}
    body = base64.b64encode(canonical_json({"kdf": scrypt, "cipher": box, "ciphertext": "AAAA"})).decode()
    yield f"-----BEGIN ENCRYPTED SIGSTORE PRIVATE KEY-----\n{body}\n-----END ENCRYPTED SIGSTORE PRIVATE KEY-----\n".encode()


def _locks() -> Iterator[bytes]:
    deb = PinnedDeb("demo", "1.0", "amd64", "debian", "pool/main/d/demo/demo_1.0_amd64.deb", "0" * 64, 9)
    wheel = PinnedWheel("demo", "1.0", "demo-1.0-py3-none-any.whl", "0" * 64, 9)
    pins = Pins(None, (deb,), (wheel,))
    model = ModelPin("iris", 3, (("model.pkl", 9),), (Digest("sha256", "0" * 64),))
    yield Lock({"base": "debian:bookworm"}, {"linux/amd64": pins}, (model,), ("zstd-3@1.5.7",)).text()


def _releases() -> Iterator[bytes]:
    yield (
        b"Codename: bookworm\nDate: Sat, 31 Oct 2026 10:00:00 UTC\nSHA256:\n "
        + b"0" * 64
        + b" 9 main/binary-amd64/Packages.gz\n"
    )
    yield b"-----BEGIN PGP SIGNED MESSAGE-----\nHash: SHA256\n\nCodename: bookworm\n-----BEGIN PGP SIGNATURE-----\n\nAAAA\n-----END PGP SIGNATURE-----\n"


def _requests() -> Iterator[bytes]:
    head = b"POST /score HTTP/1.1\r\nHost: x\r\n"
    yield head + b"Content-Length: 2\r\n\r\n[]" + b"GET / HTTP/1.1\r\nHost: x\r\n\r\n"
    yield head + b"Transfer-Encoding: chunked\r\n\r\n3;a=b\r\nabc\r\n0A\r\n0123456789\r\n0\r\nT: r\r\n\r\n"


def _request_bodies() -> Iterator[bytes]:
    body = b'{"data": [[1, 2]]}' * 9
    yield b"gzip\n" + gzip.compress(body, mtime=0)
    yield b"deflate\n" + zlib.compress(body)
    yield b"deflate\n" + zlib.compress(body)[2:-4]
    yield b"zstd\n" + zstandard.compress(body)
    yield b"deflate, zstd\n" + zstandard.compress(zlib.compress(body))


def _request_forms() -> Iterator[bytes]:
    part = b'--b\r\nContent-Disposition: form-data; name="a"%b\r\n\r\n1\r\n'
    yield b"multipart/form-data; boundary=b\n" + part % b"" + part % b'; filename="f.txt"' + b"--b--\r\n"


def _request_tensors() -> Iterator[bytes]:
    for datatype, data in (("FP32", bytes(8)), ("BYTES", b"\1\0\0\0a\0\0\0\0"), ("BF16", bytes(4)), ("BOOL", b"\0\1")):
        tensor = {"name": "x", "shape": [2], "datatype": datatype, "parameters": {"binary_data_size": len(data)}}
        yield json.dumps({"inputs": [tensor], "parameters": {"binary_data_output": True}}).encode() + b"\n-\n" + data


def _request_messages() -> Iterator[bytes]:
    """ModelInferRequest: the elements as contents, and as raw bytes."""
    head = wire.text(1, "model") + wire.text(2, "1") + wire.text(3, "id")
    head += wire.part(4, wire.text(1, "limit") + wire.part(2, wire.fixed64(4, 0)))
    for datatype, contents in (
        ("FP32", wire.part(6, bytes(8))),
        ("INT64", wire.packed(3, [1, 2])),
        ("BYTES", wire.part(8, b"a") * 2),
    ):
        tensor = wire.text(1, "x") + wire.text(2, datatype) + wire.packed(3, [2])
        yield head + wire.part(5, tensor + wire.part(5, contents))
        yield head + wire.part(5, tensor) + wire.part(6, wire.text(1, "y")) + wire.part(7, bytes(8))


def _elves() -> Iterator[bytes]:
    yield make_elf(
        "liba.so.1", ["libc.so.6"], {"libc.so.6": ["GLIBC_2.2.5", "GLIBC_2.38"]}, ["A_1", "A_2"], weak=["GLIBC_2.38"]
    )


def _advisories() -> Iterator[bytes]:
    events = [{"introduced": "0"}, {"fixed": "2.0"}, {"last_affected": "3"}]
    affected = {"package": {"ecosystem": "Debian:12", "name": "a"}, "ranges": [{"type": "ECOSYSTEM", "events": events}]}
    of_pypi = {**affected, "package": {"ecosystem": "PyPI", "name": "a"}, "versions": ["1.0"]}
    yield json.dumps({"id": "A-1", "affected": [affected, of_pypi]}).encode()
    release = {"status": "resolved", "fixed_version": "2.0", "urgency": "low"}
    yield json.dumps({"a": {"CVE-1": {"releases": {"bookworm": release}}}}).encode()


def _air_gaps() -> Iterator[bytes]:
    image = Descriptor(MediaType.MANIFEST, Digest.of(b"a"), 1).json()
    index = {
        "schemaVersion": 2,
        "manifests": [{**image, "annotations": {"org.opencontainers.image.ref.name": "x/a:1"}}],
    }
    digest = str(Digest.of(b"b"))
    rebuilds = {digest: [digest, [[512, None], [512, 1024]]]}
    notes = {"version": 1, "place": "store", "left-out": {digest: [1, "x/a"]}, "rebuilds": rebuilds}
    yield canonical_json(index) + b"\n-\n" + canonical_json(notes)
    wheel = {"name": "a", "version": "1", "filename": "a-1-py3-none-any.whl", "sha256": digest[7:]}
    more = {"packages": [{"kind": "wheel", **wheel}], "tools": {"m.pex": [digest, 1]}}
    yield canonical_json(index) + b"\n-\n" + canonical_json(notes | {"version": 2} | more)


def _inventories() -> Iterator[bytes]:
    digest = str(Digest.of(b"a"))
    known = {"images": {"x/a:1": digest}, "blobs": {digest: [1, "x/a"]}, "pieces": {digest: [[0, 512, "0" * 64]]}}
    yield canonical_json({"version": 1, "place": "x", **known})


_PICKLED = frozenset({"pickle", "joblib", "torch"})
_MAKERS: Mapping[str, Callable[[], Iterator[bytes]]] = {
    "advisories": _advisories,
    "air-gap": _air_gaps,
    "air-gap-inventory": _inventories,
    "artifacts": _artifacts,
    "bundle": _bundles,
    "deb": _debs,
    "debian-release": _releases,
    "dsse": _envelopes,
    "elf": _elves,
    "gguf": _gguf,
    "hdf5": _hdf5,
    "key": _keys,
    "lock": _locks,
    "onnx": _onnx,
    "request": _requests,
    "request-body": _request_bodies,
    "request-form": _request_forms,
    "request-grpc": _request_messages,
    "request-tensors": _request_tensors,
    "safetensors": _safetensors,
    "tar": _tars,
    "torch": lambda: iter([zipped({"a/data.pkl": EVIL})]),
    "wheel": _wheels,
}
