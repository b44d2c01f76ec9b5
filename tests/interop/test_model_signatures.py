"""Models signed by the OpenSSF's own tool, held to their signatures by our gate."""

from __future__ import annotations

from pathlib import Path

import pytest

from modelcrate.security.signing import keys
from modelcrate.security.signing.model_signatures import check_model
from support.trusted import judged

pytestmark = pytest.mark.interop

SIGN = """
import pathlib, sys, model_signing
model = pathlib.Path(sys.argv[1])
model_signing.signing.Config().use_elliptic_key_signer(private_key=pathlib.Path(sys.argv[2])).sign(model, model / 'model.sig')
"""


@pytest.fixture
def model(tmp_path: Path) -> Path:
    folder = tmp_path / "model"
    (folder / "sub").mkdir(parents=True)
    (folder / "a.bin").write_bytes(b"1" * 100)
    (folder / "sub/b.txt").write_text("words")
    keys.write_pair(tmp_path / "k", None)
    judged("model_signing", SIGN, str(folder), str(tmp_path / "k.key"))
    return folder


def test_a_signed_model_passes(model: Path, tmp_path: Path) -> None:
    found = check_model(model, [keys.load_public(tmp_path / "k.pub")])
    assert (found.faults, found.unchecked) == ((), ())
    assert "names no key" in check_model(model, []).unchecked[0]


@pytest.mark.parametrize(
    ("change", "what"),
    [
        (lambda model: (model / "a.bin").write_bytes(b"2" * 100), "differs from the signed file"),
        (lambda model: (model / "a.bin").unlink(), "lacks 'a.bin'"),
        (lambda model: (model / "sub/c.txt").write_text("new"), "not in its signature"),
    ],
)
def test_a_changed_model_is_refused(change: object, what: str, model: Path, tmp_path: Path) -> None:
    assert callable(change)
    change(model)
    (fault,) = check_model(model, [keys.load_public(tmp_path / "k.pub")]).faults
    assert what in str(fault)


def test_another_key_is_refused(model: Path, tmp_path: Path) -> None:
    _, other = keys.write_pair(tmp_path / "other", None)
    (fault,) = check_model(model, [keys.load_public(other)]).faults
    assert "not signed by any" in str(fault)


def test_a_model_without_a_signature_by_a_named_key_is_refused(model: Path, tmp_path: Path) -> None:
    key = keys.load_public(tmp_path / "k.pub")
    (model / "model.sig").rename(tmp_path / "model.sig")
    (fault,) = check_model(model, [key]).faults
    assert "is not signed" in str(fault)
    assert str(model) in str(fault)
    (model / "model.sig").write_text("{}")
    assert "not an OpenSSF model signature" in str(check_model(model, [key]).faults[0])
    assert "one file" in str(check_model(model / "a.bin", [key]).faults[0])
    assert check_model(model / "a.bin", []).faults == ()
