"""The certificates that verify a server, and our own."""

from __future__ import annotations

import errno
import os
from pathlib import Path
from typing import TYPE_CHECKING

from modelcrate.net.config import HttpConfig
from modelcrate_layers.frozen import dataclass

if TYPE_CHECKING:
    import ssl

SYSTEM_BUNDLES = (
    "/etc/ssl/certs/ca-certificates.crt",  # Debian, Ubuntu, Arch, Gentoo
    "/etc/pki/tls/certs/ca-bundle.crt",  # Fedora, RHEL
    "/etc/pki/ca-trust/extracted/pem/tls-ca-bundle.pem",  # RHEL 7 and later
    "/etc/ssl/ca-bundle.pem",  # openSUSE
    "/etc/ssl/cert.pem",  # Alpine
)
"""Where systems keep their certificate authorities, for a Python whose OpenSSL was built to look elsewhere."""


@dataclass(frozen=True, slots=True)
class Trust:
    """How a server is verified: by the system's authorities (True), those of a file or folder, or not at all (False).

    `certificate` is our own: the files of the certificate and of its key.
    """

    verify: bool | str = True
    certificate: tuple[str, str] | None = None

    @classmethod
    def of(cls, config: HttpConfig) -> Trust:
        """Returns the trust for hosts without a rule."""
        return cls(str(config.ca) if config.ca else True)


def context(trust: Trust) -> ssl.SSLContext:
    """Returns a TLS context. Make it once: reading all authorities takes longer than a request.

    Raises:
        FileNotFoundError: A file that was named is missing.
    """
    import ssl

    from urllib3.util.ssl_ import create_urllib3_context

    made = create_urllib3_context()
    if trust.verify is False:
        made.check_hostname = False
        made.verify_mode = ssl.CERT_NONE
    elif isinstance(trust.verify, str):
        _require(trust.verify)
        made.load_verify_locations(**{"capath" if os.path.isdir(trust.verify) else "cafile": trust.verify})
    else:
        _load_system(made)
    if trust.certificate is not None:
        for path in trust.certificate:
            _require(path)
        made.load_cert_chain(*trust.certificate)
    return made


def _load_system(made: ssl.SSLContext) -> None:
    """Loads the system's authorities, or certifi's where the system has none.

    The package truststore was tried: on Linux it does the same, but anew for every connection, under a lock for each
    handshake, and by the process's variables instead of those that were passed in.
    """
    import ssl

    paths = ssl.get_default_verify_paths()
    if os.path.isfile(paths.openssl_cafile):
        made.load_verify_locations(cafile=paths.openssl_cafile)
    elif os.path.isdir(paths.openssl_capath) and any(Path(paths.openssl_capath).glob("*.0")):
        made.load_verify_locations(capath=paths.openssl_capath)  # read when they are needed, which is faster
    elif bundle := next(filter(os.path.isfile, SYSTEM_BUNDLES), None):
        made.load_verify_locations(cafile=bundle)
    else:
        import certifi

        made.load_verify_locations(cafile=certifi.where())


def _require(path: str) -> None:
    """Raises an error that names the missing file, because the ssl module does not."""
    if not os.path.exists(path):
        raise FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT), path)
