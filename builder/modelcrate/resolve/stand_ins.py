"""Wheels with papers and no files, for uv: it unpacks every wheel of a folder that it chooses, to read two of its files and hash it."""

from __future__ import annotations

import os
import re
import threading
import zipfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path

from modelcrate.resolve.pylock import wheel_name
from modelcrate_layers.errors import CrateError
from modelcrate_layers.frozen import dataclass
from modelcrate_layers.packages.checked import hash_file
from modelcrate_layers.packages.wheel import MAX_TEXT
from modelcrate_layers.patterns import compile_later

MAX_AHEAD = 64 << 20
"""Bytes of a wheel, at most, that is hashed before uv has chosen it: what is begun is ended, in about the time that uv takes."""

_PAPERS = compile_later(r"[^/]+\.dist-info/(METADATA|WHEEL|RECORD)")
_WHEEL = b"Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n"


@dataclass(frozen=True, slots=True)
class StandInHouse:
    """A folder of stand-ins for the wheels of a wheelhouse. `wheels` are the real ones, by the SHA-256 of their stand-ins."""

    folder: Path
    house: Path
    wheels: Mapping[str, Path]

    def real(self, text: str) -> str:
        """Returns a text of uv's with the addresses and hashes of the real wheels. Those that it names are hashed."""
        for stand_in, wheel in self.wheels.items():
            if stand_in in text:
                text = text.replace(stand_in, hash_file(wheel)[1])
        return re.sub(r"file://[^\"'\s`]+\.whl", self._real_address, text).replace(str(self.folder), str(self.house))

    @contextmanager
    def hashed_meanwhile(self) -> Iterator[None]:
        """Hashes wheels in a thread, until the block ends: uv chooses among their stand-ins there, and nearly all are chosen."""
        ended = threading.Event()

        def work() -> None:
            for wheel in self.wheels.values():
                if ended.is_set():
                    return
                with suppress(OSError, CrateError):  # one that is chosen is hashed again, and that tells
                    if wheel.stat().st_size <= MAX_AHEAD:
                        hash_file(wheel)

        thread = threading.Thread(target=work, name="hash", daemon=True)
        thread.start()
        try:
            yield
        finally:
            ended.set()
            thread.join()

    def _real_address(self, found: re.Match[str]) -> str:
        place = self.house / wheel_name(found[0])
        return place.as_uri() if (self.folder / place.name).exists() else found[0]


def stand_in_house(house: Path, folder: Path) -> StandInHouse:
    """Makes stand-ins for the wheels of a wheelhouse. One whose papers can't be read is linked, so that uv says what is wrong with it.

    Raises:
        OSError: The wheelhouse can't be listed, or the folder can't be written.
    """
    folder.mkdir()
    wheels = {}
    for wheel in sorted(house.iterdir()):
        place = folder / wheel.name
        papers = _papers(wheel) if wheel.suffix == ".whl" else {}
        if len(papers) == len(("METADATA", "WHEEL", "RECORD")):
            wheels[_write(place, papers)] = wheel
        else:
            os.symlink(wheel.absolute(), place)
    return StandInHouse(folder, house.absolute(), wheels)


def stand_ins(there: Mapping[str, str], folder: Path) -> Path:
    """Makes wheels with nothing in them, for what the image has already: no index may have it, and it has brought what it needs."""
    folder.mkdir()
    for name, version in there.items():
        stem = f"{name.replace('-', '_')}-{version}"
        metadata = f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n".encode()
        papers = {
            f"{stem}.dist-info/METADATA": metadata,
            f"{stem}.dist-info/WHEEL": _WHEEL,
            f"{stem}.dist-info/RECORD": b"",
        }
        _write(folder / f"{stem}-py3-none-any.whl", papers)
    return folder


def _papers(wheel: Path) -> dict[str, bytes]:
    """The files of .dist-info that uv reads, RECORD without its lines; another number of them, where the wheel is none."""
    faults = (OSError, ValueError, EOFError, RuntimeError, NotImplementedError, zipfile.BadZipFile)
    with suppress(*faults), zipfile.ZipFile(wheel) as archive:
        found = [each for each in archive.infolist() if _PAPERS.fullmatch(each.filename)]
        common = all(each.compress_type in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED) for each in archive.infolist())
        if common and all(each.file_size <= MAX_TEXT for each in found):
            return {each.filename: b"" if _is_record(each) else archive.read(each) for each in found}
    return {}


def _is_record(info: zipfile.ZipInfo) -> bool:
    return info.filename.endswith("/RECORD")


def _write(place: Path, papers: Mapping[str, bytes]) -> str:
    """Writes a stand-in and returns its SHA-256, which no other of the folder has: it has its name in it."""
    with zipfile.ZipFile(place, "w") as archive:
        for name, data in papers.items():
            archive.writestr(name, data)
        archive.comment = place.name.encode()[:65535]
    return hash_file(place)[1]
