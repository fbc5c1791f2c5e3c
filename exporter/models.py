"""Model files: what was learnt of a failure within a horizon, with where it came from; and going back to the last.

A file is a header and arrays, never code: nothing in it is executed when it is read. It is used only if it is whole,
of this version, and made for this very failure from these very features.

    models/<failure>/<horizon>/<moment of training>.model
    models/<failure>/<horizon>/current                     names the one in use
"""

from __future__ import annotations

import io
import zipfile
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from presagio.exporter.drift import Reference
from presagio.exporter.quality import Quality
from presagio.forecasters.base import State
from presagio.toolkit.durable import read_snapshot, write_atomic, write_snapshot
from presagio.toolkit.errors import PresagioError, SnapshotError
from presagio.toolkit.units import format_duration

MODELS = "models"
"""Folder of the models in the exporter's storage."""

VERSION = 1
_KIND = "model"
_SUFFIX = ".model"
_CURRENT = "current"


class ModelError(PresagioError):
    """A model that cannot be used, or is not there."""


class Header(BaseModel):
    """Where a model comes from. Times are Unix seconds, the horizon is in seconds."""

    model_config = ConfigDict(frozen=True, ser_json_inf_nan="constants")

    failure: str
    horizon: float
    predictor: str
    used: str = Field(description="what a combination came down to; the predictor itself if it is no combination")
    params: dict[str, Any]
    definition: str = Field(description="digest of what the failure is, and of what the features are made of")
    features: tuple[str, ...]
    kinds: tuple[str, ...]
    failures: int = Field(description="distinct failures learnt from")
    begin: float
    end: float
    trained: float
    quality: Quality


@dataclass(frozen=True)
class Model:
    """A model as it is kept."""

    header: Header
    state: State
    reference: Reference


class Shelf:
    """The model files of an exporter, in `folder`."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def paths(self, failure: str, horizon: float) -> list[Path]:
        """Return the models of a failure within a horizon, the oldest first."""
        return sorted(self._place(failure, horizon).glob(f"*{_SUFFIX}"))

    def current(self, failure: str, horizon: float) -> Path | None:
        """Return the model in use; None if there is none."""
        place = self._place(failure, horizon)
        try:
            name = (place / _CURRENT).read_text().strip()
        except OSError:
            return None
        path = place / Path(name).name
        return path if name and path.is_file() else None

    def put(self, model: Model, keep: int) -> Path:
        """Keep a model and use it from now on; of the others the newest stay, `keep` in all. Raises OSError."""
        header = model.header
        place = self._place(header.failure, header.horizon)
        place.mkdir(parents=True, exist_ok=True)
        moment = datetime.fromtimestamp(header.trained, UTC).strftime("%Y%m%dT%H%M%S")
        path = place / f"{moment}{_SUFFIX}"
        write_snapshot(path, _KIND, VERSION, _packed(model))
        write_atomic(place / _CURRENT, path.name.encode())
        for old in self.paths(header.failure, header.horizon)[:-keep]:
            old.unlink(missing_ok=True)
        return path

    def rollback(self, failure: str, horizon: float) -> Path:
        """Use the model before the one in use. Raises ModelError if there is none."""
        current = self.current(failure, horizon)
        earlier = [path for path in self.paths(failure, horizon) if current and path.name < current.name]
        if not earlier:
            told = f"no model of {failure!r} within {format_duration(horizon)} is older than the one in use"
            raise ModelError(f"{told}; presagio train --list shows what there is")
        write_atomic(earlier[-1].parent / _CURRENT, earlier[-1].name.encode())
        return earlier[-1]

    def horizons(self, failure: str) -> list[Path]:
        """Return the folders of a failure's horizons."""
        return sorted(path for path in (self.folder / failure).glob("*") if path.is_dir())

    def _place(self, failure: str, horizon: float) -> Path:
        return self.folder / failure / format_duration(horizon)


def load(path: Path, definition: str | None = None) -> Model:
    """Return a model; with `definition`, only if it was made for that. Raises ModelError."""
    try:
        model = _unpacked(read_snapshot(path, _KIND, VERSION))
    except (SnapshotError, OSError, ValueError, KeyError, ValidationError, zipfile.BadZipFile) as error:
        raise ModelError(f"model {path.name} cannot be used: {error}; presagio train makes a new one") from error
    if definition is not None and model.header.definition != definition:
        told = f"model {path.name} was made for another definition of {model.header.failure!r}"
        raise ModelError(f"{told}, or from other features; presagio train makes a new one")
    return model


def _packed(model: Model) -> bytes:
    buffer = io.BytesIO()
    reference = {"edges": model.reference.edges, "shares": model.reference.shares, "weights": model.reference.weights}
    arrays = {f"state/{name}": value for name, value in model.state.items()}
    arrays |= {f"reference/{name}": value for name, value in reference.items()}
    np.savez_compressed(buffer, allow_pickle=False, **arrays)
    return model.header.model_dump_json().encode() + b"\n" + buffer.getvalue()


def _unpacked(payload: bytes) -> Model:
    head, _, body = payload.partition(b"\n")
    header = Header.model_validate_json(head)
    with np.load(io.BytesIO(body), allow_pickle=False) as arrays:
        whole = {name: arrays[name] for name in arrays.files}
    state = {name.removeprefix("state/"): value for name, value in whole.items() if name.startswith("state/")}
    reference = Reference(*(whole[f"reference/{name}"] for name in ("edges", "shares", "weights")))
    return Model(header, state, reference)
