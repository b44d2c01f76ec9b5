"""Makes builder/modelcrate/resolve/debian/keys.asc: the keys that sign the archives of Debian and Ubuntu, without what others certified of them.

Run it where Debian's packages debian-archive-keyring and ubuntu-keyring (in trixie) are installed: `python tools/debian_keys.py`. A key is taken only under the
fingerprint that `modelcrate.resolve.debian.releases` pins, so the file can't bring a key that nobody reviewed.
"""

from __future__ import annotations

from pathlib import Path

from pysequoia import ArmorKind, Cert, armor
from pysequoia.packet import Packet, PacketPile, Tag

from modelcrate.resolve.debian.releases import RELEASES

KEYRINGS = (
    Path("/usr/share/keyrings/debian-archive-keyring.gpg"),
    Path("/usr/share/keyrings/ubuntu-archive-keyring.gpg"),
)
TARGET = Path(__file__).parents[1] / "builder/modelcrate/resolve/debian/keys.asc"


def own(cert: Cert) -> Cert:
    """The certificate with its own signatures only."""
    return Cert.from_packets([packet for packet in PacketPile.from_bytes(bytes(cert)) if _kept(packet, cert)])


def _kept(packet: Packet, cert: Cert) -> bool:
    if packet.tag != Tag.Signature:
        return True
    issuer = packet.issuer_fingerprint or packet.issuer_key_id or ""
    return bool(issuer) and cert.fingerprint.endswith(issuer.lower())


def main() -> None:
    pinned = sorted({key for release in RELEASES.values() for keys in release.keys.values() for key in keys})
    found = {cert.fingerprint: cert for path in KEYRINGS for cert in Cert.split_bytes(path.read_bytes())}
    TARGET.write_text("".join(armor(bytes(own(found[key])), ArmorKind.PublicKey) for key in pinned))


if __name__ == "__main__":
    main()
