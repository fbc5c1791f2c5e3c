"""Files that survive a crash: written whole or not at all, recognised when read, set aside when broken."""

from __future__ import annotations

import fcntl
import hashlib
import json
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from presagio.toolkit.errors import SnapshotError

_MAGIC = "presagio"


def write_atomic(path: Path, data: bytes, mode: int = 0o644) -> None:
    """Replace `path` by `data`: after a crash at any moment either the old or the new file is there."""
    part = path.with_name(f".{path.name}.part")
    descriptor = os.open(part, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, mode)
    with os.fdopen(descriptor, "wb") as file:
        file.write(data)
        file.flush()
        os.fsync(file.fileno())
    part.replace(path)
    _sync_folder(path.parent)


def _sync_folder(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def write_snapshot(path: Path, kind: str, version: int, payload: bytes) -> None:
    """Write `payload` under a header that says what it is, in which version, with its digest."""
    digest = hashlib.sha256(payload).hexdigest()
    header = {"magic": _MAGIC, "kind": kind, "version": version, "sha256": digest}
    write_atomic(path, json.dumps(header).encode() + b"\n" + payload)


def read_snapshot(path: Path, kind: str, version: int) -> bytes:
    """Return the payload of a snapshot. Raises SnapshotError if it is not whole, or not of this version.

    FileNotFoundError passes through: a first start has no snapshot and that is no mistake.
    """
    head, _, payload = path.read_bytes().partition(b"\n")
    header = _header(head)
    if header.get("magic") != _MAGIC or header.get("kind") != kind:
        raise SnapshotError(f"{path.name} is no {kind} snapshot of presagio")
    if header.get("version") != version:
        raise SnapshotError(f"{path.name} has version {header.get('version')!r}, this is version {version}")
    if hashlib.sha256(payload).hexdigest() != header.get("sha256"):
        raise SnapshotError(f"{path.name} is damaged: its digest does not match")
    return payload


def _header(line: bytes) -> dict[str, object]:
    try:
        header = json.loads(line)
    except ValueError:
        return {}
    return header if isinstance(header, dict) else {}


def set_aside(path: Path, now: float) -> Path:
    """Rename a file that cannot be used to `<name>.broken-<unix time>`, so that nothing is lost."""
    aside = path.with_name(f"{path.name}.broken-{now:.0f}")
    return path.replace(aside)


@contextmanager
def locked(path: Path) -> Iterator[None]:
    """Hold an exclusive lock on `path`: waits until another process lets go (a kill releases it too)."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("a") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield
