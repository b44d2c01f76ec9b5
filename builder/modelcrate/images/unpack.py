"""Layers onto a folder, as section layer.md of the OCI image specification says: later layers over earlier ones, whiteouts included.

What a member becomes:

| member        | becomes                                                                                                   |
|---------------|-----------------------------------------------------------------------------------------------------------|
| directory     | a folder; an existing one only gets new attributes, anything else (a symlink too) is replaced             |
| file          | a new file; set-user-id and set-group-id are dropped, for nothing that we start may use them              |
| symlink       | the link as it is; its target matters only to those that follow it inside the root                       |
| hard link     | a second name of an existing file of the root, never of one outside                                       |
| fifo          | a fifo                                                                                                    |
| device        | nothing; it is counted. A container gets its devices from the engine, not from a stranger                 |
| `.wh.NAME`    | NAME of the layers below is gone; `.wh..wh..opq`: all that the layers below had in this folder is gone    |
| `.wh..wh.*`   | at the root: what Docker's AUFS driver left in layers; nothing, but its files may be hard-linked to       |

Owners are applied by root only; an ordinary user owns all of it and may enter every folder. Extended attributes are not applied.
"""

from __future__ import annotations

import errno
import os
import stat
from collections.abc import Iterable, Sequence
from contextlib import suppress
from pathlib import Path

from modelcrate.images import at
from modelcrate.images.removal import remove_tree
from modelcrate.images.root_folder import NEW, ContainerRoot, Parts, PathInRoot, parts_of
from modelcrate_layers.atomic import write_all
from modelcrate_layers.content import Blob
from modelcrate_layers.errors import IntegrityError
from modelcrate_layers.frozen import dataclass, field
from modelcrate_layers.store import as_machine_error
from modelcrate_layers.tar.codec import decode
from modelcrate_layers.tar.reader import Member, MemberKind, read_tar

MAX_BYTES = 1 << 40
"""The most bytes that all layers of an image may unpack to. The limits of `tar.codec` apply to each layer as well."""

MAX_TARGET = 4095
"""Bytes of a symlink's target: Linux's PATH_MAX, without the NUL at its end."""

_WHITEOUT = b".wh."
_OPAQUE = b".wh..wh..opq"
_AUFS = b".wh..wh."
_AUFS_LINKS = b".wh..wh.plnk"
"""AUFS kept files with several names in a folder of this name, and layers that Docker made of it still hold it (moby, pkg/archive)."""


@dataclass(frozen=True, slots=True)
class UnpackResult:
    """What was applied: members and bytes of files, and how many device files were left out."""

    members: int = 0
    size: int = 0
    devices: int = 0


def unpack(layers: Sequence[Blob], root: Path, max_bytes: int = MAX_BYTES) -> UnpackResult:
    """Applies the layers, lowest first, to the folder `root`, and never writes outside it.

    Raises IntegrityError for a layer that is damaged, hostile or larger than allowed, MachineError where this machine can't hold it (a full
    disk). The folder is then half filled, and the caller's to remove.
    """
    total = UnpackResult()
    with ContainerRoot(root) as inside:
        folders = _Folders()
        for blob in layers:
            layer = _Layer(inside, folders, max_bytes, total.size)
            try:
                with as_machine_error(root, "can't unpack the image"):
                    layer.apply(read_tar(decode(blob.chunks()), held=True))
                    layer.clear_aufs()
            except IntegrityError as fault:
                where = f"layer {blob.descriptor.digest.short}" + (f", {fault.where}" if fault.where else "")
                raise IntegrityError(fault.what, where=where, why=fault.why, hint=fault.hint) from None
            done = layer.done
            total = UnpackResult(total.members + done.members, total.size + done.size, total.devices + done.devices)
        folders.finish(inside)
    return total


class _Folders:
    """The owners, modes and times that folders get in the end. Until then we can write into them, which would change their times."""

    def __init__(self) -> None:
        self._wanted: dict[int, tuple[Parts, Member]] = {}

    def remember(self, inode: int, path: Parts, member: Member) -> None:
        self._wanted[inode] = (path, member)

    def finish(self, root: ContainerRoot) -> None:
        """Sets owners, modes and times; folders that have gone or were replaced meanwhile are passed over."""
        for inode, (path, member) in self._wanted.items():
            with suppress(IntegrityError):
                fd = root.folder(path)
                try:
                    if at.fstat(fd).st_ino == inode:
                        at.settle(fd, member.mode & 0o3777, member.uid, member.gid, member.mtime)
                finally:
                    at.close(fd)


