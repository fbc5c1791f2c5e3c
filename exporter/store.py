"""Snapshots: what was learnt, and the page last served, survive a restart."""

from __future__ import annotations

import hashlib
import io
from collections.abc import Sequence
from pathlib import Path
from zipfile import BadZipFile

import numpy as np
import orjson

from presagio.detectors.base import DetectorParams
from presagio.exporter.engine import Engine
from presagio.exporter.publish import Page
from presagio.exporter.signals import Key
from presagio.exporter.together import Together
from presagio.toolkit.clock import Clock
from presagio.toolkit.durable import read_snapshot, set_aside, write_snapshot
from presagio.toolkit.errors import SnapshotError
from presagio.toolkit.log import Log

VERSION = 1
_PROFILES, _PAGE, _SERVICES = "profiles", "page", "combined"


class Store:
    """The folder of --storage.path. A snapshot that cannot be used is set aside, and learning begins anew."""

    def __init__(self, folder: Path, clock: Clock, log: Log) -> None:
        self.folder = folder
        self.clock = clock
        self.log = log

    def save(self, engines: Sequence[Engine], page: Page) -> None:
        """Write all profiles and the page."""
        self.folder.mkdir(parents=True, exist_ok=True)
        write_snapshot(self._path(_PROFILES), _PROFILES, VERSION, pack(engines))
        write_snapshot(self._path(_PAGE), _PAGE, VERSION, page.dump())

    def load_page(self, page: Page) -> None:
        """Serve what was served last."""
        payload = self._read(_PAGE)
        if payload is not None:
            page.restore(payload)

    def load_profiles(self, engines: Sequence[Engine]) -> None:
        """Restore the engines whose signal is still defined as it was."""
        payload = self._read(_PROFILES)
        if payload is None:
            return
        try:
            restored, dropped = unpack(payload, engines)
        except (ValueError, KeyError, EOFError, BadZipFile) as error:
            self._set_aside(_PROFILES, str(error))
            return
        self.log.info("profiles restored", signals=len(restored), series=sum(len(one.keys) for one in restored))
        for name in dropped:
            self.log.warning("profile dropped: the signal's definition or its detector has changed", signal=name)

    def save_services(self, together: Together) -> None:
        """Write what was learnt of services as a whole."""
        self.folder.mkdir(parents=True, exist_ok=True)
        write_snapshot(self._path(_SERVICES), _SERVICES, VERSION, pack_services(together))

    def load_services(self, together: Together) -> None:
        """Restore it, if the combiner is still the same."""
        payload = self._read(_SERVICES)
        if payload is None:
            return
        try:
            restored = unpack_services(payload, together)
        except (ValueError, KeyError, EOFError, BadZipFile) as error:
            self._set_aside(_SERVICES, str(error))
            return
        if restored:
            self.log.info("services restored", services=len(together.services))
        else:
            self.log.warning("what was learnt of services dropped: the combiner has changed")

    def _path(self, kind: str) -> Path:
        return self.folder / f"{kind}.snapshot"

    def _read(self, kind: str) -> bytes | None:
        try:
            return read_snapshot(self._path(kind), kind, VERSION)
        except FileNotFoundError:
            return None
        except SnapshotError as error:
            self._set_aside(kind, str(error))
            return None
        except OSError as error:
            self.log.error("snapshot cannot be read, learning anew", file=self._path(kind).name, error=error)
            return None

    def _set_aside(self, kind: str, reason: str) -> None:
        try:
            aside = set_aside(self._path(kind), self.clock.time())
        except OSError as error:
            self.log.error("snapshot can be neither used nor set aside, learning anew", reason=reason, error=error)
            return
        self.log.error("snapshot set aside, learning anew", file=aside.name, reason=reason)


def pack(engines: Sequence[Engine]) -> bytes:
    """Return the engines' states as one archive of arrays; nothing in it is ever executed when read."""
    arrays = {}
    index = {}
    for number, engine in enumerate(engines):
        keys = [[key.service_id, key.signal, key.labels] for key in engine.keys]
        index[engine.signal.name] = {"number": number, "hash": definition(engine), "time": engine.time, "keys": keys}
        arrays.update({f"{number}/{name}": array for name, array in engine.state().items()})
    buffer = io.BytesIO()
    np.savez(buffer, allow_pickle=False, index=np.frombuffer(orjson.dumps(index), dtype=np.uint8), **arrays)
    return buffer.getvalue()


def unpack(payload: bytes, engines: Sequence[Engine]) -> tuple[list[Engine], list[str]]:
    """Restore the engines; return those restored and the names whose definition, or whose detector's state, changed.

    Raises ValueError, KeyError, EOFError or BadZipFile if the archive is not what `pack` wrote.
    """
    restored, dropped = [], []
    with np.load(io.BytesIO(payload), allow_pickle=False) as archive:
        index = orjson.loads(archive["index"].tobytes())
        for engine in engines:
            entry = index.get(engine.signal.name)
            if entry is None or entry["time"] is None:
                continue
            if entry["hash"] != definition(engine):
                dropped.append(engine.signal.name)
                continue
            prefix = f"{entry['number']}/"
            state = {name.removeprefix(prefix): archive[name] for name in archive.files if name.startswith(prefix)}
            keys = [Key(service, signal, tuple(map(tuple, labels))) for service, signal, labels in entry["keys"]]
            try:
                engine.restore(entry["time"], keys, state)
            except (ValueError, KeyError):
                dropped.append(engine.signal.name)
            else:
                restored.append(engine)
    return restored, dropped


def definition(engine: Engine) -> str:
    """Return a digest of what makes a profile a different one: signal and names of the rows, not the outputs."""
    text = (
        engine.signal.model_dump_json(exclude={"outputs", "unit", "forecast", "thresholds"})
        + engine.names
        + _calendar(engine)
    )
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def _calendar(engine: Engine) -> str:
    params = getattr(engine.detector, "params", None)
    return params.calendar.model_dump_json() if isinstance(params, DetectorParams) else ""


def pack_services(together: Together) -> bytes:
    """Return the state as one archive of arrays, as `pack` does."""
    time = together.time if np.isfinite(together.time) else None
    index = {"hash": together.definition, "time": time, "services": together.services, "signals": together.signals}
    buffer = io.BytesIO()
    encoded = np.frombuffer(orjson.dumps(index), dtype=np.uint8)
    np.savez(buffer, allow_pickle=False, index=encoded, **together.state())
    return buffer.getvalue()


def unpack_services(payload: bytes, together: Together) -> bool:
    """Restore the state; return whether it is of the same combiner. Raises as `unpack` does."""
    with np.load(io.BytesIO(payload), allow_pickle=False) as archive:
        index = orjson.loads(archive["index"].tobytes())
        if index["hash"] != together.definition:
            return False
        if index["time"] is not None:
            state = {name: archive[name] for name in archive.files if name != "index"}
            together.restore(index["time"], index["services"], index["signals"], state)
    return True
