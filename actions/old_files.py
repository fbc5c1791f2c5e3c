"""Finds files beneath a root and removes very exactly these: no symbolic link is followed, no file system is left.

Every folder on the way is opened by its name within the one before, without following a link, so that nothing that is
swapped in meanwhile leads elsewhere. A file is known by device, inode, size and time of change.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from pathlib import Path, PurePosixPath

_FOLDER = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
_MOST_LOOKED_AT = 1_000_000


@dataclass(frozen=True)
class OldFile:
    """A regular file with one name.

    path: within the root. size: its length in bytes. changed: its mtime in nanoseconds. on_disk: bytes that it takes,
    which a file system may settle later, so that it is no part of what the file is known by.
    """

    root: str
    path: str
    device: int
    inode: int
    size: int
    changed: int
    on_disk: int = field(compare=False)


class TooManyError(Exception):
    """There is more beneath the root than one may look at."""


@contextmanager
def opened(root: Path) -> Iterator[int]:
    """Open a root for the time of the block. Raises OSError if it is none, or a part of it is a symbolic link."""
    folder = os.open("/", _FOLDER)
    try:
        for name in root.parts[1:]:
            folder = _into(folder, name)
        yield folder
    finally:
        os.close(folder)


def find(root: Path, patterns: tuple[str, ...], older_than: float, now: float) -> Iterator[OldFile]:
    """Yield the files beneath a root whose name fits and that nobody has changed for so many seconds.

    Files with several names are left out, since removing one of them frees nothing. Raises OSError, TooManyError.
    """
    with opened(root) as top:
        device, looked = os.fstat(top).st_dev, 0
        for path, folders, names, folder in os.fwalk(".", dir_fd=top, follow_symlinks=False):
            looked += len(names) + len(folders)
            if looked > _MOST_LOOKED_AT:
                raise TooManyError(f"more than {_MOST_LOOKED_AT:,} files are beneath {str(root)!r}")
            folders[:] = [name for name in folders if _device(folder, name) == device]
            for name in names:
                if not name.isprintable() or not any(fnmatchcase(name, pattern) for pattern in patterns):
                    continue
                seen = _look(folder, name)
                if seen and seen.st_dev == device and now - seen.st_mtime > older_than:
                    yield _file(root, str(PurePosixPath(path) / name), seen)


def is_there(root: int, file: OldFile) -> bool:
    """Return whether this very file is still there, unchanged."""
    with suppress(OSError), _parent(root, file) as (folder, name):
        return _is(file, folder, name)
    return False


def remove(root: int, file: OldFile) -> bool:
    """Remove this very file; return False if it is not as it was. Raises OSError."""
    try:
        with _parent(root, file) as (folder, name):
            if not _is(file, folder, name):
                return False
            os.unlink(name, dir_fd=folder)
            return True
    except (FileNotFoundError, NotADirectoryError):
        return False


def held_open() -> frozenset[tuple[int, int]]:
    """Return device and inode of each file that a process holds open, as far as we may look."""
    found = set()
    for path in Path("/proc").glob("[0-9]*/fd/*"):
        with suppress(OSError):  # gone, or not ours to see
            seen = path.stat()
            if stat.S_ISREG(seen.st_mode):
                found.add((seen.st_dev, seen.st_ino))
    return frozenset(found)


@contextmanager
def _parent(root: int, file: OldFile) -> Iterator[tuple[int, str]]:
    *folders, name = PurePosixPath(file.path).parts
    folder = os.dup(root)
    try:
        for step in folders:
            folder = _into(folder, step)
        yield folder, name
    finally:
        os.close(folder)


def _into(folder: int, name: str) -> int:
    """Open a folder within another, which is closed; where that fails, the other stays open."""
    deeper = os.open(name, _FOLDER, dir_fd=folder)
    os.close(folder)
    return deeper


def _is(file: OldFile, folder: int, name: str) -> bool:
    seen = _look(folder, name)
    return seen is not None and _file(Path(file.root), file.path, seen) == file


def _look(folder: int, name: str) -> os.stat_result | None:
    """Return what is told of a regular file with one name; None of anything else."""
    try:
        seen = os.stat(name, dir_fd=folder, follow_symlinks=False)
    except OSError:
        return None
    return seen if stat.S_ISREG(seen.st_mode) and seen.st_nlink == 1 else None


def _file(root: Path, path: str, seen: os.stat_result) -> OldFile:
    return OldFile(str(root), path, seen.st_dev, seen.st_ino, seen.st_size, seen.st_mtime_ns, seen.st_blocks * 512)


def _device(folder: int, name: str) -> int:
    try:
        return os.stat(name, dir_fd=folder, follow_symlinks=False).st_dev
    except OSError:
        return -1