@dataclass(slots=True)  # not frozen: it counts, and remembers what its layer has brought
class _Layer:
    root: ContainerRoot
    folders: _Folders
    max_bytes: int
    before: int
    done: UnpackResult = UnpackResult()
    own: set[Parts] = field(default_factory=set)
    """Real paths that this layer has made, and all folders above them: a whiteout of the same layer doesn't hide them."""

    emptied: set[Parts] = field(default_factory=set)
    """Real paths of folders in which a whiteout has left nothing of lower layers."""

    def apply(self, members: Iterable[Member]) -> None:
        for member in members:
            parts = parts_of(member.name)
            self.done = UnpackResult(self.done.members + 1, self.done.size + member.size, self.done.devices)
            if self.before + self.done.size > self.max_bytes:
                raise IntegrityError(f"the image unpacks to more than the {self.max_bytes} bytes that are allowed here")
            try:
                self._apply(parts, member)
            except IntegrityError as fault:
                raise IntegrityError(fault.what, where=repr(member.name)[1:], hint=fault.hint) from None

    def _apply(self, parts: Parts, member: Member) -> None:
        if not parts:
            if member.kind is MemberKind.DIRECTORY:  # `./` itself
                fd = self.root.folder(())
                self.folders.remember(at.fstat(fd).st_ino, (), member)
                at.close(fd)
            return
        if parts[0].startswith(_AUFS) and parts[0] != _OPAQUE:
            self._aufs(parts, member)
        elif any(part.startswith(_WHITEOUT) for part in parts):
            self._whiteout(parts)
        elif member.kind in (MemberKind.CHARACTER, MemberKind.BLOCK):
            self.done = UnpackResult(self.done.members, self.done.size, self.done.devices + 1)
        else:
            place = self.root.place(parts, make=True)
            self._make(place, member)
            self._remember(place.path)

    def _aufs(self, parts: Parts, member: Member) -> None:
        """Keeps a file that hard links of this layer may name, and passes over everything else that AUFS left."""
        if parts[0] == _AUFS_LINKS and len(parts) == 2 and member.kind is MemberKind.FILE:
            place = self.root.place(parts, make=True)
            self._clear(place)
            _write(place, member)
            self._remember(place.path)

    def clear_aufs(self) -> None:
        """Removes the files that AUFS left; their other names stay."""
        if (_AUFS_LINKS,) in self.own:
            place = self.root.place((_AUFS_LINKS,))
            remove_tree(place.folder, place.name)
            self.root.forget()

    def _remember(self, path: Parts) -> None:
        while path and path not in self.own:
            self.own.add(path)
            path = path[:-1]

    def _make(self, place: PathInRoot, member: Member) -> None:
        match member.kind:
            case MemberKind.DIRECTORY:
                self._directory(place, member)
            case MemberKind.FILE:
                self._clear(place)
                _write(place, member)
            case MemberKind.SYMLINK:
                self._clear(place)
                if not member.link:
                    raise IntegrityError("a symlink to nothing")
                if len(member.link) > MAX_TARGET:
                    raise IntegrityError(f"a symlink to a path of more than {MAX_TARGET} bytes")
                at.symlink(member.link, place.name, dir_fd=place.folder)
                _own_name(place, member)
            case MemberKind.HARD_LINK:
                self._hard_link(place, member)
            case _:
                self._clear(place)
                at.make_pipe(place.name, member.mode & 0o777, dir_fd=place.folder)
                _own_name(place, member)

    def _directory(self, place: PathInRoot, member: Member) -> None:
        try:
            at.mkdir(place.name, 0o755, dir_fd=place.folder)
        except FileExistsError:
            _check_spelling(place)
            if not stat.S_ISDIR(at.lstat(place.name, dir_fd=place.folder).st_mode):
                self._clear(place)
                at.mkdir(place.name, 0o755, dir_fd=place.folder)
        self.folders.remember(at.lstat(place.name, dir_fd=place.folder).st_ino, place.path, member)

    def _hard_link(self, place: PathInRoot, member: Member) -> None:
        source = parts_of(member.link)
        if not source:
            raise IntegrityError("a hard link to the root folder")
        target = self.root.place(source)
        try:
            found = at.lstat(target.name, dir_fd=target.folder)
        except FileNotFoundError:
            raise IntegrityError("a hard link to a file that doesn't exist") from None
        if stat.S_ISDIR(found.st_mode):
            raise IntegrityError("a hard link to a folder")
        if target.path[: len(place.path)] == place.path:
            raise IntegrityError("a hard link to itself, or to what it replaces")
        self._clear(place)
        target = self.root.place(source)
        at.link(target.name, place.name, src_dir_fd=target.folder, dst_dir_fd=place.folder, follow_symlinks=False)

    def _clear(self, place: PathInRoot) -> None:
        """Removes what stands at a place, whatever it is."""
        with suppress(FileNotFoundError):
            gone = at.lstat(place.name, dir_fd=place.folder).st_mode
            _check_spelling(place)
            remove_tree(place.folder, place.name)
            if stat.S_ISDIR(gone) or stat.S_ISLNK(gone):  # a path that was walked may lead through it
                self.root.forget(keep=place.folder)

    def _whiteout(self, parts: Parts) -> None:
        name = parts[-1]
        if not name.startswith(_WHITEOUT) or any(part.startswith(_WHITEOUT) for part in parts[:-1]):
            raise IntegrityError("a name in a layer begins with .wh., which is kept for whiteouts")
        hidden = name[len(_WHITEOUT) :]
        if name != _OPAQUE and (hidden in (b"", b".", b"..") or hidden.startswith(_WHITEOUT)):
            raise IntegrityError("a whiteout of nothing")
        try:
            place = self.root.place(parts)
        except IntegrityError:
            return  # nothing is there to be hidden
        if name == _OPAQUE:
            gone = self._hide_below(place.path[:-1])
        else:
            gone = self._hide(place.folder, hidden, (*place.path[:-1], hidden))
        if gone:
            self.root.forget()

    def _hide(self, folder: int, name: bytes, path: Parts) -> bool:
        """Removes what lower layers have at `path`, and leaves what this layer has brought there. Returns whether something went."""
        try:
            found = at.lstat(name, dir_fd=folder)
        except FileNotFoundError:
            return False
        if path in self.own:
            return stat.S_ISDIR(found.st_mode) and self._hide_below(path)
        remove_tree(folder, name)
        return True

    def _hide_below(self, top: Parts) -> bool:
        """The same for all in the folder `top`. A folder is looked through once: nothing of lower layers comes back to it."""
        ahead, gone = [top], False
        while ahead:
            path = ahead.pop()
            if path in self.emptied:
                continue
            self.emptied.add(path)
            folder = self.root.place((*path, _OPAQUE)).folder
            for entry in at.listdir(folder):
                name = os.fsencode(entry)
                below = (*path, name)
                if below not in self.own:
                    remove_tree(folder, name)
                    gone = True
                elif stat.S_ISDIR(at.lstat(name, dir_fd=folder).st_mode):
                    ahead.append(below)
        return gone


def _check_spelling(place: PathInRoot) -> None:
    """Refuses a layer with two names that this machine takes for one: the second would silently replace the first."""
    if not at.is_spelled_so(place.folder, place.name):
        raise OSError(
            errno.EEXIST, f"{os.fsdecode(place.name)!r} is there in other capitals, and this machine takes both for one"
        )


def _write(place: PathInRoot, member: Member) -> None:
    fd = at.open(place.name, NEW, 0o600, dir_fd=place.folder)
    try:
        for chunk in member.body:
            write_all(fd, chunk)
        at.settle(fd, member.mode & 0o777, member.uid, member.gid, member.mtime)
    finally:
        at.close(fd)


def _own_name(place: PathInRoot, member: Member) -> None:
    at.settle_name(place.name, member.uid, member.gid, member.mtime, dir_fd=place.folder)
