"""Forecasts on disk: what was said before a restart is said after it, until there is something newer."""

from __future__ import annotations

import hashlib
import io
from collections.abc import Mapping
from pathlib import Path
from typing import Any
from zipfile import BadZipFile

import numpy as np
import numpy.typing as npt
import orjson

from presagio.exporter.config import Signal
from presagio.exporter.forecast_config import ForecastsConfig
from presagio.exporter.outlook import Outlook
from presagio.exporter.signals import Key
from presagio.forecasters.threshold import Reach
from presagio.toolkit.durable import read_snapshot, write_snapshot
from presagio.toolkit.errors import SnapshotError
from presagio.toolkit.log import Log

VERSION = 1
_KIND = "forecasts"
_ARRAYS = ("now", "mean", "lower", "upper")


class ForecastStore:
    """One snapshot of all signals' newest forecasts. What cannot be read is made anew within minutes."""

    def __init__(self, folder: Path, settings: ForecastsConfig, log: Log) -> None:
        self.path = folder / f"{_KIND}.snapshot"
        self.settings = settings
        self.log = log
        self._is_failing = False

    def save(self, outlooks: Mapping[str, tuple[Signal, Outlook]]) -> None:
        """Write the newest forecasts by the name of their signal; that they cannot be is logged once."""
        try:
            write_snapshot(self.path, _KIND, VERSION, pack(outlooks, self.settings))
            self._is_failing = False
        except OSError as error:
            if not self._is_failing:
                self.log.warning("forecasts will not survive a restart", error=error)
            self._is_failing = True

    def load(self, signals: Mapping[str, Signal]) -> dict[str, Outlook]:
        """Return the forecasts of the signals that are still forecast as they were."""
        try:
            return unpack(read_snapshot(self.path, _KIND, VERSION), signals, self.settings)
        except FileNotFoundError:
            return {}
        except (SnapshotError, OSError, ValueError, KeyError, EOFError, BadZipFile) as error:
            self.log.warning("forecasts of before the restart cannot be read, made anew", error=error)
            return {}


def pack(outlooks: Mapping[str, tuple[Signal, Outlook]], settings: ForecastsConfig) -> bytes:
    """Return forecasts as one archive of arrays; nothing in it is ever executed when read."""
    index: dict[str, dict[str, Any]] = {}
    arrays: dict[str, npt.NDArray[Any]] = {}
    for name, (signal, outlook) in outlooks.items():
        number = f"{len(index)}"
        index[name] = {
            "number": number, "definition": definition(signal, settings), "time": outlook.time,
            "keys": [[key.service_id, key.signal, key.labels] for key in outlook.keys],
            "thresholds": list(outlook.reach),
        }  # fmt: skip
        arrays.update({f"{number}/{one}": getattr(outlook, one) for one in _ARRAYS})
        for threshold, reach in outlook.reach.items():
            arrays[f"{number}/median/{threshold}"] = reach.median
            arrays[f"{number}/early/{threshold}"] = reach.early
    buffer = io.BytesIO()
    np.savez(buffer, allow_pickle=False, index=np.frombuffer(orjson.dumps(index), dtype=np.uint8), **arrays)
    return buffer.getvalue()


def unpack(payload: bytes, signals: Mapping[str, Signal], settings: ForecastsConfig) -> dict[str, Outlook]:
    """Return the forecasts of the signals whose definition is the same.

    Raises ValueError, KeyError, EOFError or BadZipFile if the archive is not what `pack` wrote.
    """
    with np.load(io.BytesIO(payload), allow_pickle=False) as archive:
        index = orjson.loads(archive["index"].tobytes())
        return {
            name: _outlook(entry, archive, settings)
            for name, entry in index.items()
            if name in signals and entry["definition"] == definition(signals[name], settings)
        }


def _outlook(entry: Mapping[str, Any], archive: Mapping[str, npt.NDArray[Any]], settings: ForecastsConfig) -> Outlook:
    keys = [Key(service, signal, tuple(map(tuple, labels))) for service, signal, labels in entry["keys"]]
    number = entry["number"]
    now, mean, lower, upper = (archive[f"{number}/{one}"] for one in _ARRAYS)
    reach = {
        threshold: Reach(archive[f"{number}/median/{threshold}"], archive[f"{number}/early/{threshold}"])
        for threshold in entry["thresholds"]
    }
    return Outlook(float(entry["time"]), keys, now, tuple(settings.horizons), mean, lower, upper, reach)


def definition(signal: Signal, settings: ForecastsConfig) -> str:
    """Return a digest of what makes a forecast a different one."""
    text = signal.model_dump_json(include={"query", "service_id", "signal_label", "range", "season", "thresholds"})
    how = settings.model_dump_json(exclude={"every", "cpu", "series", "engine", "choose_every"})
    return hashlib.sha256((text + how).encode()).hexdigest()[:16]
