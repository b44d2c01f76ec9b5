"""Wheels of an index that gives no SHA-256 for its files, but an older hash: they are fetched once, to be pinned by SHA-256."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from modelcrate.home.result_cache import ResultCache
from modelcrate.net.download import Download, Downloader
from modelcrate.resolve.index import Index
from modelcrate.resolve.uv import Uv
from modelcrate_layers.atomic import scratch_folder
from modelcrate_layers.frozen import dataclass
from modelcrate_layers.packages.checked import hash_file
from modelcrate_layers.store import as_machine_error

if TYPE_CHECKING:
    from packaging.pylock import PackageWheel

_ALGORITHMS = ("sha512", "sha384", "sha3_512", "sha3_384", "sha3_256", "blake2b", "sha224", "sha1", "md5")
"""Hashes that an index may give in the address of a file (PEP 503), strongest first."""


@dataclass(frozen=True, slots=True)
class WeakHashes:
    """The wheels of an index whose pages have older hashes."""

    index: Index
    uv: Uv

    def find_sha256(self, wheel: PackageWheel) -> str:
        """Returns the SHA-256 of a wheel that its index gives another hash; empty where it gives none.

        The wheel is fetched into the cache, and held to that hash. The answer is remembered.

        Raises:
            IntegrityError: The file has another hash.
            RegistryError: The file can't be fetched.
        """
        algorithm = next((each for each in _ALGORITHMS if each in wheel.hashes), "")
        if not algorithm or not wheel.url:
            return ""
        expected = wheel.hashes[algorithm].lower()
        kept, question = ResultCache(self.uv.cache.with_name("hashes-of-wheels")), [wheel.filename, algorithm, expected]
        if (known := kept.get(question)) is not None:
            return known.decode()
        found = self._fetch(wheel, (algorithm, expected))
        kept.put(question, found.encode())
        return found

    def _fetch(self, wheel: PackageWheel, expected: tuple[str, str]) -> str:
        cache = self.uv.cache.parent
        urls = (self.uv.login(wheel.url or "", self.index),)
        with as_machine_error(cache), scratch_folder(cache) as scratch, Downloader(self.uv.network) as fetcher:
            path = fetcher.download(Download(wheel.filename, urls, scratch / "wheel", "", wheel.size, expected))
            _, sha256 = hash_file(path)
            place = cache / "wheels" / sha256 / wheel.filename
            place.parent.mkdir(parents=True, exist_ok=True)
            os.replace(path, place)
        return sha256
