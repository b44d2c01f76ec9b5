"""Which certificate authorities a server is held to."""

from __future__ import annotations

import ssl
from pathlib import Path

import pytest

from modelcrate.net.config import CA_VARIABLES, HttpConfig
from modelcrate.net.tls import Trust, context


def authority(folder: Path) -> Path:
    import trustme

    path = folder / "ca.crt"
    trustme.CA().cert_pem.write_to_path(path)
    return path


@pytest.mark.parametrize("variable", CA_VARIABLES)
def test_a_variable_names_the_only_authorities_that_count(tmp_path: Path, variable: str) -> None:
    path = authority(tmp_path)
    trust = Trust.of(HttpConfig({variable: str(path)}))
    assert trust == Trust(str(path))
    assert context(trust).cert_store_stats()["x509_ca"] == 1


def test_a_folder_of_authorities_can_be_named(tmp_path: Path) -> None:
    authority(tmp_path)
    made = context(Trust.of(HttpConfig({"SSL_CERT_DIR": str(tmp_path)})))
    assert made.cert_store_stats()["x509_ca"] == 0  # a folder is read when a certificate of it is needed


def test_a_file_that_is_missing_is_named(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match="nothing"):
        context(Trust(str(tmp_path / "nothing")))


def test_without_a_variable_the_system_or_certifi_has_the_authorities(monkeypatch: pytest.MonkeyPatch) -> None:
    assert Trust.of(HttpConfig()).verify is True
    assert context(Trust()).verify_mode is ssl.CERT_REQUIRED
    nowhere = ssl.DefaultVerifyPaths(None, None, "", "/nowhere", "", "/nowhere")
    monkeypatch.setattr(ssl, "get_default_verify_paths", lambda: nowhere)
    assert context(Trust()).cert_store_stats()["x509_ca"] > 50
    monkeypatch.setattr("modelcrate.net.tls.SYSTEM_BUNDLES", ())
    assert context(Trust()).cert_store_stats()["x509_ca"] > 50  # certifi's
